"""A text about how a picture was made, inside its file: where each format has a place for it.

PNG has text chunks. The others get an XMP packet with one property of a name space of its own: programs
that edit metadata keep what they do not know in XMP, and EXIF, where the user's own tags and the camera's notes
with their fixed offsets are, is not touched. BMP has no place.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from PIL import Image

from resharp.errors import ImageError
from resharp.images.formats import READABLE_FORMATS
from resharp.images.reading import MAX_PIXELS, read_photo, strict_pillow
from resharp.images.xmp import KEY

TIFF_XMP = 700
# Programs that rewrite a packet may turn an element into an attribute; both are XMP for the same thing.
_PROPERTY = re.compile(r"""resharp:receipt\s*(?:=\s*(?:"([^"]*)"|'([^']*)')|>([^<]*)<)""")


def read_receipt(path: str | os.PathLike[str]) -> str | None:
    """The text that `write_photo` stored in a file with its `receipt_for`; None if there is none.

    Raises:
        ImageError: the file cannot be read as a photo.
    """
    path = Path(path)
    try:
        with strict_pillow(MAX_PIXELS), Image.open(path, formats=READABLE_FORMATS) as image:
            return _stored(image)
    except Exception as error:  # a decoder given a damaged file may raise nearly anything
        read_photo(path)  # what is wrong, reading says in one line
        raise ImageError(f"{path}: its metadata cannot be read; get a fresh copy of the file") from error


def _stored(image: Image.Image) -> str | None:
    if image.format == "PNG":
        image.load()  # other programs may have moved the text behind the pixels
        text = image.info.get(KEY)
        return None if text is None else str(text)
    packet = image.info.get("xmp")
    if packet is None and image.format == "TIFF":
        packet = image.tag_v2.get(TIFF_XMP)  # type: ignore[attr-defined]
    if isinstance(packet, tuple):
        packet = bytes(packet)
    if isinstance(packet, bytes):
        packet = packet.decode("utf-8", "replace")
    if not isinstance(packet, str):
        return None
    found = _PROPERTY.search(packet)
    return None if found is None else html.unescape(next(part for part in found.groups() if part is not None))
