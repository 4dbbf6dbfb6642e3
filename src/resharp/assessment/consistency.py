"""How well a result, blurred again, explains the photo it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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
    map: Tensor
    kernels: Tensor


@torch.no_grad()
def reblur_consistency(blurry: Tensor, restored: Tensor, noise_sigma: float | None = None) -> Consistency:
    """Find, tile by tile, the small kernel that best turns the result back into the input, and what it leaves.

    A result that is the input explains it fully: this tells invented content, not missing sharpness.

    Args:
        blurry, restored: (1, 3, H, W) in [0, 1], any size.
        noise_sigma: the input's noise on [0, 1]; None estimates it.

    Raises:
        ValueError: the shapes differ or are not (1, 3, H, W).
    """
    if blurry.ndim != 4 or blurry.shape[:2] != (1, 3) or blurry.shape != restored.shape:
        raise ValueError(f"expected two (1, 3, H, W) of one shape, got {tuple(blurry.shape)}, {tuple(restored.shape)}")
    blurry, restored = blurry.detach().float().cpu(), restored.detach().float().cpu()
    if noise_sigma is None:
        noise_sigma = measure(blurry).noise_sigma
    height, width = blurry.shape[-2:]
    kernel_px = min(KERNEL_PX, max(1, min(height, width) // 4 - 1 | 1))
    tile_px = VALID_PX + kernel_px - 1
    places = _places(blurry, restored, tile_px)
    light = [torch.cat([_light(cut(image, place, tile_px)) for place in places]) for image in (blurry, restored)]
    kernels = fit_kernels(light[1], light[0], kernel_px)
    identity = torch.zeros_like(kernels)
    identity[:, kernel_px // 2, kernel_px // 2] = 1
    left, detail = _residual(light, kernels)
    left_as_is, _ = _residual(light, identity)
    # The fit is regularised and stops early; no blur at all is a kernel too.
    better = left_as_is <= left
    kernels = torch.where(better[:, None, None], identity, kernels)
    excess = (torch.minimum(left, left_as_is) - noise_sigma**2).clamp(min=0)
    explained = 1 - (excess / ((detail - noise_sigma**2).clamp(min=0) + LEAST_DETAIL**2)).clamp(max=1)
    tops, lefts = (spread_places(side, tile_px) for side in (height, width))
    found = torch.full((len(tops), len(lefts)), torch.nan)
    for place, value in zip(places, explained, strict=True):
        found[tops.index(place[0]), lefts.index(place[1])] = value
    return Consistency(float(explained.mean()), _change(blurry, restored, places, tile_px), found, kernels)


def _places(blurry: Tensor, restored: Tensor, tile_px: int) -> list[tuple[int, int]]:
    """Tiles with much to explain, and tiles where the result has changed much."""
    busy = busiest_tiles(blurry, tile_px, MOST_TILES)
    every = [(t, s) for t in spread_places(blurry.shape[-2], tile_px) for s in spread_places(blurry.shape[-1], tile_px)]
    change = {p: float((cut(restored, p, tile_px) - cut(blurry, p, tile_px))[:, 1].abs().mean()) for p in every}
    changed = sorted(every, key=lambda place: (-change[place], place))
    changed = [place for place in changed if place not in busy][:MOST_TILES]
    return sorted(busy + changed)


def _change(blurry: Tensor, restored: Tensor, places: list[tuple[int, int]], tile_px: int) -> float:
    squares = [(cut(restored, p, tile_px) - cut(blurry, p, tile_px)).square().mean() for p in places]
    return float(torch.stack(squares).mean().sqrt())


def _light(tile: Tensor) -> Tensor:
    """Linear luminance (1, h, w) of (1, 3, h, w)."""
    weights = tile.new_tensor((0.2126, 0.7152, 0.0722))[None, :, None, None]
    return (tile.clamp(0, 1).pow(GAMMA) * weights).sum(1)


def _residual(light: list[Tensor], kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square of what the kernels leave unexplained, and of the input's detail, per tile, gamma-encoded."""
    size = kernels.shape[-1]
    target, result = light
    height, width = target.shape[-2:]
    half = size // 2
    seen = target[:, half : height - half, half : width - half].pow(1 / GAMMA)
    guess = blur(result, kernels).clamp(0, 1).pow(1 / GAMMA)
    usable = ((seen > DARKEST) & (seen < BRIGHTEST)).float()
    # A tile that is clipped throughout is compared throughout.
    usable = torch.where(usable.mean(dim=(1, 2), keepdim=True) < 0.05, torch.ones_like(usable), usable)
    window = min(DETAIL_PX, height | 1, width | 1)
    # Rows, then columns: the mean over a square, without its cost.
    smooth = F.avg_pool2d(seen[:, None], (window, 1), 1, (window // 2, 0), count_include_pad=False)
    smooth = F.avg_pool2d(smooth, (1, window), 1, (0, window // 2), count_include_pad=False)[:, 0]
    smooth = smooth[:, : seen.shape[1], : seen.shape[2]]
    parts = ((guess - seen).square(), (seen - smooth).square())
    left, detail = ((part * usable).sum(dim=(1, 2)) / usable.sum(dim=(1, 2)) for part in parts)
    return left, detail
