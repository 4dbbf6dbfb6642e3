"""Score sets, several methods side by side, classical deconvolution and the table, against closed forms."""

from __future__ import annotations

import csv
from functools import partial

import numpy as np
import pytest
import torch
from skimage import restoration

from resharp.errors import ConfigError, DataError
from resharp.evaluate.classical import BORDER_PX, gaussian, richardson_lucy, wiener
from resharp.evaluate.degrade import convolve
from resharp.evaluate.method_table import methods_table, summarise_methods
from resharp.evaluate.methods import Method, MethodScore, pictures_of_a_peer, score_methods
from resharp.evaluate.paired import bootstrap_interval
from resharp.evaluate.score_sets import export_inputs, score_sets
from resharp.evaluate.tables import write_csv
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.images.writing import write_photo
from resharp.metrics.full_reference import psnr, ssim


def picture(seed: int, height: int = 44, width: int = 52) -> np.ndarray:
    smooth = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(smooth, size=(height, width), mode="bicubic").clamp(0, 1)
    return large[0].permute(1, 2, 0).contiguous().numpy()


@pytest.fixture
def folders(tmp_path):
    """A folder of two real pairs, and one of two sharp photos."""
    for place in ("pairs", "sharp"):
        (tmp_path / place).mkdir()
    for seed, name in enumerate("ab"):
        write_photo(Photo(picture(seed)), tmp_path / "pairs" / f"{name}_sharp.png")
        write_photo(Photo(0.5 * picture(seed) + 0.25), tmp_path / "pairs" / f"{name}_blur.png")
        write_photo(Photo(picture(seed + 5)), tmp_path / "sharp" / f"{name}.png")
    return str(tmp_path / "pairs"), str(tmp_path / "sharp")


# Sets


def test_sets_are_the_real_pairs_and_each_pipeline_with_each_seed(folders):
    sets = score_sets(*folders, seeds=(0, 4), crop_px=40)
    made = [f"{name}-{seed}" for name in ("kernels", "shake", "night") for seed in (0, 4)]
    assert [each.folder for each in sets] == ["real", *made]
    assert all([pair.name for pair in each.pairs] == ["a", "b"] for each in sets)
    assert all(each.sizes == ((40, 40), (40, 40)) for each in sets)
    assert sets[1].pairs[0].load()[0].shape == (1, 3, 40, 40)
    assert score_sets(None, folders[1], ["night"])[0].sizes == ((52, 44), (52, 44))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pipelines": ("kernels", "fog")}, "no blur pipeline 'fog'; known: kernels, shake, night"),
        ({"crop_px": 31}, "--crop is 31; allowed: 32 or more"),
        ({"seeds": (-1,)}, "seed -1"),
    ],
)
def test_sets_that_cannot_be(folders, options, message):
    with pytest.raises(ConfigError, match=message):
        score_sets(*folders, **options)


def test_no_folders_are_no_sets():
    with pytest.raises(ConfigError, match="give --pairs, --sharp, or both"):
        score_sets(None, None)


def test_exported_inputs_are_what_is_scored_to_the_last_bit(folders, tmp_path):
    sets = score_sets(*folders, crop_px=36)
    seen = []
    assert export_inputs(sets, tmp_path / "new" / "inputs", lambda *words: seen.append(words)) == 8
    assert seen[:2] == [("real", 1, 2, "a"), ("real", 2, 2, "b")]
    for each in sets:
        for pair in each.pairs:
            read = photo_to_tensor(read_photo(tmp_path / "new" / "inputs" / each.folder / f"{pair.name}.png"))
            assert torch.equal(read, pair.load()[0])


# Methods


def perfect(each, name, blurry, seed):
    pairs = {pair.name: pair for pair in each.pairs}
    return pairs[name].load()[1]


def test_each_method_gets_the_input_and_is_measured_against_the_sharp_picture(folders):
    sets = score_sets(*folders, pipelines=["kernels"], seeds=(0, 1))
    calls = []

    def noisy(each, name, blurry, seed):
        calls.append((each.folder, name, seed))
        return blurry + 0.01 * seed

    same = Method("same", lambda each, name, blurry, seed: blurry)
    methods = [same, Method("perfect", perfect), Method("noisy", noisy, draws=True)]
    rows = score_methods(methods, sets, seeds=range(3), lpips=lambda a, b: (a - b).abs().mean())
    # Real pairs have no seeds of their own: only what draws is run with each. Made ones bring theirs.
    assert calls[:3] == [("real", "a", 0), ("real", "a", 1), ("real", "a", 2)]
    assert calls[6:] == [("kernels-0", "a", 0), ("kernels-0", "b", 0), ("kernels-1", "a", 1), ("kernels-1", "b", 1)]
    by = {(row.method, row.set, row.seed, row.image): row for row in rows}
    assert len(by) == len(rows) == (3 + 3) * 2 + 4 * 4
    blurry, sharp = sets[0].pairs[0].load()
    row = by["input", "real", 0, "a"]
    assert (row.psnr, row.ssim) == (float(psnr(blurry, sharp)), float(ssim(blurry, sharp)))
    assert (row.psnr_gain, row.ssim_gain, row.lpips_gain) == (0, 0, 0)
    assert by["same", "real", 0, "a"][4:] == row[4:]
    best = by["perfect", "kernels", 1, "b"]
    assert (best.psnr, best.ssim, best.lpips) == (100, pytest.approx(1), 0)
    assert best.psnr_gain == 100 - by["input", "kernels", 1, "b"].psnr
    assert best.lpips_gain == by["input", "kernels", 1, "b"].lpips > 0


def test_a_peer_is_read_by_name_and_what_is_missing_or_of_another_size_is_named(folders, tmp_path):
    sets = score_sets(folders[0], None, crop_px=40)
    place = tmp_path / "peer"
    (place / "real").mkdir(parents=True)
    for pair in sets[0].pairs:
        write_photo(Photo(pair.load()[1][0].permute(1, 2, 0).contiguous().numpy()), place / "real" / f"{pair.name}.tif")
    write_photo(Photo(picture(0)), place / "real" / "other.png")
    rows = score_methods([pictures_of_a_peer("maxim", place, sets)], sets, [0])
    assert [row.psnr for row in rows if row.method == "maxim"] == [100, 100]
    assert all(row.lpips is row.lpips_gain is None for row in rows)

    write_photo(Photo(picture(0)), place / "real" / "b.tif")
    with pytest.raises(DataError, match=r"b\.tif: is 52x44, the input is 40x40"):
        pictures_of_a_peer("maxim", place, sets)
    (place / "real" / "b.tif").unlink()
    with pytest.raises(DataError, match=r"real/b\.\*: no such picture of maxim"):
        pictures_of_a_peer("maxim", place, sets)
    with pytest.raises(DataError, match="none/real: cannot list this folder"):
        pictures_of_a_peer("maxim", tmp_path / "none", sets)


# Classical


@pytest.mark.parametrize("restore", [wiener, partial(richardson_lucy, steps=20)])
def test_classical_methods_undo_some_of_the_blur_they_are_told(restore):
    sharp = torch.from_numpy(picture(2, 64, 80)).permute(2, 0, 1)[None]
    sharp = (sharp > 0.5).float() * 0.6 + 0.2
    blurry = convolve(sharp, gaussian(1.2))
    result = restore(blurry, 1.2)
    assert result.shape == blurry.shape
    assert result.dtype == torch.float32
    assert 0 <= result.min() <= result.max() <= 1
    assert psnr(result, sharp) > psnr(blurry, sharp) + 0.5
    assert torch.equal(restore(blurry, 1.2), result)


def test_richardson_lucy_is_that_of_scikit_image_away_from_the_border():
    image = torch.from_numpy(picture(1, 64, 64)).permute(2, 0, 1)[None]
    plain = restoration.richardson_lucy(image[0, 1].double().numpy(), gaussian(0.8), num_iter=2, clip=False)
    ours = richardson_lucy(image, 0.8, 2)[0, 1].numpy()
    np.testing.assert_allclose(ours[16:-16, 16:-16], plain[16:-16, 16:-16].clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("restore", [wiener, richardson_lucy])
def test_a_flat_picture_smaller_than_the_border_stays_flat(restore):
    flat = torch.full((1, 3, 12, BORDER_PX - 1), 0.4)
    torch.testing.assert_close(restore(flat), flat, atol=1e-3, rtol=0)


# Table


def score(method: str, image: str, seed: int, gain: float) -> MethodScore:
    return MethodScore(method, "real", seed, image, 20 + gain, 0.5, 0.3 - gain / 10, gain, 0.0, gain / 10)


def test_a_summary_averages_seeds_first_and_counts_every_picture_that_got_worse():
    gains = {("a", 0): 1.0, ("a", 1): -3.0, ("b", 0): 2.0, ("b", 1): 4.0, ("c", 0): 0.0, ("c", 1): 0.0}
    rows = [score("ours", image, seed, gain) for (image, seed), gain in gains.items()]
    (summary,) = summarise_methods(rows)
    assert (summary.images, summary.seeds) == (3, 2)
    assert summary.gains["psnr"].mean == pytest.approx(np.mean([-1, 3, 0]))
    assert summary.scores["psnr"].mean == pytest.approx(20 + 2 / 3)
    assert (summary.gains["psnr"].low, summary.gains["psnr"].high) == bootstrap_interval(np.array([-1.0, 3.0, 0.0]))
    assert summary.worse["psnr"] == summary.worse["lpips"] == pytest.approx(1 / 6)
    with pytest.raises(ValueError, match="unequal numbers of seeds"):
        summarise_methods(rows[1:])


def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says():
    """Of 30 normal values percentile intervals cover 93 %; here within three deviations of 1000 trials."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(1000):
        low, high = bootstrap_interval(rng.normal(size=30), trial, resamples=500)
        covered += low <= 0 <= high
    assert covered / 1000 == pytest.approx(0.93, abs=0.025)


def test_the_bootstrap_in_parts_is_the_one_draw_by_draw():
    """Tables that are published already must stay what they are."""
    values = np.random.default_rng(1).normal(size=700)  # more than goes at once
    rng = np.random.default_rng(3)
    means = [values[rng.integers(700, size=700)].mean() for _ in range(2000)]
    expected = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(bootstrap_interval(values, 3, 2000), expected, rtol=0, atol=1e-15)


def test_the_table_has_a_line_for_each_method_and_leaves_out_what_was_not_measured(tmp_path):
    rows = [score(method, image, 0, gain) for method, gain in (("input", 0.0), ("a|b", 1.0)) for image in "xy"]
    table = methods_table(summarise_methods(rows), ["one scene"])
    lines = table.splitlines()
    assert "| real | input | 20.00 [20.00, 20.00] | - | 0.5000 [0.5000, 0.5000] | 0.3000 [0.3000" in lines[2]
    assert "| real | a\\|b | 21.00 [21.00, 21.00] | +1.00 [+1.00, +1.00] |" in lines[3]
    assert lines[3].endswith("| 0% | 0% | 2 | 1 |")
    assert lines[-1] == "- one scene"
    without = methods_table(summarise_methods([row._replace(lpips=None, lpips_gain=None) for row in rows]))
    assert "LPIPS" not in without
    widths = {line.replace("\\|", "").count("|") for line in without.splitlines()}
    assert len(widths) == 1
    write_csv(tmp_path / "a.csv", rows, MethodScore._fields)
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert (read[3]["method"], read[3]["image"], float(read[3]["psnr_gain"])) == ("a|b", "y", 1.0)
