"""Areas that are flat in a photo, and how much they may change. Statistics live on a grid of 4x4 px cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, cell_means, enlarged, window_maxima, window_means

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


def flat_weights(photo: Any, noise_sigma: float) -> np.ndarray:
    """How flat each cell of (1, 3, H, W) is: (1, 1, ceil(H / 4), ceil(W / 4)) in [0, 1]; 1 is wholly flat."""
    photo = as_array(photo)
    sigma = min(noise_sigma, MOST_SIGMA)
    mean, square = cell_means(photo, CELL_PX), cell_means(np.square(photo), CELL_PX)
    rough = np.sqrt(np.maximum(square - np.square(mean), 0)).max(axis=1, keepdims=True)
    highest, lowest = window_maxima(mean, CLEAR_CELLS), -window_maxima(-mean, CLEAR_CELLS)
    spread = (highest - lowest).max(axis=1, keepdims=True)
    # 1 up to the limit, 0 from twice the limit: a seam would be worse than either side.
    by_range = 2 - spread / np.float32(RANGE + RANGE_IN_SIGMAS * sigma)
    by_roughness = 2 - window_means(rough, 3) / np.float32(ROUGHNESS + ROUGHNESS_IN_SIGMAS * sigma)
    return np.clip(np.minimum(by_range, by_roughness), 0, 1)


def limited_change(photo: np.ndarray, change: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """`change` (1, 3, H, W) as far as flat areas allow.

    The low frequencies of the change are cut to `COLOUR_SLACK`. The rest is scaled per cell, brightness and
    colour apart, by the largest a in [0, 1] with  var(photo + a change) <= var(photo) + GRAIN_SLACK^2.
    """
    size = (photo.shape[-2], photo.shape[-1])
    base = _grown(_coarse(change), size)
    fine = change - base
    detail = photo - _grown(_coarse(photo), size)
    weight = _grown(flat, size)
    held = np.clip(base, -np.float32(COLOUR_SLACK), np.float32(COLOUR_SLACK))
    base += weight * (held - base)
    luma, luma_photo = fine.mean(axis=1, keepdims=True), detail.mean(axis=1, keepdims=True)
    for part, own in ((luma, luma_photo), (fine - luma, detail - luma_photo)):
        allowed = _grown(_allowed(own, part), size)
        base += part * (1 + weight * (allowed - 1))
    return base


def _allowed(own: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The largest a in [0, 1] that adds no more variance than the slack, (1, 1, h, w)."""
    covariance = window_means(cell_means((own * change).sum(axis=1, keepdims=True), CELL_PX), 3)
    variance = window_means(cell_means(np.square(change).sum(axis=1, keepdims=True), CELL_PX), 3)
    root = np.sqrt(np.square(covariance) + variance * np.float32(GRAIN_SLACK**2))
    allowed = np.minimum((root - covariance) / np.maximum(variance, np.float32(1e-12)), 1)
    # The least of the neighbours: enlarging it again must not let more through.
    return -window_maxima(-allowed, 1)


def _coarse(image: np.ndarray) -> np.ndarray:
    return window_means(cell_means(image, CELL_PX), LOW_CELLS)


def _grown(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return enlarged(cells, CELL_PX, size)
