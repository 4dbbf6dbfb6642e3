"""The colour space that a file states in another way than by an ICC profile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from resharp.errors import ImageError
from resharp.images.primaries import HDR_TRANSFERS, SRGB_PRIMARIES, profile_of_numbers, rgb_profile

_BOXES_BYTES = 1 << 20  # HEIC and AVIF begin with what describes the picture
_SRGB_GAMMA = 1 / 0.45455
_SAME = 0.005  # chromaticities and gammas nearer than this are rounded ones


def stated_profile(image: Image.Image, path: Path) -> bytes | None:
    """An ICC profile for an opened RGB picture without one whose file states a space other than sRGB; else None.

    PNG states it by the numbers of ITU-T H.273 (cICP), or by gamma and primaries (gAMA, cHRM); HEIC and AVIF by
    numbers (nclx).

    Raises:
        ImageError: the picture is HDR: as an ordinary one it would look wrong.
    """
    if image.format == "PNG":
        numbers = _of_png(path)
    elif image.format in ("HEIF", "AVIF"):
        numbers = _of_boxes(path)
    else:
        return None
    if numbers is not None:
        if numbers[1] in HDR_TRANSFERS:
            kind = HDR_TRANSFERS[numbers[1]]
            raise ImageError(f"{path}: is an HDR picture ({kind}); export it as an ordinary (SDR) PNG, TIFF or JPEG")
        return profile_of_numbers(*numbers)
    return _of_gamma(image) if image.format == "PNG" else None


def _of_png(path: Path) -> tuple[int, int] | None:
    with path.open("rb") as file:
        file.seek(8)
        while len(start := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", start)
            if kind == b"IDAT":
                return None
            if kind == b"cICP":
                numbers = file.read(2)
                return (numbers[0], numbers[1]) if len(numbers) == 2 else None
            file.seek(length + 4, 1)
    return None


def _of_boxes(path: Path) -> tuple[int, int] | None:
    with path.open("rb") as file:
        start = file.read(_BOXES_BYTES)
    at = start.find(b"colrnclx")
    if at < 0 or len(start) < at + 12:
        return None
    primaries, transfer = struct.unpack(">HH", start[at + 8 : at + 12])
    return primaries, transfer


def _of_gamma(image: Image.Image) -> bytes | None:
    if "srgb" in image.info:
        return None
    gamma, stated = image.info.get("gamma"), image.info.get("chromaticity")
    exponent = 1 / gamma if isinstance(gamma, float) and 0.1 <= gamma <= 1.0 else None
    curved = exponent is not None and abs(exponent - _SRGB_GAMMA) > 10 * _SAME
    points = SRGB_PRIMARIES
    if isinstance(stated, tuple) and len(stated) == 8:
        white, *colours = zip(stated[::2], stated[1::2], strict=True)
        points = (*colours, white)
    usual = np.allclose(points, SRGB_PRIMARIES, rtol=0, atol=_SAME)
    if usual and not curved:
        return None
    try:
        return rgb_profile(points, exponent if curved else None, "stated by the file")
    except ValueError:
        return None
