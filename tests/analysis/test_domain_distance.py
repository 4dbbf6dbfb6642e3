"""Distances between domains: closed forms, a jackknife done by hand, and which patches are cut."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from resharp.analysis import domain_networks
from resharp.analysis.domain_distance import Jackknife, compare_domains, kernel_jackknife
from resharp.analysis.domain_networks import load_networks
from resharp.analysis.domain_patches import (
    PhotoPatches,
    blurry_photos,
    check_model,
    choose_patches,
    domain_features,
)
from resharp.analysis.domain_table import domain_table, domain_values
from resharp.errors import ConfigError, DataError, ModelError
from resharp.metrics.frechet import kernel_distance
from resharp.models.icdpm import ICDPM
from tiny import TINY

SCALES = TINY.guidance.scales


def quadrants(patches: torch.Tensor) -> torch.Tensor:
    """(N, 3, h, w) -> (N, 4): a network that is linear in the picture."""
    return F.adaptive_avg_pool2d(patches[:, :1], 2).flatten(1)


@pytest.fixture
def silent_model(tiny_model) -> ICDPM:
    """Its R gives gray, whatever it sees."""
    for parameter in tiny_model.guidance.heads[0].parameters():
        torch.nn.init.zeros_(parameter)
    return tiny_model


def write(folder, photos: int, shift: int = 0, size: tuple[int, int] = (104, 72)) -> None:
    """Photos of 8-bit noise, the same for every shift."""
    folder.mkdir(exist_ok=True)
    for i in range(photos):
        pixels = np.random.default_rng(i).integers(60, 160, size=(size[1], size[0], 1)).repeat(3, axis=2)
        Image.fromarray((pixels + shift).astype(np.uint8)).save(folder / f"{i}.png")


def features_of(model, folder, patch_px: int = 16):
    patches = choose_patches(blurry_photos(folder), patch_px, 4, None, 0, str(folder))
    return domain_features(model, patches, patch_px, {"net": quadrants})


def test_a_shift_of_brightness_has_its_square_as_frechet_distance(tmp_path, silent_model):
    write(tmp_path / "a", 3)
    write(tmp_path / "b", 3, shift=51)
    a, b = (features_of(silent_model, tmp_path / name) for name in "ab")
    assert a.counts.tolist() == [24, 24, 24]
    for each in compare_domains(a, b, SCALES, {"net": 4}):
        if each.figure == "frechet":
            # Pictures are rounded to 8 bits, which moves each by up to half a level.
            assert each.phi == pytest.approx(4 * 0.2**2, abs=2e-3)
            assert each.guided == pytest.approx(0, abs=1e-12)
            assert each.difference == pytest.approx(-each.phi)
        else:
            assert each.phi > 0
            assert each.errors is not None


def test_equal_folders_are_at_distance_zero(tmp_path, tiny_model):
    write(tmp_path / "a", 3)
    a = features_of(tiny_model, tmp_path / "a")
    for each in compare_domains(a, a, SCALES, {"net": 4}):
        if each.figure == "frechet":
            assert each.phi == pytest.approx(0, abs=1e-10)
            assert each.guided == pytest.approx(0, abs=1e-10)
        else:  # a patch is not compared with itself within a set, but it is across: slightly negative
            assert -5 < each.phi < 0


def test_frechet_distance_is_left_out_where_covariances_would_be_singular(tmp_path, tiny_model):
    write(tmp_path / "a", 3)
    a = features_of(tiny_model, tmp_path / "a")
    assert compare_domains(a, a, SCALES, {"net": 4})[0].phi is not None
    a = dataclasses.replace(a, values={key: np.repeat(value, 30, axis=1) for key, value in a.values.items()})
    found = compare_domains(a, a, SCALES, {"net": 120})
    assert [each.phi is None for each in found] == [True, False] * len(SCALES)


def kernel_sets() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    counts_a, counts_b = np.array([3, 1, 5]), np.array([2, 4, 3])
    return rng.normal(size=(9, 6)), 0.5 + rng.normal(size=(9, 6)), counts_a, counts_b


def test_kernel_distance_is_that_of_the_metrics():
    a, b, counts_a, counts_b = kernel_sets()
    expected = kernel_distance(a, b, subset_size=9)
    assert kernel_jackknife(a, b, counts_a, counts_b).value == pytest.approx(expected, rel=1e-12)


def test_values_without_a_photo_are_those_of_the_rest():
    a, b, counts_a, counts_b = kernel_sets()
    found = kernel_jackknife(a, b, counts_a, counts_b)
    rows_a, rows_b = np.repeat(np.arange(3), counts_a), np.repeat(np.arange(3), counts_b)
    for i in range(3):
        left_a, left_b = counts_a[np.arange(3) != i], counts_b[np.arange(3) != i]
        expected = kernel_jackknife(a[rows_a != i], b, left_a, counts_b).value
        assert found.without_a[i] == pytest.approx(expected, rel=1e-12)
        expected = kernel_jackknife(a, b[rows_b != i], counts_a, left_b).value
        assert found.without_b[i] == pytest.approx(expected, rel=1e-12)


def test_jackknife_of_a_mean_is_its_standard_error():
    x, y = np.random.default_rng(0).normal(size=(2, 7))

    def without(values: np.ndarray) -> np.ndarray:
        return (values.sum() - values) / (len(values) - 1)

    found = Jackknife(x.mean() - y.mean(), without(x) - y.mean(), x.mean() - without(y))
    assert found.error == pytest.approx(np.sqrt(x.var(ddof=1) / 7 + y.var(ddof=1) / 7))
    assert found.minus(found).error == 0
    assert Jackknife(0.0, np.zeros(1), np.zeros(3)).error is None


def test_patches_are_the_photos_own_at_each_scale(tmp_path, tiny_model):
    write(tmp_path / "a", 1)
    path = tmp_path / "a" / "0.png"
    photo = PhotoPatches(path, ((0, 0), (8, 20)))
    found = domain_features(tiny_model, [photo], 16, {"net": lambda patches: patches.flatten(1)})
    pixels = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)[None] / 255
    for k in SCALES:
        side = 16 // 2**k
        rows = found.values["net", k, "phi"].reshape(2, 3, side, side)
        for row, (top, left) in zip(rows, photo.places, strict=True):
            expected = F.avg_pool2d(pixels[..., top : top + 16, left : left + 16], 2**k)[0].numpy()
            np.testing.assert_allclose(row, expected, atol=0.51 / 255)


def test_grid_lies_in_the_middle_and_most_draws_from_it(tmp_path):
    write(tmp_path / "a", 4, size=(104, 72))
    photos = blurry_photos(tmp_path / "a")
    patches = choose_patches(photos, 20, 4, None, 0, "a")
    tops, lefts = ({place[i] for place in patches[0].places} for i in (0, 1))
    assert (tops, lefts) == ({4, 24, 44}, {0, 20, 40, 60, 80})
    patches = choose_patches(photos, 10, 2, None, 0, "a")
    assert sum(len(photo.places) for photo in patches) == 4 * 70
    drawn = [choose_patches(photos, 10, 2, 60, seed, "a") for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert sum(len(photo.places) for photo in drawn[0]) == 60
    assert all(set(few.places) <= set(all_.places) for few, all_ in zip(drawn[0], patches, strict=True))


def test_too_little_is_refused_with_the_number_needed(tmp_path, tiny_model):
    write(tmp_path / "a", 2)
    photos = blurry_photos(tmp_path / "a")
    with pytest.raises(DataError, match=r"16 patches of 26 px, at least 50"):
        choose_patches(photos, 26, 2, None, 0, "a")
    with pytest.raises(DataError, match=r"0\.png: is 104x72, smaller than a patch"):
        choose_patches(photos, 80, 4, None, 0, "a")
    with pytest.raises(ConfigError, match="multiples of 4 from 16"):
        check_model(tiny_model, 18)
    without = dataclasses.replace(TINY, guidance=dataclasses.replace(TINY.guidance, regression=False))
    with pytest.raises(ModelError, match="no regression head"):
        check_model(ICDPM(without), 16)


def test_of_pairs_only_the_blurry_sides_are_taken(tmp_path):
    for name in ("a_blur.png", "a_sharp.png", "b.png", "c_sharp.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert [path.name for path in blurry_photos(tmp_path)] == ["a_blur.png", "b.png", "c_sharp.png"]


def test_missing_weights_are_said_and_never_replaced(monkeypatch, tmp_path, tiny_model):
    monkeypatch.setattr(domain_networks, "find_weights", lambda backbone, folder: None)
    with pytest.raises(ModelError, match=r"no Inception of 2015-12-05 weights; run: curl .*; no EfficientNet"):
        load_networks(("inception", "efficientnet"), None, torch.device("cpu"))
    with pytest.raises(ConfigError, match="choose from"):
        load_networks(("vgg",), None, torch.device("cpu"))
    write(tmp_path / "a", 3)
    a = features_of(tiny_model, tmp_path / "a")
    a = dataclasses.replace(a, values={("efficientnet", *key[1:]): value for key, value in a.values.items()})
    compared = compare_domains(a, a, SCALES, {"efficientnet": 4})
    table = domain_table(compared, ["efficientnet", "inception"], {"inception": "no weights; fetch them"}, 72)
    heading, _, row = table.splitlines()[:3]
    assert heading.startswith(
        "| scale | pictures | FID | KID (x1000) | Frechet distance, EfficientNet-Lite0 features |"
    )
    assert row.startswith("| x2 | phi_1(y) | - | - | 0.00 |")
    assert "FID and KID (x1000): no weights; fetch them." in table
    assert "49.684 -> 44.649 | 4.91 -> 4.70 | - | - |" in table
    assert "needs at least 1,281 patches of each folder, there are 72" in table
    assert {each["title"] for each in domain_values(compared)}.isdisjoint({"FID", "KID (x1000)"})
    assert "FID" not in domain_table(compared, ["efficientnet"], {}, 2000)
