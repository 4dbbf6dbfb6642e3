"""A bounded number of square tiles stands for a photo, so that a look at it takes the same time at any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, as_samples
from resharp.images.photo import as_floats

TILE_PX = 192
# 24 tiles are 0.9 megapixels: all of a small photo, and a tenth of a second of work for a large one.
MOST_TILES = 24
# Tiles are chosen from at most this many places, evenly spread.
MOST_PLACES = 12
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def spread_places(length: int, tile_px: int, most: int = MOST_PLACES) -> list[int]:
    """Where tiles begin along a side of `length`: evenly, from border to border, overlapping only where they must."""
    if length <= tile_px:
        return [0]
    count = min(most, max(2, round(length / tile_px)))
    return [round(i * (length - tile_px) / (count - 1)) for i in range(count)]


def busiest_tiles(image: Any, tile_px: int = TILE_PX, most: int = MOST_TILES) -> list[tuple[int, int]]:
    """Top and left of the tiles with the most contrast, at most `most`, the busiest first.

    Args:
        image: (1, 3, H, W) in [0, 1] or samples, array or tensor; a photo smaller than a tile is one tile.
    """
    green = image[0, 1]
    height, width = green.shape
    found: list[tuple[float, int, int]] = []
    for top in spread_places(height, tile_px):
        for left in spread_places(width, tile_px):
            tile = green[top : top + tile_px, left : left + tile_px]
            # Every fourth line is enough to rank tiles, and reads a quarter of the memory.
            rows, columns = as_array(tile[::4]), as_array(tile[:, ::4])
            across = np.abs(np.diff(rows, axis=1)).sum() / max(1, rows.shape[0])
            down = np.abs(np.diff(columns, axis=0)).sum() / max(1, columns.shape[1])
            found.append((-float(across + down), top, left))
    return [(top, left) for _, top, left in sorted(found)[:most]]


def cut(image: Any, place: tuple[int, int], tile_px: int = TILE_PX) -> Any:
    """The tile at (top, left) of an array or tensor, (1, C, h, w); smaller than `tile_px` only where the photo is."""
    top, left = place
    return image[..., top : top + tile_px, left : left + tile_px]


def gray(image: Any) -> np.ndarray:
    """Rec. 601 luma of (1, 3, H, W), (H, W), gamma-encoded as its input."""
    channels = as_samples(image)[0]
    luma = as_floats(channels[0]) * _LUMA[0]
    for channel, weight in zip(channels[1:], _LUMA[1:], strict=True):
        luma += as_floats(channel) * weight
    return luma
