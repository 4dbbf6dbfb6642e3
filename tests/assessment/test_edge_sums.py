"""Widths of edges against a plain walk along every line of pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from resharp.assessment.edges import LEAST_RISE, ROOT_2, WIDEST_PX, find_edges, smoothed

SIZES = [(2, 2), (2, 9), (9, 2), (3, 3), (5, 12), (12, 5), (20, 20), (40, 31)]


def widths_along(line: np.ndarray, step_px: float) -> list[float]:
    """Rise over steepest slope of every run that only rises or only falls."""
    found = []
    for _, run in itertools.groupby(np.diff(line), key=np.sign):
        slopes = [abs(slope) for slope in run]
        if sum(slopes) >= LEAST_RISE and sum(slopes) / max(slopes) * step_px <= WIDEST_PX:
            found.append(sum(slopes) / max(slopes) * step_px)
    return found


def walked(image: np.ndarray) -> list[list[float]]:
    height, width = image.shape
    corners = range(1 - height, width)
    directions = {
        1.0: [list(image), list(image.T)],
        ROOT_2: [[np.diagonal(turned, k) for k in corners] for turned in (image, image[:, ::-1])],
    }
    found = [
        [w for line in lines for w in widths_along(line, step)] for step in directions for lines in directions[step]
    ]
    long_enough = (width, height, height, height)
    return [widths if length >= 3 else [] for widths, length in zip(found, long_enough, strict=True)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [2, 5, 256])
def test_every_strong_edge_is_found_in_every_direction(size, levels):
    """Few levels make level runs, which may end at one line's end and begin the next."""
    image = np.random.default_rng(levels).integers(0, levels, size).astype(np.float32) / (levels - 1)
    found = find_edges(image, smooth=False).widths
    for ours, theirs in zip(found, walked(image), strict=True):
        assert len(ours) == len(theirs)
        assert np.allclose(np.sort(ours), np.sort(theirs), atol=1e-4)


def test_smoothing_is_a_gaussian():
    impulse = np.zeros((15, 17), dtype=np.float32)
    impulse[7, 8] = 1
    y, x = np.mgrid[-7:8, -8:9]
    gaussian = np.exp(-(x**2 + y**2) / (2 * 0.7**2))
    gaussian[(np.abs(x) > 3) | (np.abs(y) > 3)] = 0
    assert np.allclose(smoothed(impulse, 0.7), gaussian / gaussian.sum(), atol=1e-6)
    assert np.allclose(smoothed(np.full((6, 5), 0.3, dtype=np.float32), 0.7), 0.3, atol=1e-6)
