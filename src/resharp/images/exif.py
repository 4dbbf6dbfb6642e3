"""EXIF blocks: reading the orientation, marking it as applied, and moving tags to and from TIFF."""

from __future__ import annotations

import struct
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_PREFIX = b"Exif\x00\x00"
_SHORT = 3  # the TIFF code for an unsigned 16-bit value
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202  # where the second directory says the thumbnail is

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

_SUB_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# In a TIFF file, EXIF shares a directory with the layout of the pixels. Only these tags travel,
# and the two sub-directories.
_DESCRIPTIVE_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)


def orientation_of(image: Image.Image) -> int:
    """The orientation a loaded picture still needs, 1 to 8; 1 where the tag is missing or broken."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken block makes Pillow raise nearly anything, and the photo is still good
        return 1
    return value if value in range(1, 9) else 1


def exif_of(image: Image.Image) -> bytes | None:
    """The EXIF block of a loaded picture as `PhotoMeta.exif` holds it; None if it has none or is broken."""
    stored = image.info.get("exif")
    try:
        if stored is None:
            stored = _describe(image.getexif())
        return None if stored is None else mark_upright(stored)
    except Exception:  # as above
        return None


def mark_upright(block: bytes) -> bytes | None:
    """Set a block's orientation to 1 and take its thumbnail out; None if the block is broken.

    Every other byte stays where it is: maker notes hold offsets that break when a block is rebuilt. The
    thumbnail, which becomes zeros, goes because it shows the photo blurred and not turned.
    """
    while block.startswith(_PREFIX):
        block = block[len(_PREFIX) :]
    upright = bytearray(block)
    try:
        order, start, count = _first_directory(upright)
        after = start + 2 + 12 * count
        for entry in range(start + 2, after, 12):
            (tag,) = struct.unpack_from(order + "H", upright, entry)
            if tag == ExifTags.Base.Orientation:
                struct.pack_into(order + "HHIHH", upright, entry, tag, _SHORT, 1, 1, 0)
        (second,) = struct.unpack_from(order + "I", upright, after)
        struct.pack_into(order + "I", upright, after, 0)  # no second directory: no thumbnail
    except struct.error:
        return None
    _erase_thumbnail(upright, order, second)
    return bytes(upright)


def without_orientation(block: bytes) -> bytes:
    """A block from `mark_upright` without the tag, for an encoder that else builds the block anew without it."""
    clean = bytearray(block)
    order, start, _ = _first_directory(clean)
    _take_out(clean, order, start, ExifTags.Base.Orientation)
    return bytes(clean)


def without_gps(block: bytes | None) -> bytes | None:
    """The block without its GPS directory, whose bytes become zeros; all others stay where they are.

    None for a block that cannot be followed: what cannot be read cannot be shown to be free of a place. Maker notes,
    whose layout is the maker's secret, are kept, and a few cameras repeat the place in them.
    """
    if block is None:
        return None
    clean = bytearray(block)
    try:
        order, start, _ = _first_directory(clean)
        for place in _take_out(clean, order, start, ExifTags.IFD.GPSInfo):
            _erase_directory(clean, order, place)
        _first_directory(clean)  # one that overlaps is gone too
    except struct.error:
        return None
    return bytes(clean)


def _first_directory(block: bytes | bytearray) -> tuple[str, int, int]:
    """Byte order as `struct` has it, place, and number of entries; raises struct.error for a broken block."""
    order = {b"II\x2a\x00": "<", b"MM\x00\x2a": ">"}.get(bytes(block[:4]))
    if order is None:
        raise struct.error("no TIFF header")
    (start,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, start)
    if start < 8 or start + 2 + 12 * count > len(block):
        raise struct.error("a directory outside the block")
    return order, start, count


def _take_out(block: bytearray, order: str, start: int, tag: int) -> list[int]:
    """Remove a tag's entries from the directory at `start`; the values they had."""
    values = []
    (count,) = struct.unpack_from(order + "H", block, start)
    for entry in reversed(range(start + 2, start + 2 + 12 * count, 12)):
        if struct.unpack_from(order + "H", block, entry)[0] == tag:
            values.append(struct.unpack_from(order + "I", block, entry + 8)[0])
            # Directories are sorted by tag; the entries behind move up, and the last place is left over.
            end = start + 2 + 12 * count
            rest = bytes(block[entry + 12 : end + 4])
            block[entry : entry + len(rest)] = rest
            block[end + 4 - 12 : end + 4] = bytes(len(block[end + 4 - 12 : end + 4]))
            count -= 1
            struct.pack_into(order + "H", block, start, count)
    return values


def _erase_directory(block: bytearray, order: str, start: int) -> None:
    """Zero a directory and the values its entries point to."""
    (count,) = struct.unpack_from(order + "H", block, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        _, kind, number, place = struct.unpack_from(order + "HHII", block, entry)
        size = number * _TYPE_BYTES.get(kind, 1)
        if size > 4:
            if place + size > len(block):
                raise struct.error("a value outside the block")
            block[place : place + size] = bytes(size)
    block[start : start + 2 + 12 * count + 4] = bytes(min(2 + 12 * count + 4, len(block) - start))


def _erase_thumbnail(block: bytearray, order: str, start: int) -> None:
    """Zero the compressed thumbnail that the second directory, at `start`, points to."""
    try:
        (count,) = struct.unpack_from(order + "H", block, start) if start >= 8 else (0,)
        values = {}
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            values[struct.unpack_from(order + "H", block, entry)[0]] = struct.unpack_from(
                order + "I", block, entry + 8
            )[0]
        place, size = values.get(_THUMBNAIL, 0), values.get(_THUMBNAIL_BYTES, 0)
        # Only what is a JPEG: a wrong place must not cost a maker's notes.
        if bytes(block[place : place + 2]) == b"\xff\xd8" and place + size <= len(block):
            block[place : place + size] = bytes(size)
    except struct.error:
        return


def tiff_tags(block: bytes | None) -> dict[int, Any]:
    """A block's descriptive tags for a TIFF directory, sub-directories as dicts; {} if it is broken."""
    if block is None:
        return {}
    try:
        exif = Image.Exif()
        exif.load(block)
        tags = _descriptive(exif)
        directory = ImageFileDirectory_v2()
        for tag, value in tags.items():
            directory[tag] = value
        directory.tobytes()  # tags of impossible types fail here
    except Exception:  # as above
        return {}
    return tags


def _descriptive(exif: Image.Exif) -> dict[int, Any]:
    values = {tag: exif.get(tag) for tag in _DESCRIPTIVE_TAGS}
    values |= {tag: dict(exif.get_ifd(tag)) for tag in _SUB_DIRECTORIES}
    inner = values[ExifTags.IFD.Exif]
    # Its value is a place in the old block.
    if inner.pop(ExifTags.IFD.Interop, None) is not None and exif.get_ifd(ExifTags.IFD.Interop):
        inner[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    return {int(tag): value for tag, value in values.items() if value}


def _describe(exif: Image.Exif) -> bytes | None:
    """A block built from the tags of a TIFF file, or of a PNG that holds EXIF as text."""
    tags = _descriptive(exif)
    if not tags:
        return None
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    return block.tobytes()
