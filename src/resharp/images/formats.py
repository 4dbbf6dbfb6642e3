"""Which files are photos: formats, their suffixes, what each can hold, and how results are named."""

from __future__ import annotations

# Pillow opens files with these decoders and no other; MPO, a JPEG with a second picture, comes as JPEG.
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")

FORMAT_BY_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}

HOLDS_ALPHA = ("PNG", "WEBP", "TIFF")
HOLDS_16_BITS = ("PNG", "TIFF")
HOLDS_RECEIPT = ("PNG", "JPEG", "WEBP", "TIFF")
LOSSLESS = ("PNG", "TIFF", "BMP")  # as they are written here
# The longest side, in pixels, that the format or its encoder allows; the others reach far past memory.
LONGEST_SIDE_PX = {"JPEG": 65500, "WEBP": 16383}

# A result is NAME.deblurred.EXT, so that a second run over the same folder leaves it alone.
RESULT_MARK = ".deblurred"

# Camera raw files are TIFF inside, and a TIFF reader would take their thumbnail for the photo:
# these suffixes are refused before any decoder looks.
# fmt: off
RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".fff", ".iiq",
    ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
# fmt: on

# Recognised by their first bytes, whatever the suffix says: (offset, bytes, name).
FOREIGN_SIGNATURES = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftypavif", "an AVIF"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftyphev", "a HEIC"),
    (4, b"ftypmif1", "a HEIC"),
    (4, b"ftypmsf1", "a HEIC"),
    (0, b"8BPS", "a Photoshop"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
)
