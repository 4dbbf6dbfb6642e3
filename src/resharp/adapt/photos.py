"""One's own blurry photos: which can be used, what they are like, and which are kept out of fitting."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, JpegImagePlugin
from torch import Tensor

from resharp.assessment import InputReport, assess_input
from resharp.assessment.tiles import busiest_tiles, cut
from resharp.data.jpeg import quantisation_tables
from resharp.errors import DataError, ImageError
from resharp.images.formats import READABLE_FORMATS
from resharp.images.reading import find_photos, read_photo
from resharp.images.tensors import photo_to_tensor

# Four to fit and four to judge by: fewer give no standard error worth the name.
LEAST_PHOTOS, LEAST_HELD_OUT = 8, 4
# The kernels of 31 px need their tiles of 158 px.
LEAST_SIDE_PX = 160
SHARP = "shows no motion blur"

OnPhoto = Callable[[str, int, int, str], None]


@dataclass(frozen=True, eq=False)  # comparing tensors gives tensors, not an answer
class UserPhoto:
    """The part of a photo that is looked at, and how the photo was stored.

    window: (1, 3, H, W) in [0, 1], the busiest square of the photo, or all of a small one.
    report: what was found in it.
    jpeg_quality: libjpeg's quality by the file's luma table, 1 to 100; None for a file that is no JPEG.
    jpeg_subsampled: whether its chroma has less than full resolution.
    """

    name: str
    window: Tensor
    report: InputReport
    jpeg_quality: float | None
    jpeg_subsampled: bool


@dataclass(frozen=True, eq=False)
class UserPhotos:
    """fit: photos that kernels for training come from. held_out: those that judge. left_out: a line each."""

    fit: tuple[UserPhoto, ...]
    held_out: tuple[UserPhoto, ...]
    left_out: tuple[str, ...]


def open_photos(
    folder: str | os.PathLike[str], window_px: int, held_out_share: float, on_photo: OnPhoto | None = None
) -> UserPhotos:
    """The usable photos of a folder and the folders in it, in the order of their names.

    The last ones are held out: neighbours in name are often of one scene, which should not be on both sides.

    Args:
        window_px: side of the square that is used of each photo.
        held_out_share: of the usable photos; at least `LEAST_HELD_OUT` are held out.

    Raises:
        ImageError: the folder is missing, cannot be listed or has no photos.
        DataError: it is no folder, or fewer than `LEAST_PHOTOS` of its photos can be used.
    """
    folder = Path(folder)
    if folder.is_file():
        raise DataError(f"{folder}: is a file; name a folder with at least {LEAST_PHOTOS} blurry photos")
    paths = find_photos([folder])
    usable: list[UserPhoto] = []
    left_out: list[str] = []
    for i, path in enumerate(paths):
        name = path.relative_to(folder).as_posix()
        try:
            usable.append(_open_photo(path, name, window_px))
        except ImageError as error:
            left_out.append(str(error))
        if on_photo is not None:
            on_photo("looking at photos", i + 1, len(paths), name)
    _check_enough(folder, len(usable), left_out)
    count = max(LEAST_HELD_OUT, min(round(held_out_share * len(usable)), len(usable) - LEAST_HELD_OUT))
    return UserPhotos(tuple(usable[:-count]), tuple(usable[-count:]), tuple(left_out))


def _open_photo(path: Path, name: str, window_px: int) -> UserPhoto:
    image = photo_to_tensor(read_photo(path))
    height, width = image.shape[-2:]
    if min(height, width) < LEAST_SIDE_PX:
        raise ImageError(f"{path}: {width}x{height} is too small; {LEAST_SIDE_PX} px a side are needed")
    window = cut(image, busiest_tiles(image, window_px, 1)[0], window_px).clone()
    report = assess_input(window)
    if report.motion_blur == "none":
        raise ImageError(f"{path}: {SHARP}; there is nothing to learn from it")
    return UserPhoto(name, window, report, *_jpeg_level(path))


def _jpeg_level(path: Path) -> tuple[float | None, bool]:
    """Quality, and whether chroma was subsampled. MPO is a JPEG with a second picture behind it."""
    with Image.open(path, formats=READABLE_FORMATS) as image:
        tables = getattr(image, "quantization", None)
        if image.format not in ("JPEG", "MPO") or not tables or 0 not in tables:
            return None, False
        table = torch.tensor(tables[0], dtype=torch.float32).sort().values
        subsampled = JpegImagePlugin.get_sampling(image) in (1, 2)
    qualities = torch.arange(1, 101, dtype=torch.float32)
    # Sorted, since Pillow's versions differ in the order they give a table's entries in.
    known = quantisation_tables(qualities)[:, 0].flatten(1).sort(dim=1).values
    return float(qualities[(known - table).abs().sum(dim=1).argmin()]), subsampled


def _check_enough(folder: Path, usable: int, left_out: Sequence[str]) -> None:
    if usable >= LEAST_PHOTOS:
        return
    if not usable and left_out and all(SHARP in line for line in left_out):
        raise DataError(f"{folder}: no motion blur found in any of its {len(left_out)} photos; give blurry ones")
    first = f" ({len(left_out)} left out, the first: {left_out[0]})" if left_out else ""
    raise DataError(
        f"{folder}: {usable} usable blurry photos; at least {LEAST_PHOTOS} are needed, of which {LEAST_HELD_OUT} judge "
        f"the result: add photos{first}"
    )
