"""Kernels that are known are found again, and what did not come from the photo is not explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resharp.assessment import InputReport, assess_input, make_safe, reblur_consistency, trust
from resharp.assessment.consistency import Consistency
from resharp.assessment.kernel_fit import blur, fit_kernels, to_simplex


def texture(seed: int, side: int = 300) -> torch.Tensor:
    """Rectangles over rectangles: edges of all sizes, like the world."""
    rng = np.random.default_rng(seed)
    image = np.full((3, side, side), 0.5, dtype=np.float32)
    for _ in range(400):
        y, x = rng.integers(-20, side, 2)
        h, w = rng.integers(3, 40, 2)
        image[:, max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = rng.uniform(0.1, 0.85, (3, 1, 1))
    return torch.from_numpy(image)[None]


def line(length: int, slope: float) -> torch.Tensor:
    """A path across a 31x31 kernel, drawn by nearest pixels."""
    kernel = torch.zeros(31, 31)
    for t in np.linspace(-length / 2, length / 2, 200):
        kernel[round(15 + slope * t), round(15 + t)] += 1
    return kernel / kernel.sum()


def blurred(sharp: torch.Tensor, kernel: torch.Tensor, sigma: float) -> torch.Tensor:
    light = F.pad(sharp.pow(2.2), (15, 15, 15, 15), mode="replicate")
    moved = F.conv2d(light, kernel.flip(0, 1).expand(3, 1, -1, -1), groups=3).clamp(0, 1).pow(1 / 2.2)
    noise = torch.randn(moved.shape, generator=torch.Generator().manual_seed(0))
    return ((moved + sigma * noise).clamp(0, 1) * 255).round() / 255


KERNELS = {"across": line(9, 0.0), "slanted": line(14, 0.6), "long": line(25, -0.3)}


@pytest.mark.parametrize("sigma", [0.0, 0.01])
@pytest.mark.parametrize("name", KERNELS)
def test_the_true_sharp_picture_explains_its_blur_and_shows_the_kernel(name, sigma):
    sharp, kernel = texture(1), KERNELS[name]
    found = reblur_consistency(blurred(sharp, kernel, sigma), sharp)
    assert found.explained > 0.97
    for each in torch.from_numpy(found.kernels):
        assert float((each * kernel).sum() / each.norm() / kernel.norm()) > 0.9
        assert float(each.sum()) == pytest.approx(1, abs=1e-4)
        assert float(each.min()) >= 0


def test_the_photo_explains_itself_whatever_it_is():
    for photo in (texture(2), torch.rand(1, 3, 300, 200), torch.zeros(1, 3, 40, 40), torch.rand(1, 3, 1, 1)):
        assert reblur_consistency(photo, photo).explained == 1


def test_what_did_not_come_from_the_photo_explains_little():
    sharp = texture(1)
    photo = blurred(sharp, KERNELS["slanted"], 0.005)
    good = reblur_consistency(photo, sharp).explained
    assert reblur_consistency(photo, texture(3)).explained < 0.2
    assert reblur_consistency(photo, sharp.flip(3)).explained < 0.2
    cells = torch.randn(1, 3, 38, 38, generator=torch.Generator().manual_seed(1))
    mosaic = (sharp + 0.15 * F.interpolate(cells, size=(300, 300))).clamp(0, 1)
    assert reblur_consistency(photo, mosaic).explained < good - 0.15


def test_the_map_shows_where():
    sharp = texture(4, 640)
    photo = blurred(sharp, KERNELS["across"], 0.005)
    result = sharp.clone()
    result[..., 320:, :] = texture(5, 640)[..., 320:, :]
    seen = reblur_consistency(photo, result).map
    assert seen.shape == (4, 4)
    assert float(np.nanmean(seen[0])) > 0.9
    assert float(np.nanmean(seen[3])) < 0.3


def test_kernels_are_the_least_squares_ones():
    """Against a dense solution of the same problem without constraints, where the constraints do not bind."""
    tile = texture(6, 60)[:, 1]
    kernel = torch.zeros(1, 5, 5)
    kernel[0, 1:4, 1:4] = torch.tensor([[1.0, 2, 1], [0, 4, 1], [1, 1, 1]]) / 12
    whole = torch.zeros_like(tile)
    whole[:, 2:-2, 2:-2] = torch.from_numpy(blur(tile, kernel))
    columns = F.unfold(tile[None], 5)[0].flip(0).T  # (pixels, 25)
    dense = torch.linalg.lstsq(columns.double(), whole[0, 2:-2, 2:-2].reshape(-1, 1).double()).solution
    assert torch.allclose(dense.view(5, 5).float(), kernel[0], atol=1e-4)
    found = torch.from_numpy(fit_kernels(tile[:, 2:-2, 2:-2], whole[:, 2:-2, 2:-2], 5))
    assert float((found - kernel).abs().max()) < 0.02


def test_projection_onto_the_simplex_is_the_nearest_point():
    values = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double()
    nearest = torch.from_numpy(to_simplex(values.numpy()))
    assert torch.allclose(nearest.sum(1), torch.ones(50).double())
    assert float(nearest.min()) >= 0
    # Optimality: the same shift for all entries that are positive, and at least that much for the others.
    shift = values - nearest
    for row, point in zip(shift, nearest, strict=True):
        common = row[point > 0]
        assert float(common.max() - common.min()) < 1e-12
        assert bool((row[point == 0] <= common[0] + 1e-12).all())


def report(**changes: object) -> InputReport:
    known = assess_input(blurred(texture(1), KERNELS["slanted"], 0.005))
    return InputReport(**{**known.__dict__, "outside": (), "motion_blur": "some", **changes})


def consistent(explained: float, change: float = 0.05) -> Consistency:
    return Consistency(explained, change, np.zeros((1, 1)), np.zeros((1, 1, 1)))


@pytest.mark.parametrize(
    ("explained", "spread", "changes", "level"),
    [
        (0.95, None, {}, "good"),
        (0.95, 0.01, {}, "good"),
        (0.6, None, {}, "doubtful"),
        (0.2, None, {}, "poor"),
        (0.95, 0.04, {}, "doubtful"),
        (0.95, 0.1, {}, "poor"),
        (0.95, None, {"outside": ("too dark",)}, "doubtful"),
        (0.95, None, {"motion_blur": "none"}, "doubtful"),
    ],
)
def test_the_worst_sign_decides_the_level(explained, spread, changes, level):
    spread = None if spread is None else torch.full((1, 1, 4, 4), spread)
    judged = trust(spread, consistent(explained), report(**changes))
    assert judged.level == level
    assert bool(judged.reasons) == (level != "good")


def test_a_photo_hardly_changed_is_not_doubted_for_its_kind():
    assert trust(None, consistent(1.0, 0.001), report(outside=("too dark",), motion_blur="none")).level == "good"


def test_a_made_up_result_is_told_and_a_true_one_is_not():
    sharp = texture(1)
    photo = blurred(sharp, KERNELS["slanted"], 0.005)
    seen = assess_input(photo)
    assert seen.motion_blur == "some"
    true, made_up = make_safe(photo, sharp, seen), make_safe(photo, texture(3), seen)
    assert (true.trust.level, true.remark) == ("good", None)
    assert made_up.trust.level == "poor"
    assert made_up.remark.startswith("the result may be worse than the photo: ")
