"""What a photo's file has besides the picture, and no result will have: told, not lost in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from resharp.images.jpeg_pieces import EOI, pieces

GAIN_MAP = "the gain map (HDR brightness)"
VIDEO = "the motion photo's video"
DEPTH = "the depth map"
OTHER_PICTURES = "the other pictures in the file"
EXTENDED_XMP = "the second part of long XMP"
DEEPER = "the bits beyond 8"

# Long enough not to come about by chance in compressed data.
_GAIN_MAP_SIGNS = (b"hdr-gain-map/1.0", b"aux:hdrgainmap", b"urn:iso:std:iso:ts:21496:-1")
_DEPTH_SIGNS = (b"photos/1.0/depthmap/", b"aux:depth", b"urn:mpeg:hevc:2015:auxid:2")
_VIDEO_SIGNS = (b"ftypmp4", b"ftypisom", b"ftypqt  ", b"MotionPhoto_Data")
_EXTENDED_XMP_SIGNS = (b"http://ns.adobe.com/xmp/extension/\0",)
_DEEP_AV1 = 0x40  # in the third byte of av1C
_BOXES_BYTES = 1 << 20  # AVIF begins with what describes the picture


def extras_of(image: Image.Image, path: Path) -> tuple[str, ...]:
    """In words, what an opened picture's file has that restoration cannot carry along.

    Phones put a second picture (brighter parts for HDR screens, depth) or a short video behind the first. They belong
    to the old pixels: a gain map of the blurry photo would draw its blurry edges into the sharp one.
    """
    if image.format not in ("JPEG", "MPO", "HEIF", "AVIF"):
        return ()
    data = path.read_bytes()
    behind = _behind(data) if image.format in ("JPEG", "MPO") else data[16:]  # the file's own ftyp
    found = [
        what
        for what, signs, place in (
            (GAIN_MAP, _GAIN_MAP_SIGNS, data),
            (DEPTH, _DEPTH_SIGNS, data),
            (VIDEO, _VIDEO_SIGNS, behind),
            (EXTENDED_XMP, _EXTENDED_XMP_SIGNS, data[: len(data) - len(behind)]),
        )
        if any(sign in place for sign in signs)
    ]
    if not found and getattr(image, "n_frames", 1) > 1:
        found.append(OTHER_PICTURES)
    return tuple(found)


def bits_lost(image: Image.Image, values: np.ndarray, path: Path) -> tuple[str, ...]:
    """`DEEPER` where an opened picture has more than the 8 bits that were read of it."""
    if values.dtype == np.uint16:
        return ()
    if image.format == "AVIF":
        with path.open("rb") as file:
            start = file.read(_BOXES_BYTES)
        at = start.find(b"av1C")
        deep = 0 <= at < len(start) - 7 and bool(start[at + 6] & _DEEP_AV1)
    elif image.format == "TIFF":
        deep = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8  # type: ignore[attr-defined]
    else:
        deep = image.info.get("bit_depth", 8) > 8
    return (DEEPER,) if deep else ()


def _behind(data: bytes) -> bytes:
    """What follows the picture of a JPEG file."""
    length = 0
    try:
        for marker, _, piece in pieces(data):
            length += len(piece)
            if marker == EOI:
                return data[length:]
    except (IndexError, ValueError):
        pass
    return b""
