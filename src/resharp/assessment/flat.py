"""Areas that are flat in a photo, and how much they may change. Statistics live on a grid of 4x4 px cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELL_PX = 4
# An area is flat only if nothing within this many cells varies: so near the blurred edge of an object it is not.
CLEAR_CELLS = 4
# Range of cell means in a flat area: a slow gradient of 3 levels, and what noise adds to the extremes of 81 means.
RANGE = 3 / 255
RANGE_IN_SIGMAS = 1.5  # a mean over a cell has a quarter of the noise's deviation; three of those up, three down
MOST_SIGMA = 0.1  # stronger "noise" is a pattern, and a pattern is not flat
# Deviation within a cell: JPEG's ripple, and the noise itself.
ROUGHNESS = 2 / 255
ROUGHNESS_IN_SIGMAS = 1.6
LOW_CELLS = 5  # low frequency: means over 5x5 cells
# Low frequencies may move by half a level, so that after rounding to 8 bits a mean moves by one at most.
COLOUR_SLACK = 0.5 / 255
# Grain that may be added, as a standard deviation: less than rounding to 8 bits hides in a smooth sky.
GRAIN_SLACK = 0.75 / 255


def flat_weights(photo: Tensor, noise_sigma: float) -> Tensor:
    """How flat each cell of (1, 3, H, W) is: (1, 1, ceil(H / 4), ceil(W / 4)) in [0, 1]; 1 is wholly flat."""
    sigma = min(noise_sigma, MOST_SIGMA)
    mean, square = _cells(photo), _cells(photo.square())
    rough = (square - mean.square()).clamp(min=0).sqrt().amax(dim=1, keepdim=True)
    highest, lowest = _highest(mean, CLEAR_CELLS), -_highest(-mean, CLEAR_CELLS)
    spread = (highest - lowest).amax(dim=1, keepdim=True)
    # 1 up to the limit, 0 from twice the limit: a seam would be worse than either side.
    by_range = 2 - spread / (RANGE + RANGE_IN_SIGMAS * sigma)
    by_roughness = 2 - _means(rough, 3) / (ROUGHNESS + ROUGHNESS_IN_SIGMAS * sigma)
    return torch.minimum(by_range, by_roughness).clamp(0, 1)


def limited_change(photo: Tensor, change: Tensor, flat: Tensor) -> Tensor:
    """`change` (1, 3, H, W) as far as flat areas allow.

    The low frequencies of the change are cut to `COLOUR_SLACK`. The rest is scaled per cell, brightness and
    colour apart, by the largest a in [0, 1] with  var(photo + a change) <= var(photo) + GRAIN_SLACK^2.
    """
    size = (photo.shape[-2], photo.shape[-1])
    base = _grown(_means(_cells(change), LOW_CELLS), size)
    fine = change - base
    detail = photo - _grown(_means(_cells(photo), LOW_CELLS), size)
    weight = _grown(flat, size)
    held = base.clamp(-COLOUR_SLACK, COLOUR_SLACK)
    result = base.lerp(held, weight)
    luma, luma_photo = fine.mean(dim=1, keepdim=True), detail.mean(dim=1, keepdim=True)
    for part, own in ((luma, luma_photo), (fine - luma, detail - luma_photo)):
        allowed = _grown(_allowed(own, part), size)
        result = result + part * (1 + weight * (allowed - 1))
    return result


def _allowed(own: Tensor, change: Tensor) -> Tensor:
    """The largest a in [0, 1] that adds no more variance than the slack, (1, 1, h, w)."""
    covariance = _means(_cells((own * change).sum(dim=1, keepdim=True)), 3)
    variance = _means(_cells(change.square().sum(dim=1, keepdim=True)), 3)
    root = (covariance.square() + variance * GRAIN_SLACK**2).sqrt()
    allowed = ((root - covariance) / variance.clamp(min=1e-12)).clamp(max=1)
    # The least of the neighbours: enlarging it again must not let more through.
    return -_highest(-allowed, 1)


def _cells(image: Tensor) -> Tensor:
    """Means of 4x4 cells; those at the right and lower border may be smaller."""
    return F.avg_pool2d(image, CELL_PX, ceil_mode=True, count_include_pad=False)


def _highest(cells: Tensor, reach: int) -> Tensor:
    """The maximum over squares of 2 reach + 1 cells; rows, then columns, which costs less."""
    rows = F.max_pool2d(cells, (1, 2 * reach + 1), 1, (0, reach))
    return F.max_pool2d(rows, (2 * reach + 1, 1), 1, (reach, 0))


def _means(cells: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(cells, size, 1, size // 2, count_include_pad=False)


def _grown(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Cells enlarged to pixels, bilinearly between their centres."""
    whole = F.interpolate(cells, scale_factor=float(CELL_PX), mode="bilinear", align_corners=False)
    return whole[..., : size[0], : size[1]]
