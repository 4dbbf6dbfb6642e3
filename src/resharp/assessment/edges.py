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
LEAST_PX = 3  # a shorter line has no edge in it
ROOT_2 = float(np.sqrt(2.0))
_ROUNDING = 1e-3  # far above what sums of slopes in [0, 1] are off by


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
    height, width = lines.shape
    none = np.zeros(0)
    return Edges(
        (
            _widths(*_along_rows(lines), least, 1.0, added) if width >= LEAST_PX else none,
            _widths(*_along_rows(lines.T), least, 1.0, added) if height >= LEAST_PX else none,
            _widths(*_along_diagonals(lines), least, ROOT_2, added) if height >= LEAST_PX else none,
            _widths(*_along_diagonals(lines[:, ::-1]), least, ROOT_2, added) if height >= LEAST_PX else none,
        )
    )


def _widths(lines: np.ndarray, slope: np.ndarray, least_rise: float, step_px: float, added_px: float) -> np.ndarray:
    """Widths of the runs along the rows of `lines` that rise or fall by `least_rise`.

    Args:
        lines: (N, L), contiguous.
        slope: (N, L), from each entry to the next; 0 where a line ends, and in the last column.
        added_px: what smoothing has added, taken off as the widths of Gaussians add: in squares.
    """
    heights, slope = lines.ravel(), slope.ravel()
    rising, falling = slope > 0, slope < 0
    changes = np.not_equal(rising[1:], rising[:-1])
    changes |= np.not_equal(falling[1:], falling[:-1])
    bounds = np.concatenate([[0], np.flatnonzero(changes) + 1, [slope.size]])
    # Most runs are noise. The difference of their ends is their rise but for rounding, and tells which to look at; of a
    # level run, which may go on into the next line, it may be anything, and the slopes will tell.
    at = heights[bounds[:-1]]
    steep = np.flatnonzero(np.abs(np.append(at[1:], at[-1:]) - at) >= least_rise - _ROUNDING)
    starts, lengths = bounds[steep], bounds[steep + 1] - bounds[steep]
    if len(starts) == 0:
        return np.zeros(0, dtype=slope.dtype)
    firsts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    size = np.abs(slope[np.arange(lengths.sum()) + np.repeat(starts - firsts, lengths)])
    rise = np.add.reduceat(size, firsts)
    strong = rise >= least_rise
    width = rise[strong] / np.maximum.reduceat(size, firsts)[strong] * step_px
    width = width[width <= WIDEST_PX]
    return np.sqrt(np.maximum(width**2 - added_px**2, 0.0))


def _along_rows(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of (H, W) and their slopes."""
    lines, slope = np.ascontiguousarray(image), np.zeros(image.shape, dtype=image.dtype)
    np.subtract(lines[:, 1:], lines[:, :-1], out=slope[:, :-1])
    return lines, slope


def _along_diagonals(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The diagonals of (H, W), down and to the right, and their slopes, as (W, H).

    A diagonal that meets the right border goes on at the left, as another one; the slope between the two is 0.
    """
    slope = np.zeros(image.shape, dtype=image.dtype)
    np.subtract(image[1:, 1:], image[:-1, :-1], out=slope[:-1, :-1])
    return _sheared(image), _sheared(slope)


def _sheared(image: np.ndarray) -> np.ndarray:
    """(H, W) as (W, H): entry (d, i) is image[i, (d + i) % W]."""
    height, width = image.shape
    repeated = np.concatenate([image] * -(-(height + width - 1) // width), axis=1)
    stride_y, stride_x = repeated.strides
    # Row d of the view begins at column d and goes one down, one right.
    view = np.lib.stride_tricks.as_strided(repeated, (width, height), (stride_x, stride_y + stride_x), writeable=False)
    return np.ascontiguousarray(view)


def smoothed(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian smoothing of (H, W) with edge values repeated."""
    reach = max(1, int(np.ceil(3 * sigma_px)))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    weights = (weights / weights.sum()).astype(image.dtype)
    for axis in (0, 1):
        length = image.shape[axis]
        padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        parts = [padded[o : o + length] if axis == 0 else padded[:, o : o + length] for o in range(len(weights))]
        image = parts[0] * weights[0]
        product = np.empty_like(image)
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            image += np.multiply(part, weight, out=product)
    return image
