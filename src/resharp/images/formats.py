"""Which files are photos: formats, their suffixes, what each can hold, and how results are named."""

from __future__ import annotations

from resharp.images.modern import modern_formats

# Pillow opens files with these decoders and no other; MPO, a JPEG with a second picture, comes as JPEG. HEIF (the
# format of HEIC files) and AVIF are among them where this installation has their codecs.
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", *modern_formats())

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
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".avif": "AVIF",
}

HOLDS_ALPHA = ("PNG", "WEBP", "TIFF", "HEIF", "AVIF")
HOLDS_16_BITS = ("PNG", "TIFF")
HOLDS_RECEIPT = ("PNG", "JPEG", "WEBP", "TIFF", "HEIF", "AVIF")
HOLDS_GRAY = ("PNG", "JPEG", "TIFF", "BMP", "HEIF")
LOSSLESS = ("PNG", "TIFF", "BMP")  # as they are written here
# The longest side, in pixels, that the format or its encoder allows; the others reach far past memory.
LONGEST_SIDE_PX = {"JPEG": 65500, "WEBP": 16383, "HEIF": 16384, "AVIF": 65535}

# A result is NAME.deblurred.EXT, so that a second run over the same folder leaves it alone.
RESULT_MARK = ".deblurred"

# Recognised by their first bytes, whatever the suffix says: (offset, bytes, name).
FOREIGN_SIGNATURES = (
    (0, b"GIF8", "a GIF"),
    (0, b"8BPS", "a Photoshop"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
)
