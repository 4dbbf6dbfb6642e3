"""From a picture opened by Pillow to an array of its samples."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

from resharp.errors import ImageError
from resharp.images.colour import profile_space, to_srgb
from resharp.images.formats import READABLE_FORMATS
from resharp.images.photo import Kind

# How Pillow names the layouts of 16-bit colour it reads (last letter: big, little or native byte order).
_DEEP_LAYOUTS = {f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBX") for order in "BLN"}
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


class Samples(NamedTuple):
    """values: (H, W, C) uint8 or uint16, C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha."""

    values: np.ndarray
    kind: Kind
    icc: bytes | None


def decode(image: Image.Image, path: Path) -> Samples:
    """Load an opened picture. `path` is its file, read a second time for 16-bit colour.

    Raises:
        ImageError: the picture is of a kind that cannot be restored.
        Exception: nearly any, from Pillow, for a damaged file.
    """
    _refuse_separate_planes(image, path)
    layouts = {_layout(tile) for tile in image.tile}
    if layouts == {"LA;16B"}:
        return _deep_gray_with_alpha(image)
    deep = bool(layouts) and layouts <= _DEEP_LAYOUTS
    _load(image)
    icc = image.info.get("icc_profile")
    if image.mode in ("CMYK", "LAB"):
        kind: Kind = "cmyk" if image.mode == "CMYK" else "rgb"
        converted, icc = to_srgb(image, icc)
        return Samples(np.asarray(converted), kind, icc)
    if image.mode in ("P", "PA"):
        colours = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return Samples(np.asarray(colours), "palette", _fitting(icc, "RGB"))
    if image.mode.startswith("I;16"):
        values = _deep_gray(image)
    elif deep:
        # Pillow keeps the high byte of each 16-bit sample; a second pass fetches the low one.
        values = np.asarray(image).astype(np.uint16) << 8 | _low_bytes(path)
    elif image.mode in ("1", "L", "LA", "La"):
        values = np.asarray(image.convert("LA" if image.mode in ("LA", "La") else "L"))
    elif image.mode in ("RGB", "RGBX", "RGBA", "RGBa", "YCbCr", "HSV"):
        values = np.asarray(image.convert("RGBA" if image.mode in ("RGBA", "RGBa") else "RGB"))
    else:
        raise ImageError(f"{path}: pixels of type {image.mode}, 32 bits each; export it with 8 or 16 bits")
    values = values.reshape(*values.shape[:2], -1)
    values = _with_keyed_alpha(values, image.info.get("transparency"))
    if values.shape[2] <= 2:
        return Samples(values, "gray", _fitting(icc, "GRAY"))
    return Samples(values, "rgb" if values.shape[2] == 3 else "rgba", _fitting(icc, "RGB"))


def turn_upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8, to an array of shape (H, W, ...); what Pillow lent is copied."""
    return np.require(_UPRIGHT[orientation](values), requirements=("C", "W"))


def _load(image: Image.Image) -> None:
    """Decode; libtiff, which prints its remarks on odd tags past Python, is not heard meanwhile."""
    if all(tile[0] != "libtiff" for tile in image.tile):
        image.load()
        return
    kept = None
    with suppress(OSError):  # a program without standard error has nothing to keep quiet
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
    try:
        image.load()
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)


def _fitting(icc: bytes | None, space: str) -> bytes | None:
    return icc if profile_space(icc) == space else None


def _layout(tile: tuple) -> str:
    arguments = tile[3]
    return arguments if isinstance(arguments, str) else arguments[0]


def _with_layout(tile: tuple, layout: str) -> tuple:
    arguments = tile[3]
    return tile._replace(args=layout if isinstance(arguments, str) else (layout, *arguments[1:]))


def _refuse_separate_planes(image: Image.Image, path: Path) -> None:
    """Pillow reads 16-bit TIFF whose channels are stored one after the other as noise, without an error."""
    tags = getattr(image, "tag_v2", {})
    separate = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
    if separate and max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8:
        raise ImageError(f"{path}: 16-bit TIFF with separate planes; export it with interleaved channels")


def _low_bytes(path: Path) -> np.ndarray:
    """The low bytes of a file of 16-bit colour: the same file read in the opposite byte order."""
    with Image.open(path, formats=READABLE_FORMATS) as image:
        image.tile = [_with_layout(t, _layout(t)[:-1] + _OTHER_ORDER[_layout(t)[-1]]) for t in image.tile]
        _load(image)
        return np.asarray(image)


def _deep_gray_with_alpha(image: Image.Image) -> Samples:
    """PNG's 16-bit gray with alpha: 4 bytes a pixel, which Pillow hands over whole if told they are RGBA."""
    image.tile = [_with_layout(tile, "RGBA") for tile in image.tile]
    image.load()
    values = np.asarray(image).copy().view(">u2").astype(np.uint16)  # (H, W, 2)
    return Samples(values, "gray", _fitting(image.info.get("icc_profile"), "GRAY"))


def _deep_gray(image: Image.Image) -> np.ndarray:
    """16-bit gray, stretched to 65535 where a TIFF uses fewer bits and turned where it stores white as 0."""
    values = np.asarray(image).astype(np.uint16)
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    if bits < 16:
        values = (values.astype(np.uint32) * 65535 // ((1 << bits) - 1)).astype(np.uint16)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        values = 65535 - values
    return values


def _with_keyed_alpha(values: np.ndarray, key: int | tuple[int, int, int] | None) -> np.ndarray:
    """Add alpha to a PNG that names one gray or colour as transparent."""
    if key is None or values.shape[2] not in (1, 3):
        return values
    opaque = np.any(values != np.asarray(key), axis=2, keepdims=True)
    return np.concatenate([values, opaque * np.iinfo(values.dtype).max], axis=2).astype(values.dtype)
