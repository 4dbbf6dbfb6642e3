"""Does this photo show motion blur, and is it a photo that the model knows how to treat?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.assessment.arrays import as_picture
from resharp.assessment.edges import find_edges
from resharp.assessment.measures import Measures, measure
from resharp.assessment.tiles import busiest_tiles, cut, gray

# How the limits below were chosen, and how often they err: docs/trust.md.
EDGE_QUANTILE = 0.20  # the narrower edges of a direction tell blur from soft shadows and defocused background
LEAST_EDGES = 24  # fewer in a direction say nothing
SHARP_BELOW_PX = 2.0  # the widest direction of a sharp photo
BLURRED_FROM_PX = 2.7
# Softness that is alike in all directions may be the lens, the focus or a shrunken video frame.
SOFT_BELOW_PX = 4.2
ALIKE_BELOW = 1.3
# A sharp photo of which this share of the busy tiles is blurred may have a moving object in it.
OBJECT_TILES = 0.25
OBJECT_FROM_PX = 4.2
UNKNOWN_BLUR_FROM_PX = 26.0  # above this the estimate itself no longer follows the blur
LEAST_SIDE_PX = 32
NOISE_FROM = 0.03  # the strongest of the blur synthesiser's defaults; recipes may use less
TOO_DARK_SHARE = 0.85
NIGHT_DARK_SHARE, NIGHT_SATURATED_SHARE = 0.5, 0.002
SATURATED_SHARE = 0.2
DRAWN_COLOURS, DRAWN_EQUAL_SHARE = 32, 0.6
MOST_SIGMA = 0.05  # a stronger "noise" is texture; edges need not rise above it


@dataclass(frozen=True)
class InputReport:
    """What was found in a photo before any restoration.

    blur_extent_px: width of strong edges in the direction where they are widest; None without strong edges.
    blur_alike: that width over the width in the narrowest direction; 1 is alike in all; None without edges.
    blurred_tiles: share of the tiles with edges whose own extent is that of a blurred photo.
    noise_sigma: standard deviation on [0, 1].
    dark_share, saturated_share, flat_share, equal_share, colours: see `resharp.assessment.measures.Measures`.
    motion_blur: "none", "some" or "unsure".
    outside: why the photo is unlike those the model was made for, in plain words; empty if it is not.
    """

    blur_extent_px: float | None
    blur_alike: float | None
    blurred_tiles: float
    noise_sigma: float
    dark_share: float
    saturated_share: float
    flat_share: float
    equal_share: float
    colours: int
    motion_blur: str
    outside: tuple[str, ...]


def assess_input(blurry: Any) -> InputReport:
    """Look at a photo; the time taken does not grow with its size beyond a few megapixels.

    Args:
        blurry: (1, 3, H, W), an array or a tensor, any size from 1x1: floats in [0, 1], or samples of a photo.

    Raises:
        ValueError: another shape.
    """
    image = as_picture(blurry)
    found = measure(image)
    extent, alike, tiles = _blur(image, found.noise_sigma)
    return InputReport(
        blur_extent_px=extent,
        blur_alike=alike,
        blurred_tiles=tiles,
        noise_sigma=found.noise_sigma,
        dark_share=found.dark_share,
        saturated_share=found.saturated_share,
        flat_share=found.flat_share,
        equal_share=found.equal_share,
        colours=found.colours,
        motion_blur=_verdict(extent, alike, tiles),
        outside=tuple(_reasons(found, extent, min(image.shape[-2:]))),
    )


def _blur(image: np.ndarray, noise_sigma: float) -> tuple[float | None, float | None, float]:
    """Extent in px, its ratio to the narrowest direction's, and the share of tiles that are blurred."""
    lumas = [gray(cut(image, place)) for place in busiest_tiles(image)]
    for smooth in (True, False):  # patterns of single pixels vanish in smoothing, and nothing is sharper
        edges = [find_edges(luma, min(noise_sigma, MOST_SIGMA), smooth=smooth).widths for luma in lumas]
        widths = _extents([np.concatenate(of_tiles) for of_tiles in zip(*edges, strict=True)])
        if widths:
            break
    else:
        return None, None, 0.0
    per_tile = [max(found) for found in map(_extents, edges) if found]
    blurred = sum(extent > OBJECT_FROM_PX for extent in per_tile) / max(1, len(per_tile))
    return max(widths), max(widths) / max(min(widths), 0.5), blurred


def _extents(widths: tuple[np.ndarray, ...] | list[np.ndarray]) -> list[float]:
    return [float(np.quantile(of_one, EDGE_QUANTILE)) for of_one in widths if len(of_one) >= LEAST_EDGES]


def _verdict(extent: float | None, alike: float | None, tiles: float) -> str:
    if extent is None or alike is None:
        return "unsure"
    if extent < SHARP_BELOW_PX:
        return "unsure" if tiles >= OBJECT_TILES else "none"
    soft = extent < SOFT_BELOW_PX and alike < ALIKE_BELOW
    return "unsure" if soft or extent < BLURRED_FROM_PX else "some"


def _reasons(found: Measures, extent: float | None, side_px: int) -> list[str]:
    reasons = []
    if side_px < LEAST_SIDE_PX:
        reasons.append(f"smaller than {LEAST_SIDE_PX} px")
    lights = NIGHT_SATURATED_SHARE <= found.saturated_share < SATURATED_SHARE  # more is snow before a dark wood
    if found.dark_share >= NIGHT_DARK_SHARE and lights:
        reasons.append("night with bright lights")
    elif found.dark_share >= TOO_DARK_SHARE:
        reasons.append("too dark")
    elif found.colours <= DRAWN_COLOURS and found.equal_share >= DRAWN_EQUAL_SHARE:
        reasons.append("drawn, text or a screenshot")
    elif found.saturated_share >= SATURATED_SHARE:
        reasons.append("large areas clipped to white or full colour")
    if found.noise_sigma > NOISE_FROM:
        reasons.append("strong noise or grain")
    if extent is not None and extent > UNKNOWN_BLUR_FROM_PX:
        reasons.append("blur wider than the model has seen")
    return reasons
