"""Plans of overlapping tiles."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resharp.tiling import Plan, least_tile, plan, sides_within, spans


@st.composite
def sides(draw):
    multiple = draw(st.sampled_from((1, 2, 4, 8, 16)))
    halo, blend = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    tile = draw(st.integers(least_tile(halo, blend, multiple), 400))
    return draw(st.integers(1, 120)) * multiple, tile, halo, blend, multiple


@given(sides())
def test_spans_cover_a_side(side):
    length, tile, halo, blend, multiple = side
    found = spans(length, tile, halo=halo, blend=blend, multiple=multiple)
    total, cores = np.zeros(length), np.zeros(length, int)
    for span in found:
        assert span.start % multiple == span.stop % multiple == 0
        assert span.size == found[0].size <= max(tile, multiple)
        weights = span.weights()
        assert weights.dtype == np.float32
        assert weights.min() >= 0
        total[span.start : span.stop] += weights
        cores[span.core_start : span.core_stop] += 1
        # What counts lies a halo away from every edge that is none of the picture.
        counting = np.flatnonzero(weights) + span.start
        assert counting[0] >= span.start + (halo if span.start else 0)
        assert counting[-1] < span.stop - (halo if span.stop < length else 0)
        assert span.start <= span.core_start < span.core_stop <= span.stop
    assert np.allclose(total, 1, atol=1e-6)
    assert (cores == 1).all()


@given(sides())
def test_no_fewer_tiles_would_do(side):
    length, tile, halo, blend, multiple = side
    found = spans(length, tile, halo=halo, blend=blend, multiple=multiple)
    overlap = -(-(2 * halo + blend) // multiple) * multiple
    usable = tile // multiple * multiple
    assert len(found) == 1 or (len(found) - 1) * (usable - overlap) + overlap < length


def test_a_picture_that_fits_is_one_tile():
    only = list(plan(48, 64, tile_height=48, tile_width=100, halo=8, blend=8, multiple=16))
    assert [tile.box for tile in only] == [(slice(0, 48), slice(0, 64))]
    assert np.array_equal(only[0].weights(), np.ones((48, 64)))


@pytest.mark.parametrize(("halo", "blend"), [(0, 0), (0, 12), (3, 0), (3, 7)])
def test_joining_a_local_operation_gives_the_whole(halo, blend):
    """A mean over 2 reach + 1 pixels, reach <= halo, in tiles and whole; without enough halo it is not the same."""

    def blurred(image, reach):
        padded = np.pad(image, reach, mode="reflect")
        shifts = range(2 * reach + 1)
        return sum(padded[i : i + image.shape[0], j : j + image.shape[1]] for i in shifts for j in shifts)

    image = np.random.default_rng(0).random((64, 96))
    layout = plan(64, 96, tile_height=40, tile_width=48, halo=halo, blend=blend, multiple=4)
    assert len(layout) > 3

    def joined(reach):
        by_weight, by_core = np.zeros(image.shape), np.zeros(image.shape)
        for tile in layout:
            part = blurred(image[tile.box], reach)
            by_weight[tile.box] += part * tile.weights()
            by_core[tile.core] = part[tile.core_inside]
        return by_weight, by_core

    for result in joined(halo):
        assert np.allclose(result, blurred(image, halo), rtol=1e-5)
    for result in joined(halo + 8):
        assert not np.allclose(result, blurred(image, halo + 8), rtol=1e-3)


def test_overhead_counts_what_is_computed_twice():
    layout = plan(100, 100, tile_height=60, tile_width=60, halo=5, blend=10)
    assert (layout.tile_size, len(layout)) == ((60, 60), 4)
    assert layout.overhead == pytest.approx(1.44)
    assert Plan(layout.rows[:1], layout.columns[:1]).overhead == 1


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 2_000_000), st.sampled_from((1, 8, 16)))
def test_sides_stay_within_a_number_of_pixels(rows, columns, most_px, multiple):
    height, width = rows * multiple, columns * multiple
    tile_height, tile_width = sides_within(height, width, most_px, multiple)
    assert tile_height % multiple == tile_width % multiple == 0
    assert multiple <= tile_height <= height
    assert multiple <= tile_width <= width
    assert tile_height * tile_width <= max(most_px, multiple**2)
    if height * width <= most_px:
        assert (tile_height, tile_width) == (height, width)


def test_a_narrow_picture_gets_long_tiles():
    assert sides_within(160, 16000, 160_000, 16) == (160, 992)
    assert sides_within(16000, 16000, 160_000, 16) == (400, 400)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((100, 40, 0, 0, 16), "100 px, not a multiple of 16"),
        ((0, 40, 0, 0, 1), "0 px"),
        ((160, 64, 20, 8, 16), "tiles of 64 px"),
        ((160, 64, -1, 0, 16), "halo -1"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments, words):
    length, tile, halo, blend, multiple = arguments
    with pytest.raises(ValueError, match=words):
        spans(length, tile, halo=halo, blend=blend, multiple=multiple)


def test_planning_needs_no_torch():
    code = "import resharp.tiling, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
