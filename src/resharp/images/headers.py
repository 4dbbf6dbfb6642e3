"""How large a photograph is, with as little reading as that takes."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from PIL import ExifTags, Image

from resharp.images.exif import orientation_of
from resharp.images.formats import READABLE_FORMATS
from resharp.images.reading import read_photo

_TURNED = (5, 6, 7, 8)
# A PNG file can have its EXIF block behind the pixels, as one of these.
_PNG_METADATA = (b"eXIf", b"zTXt", b"tEXt", b"iTXt")


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, once turned by EXIF orientation, from headers alone.

    Raises:
        ImageError: the file cannot be read.
    """
    try:
        with Image.open(path, formats=READABLE_FORMATS) as image:
            width, height = image.size
            if image.format == "TIFF":
                return width, height  # Pillow gives it upright
            if image.format == "PNG" and not _metadata_after_pixels(path):
                # PngImageFile.getexif decodes all pixels to reach what may come after them.
                turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) in _TURNED
            else:
                turned = orientation_of(image) in _TURNED
            return (height, width) if turned else (width, height)
    except Exception:  # a decoder given a damaged file may raise nearly anything
        # What is wrong, reading says in one line.
        return decoded_size(path)


def decoded_size(path: Path) -> tuple[int, int]:
    """As `upright_size`, and the file is decoded from end to end, so that damage in it is found.

    Raises:
        ImageError: the file cannot be read, or is damaged.
    """
    height, width = read_photo(path).size
    return width, height


def _metadata_after_pixels(path: Path) -> bool:
    """Whether a PNG file has a block of text or EXIF behind its pixels; its blocks are stepped through."""
    with path.open("rb", buffering=0) as file:
        file.seek(8)
        seen_pixels = False
        while len(start := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", start)
            if seen_pixels and kind in _PNG_METADATA:
                return True
            seen_pixels = seen_pixels or kind == b"IDAT"
            file.seek(length + 4, os.SEEK_CUR)
    return False
