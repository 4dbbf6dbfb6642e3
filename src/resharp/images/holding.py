"""What of a photo's metadata a file format, as it is written here, has no place for."""

from __future__ import annotations

from resharp.images.extras import DEEPER
from resharp.images.formats import HOLDS_16_BITS
from resharp.images.photo import PhotoMeta
from resharp.images.png_text import COMMENT, LONGEST_COMMENT_BYTES

EXIF = "EXIF"
XMP = "XMP"
CAPTIONS = "IPTC captions"
TEXTS = "texts and comments"
PROFILE = "the colour profile (colours become sRGB)"

EXIF_PREFIX = b"Exif\x00\x00"
JPEG_SEGMENT_BYTES = 65533  # the most that one JPEG segment holds
_PHOTOSHOP_BYTES = len(b"Photoshop 3.0\x008BIM\x04\x04\0\0") + 4
_HOLDS_CAPTIONS = ("JPEG", "TIFF")


def not_held(meta: PhotoMeta, format: str) -> tuple[str, ...]:
    """In words, what a photo with `meta` loses when it is written as `format`."""
    bare = format == "BMP"
    lost = {
        EXIF: meta.exif is not None and (bare or (format == "JPEG" and not exif_fits(meta.exif))),
        XMP: meta.xmp is not None and bare,
        CAPTIONS: meta.iptc is not None and not holds_captions(meta.iptc, format),
        TEXTS: not _holds_texts(meta.texts, format),
        PROFILE: meta.icc is not None and bare,
        DEEPER: meta.bit_depth == 16 and format not in HOLDS_16_BITS,
    }
    return tuple(what for what, is_lost in lost.items() if is_lost)


def exif_fits(exif: bytes) -> bool:
    """Whether a block fits into a JPEG."""
    return len(EXIF_PREFIX + exif) <= JPEG_SEGMENT_BYTES


def holds_captions(iptc: bytes, format: str) -> bool:
    """Whether a format has a place for IPTC captions of this length."""
    fits = format != "JPEG" or len(iptc) + _PHOTOSHOP_BYTES < JPEG_SEGMENT_BYTES
    return format in _HOLDS_CAPTIONS and fits


def _holds_texts(texts: tuple[tuple[str, str], ...], format: str) -> bool:
    if format == "JPEG":
        return all(
            keyword == COMMENT and len(text.encode("utf-8", "replace")) <= LONGEST_COMMENT_BYTES
            for keyword, text in texts
        )
    return not texts or format == "PNG"
