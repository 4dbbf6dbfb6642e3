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
GAMMA = 2.2
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
    light = [np.concatenate([_light(_cut(image, place, tile_px)) for place in places]) for image in (blurry, restored)]
    kernels = fit_kernels(light[1], light[0], kernel_px)
    identity = np.zeros_like(kernels)
    identity[:, kernel_px // 2, kernel_px // 2] = 1
    left, detail = _residual(light, kernels)
    left_as_is, _ = _residual(light, identity)
    # The fit is regularised and stops early; no blur at all is a kernel too.
    better = left_as_is <= left
    kernels = np.where(better[:, None, None], identity, kernels)
    excess = np.maximum(np.minimum(left, left_as_is) - noise_sigma**2, 0)
    share = excess / (np.maximum(detail - noise_sigma**2, 0) + LEAST_DETAIL**2)
    explained = 1 - np.minimum(share, 1)
    tops, lefts = (spread_places(side, tile_px) for side in (height, width))
    found = np.full((len(tops), len(lefts)), np.nan, dtype=np.float32)
    for place, value in zip(places, explained, strict=True):
        found[tops.index(place[0]), lefts.index(place[1])] = value
    return Consistency(float(explained.mean()), _change(blurry, restored, places, tile_px), found, kernels)


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


def _change(blurry: np.ndarray, restored: np.ndarray, places: list[tuple[int, int]], tile_px: int) -> float:
    squares = [np.square(_cut(restored, p, tile_px) - _cut(blurry, p, tile_px)).mean() for p in places]
    return float(np.sqrt(np.mean(squares)))


def _light(tile: np.ndarray) -> np.ndarray:
    """Linear luminance (1, h, w) of (1, 3, h, w)."""
    red, green, blue = np.power(np.clip(tile, 0, 1), np.float32(GAMMA))[0]
    return (np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue)[None]


def _residual(light: list[np.ndarray], kernels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean square of what the kernels leave unexplained, and of the input's detail, per tile, gamma-encoded."""
    size = kernels.shape[-1]
    target, result = light
    height, width = target.shape[-2:]
    half = size // 2
    encoding = np.float32(1 / GAMMA)
    seen = np.power(target[:, half : height - half, half : width - half], encoding)
    guess = np.power(np.clip(blur(result, kernels), 0, 1), encoding)
    usable = ((seen > DARKEST) & (seen < BRIGHTEST)).astype(np.float32)
    # A tile that is clipped throughout is compared throughout.
    usable[usable.mean(axis=(1, 2)) < 0.05] = 1
    smooth = window_means(seen, DETAIL_PX)
    parts = (np.square(guess - seen), np.square(seen - smooth))
    left, detail = ((part * usable).sum(axis=(1, 2)) / usable.sum(axis=(1, 2)) for part in parts)
    return left, detail
