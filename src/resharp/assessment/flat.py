"""Areas that are flat in a photo, and how much they may change. Statistics live on a grid of 4x4 px cells.

A photo is passed over in strips of rows, a multiple of 4 each: for means over cells, for products of what is finer than
cells, and to change it. Between the passes there are only cells, so that nothing else is as large as the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Cells:
    """A photo and a change of it, in means over cells.

    flat: (1, 1, h, w), see `flatness`. photo, change: (1, 3, h, w), their low frequencies.
    """

    flat: np.ndarray
    photo: np.ndarray
    change: np.ndarray


def flat_weights(photo: Any, noise_sigma: float) -> np.ndarray:
    """How flat each cell of (1, 3, H, W) is: (1, 1, ceil(H / 4), ceil(W / 4)) in [0, 1]; 1 is wholly flat."""
    photo = as_array(photo)
    mean = cell_means(photo, CELL_PX)
    return flatness(mean, roughness(photo, mean), noise_sigma)


def roughness(photo: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The deviation within each cell of (1, 3, H, W) with these means, the largest of the colours': (1, 1, h, w)."""
    square = cell_means(np.square(photo), CELL_PX)
    square -= np.square(mean)
    return np.sqrt(np.maximum(square.max(axis=1, keepdims=True), 0))


def flatness(mean: np.ndarray, rough: np.ndarray, noise_sigma: float) -> np.ndarray:
    """How flat cells of these means (1, 3, h, w) and this roughness are: (1, 1, h, w) in [0, 1]; 1 is wholly flat."""
    sigma = min(noise_sigma, MOST_SIGMA)
    # One colour after the other takes a third of the memory.
    ranges = (window_maxima(plane, CLEAR_CELLS) + window_maxima(-plane, CLEAR_CELLS) for plane in mean[0])
    spread = next(ranges)
    for each in ranges:
        np.maximum(spread, each, out=spread)
    # 1 up to the limit, 0 from twice the limit: a seam would be worse than either side.
    by_range = 2 - spread / np.float32(RANGE + RANGE_IN_SIGMAS * sigma)
    by_roughness = 2 - window_means(rough, 3) / np.float32(ROUGHNESS + ROUGHNESS_IN_SIGMAS * sigma)
    return np.clip(np.minimum(by_range, by_roughness), 0, 1)


def low_frequencies(mean: np.ndarray) -> np.ndarray:
    """Of the means over cells, (1, 3, h, w), which are written over."""
    for plane in mean[0]:
        plane[:] = window_means(plane, LOW_CELLS)
    return mean


def products(photo: np.ndarray, change: np.ndarray, cells: Cells, top: int) -> np.ndarray:
    """What `allowed_shares` needs of the rows of a photo from `top` on: (1, 4, h, w), means over their cells.

    Covariance of photo and change beyond their low frequencies and variance of the change, in brightness, then in
    colour.
    """
    size = (photo.shape[-2], photo.shape[-1])
    fine = change - enlarged(cells.change, CELL_PX, size, top)
    detail = photo - enlarged(cells.photo, CELL_PX, size, top)
    luma, own = _luma(fine), _luma(detail)
    found = [cell_means(own * luma, CELL_PX), cell_means(np.square(luma), CELL_PX)]
    fine -= luma
    detail -= own
    detail *= fine
    np.square(fine, out=fine)
    found += [cell_means(detail.sum(axis=1, keepdims=True), CELL_PX)]
    found += [cell_means(fine.sum(axis=1, keepdims=True), CELL_PX)]
    return np.concatenate(found, axis=1)


def allowed_shares(found: np.ndarray) -> np.ndarray:
    """The shares of a change, brightness and colour, that may stay where it is flat: (1, 2, h, w) of `products`.

    The largest a in [0, 1] with  var(photo + a change) <= var(photo) + GRAIN_SLACK^2.
    """
    return np.stack([_allowed(found[:, 0], found[:, 1]), _allowed(found[:, 2], found[:, 3])], axis=1)


def limited_change(change: np.ndarray, cells: Cells, allowed: np.ndarray, top: int) -> np.ndarray:
    """`change` (1, 3, H, W), of the rows from `top` on, as far as flat areas allow.

    Where it is flat, low frequencies of the change are cut to `COLOUR_SLACK`, and the rest is scaled by `allowed`,
    brightness and colour apart. What is given is written over.
    """
    size = (change.shape[-2], change.shape[-1])
    base = enlarged(cells.change, CELL_PX, size, top)
    flat = enlarged(cells.flat, CELL_PX, size, top)
    shares = enlarged(allowed, CELL_PX, size, top)
    shares -= 1
    shares *= flat
    shares += 1
    change -= base  # what is fine
    held = np.clip(base, -np.float32(COLOUR_SLACK), np.float32(COLOUR_SLACK))
    held -= base
    held *= flat
    base += held
    luma = _luma(change)
    change -= luma
    luma *= shares[:, :1]
    base += luma
    change *= shares[:, 1:]
    base += change
    return base


def _luma(colours: np.ndarray) -> np.ndarray:
    """The mean of the colours of (1, 3, H, W), (1, 1, H, W)."""
    luma = colours[:, :1] + colours[:, 1:2]
    luma += colours[:, 2:]
    luma /= np.float32(3)
    return luma


def _allowed(covariance: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """As `allowed_shares`, of (1, h, w)."""
    covariance, variance = window_means(covariance, 3), window_means(variance, 3)
    root = np.sqrt(np.square(covariance) + variance * np.float32(GRAIN_SLACK**2))
    allowed = np.minimum((root - covariance) / np.maximum(variance, np.float32(1e-12)), 1)
    # The least of the neighbours: enlarging it again must not let more through.
    return -window_maxima(-allowed, 1)
