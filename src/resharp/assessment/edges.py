"""How wide strong edges are, in four directions: the extent of blur, without a reference.

Along a line of pixels a strong edge is a run of brightness that only rises or only falls. Its rise divided by its
steepest slope is its width: 1 for a step, L for a step blurred by uniform motion of L px across it. A sharp photo
has narrow edges in every direction; motion widens those it crosses, and leaves those along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Edges below this rise are texture, noise or JPEG ripples.
LEAST_RISE = 0.12
# ... and so is what rises less than this many standard deviations of the noise left after smoothing.
RISE_IN_SIGMAS = 10.0
# Smoothing before slopes are taken keeps noise from cutting runs; what it adds to widths is taken off again.
SMOOTHING_PX = 0.7
# What rises more slowly is shading: no blur within the reach of the model is as wide.
WIDEST_PX = 64.0
ROOT_2 = float(np.sqrt(2.0))


@dataclass(frozen=True)
class Edges:
    """Widths in px of the strong edges found along each of four directions: 0, 90, 45 and 135 degrees."""

    widths: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def find_edges(image: np.ndarray, noise_sigma: float = 0.0, *, smooth: bool = True) -> Edges:
    """All strong edges of (H, W) in [0, 1]; `noise_sigma` is the noise's standard deviation.

    smooth: without it, edges must stand out from the whole noise.
    """
    lines, least, added = image, RISE_IN_SIGMAS * noise_sigma, 0.0
    if smooth:
        lines = smoothed(image, SMOOTHING_PX)
        # A Gaussian of s px leaves 1 / (2 s sqrt(pi)) of white noise's deviation.
        least /= 2 * SMOOTHING_PX * np.sqrt(np.pi)
        added = SMOOTHING_PX * np.sqrt(2 * np.pi)  # rise over slope of a step after a Gaussian
    least = max(LEAST_RISE, least)
    return Edges(
        (
            _widths(lines, least, 1.0, added),
            _widths(lines.T, least, 1.0, added),
            _widths(_slanted(lines), least, ROOT_2, added),
            _widths(_slanted(lines[:, ::-1]), least, ROOT_2, added),
        )
    )


def _widths(lines: np.ndarray, least_rise: float, step_px: float, added_px: float) -> np.ndarray:
    """Widths of the runs in the rows of `lines` (NaN: outside the image) that rise or fall by `least_rise`.

    added_px: what smoothing has added, taken off as the widths of Gaussians add: in squares.
    """
    if lines.shape[1] < 3 or lines.shape[0] == 0:
        return np.zeros(0)
    slope = np.diff(lines, axis=1)
    slope = np.concatenate([np.nan_to_num(slope), np.zeros((slope.shape[0], 1), slope.dtype)], axis=1).ravel()
    sign = np.sign(slope)
    starts = np.flatnonzero(np.concatenate([[True], sign[1:] != sign[:-1]]))
    size = np.abs(slope)
    rise = np.add.reduceat(size, starts)
    strong = rise >= least_rise
    width = rise[strong] / np.maximum.reduceat(size, starts)[strong] * step_px
    width = width[width <= WIDEST_PX]
    return np.sqrt(np.maximum(width**2 - added_px**2, 0.0))


def _slanted(image: np.ndarray) -> np.ndarray:
    """The diagonals of (H, W) as rows of (H + W - 1, H), NaN outside the image."""
    height, width = image.shape
    padded = np.full((height, width + 2 * height - 1), np.nan, dtype=image.dtype)
    padded[:, height - 1 : height - 1 + width] = image
    stride_y, stride_x = padded.strides
    # Row r of the view begins at column r and goes one down, one right.
    return np.lib.stride_tricks.as_strided(
        padded, (height + width - 1, height), (stride_x, stride_y + stride_x), writeable=False
    )


def smoothed(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian smoothing of (H, W) with edge values repeated."""
    reach = max(1, int(np.ceil(3 * sigma_px)))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    weights = (weights / weights.sum()).astype(image.dtype)
    for axis in (0, 1):
        length = image.shape[axis]
        padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        parts = [np.take(padded, range(o, o + length), axis=axis) * w for o, w in enumerate(weights)]
        image = np.sum(parts, axis=0)
    return image
