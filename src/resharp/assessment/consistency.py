"""How well a result, blurred again, explains the photo it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array, as_two_pictures, window_means
from resharp.assessment.kernel_fit import blur, fit_kernels
from resharp.assessment.measures import measure
from resharp.assessment.tiles import busiest_tiles, cut, spread_places

KERNEL_PX = 31
VALID_PX = 128  # side of what is compared in each tile
MOST_TILES = 6  # of each kind: where the input is busiest, and where the result differs most from it
TILES_AT_ONCE = 4  # so many fit into a processor's cache, with their transforms
GAMMA = 2.2
_ENCODING = np.float32(1 / GAMMA)
DETAIL_PX = 31  # detail is what a mean over this many pixels leaves
# Below a level or two of 255 there is no detail to explain.
LEAST_DETAIL = 2 / 255
DARKEST, BRIGHTEST = 0.02, 0.98  # a clipped pixel says nothing about the light before clipping


@dataclass(frozen=True)
class Consistency:
    """How well a result explains its input.

    explained: mean over tiles of `1 - min(1, max(0, R - sigma^2) / (max(0, D - sigma^2) + c^2))`, in [0, 1]. R is
        the mean square difference between the input and the result blurred again, both gamma-encoded luma; D the
        mean square of the input's detail; sigma the input's noise; c two levels of 255.
    map: (rows, columns), `explained` of the tiles spread over the photo, NaN where none was sampled.
    kernels: (T, K, K), the kernels found, sum 1, for the tiles of the map in reading order.
    change: root mean square difference between result and input, over these tiles and their colours.
    """

    explained: float
    change: float
    map: np.ndarray
    kernels: np.ndarray


def reblur_consistency(blurry: Any, restored: Any, noise_sigma: float | None = None) -> Consistency:
    """Find, tile by tile, the small kernel that best turns the result back into the input, and what it leaves.

    A result that is the input explains it fully: this tells invented content, not missing sharpness.

    Args:
        blurry, restored: (1, 3, H, W) in [0, 1] or samples, arrays or tensors, any size.
        noise_sigma: the input's noise on [0, 1]; None estimates it.

    Raises:
        ValueError: the shapes differ or are not (1, 3, H, W).
    """
    blurry, restored = as_two_pictures(blurry, restored)
    if noise_sigma is None:
        noise_sigma = measure(blurry).noise_sigma
    height, width = blurry.shape[-2:]
    kernel_px = min(KERNEL_PX, max(1, min(height, width) // 4 - 1 | 1))
    tile_px = VALID_PX + kernel_px - 1
    places = _places(blurry, restored, tile_px)

    def look(some: list[tuple[int, int]]) -> tuple[np.ndarray, ...]:
        before, after = ([_cut(image, place, tile_px) for place in some] for image in (blurry, restored))
        return _fitted(before, after, kernel_px)

    groups = [places[i : i + TILES_AT_ONCE] for i in range(0, len(places), TILES_AT_ONCE)]
    parts = zip(*map(look, groups), strict=True)
    left, detail, change, kernels = (np.concatenate(part) for part in parts)
    excess = np.maximum(left - noise_sigma**2, 0)
    share = excess / (np.maximum(detail - noise_sigma**2, 0) + LEAST_DETAIL**2)
    explained = 1 - np.minimum(share, 1)
    tops, lefts = (spread_places(side, tile_px) for side in (height, width))
    found = np.full((len(tops), len(lefts)), np.nan, dtype=np.float32)
    for place, value in zip(places, explained, strict=True):
        found[tops.index(place[0]), lefts.index(place[1])] = value
    return Consistency(float(explained.mean()), float(np.sqrt(np.mean(change))), found, kernels)


def _places(blurry: np.ndarray, restored: np.ndarray, tile_px: int) -> list[tuple[int, int]]:
    """Tiles with much to explain, and tiles where the result has changed much."""
    busy = busiest_tiles(blurry, tile_px, MOST_TILES)
    every = [(t, s) for t in spread_places(blurry.shape[-2], tile_px) for s in spread_places(blurry.shape[-1], tile_px)]
    green = [image[:, 1] for image in (blurry, restored)]
    change = {p: float(np.abs(_cut(green[1], p, tile_px) - _cut(green[0], p, tile_px)).mean()) for p in every}
    changed = sorted(every, key=lambda place: (-change[place], place))
    changed = [place for place in changed if place not in busy][:MOST_TILES]
    return sorted(busy + changed)


def _cut(image: np.ndarray, place: tuple[int, int], tile_px: int) -> np.ndarray:
    return as_array(cut(image, place, tile_px))


def _fitted(blurry: list[np.ndarray], restored: list[np.ndarray], kernel_px: int) -> tuple[np.ndarray, ...]:
    """What T tiles (1, 3, h, w) in [0, 1] give, each by itself.

    Returns:
        left, detail, change: (T,), mean squares of what the best kernel leaves unexplained, of the input's detail, and
        of the difference between result and input; kernels: (T, K, K).
    """
    change = np.array([np.square(after - before).mean() for before, after in zip(blurry, restored, strict=True)])
    target, result = (np.concatenate([_light(tile) for tile in tiles]) for tiles in (blurry, restored))
    kernels = fit_kernels(result, target, kernel_px)
    inner = slice(kernel_px // 2, -(kernel_px // 2) or None)
    target, as_is = target[:, inner, inner], result[:, inner, inner]
    seen = np.power(target, _ENCODING)
    usable = ((seen > DARKEST) & (seen < BRIGHTEST)).astype(np.float32)
    # A tile that is clipped throughout is compared throughout.
    usable[usable.mean(axis=(1, 2)) < 0.05] = 1
    detail = _mean_square(seen - window_means(seen, DETAIL_PX), usable)
    left, left_as_is = (_mean_square(_encoded(light) - seen, usable) for light in (blur(result, kernels), as_is))
    # The fit is regularised and stops early; no blur at all is a kernel too.
    better = left_as_is <= left
    kernels[better] = 0
    kernels[better, kernel_px // 2, kernel_px // 2] = 1
    return np.minimum(left, left_as_is), detail, change, kernels


def _light(tile: np.ndarray) -> np.ndarray:
    """Linear luminance (1, h, w) of (1, 3, h, w)."""
    red, green, blue = np.power(np.clip(tile, 0, 1), np.float32(GAMMA))[0]
    return (np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue)[None]


def _encoded(light: np.ndarray) -> np.ndarray:
    return np.power(np.clip(light, 0, 1), _ENCODING)


def _mean_square(difference: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Per tile, of (T, h, w)."""
    return (np.square(difference) * usable).sum(axis=(1, 2)) / usable.sum(axis=(1, 2))
