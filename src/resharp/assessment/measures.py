"""What can be counted in a photo: noise, dark and clipped pixels, flat areas, colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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


@torch.no_grad()
def measure(image: Tensor) -> Measures:
    """Measures of (1, 3, H, W) in [0, 1], any size."""
    tiles = [gray(cut(image, place)) for place in _even_tiles(image)]
    blocks = torch.cat([_block_statistics(tile) for tile in tiles], dim=1)  # (3, N): mean, deviation, noise
    noise = _noise(blocks[0], blocks[2])
    flat = (blocks[1] < FLAT_DEVIATION + 1.2 * noise).float().mean() if blocks.shape[1] else torch.tensor(1.0)
    step = max(1, int((image.shape[-1] * image.shape[-2] / MOST_PIXELS) ** 0.5))
    pixels = image[:, :, ::step, ::step]
    equal = [(cut(image, place) * 255).round() for place in _even_tiles(image)]
    return Measures(
        noise_sigma=noise,
        dark_share=float((gray(pixels) < DARK_BELOW).float().mean()),
        saturated_share=float((pixels.amax(dim=1) >= SATURATED_FROM).float().mean()),
        flat_share=float(flat),
        colours=_colours(pixels),
        equal_share=sum(map(_equal_share, equal)) / len(equal),
    )


def _even_tiles(image: Tensor) -> list[tuple[int, int]]:
    """At most 25 places, spread over the photo."""
    height, width = image.shape[-2:]
    return [(top, left) for top in spread_places(height, 192, 5) for left in spread_places(width, 192, 5)]


def _block_statistics(tile: Tensor) -> Tensor:
    """Mean, deviation and noise of each whole 8x8 block of (H, W): (3, N); no block fits in a tiny picture."""
    if min(tile.shape) < BLOCK_PX + 2:
        return tile.new_zeros(3, 0)
    inner = tile[None, None, 1:-1, 1:-1]
    # Immerkaer's mask: blind to constant, linear and one-dimensional quadratic changes; its deviation is 6 sigma.
    mask = tile.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[None, None]
    response = F.conv2d(tile[None, None], mask) / 6
    mean, square, noise = (F.avg_pool2d(x, BLOCK_PX)[0, 0] for x in (inner, inner.square(), response.square()))
    return torch.stack([mean, (square - mean.square()).clamp(min=0).sqrt(), noise.sqrt()]).flatten(1)


def _noise(mean: Tensor, noise: Tensor) -> float:
    inside = (mean > CLIPPED_BELOW) & (mean < CLIPPED_ABOVE)
    usable = noise[inside] if int(inside.sum()) >= 16 else noise
    return float(usable.quantile(NOISE_QUANTILE)) if len(usable) else 0.0


def _colours(pixels: Tensor) -> int:
    code = (pixels[0] * 31).round().long().clamp(0, 31)
    counts = torch.bincount((code[0] * 1024 + code[1] * 32 + code[2]).flatten(), minlength=1)
    held = counts.sort(descending=True).values.cumsum(0)
    return int((held < 0.9 * held[-1]).sum()) + 1


def _equal_share(levels: Tensor) -> float:
    """Share of pixels of (1, 3, h, w) that equal their right and lower neighbours."""
    if min(levels.shape[-2:]) < 2:
        return 1.0
    here = levels[..., :-1, :-1]
    same = ((here == levels[..., :-1, 1:]) & (here == levels[..., 1:, :-1])).all(dim=1)
    return float(same.float().mean())
