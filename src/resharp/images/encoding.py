"""Write 8-bit PNG, JPEG, WebP, BMP, HEIC and AVIF through Pillow, with the metadata each can hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resharp.errors import ImageError
from resharp.images.exif import without_orientation
from resharp.images.holding import EXIF_PREFIX, JPEG_SEGMENT_BYTES, exif_fits, holds_captions
from resharp.images.photo import PhotoMeta
from resharp.images.png_text import jpeg_comment, png_chunks
from resharp.images.xmp import xmp_packet

_JPEG_XMP_BYTES = JPEG_SEGMENT_BYTES - len(b"http://ns.adobe.com/xap/1.0/\0")
_LEAST_AOM_SPEED = 6  # libavif's own default; slower ones gain a few per cent of size


def encode(temporary: Path, values: np.ndarray, meta: PhotoMeta, format: str, quality: int, path: Path) -> None:
    """Write (H, W, C) uint8 samples, C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.

    Args:
        path: named in errors.

    Raises:
        ImageError: the encoder refuses the picture.
        OSError: the file cannot be written.
    """
    image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
    try:
        save_whole(image, temporary, format=format, **_options(format, meta, quality))
    except (ValueError, RuntimeError, SystemError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ImageError(f"{path}: its {format} encoder refuses this picture ({reason}); choose PNG or TIFF") from error


def save_whole(image: Image.Image, path: Path, **options: Any) -> None:
    """`Image.save`, by way of memory.

    Given a file, Pillow's encoders of JPEG and BMP hand it to C, where a disk that takes but a part of the last block
    is no error: the picture would end there, and nobody would know.
    """
    encoded = io.BytesIO()
    image.save(encoded, **options)
    path.write_bytes(encoded.getbuffer())


def _options(format: str, meta: PhotoMeta, quality: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if meta.icc is not None and format != "BMP":
        options["icc_profile"] = meta.icc
    if meta.dpi is not None:
        options["dpi"] = meta.dpi
    if meta.exif is not None and format in ("PNG", "WEBP", "HEIF"):
        options["exif"] = meta.exif
    elif meta.exif is not None and format == "AVIF":
        options["exif"] = without_orientation(meta.exif)
    if format == "PNG":
        options["pnginfo"] = png_chunks(meta)
    elif format != "BMP":
        options["xmp"] = xmp_packet(meta.receipt, meta.xmp, meta.source_type) or b""
    if format == "JPEG":
        options |= _jpeg_options(meta) | {"quality": quality, "subsampling": "4:4:4"}
        if len(options["xmp"]) > _JPEG_XMP_BYTES:  # the photo's own packet has no room beside ours
            options["xmp"] = xmp_packet(meta.receipt, None, meta.source_type) or b""
    elif format == "WEBP":
        # exact: keep the colour of transparent pixels.
        options |= {"quality": quality, "lossless": quality >= 100, "exact": True}
    elif format == "HEIF":
        options |= {"quality": quality, "chroma": 444}
    elif format == "AVIF":
        # One thread and no tuning by the machine: the same picture gives the same file.
        options |= {"quality": quality, "subsampling": "4:4:4", "speed": _LEAST_AOM_SPEED, "max_threads": 1}
    return options


def _jpeg_options(meta: PhotoMeta) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if meta.exif is not None and exif_fits(meta.exif):
        options["exif"] = EXIF_PREFIX + meta.exif
    comment = jpeg_comment(meta)
    if comment is not None:
        options["comment"] = comment
    if meta.iptc is not None and holds_captions(meta.iptc, "JPEG"):
        options["extra"] = _photoshop_segment(meta.iptc)
    return options


def _photoshop_segment(iptc: bytes) -> bytes:
    """An APP13 segment with one resource, IPTC's, padded to an even length."""
    resource = b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc + b"\0" * (len(iptc) % 2)
    payload = b"Photoshop 3.0\0" + resource
    return b"\xff\xed" + (len(payload) + 2).to_bytes(2, "big") + payload
