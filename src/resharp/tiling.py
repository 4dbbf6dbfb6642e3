"""Overlapping tiles over a picture: where they lie, what of each is kept, and weights that sum to one.

Arithmetic alone, without torch: whoever computes the tiles, in whatever library, cuts and joins them by this plan.
Tiles begin and end on multiples of `multiple`, so that a network that halves the size sees the same grid in a tile
as in the whole. All tiles of a plan have one size, and neighbours overlap: the outer `halo` of a tile is only seen,
and over the next `blend` pixels one tile gives way to the other. With a halo no smaller than a network's receptive
field a tiled result is the whole one.

    result = np.zeros(shape)
    for tile in plan(height, width, tile_height=512, tile_width=512, halo=32, blend=32, multiple=16):
        result[tile.box] += network(picture[tile.box]) * tile.weights()
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Span:
    """A tile along one side of the picture, in px.

    start, stop: what is seen, [start, stop).
    core_start, core_stop: what is kept where tiles are not blended; the cores of a side cover it exactly once.
    rise, fall: [first, last) over which its weight grows from 0 to 1, and falls back; empty at a border of the
        picture or where there is no blending.
    """

    start: int
    stop: int
    core_start: int
    core_stop: int
    rise: tuple[int, int]
    fall: tuple[int, int]

    @property
    def size(self) -> int:
        """Pixels seen."""
        return self.stop - self.start

    def weights(self) -> np.ndarray:
        """(size,) float32 in [0, 1]; the weights of all spans of a side sum to 1 at every pixel."""
        middles = np.arange(self.start, self.stop) + 0.5
        return (_step(middles, self.rise) * (1 - _step(middles, self.fall))).astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """A tile of the picture."""

    rows: Span
    columns: Span

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.size, self.columns.size

    @property
    def box(self) -> tuple[slice, slice]:
        """Where it lies in the picture: index the last two axes with (..., *box)."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    @property
    def core(self) -> tuple[slice, slice]:
        """Where its core lies in the picture."""
        rows, columns = self.rows, self.columns
        return slice(rows.core_start, rows.core_stop), slice(columns.core_start, columns.core_stop)

    @property
    def core_inside(self) -> tuple[slice, slice]:
        """Where its core lies in the tile itself."""
        inside = ((s.core_start - s.start, s.core_stop - s.start) for s in (self.rows, self.columns))
        top_bottom, left_right = inside
        return slice(*top_bottom), slice(*left_right)

    def weights(self) -> np.ndarray:
        """(rows, columns) float32: what it counts at each of its pixels; over all tiles they sum to 1."""
        return self.rows.weights()[:, None] * self.columns.weights()[None]


@dataclass(frozen=True)
class Plan:
    """The tiles of a picture, row by row."""

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    def __iter__(self) -> Iterator[Tile]:
        return (Tile(rows, columns) for rows in self.rows for columns in self.columns)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Height and width of every tile, px."""
        return self.rows[0].size, self.columns[0].size

    @property
    def overhead(self) -> float:
        """Pixels computed per pixel of the picture; 1 for a single tile."""
        seen = sum(span.size for span in self.rows) * sum(span.size for span in self.columns)
        return seen / (self.rows[-1].stop * self.columns[-1].stop)


def plan(
    height: int, width: int, *, tile_height: int, tile_width: int, halo: int = 0, blend: int = 0, multiple: int = 1
) -> Plan:
    """Tiles that cover a picture.

    Args:
        height, width: of the picture in px, multiples of `multiple` (pad it first).
        tile_height, tile_width: the most a tile may measure; tiles may be smaller, so as to share the work evenly.
        halo, blend: see above; an overlap is at least 2 halo + blend.
        multiple: of both sides of a network's input.

    Raises:
        ValueError: sides that are no multiples, or tiles too small for the overlap; see `least_tile`.
    """
    rows = spans(height, tile_height, halo=halo, blend=blend, multiple=multiple)
    return Plan(rows, spans(width, tile_width, halo=halo, blend=blend, multiple=multiple))


def spans(length: int, tile: int, *, halo: int = 0, blend: int = 0, multiple: int = 1) -> tuple[Span, ...]:
    """Tiles along one side; see `plan`."""
    if length < 1 or length % multiple:
        raise ValueError(f"side of {length} px, not a multiple of {multiple}")
    if min(halo, blend) < 0 or multiple < 1:
        raise ValueError(f"halo {halo}, blend {blend}, multiple {multiple}: allowed are 0, 0, 1 and more")
    if tile >= length:
        return (Span(0, length, 0, length, (0, 0), (length, length)),)
    if tile < least_tile(halo, blend, multiple):
        raise ValueError(f"tiles of {tile} px: a halo of {halo} and a blend of {blend} need more")
    starts, size = _even_starts(length // multiple, tile // multiple, -(-(2 * halo + blend) // multiple))
    starts, size = [start * multiple for start in starts], size * multiple
    wide = min(blend, *(after - before for before, after in pairwise(starts)))
    seams = [_seam(after, before + size, wide) for before, after in pairwise(starts)]
    begins = [(0, 0, 0), *seams]
    ends = [*seams, (length, length, length)]
    return tuple(
        Span(start, start + size, begin[1], end[1], (begin[0], begin[2]), (end[0], end[2]))
        for start, begin, end in zip(starts, begins, ends, strict=True)
    )


def least_tile(halo: int, blend: int, multiple: int) -> int:
    """The smallest tile, px, that moves on by at least as much as it overlaps."""
    return 2 * max(1, -(-(2 * halo + blend) // multiple)) * multiple


def sides_within(height: int, width: int, most_px: int, multiple: int) -> tuple[int, int]:
    """Height and width of a tile of at most `most_px` pixels, as square as the picture's sides let it be.

    Both are multiples of `multiple` and at least that; a side that the picture does not have is given to the other.
    """

    def floor(px: float) -> int:
        return max(multiple, int(px) // multiple * multiple)

    shorter, longer = sorted((height, width))
    short = min(shorter, floor(math.sqrt(most_px)))
    long = min(longer, floor(most_px / short))
    if short < shorter:  # room on both sides: a square overlaps least
        long = min(long, short)
    return (short, long) if height <= width else (long, short)


def _even_starts(length: int, tile: int, overlap: int) -> tuple[list[int], int]:
    """Starts and the one size of as few tiles as possible, spread evenly from end to end; all in multiples."""
    count = -(-(length - overlap) // (tile - overlap))
    # As small as that many tiles can be: nothing is computed twice that need not be.
    size = max(-(-(length + (count - 1) * overlap) // count), min(2 * overlap, tile))
    return [i * (length - size) // (count - 1) for i in range(count)], size


def _seam(first: int, last: int, blend: int) -> tuple[int, int, int]:
    """Where blending begins, its middle, and where it ends, in the middle of an overlap [first, last)."""
    begin = (first + last - blend) // 2
    return begin, begin + blend // 2, begin + blend


def _step(middles: np.ndarray, ramp: tuple[int, int]) -> np.ndarray:
    """0 before `ramp`, 1 after it, a straight line within."""
    first, last = ramp
    if first == last:
        return (middles > first).astype(np.float64)
    return np.clip((middles - first) / (last - first), 0, 1)
