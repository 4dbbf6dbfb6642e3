"""What a photo's file has besides the picture, and no result will have: told, not lost in silence."""

from __future__ import annotations

import mmap
from pathlib import Path

from PIL import Image

GAIN_MAP = "the gain map (HDR brightness)"
VIDEO = "the motion photo's video"
DEPTH = "the depth map"
OTHER_PICTURES = "the other pictures in the file"
DEEPER = "the bits beyond 8"

_GAIN_MAP_SIGNS = (b"hdr-gain-map/1.0", b"aux:hdrgainmap", b"urn:iso:std:iso:ts:21496:-1")
_VIDEO_SIGNS = (b"MotionPhoto_Data", b"mpvd", b"ftypmp4", b"ftypisom", b"ftypqt  ")
_DEPTH_SIGNS = (b"photos/1.0/depthmap/", b"aux:depth")
_WITH_EXTRAS = ("JPEG", "MPO", "HEIF", "AVIF")


def extras_of(image: Image.Image, path: Path) -> tuple[str, ...]:
    """In words, what an opened picture's file has that restoration cannot carry along.

    Phones put a second picture (brighter parts for HDR screens, depth) or a short video behind the first. They belong
    to the old pixels: a gain map of the blurry photo would draw its blurry edges into the sharp one.
    """
    if image.format not in _WITH_EXTRAS or path.stat().st_size == 0:
        return ()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:

        def has(signs: tuple[bytes, ...]) -> bool:
            return any(data.find(sign, 16) >= 0 for sign in signs)

        found = [GAIN_MAP] if has(_GAIN_MAP_SIGNS) else []
        found += [DEPTH] if has(_DEPTH_SIGNS) else []
        found += [VIDEO] if has(_VIDEO_SIGNS) else []
    several = getattr(image, "n_frames", 1) > 1
    if several and not found:
        found.append(OTHER_PICTURES)
    if image.info.get("bit_depth", 8) > 8:
        found.append(DEEPER)
    return tuple(found)
