"""The worst images as a contact sheet: blurry, restored, sharp and the error, with a caption each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from resharp.evaluate.trios import Trio
from resharp.files import atomic_path

CELL_PX = 320
GAP_PX = 6
LETTERS_PX = 14
LINE_PX = 18
DARKEST = 99.0  # percentile of the shown errors that is black


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class _Row:
    caption: Sequence[str]
    pictures: Mapping[str, np.ndarray]
    error: np.ndarray


def write_failures(
    path: str | os.PathLike[str], trios: Sequence[Trio], captions: Sequence[Sequence[str]], crop_px: int | None = None
) -> None:
    """Write a PNG with a row for each image.

    The error is the mean over the colours of |restored - sharp|; white is none, and black is its 99th percentile
    over all shown pictures, the same in all rows, named in the heading.

    Args:
        captions: lines above each row.
        crop_px: show the window of this side with the largest mean error in place of the whole picture.

    Raises:
        OutputError: the file cannot be written.
        ImageError: a photo cannot be read.
    """
    rows = [_row(trio, caption, crop_px) for trio, caption in zip(trios, captions, strict=True)]
    black = max(float(np.percentile(np.concatenate([row.error.ravel() for row in rows]), DARKEST)), 1 / 255)
    titles = [*rows[0].pictures, f"error, black: {black * 255:.0f}/255 or more"]
    heights = [LINE_PX * len(row.caption) + _fitted(row.error.shape)[1] + GAP_PX for row in rows]
    width = len(titles) * (CELL_PX + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (width, LINE_PX + sum(heights)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS_PX)
    for i, title in enumerate(titles):
        draw.text((i * (CELL_PX + GAP_PX), 1), title, fill="black", font=font)
    top = LINE_PX
    for row, height in zip(rows, heights, strict=True):
        for line, text in enumerate(row.caption):
            draw.text((0, top + line * LINE_PX), _printable(text), fill="black", font=font)
        shade = 1 - np.clip(row.error / black, 0, 1)
        pictures = [*row.pictures.values(), np.repeat(shade[:, :, None], 3, axis=2)]
        for i, pixels in enumerate(pictures):
            place = (i * (CELL_PX + GAP_PX), top + LINE_PX * len(row.caption))
            sheet.paste(_thumbnail(pixels), place)
        top += height
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def worst_window(error: Tensor, side_px: int) -> tuple[int, int]:
    """Top and left of the window of (H, W) with the largest mean; a quarter of a side between candidates."""
    height, width = min(side_px, error.shape[0]), min(side_px, error.shape[1])
    step = max(1, side_px // 4)
    means = F.avg_pool2d(error[None, None], (height, width), stride=step)[0, 0]
    best = int(means.argmax())
    return best // means.shape[1] * step, best % means.shape[1] * step


def _row(trio: Trio, caption: Sequence[str], crop_px: int | None) -> _Row:
    restored, sharp, blurry = trio.load()
    error = (restored - sharp).abs().mean(dim=1)[0]  # (H, W)
    window = (slice(None), slice(None))
    if crop_px is not None:
        top, left = worst_window(error, crop_px)
        window = (slice(top, top + crop_px), slice(left, left + crop_px))
    pictures = {} if blurry is None else {"blurry": blurry}
    pictures |= {"restored": restored, "sharp": sharp}
    shown = {title: image[0].permute(1, 2, 0).numpy()[window] for title, image in pictures.items()}
    return _Row(caption, shown, error.numpy()[window])


def _fitted(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of a thumbnail of (H, W): the longer side is that of a cell."""
    scale = CELL_PX / max(shape[:2])
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _thumbnail(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))
    enlarges = max(image.size) < CELL_PX
    return image.resize(_fitted(pixels.shape), Image.Resampling.NEAREST if enlarges else Image.Resampling.LANCZOS)


def _printable(text: str) -> str:
    """With a question mark for letters that the built-in font does not have."""
    return text.encode("latin-1", "replace").decode("latin-1")
