"""What can be counted in a photo: noise, dark and clipped pixels, flat areas, colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, as_samples, cell_means
from resharp.assessment.tiles import cut, gray, spread_places

# Shares are counted on at most about this many pixels, evenly spread.
MOST_PIXELS = 400_000
BLOCK_PX = 8
# Of blocks sorted by their noise the lowest have least texture; a fifth of the way up is not yet an odd one out.
NOISE_QUANTILE = 0.2
CLIPPED_BELOW, CLIPPED_ABOVE = 0.02, 0.98  # blocks outside have lost part of their noise
DARK_BELOW = 0.1
SATURATED_FROM = 253 / 255  # JPEG moves clipped white by a level or two
FLAT_DEVIATION = 2 / 255
_SHADES = 32  # of each channel, when colours are counted
_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Measures:
    """Counts of one photo; shares are of its pixels (or blocks) and lie in [0, 1].

    noise_sigma: standard deviation of the noise on [0, 1].
    colours: how many colours, of 32,768 after rounding to 5 bits a channel, hold nine tenths of the pixels.
    equal_share: pixels that equal both their right and their lower neighbour.
    """

    noise_sigma: float
    dark_share: float
    saturated_share: float
    flat_share: float
    colours: int
    equal_share: float


def measure(image: Any) -> Measures:
    """Measures of (1, 3, H, W) in [0, 1] or samples, array or tensor, any size."""
    image = as_samples(image)
    tiles = [cut(image, place) for place in _even_tiles(image)]
    blocks = np.concatenate([_block_statistics(gray(tile)) for tile in tiles], axis=1)  # (3, N): mean, deviation, noise
    noise = _noise(blocks[0], blocks[2])
    flat = (blocks[1] < FLAT_DEVIATION + 1.2 * noise).mean() if blocks.shape[1] else 1.0
    step = max(1, int((image.shape[-1] * image.shape[-2] / MOST_PIXELS) ** 0.5))
    pixels = image[:, :, ::step, ::step]
    dark, saturated, colours = _counts(pixels)
    count = pixels.shape[-2] * pixels.shape[-1]
    return Measures(
        noise_sigma=noise,
        dark_share=dark / count,
        saturated_share=saturated / count,
        flat_share=float(flat),
        colours=_colours(colours),
        equal_share=sum(map(_equal_share, tiles)) / len(tiles),
    )


def _even_tiles(image: np.ndarray) -> list[tuple[int, int]]:
    """At most 25 places, spread over the photo."""
    height, width = image.shape[-2:]
    return [(top, left) for top in spread_places(height, 192, 5) for left in spread_places(width, 192, 5)]


def _block_statistics(tile: np.ndarray) -> np.ndarray:
    """Mean, deviation and noise of each whole 8x8 block of (H, W): (3, N); no block fits in a tiny picture."""
    if min(tile.shape) < BLOCK_PX + 2:
        return np.zeros((3, 0), dtype=np.float32)
    # Immerkaer's mask, second differences down and across: blind to constant, linear and one-dimensional quadratic
    # changes; its deviation is 6 sigma.
    down = tile[:-2] - 2 * tile[1:-1] + tile[2:]
    response = (down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]) / 6
    height, width = (side // BLOCK_PX * BLOCK_PX for side in response.shape)
    inner, response = tile[1 : height + 1, 1 : width + 1], response[:height, :width]
    mean, square, noise = (cell_means(x, BLOCK_PX) for x in (inner, np.square(inner), np.square(response)))
    deviation = np.sqrt(np.maximum(square - np.square(mean), 0))
    return np.stack([mean, deviation, np.sqrt(noise)]).reshape(3, -1)


def _noise(mean: np.ndarray, noise: np.ndarray) -> float:
    inside = (mean > CLIPPED_BELOW) & (mean < CLIPPED_ABOVE)
    usable = noise[inside] if int(inside.sum()) >= 16 else noise
    return float(np.quantile(usable, NOISE_QUANTILE)) if len(usable) else 0.0


def _counts(pixels: np.ndarray) -> tuple[int, int, np.ndarray]:
    """How many of (1, 3, H, W) are dark, how many saturated, and how many have each of 32,768 colours."""
    dark = saturated = 0
    colours = np.zeros(_SHADES**3, dtype=np.int64)
    for top in range(0, pixels.shape[-2], _ROWS_AT_ONCE):
        rows = np.ascontiguousarray(as_array(pixels[0, :, top : top + _ROWS_AT_ONCE]))
        dark += int(np.count_nonzero(gray(rows[None]) < DARK_BELOW))
        saturated += int(np.count_nonzero(rows.max(axis=0) >= SATURATED_FROM))
        rows = np.rint(rows * np.float32(_SHADES - 1))
        red, green, blue = np.clip(rows, 0, _SHADES - 1, out=rows).astype(np.int32)
        red *= _SHADES
        red += green
        red *= _SHADES
        red += blue
        colours += np.bincount(red.ravel(), minlength=len(colours))
    return dark, saturated, colours


def _colours(counts: np.ndarray) -> int:
    """How many colours, the most frequent first, hold nine tenths of what was counted."""
    held = np.cumsum(np.sort(counts)[::-1])
    return int((held < 0.9 * held[-1]).sum()) + 1


def _equal_share(tile: np.ndarray) -> float:
    """Share of pixels of (1, 3, h, w), in 255 levels, that equal their right and lower neighbours."""
    if min(tile.shape[-2:]) < 2:
        return 1.0
    same = np.ones((tile.shape[-2] - 1, tile.shape[-1] - 1), dtype=bool)
    for channel in tile[0]:
        levels = np.ascontiguousarray(channel) if tile.dtype == np.uint8 else np.rint(as_array(channel) * 255)
        here = levels[:-1, :-1]
        same &= here == levels[:-1, 1:]
        same &= here == levels[1:, :-1]
    return float(np.count_nonzero(same) / same.size)
