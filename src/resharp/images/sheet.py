"""Contact sheets: the same pictures under several treatments, a column each."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from resharp.files import atomic_path
from resharp.images.encoding import save_whole

TITLE_PX = 16


def write_sheet(path: str | os.PathLike[str], columns: Mapping[str, Tensor], rows: int) -> None:
    """Write a labelled grid.

    Args:
        path: a .jpg or .png file.
        columns: title to images (B, 3, H, W) in [0, 1], all of one shape.
        rows: at most this many images are shown.
    """
    count, _, height, width = next(iter(columns.values())).shape
    rows = min(rows, count)
    sheet = Image.new("RGB", (width * len(columns), TITLE_PX + height * rows), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (title, images) in enumerate(columns.items()):
        draw.text((i * width + 3, 2), title, fill="black")
        for row in range(rows):
            pixels = images[row].permute(1, 2, 0).mul(255).round().clamp(0, 255).byte().numpy()
            sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (i * width, TITLE_PX + row * height))
    with atomic_path(path) as temporary:
        save_whole(sheet, temporary, format="PNG" if temporary.suffix == ".png" else "JPEG", quality=92)
