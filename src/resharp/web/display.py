"""Pictures for the screen, never the download: bounded in size, of kinds that browsers know, in the photo's colours."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from resharp.assessment.trusting import DOUBTFUL_SPREAD, POOR_SPREAD
from resharp.images.photo import Photo

LONGEST_PX = 2560
PREVIEW_PX = 900
_AMBER, _RED = (255, 176, 0), (220, 30, 60)
# What may differ by less than this is left as it is: a level of 255.
_FROM_SPREAD = 1 / 255


def screen_copy(photo: Photo, path: Path, longest_px: int = LONGEST_PX) -> tuple[int, int]:
    """Write `photo` as a JPEG, or with transparency as a WebP, and return the size on the screen.

    Args:
        path: without a suffix that counts; the folder must be there. Use the path that `screen_name` gives.
    """
    pixels = np.rint(photo.pixels * 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(np.rint(photo.alpha * 255).astype(np.uint8)))
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS, reducing_gap=3.0)
    icc = photo.meta.icc
    if photo.alpha is not None:
        image.save(path, format="WEBP", quality=90, method=2, **({"icc_profile": icc} if icc else {}))
    else:
        image.save(path, format="JPEG", quality=92, subsampling=0, **({"icc_profile": icc} if icc else {}))
    return image.size


def screen_name(photo: Photo, stem: str) -> str:
    """The name for a `screen_copy`."""
    return f"{stem}.webp" if photo.alpha is not None else f"{stem}.jpg"


def save_preview(image: Tensor, path: Path, icc: bytes | None = None) -> None:
    """Write (1, 3, H, W) in [0, 1] as a small JPEG."""
    step = max(1, math.ceil(max(image.shape[-2:]) / (2 * PREVIEW_PX)))
    # Every step-th pixel first: the rest is done on a picture of bounded size.
    small = image[0, :, ::step, ::step].permute(1, 2, 0).clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    picture = Image.fromarray(np.ascontiguousarray(small))
    picture.thumbnail((PREVIEW_PX, PREVIEW_PX), Image.Resampling.BILINEAR)
    picture.save(path, format="JPEG", quality=85, **({"icc_profile": icc} if icc else {}))


def region_at(x: float, y: float, size: tuple[int, int], side_px: int) -> tuple[int, int, int, int]:
    """A square of `side_px` around a point, moved and cut to lie within a picture: left, top, right, bottom.

    Args:
        x, y: in pixels of the picture.
        size: width and height of the picture.
    """
    width, height = (min(side_px, length) for length in size)
    left = round(min(max(x - width / 2, 0), size[0] - width))
    top = round(min(max(y - height / 2, 0), size[1] - height))
    return left, top, left + width, top + height


def marked(path: Path, region: tuple[int, int, int, int], size: tuple[int, int], target: Path) -> None:
    """Write the screen copy at `path` with a frame around a region given in pixels of the photo of `size`."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
        icc = opened.info.get("icc_profile")
    across, down = image.width / size[0], image.height / size[1]
    box = (region[0] * across, region[1] * down, region[2] * across - 1, region[3] * down - 1)
    line = max(2, round(max(image.size) / 300))
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, outline=(0, 0, 0), width=line + 2)
    draw.rectangle(box, outline=(255, 255, 255), width=line)
    image.save(target, format="JPEG", quality=88, **({"icc_profile": icc} if icc else {}))


def trust_map(picture: Path, spread: Path, maximum: float, target: Path) -> None:
    """Write the result in gray with the spread in colour: amber from the doubtful on, red from the poor on.

    The colours are absolute, so that a photo on which samples agree stays gray.

    Args:
        picture: the result's screen copy.
        spread: as `resharp.picture.write_spread` writes it, with its `maximum`.
    """
    with Image.open(picture) as opened:
        base = opened.convert("L")
    with Image.open(spread) as opened:
        small = opened.resize(base.size, Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32) / 255 * maximum  # (h, w)
    gray = np.asarray(base, dtype=np.float32)[:, :, None] * 0.75 + 32
    amber = np.clip((values - _FROM_SPREAD) / (DOUBTFUL_SPREAD - _FROM_SPREAD), 0, 1)[:, :, None]
    red = np.clip((values - DOUBTFUL_SPREAD) / (POOR_SPREAD - DOUBTFUL_SPREAD), 0, 1)[:, :, None]
    colour = np.asarray(_AMBER) * (1 - red) + np.asarray(_RED) * red
    mixed = gray * (1 - 0.8 * amber) + colour * (0.8 * amber)
    Image.fromarray(np.clip(np.rint(mixed), 0, 255).astype(np.uint8)).save(target, format="JPEG", quality=90)
