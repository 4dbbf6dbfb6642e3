"""Write photos: the same kind of file as was read, as far as the format can hold it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from resharp.errors import ImageError
from resharp.files import atomic_path
from resharp.images.colour import profile_space
from resharp.images.deep_png import write_deep_png
from resharp.images.formats import (
    FORMAT_BY_SUFFIX,
    HOLDS_16_BITS,
    HOLDS_ALPHA,
    HOLDS_RECEIPT,
    LONGEST_SIDE_PX,
    RESULT_MARK,
)
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.receipts import KEY, xmp_packet
from resharp.images.tiff import write_tiff

_EXIF_PREFIX = b"Exif\x00\x00"
_JPEG_SEGMENT_BYTES = 65533  # the most that one JPEG segment holds


def write_photo(
    photo: Photo,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    receipt_for: Callable[[np.ndarray], str] | None = None,
) -> None:
    """Write `photo` in the format that `path`'s suffix names; an error leaves no file and harms none.

    Gray stays gray (WebP has no gray: it gets three channels), and 16-bit photos stay 16-bit in PNG and
    TIFF and are rounded to 8 in the others. ICC profile, EXIF and dpi are kept where the format holds
    them: BMP has dpi alone, WebP no dpi of its own, and a JPEG no EXIF block above 64 KB.

    Args:
        quality: 1 to 100, for JPEG and WebP; 100 is lossless in WebP. JPEG keeps full colour resolution.
        receipt_for: given the samples to be encoded, as of `samples_for`, it returns a text of printable ASCII to be
            stored in the file; see `read_receipt`. Not called for BMP, which has no place for it.

    Raises:
        ImageError: the suffix is unknown, the format cannot hold the photo (transparency in JPEG and
            BMP, a side above 65500 pixels in JPEG or 16383 in WebP), or pixels are not finite.
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    format = _format_for(path)
    alpha = _alpha_to_write(photo, path, format)
    height, width = photo.pixels.shape[:2]
    longest = LONGEST_SIDE_PX.get(format)
    if longest is not None and max(height, width) > longest:
        raise ImageError(f"{path}: {format} ends at {longest} pixels a side; choose PNG or TIFF")
    if not np.isfinite(photo.pixels).all():
        raise ImageError(f"{path}: the result has pixels that are not numbers; try another device or dtype")

    values = samples_for(replace(photo, alpha=alpha), format)
    meta = _meta_to_write(photo.meta, gray=values.shape[2] <= 2)
    if receipt_for is not None and format in HOLDS_RECEIPT:
        meta = replace(meta, receipt=receipt_for(values))

    with atomic_path(path) as temporary:
        if format == "TIFF":
            write_tiff(temporary, values, meta)
        elif values.dtype == np.uint16:
            write_deep_png(temporary, values, meta)
        else:
            image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
            image.save(temporary, format=format, **_options(format, meta, quality))


def samples_for(photo: Photo, format: str) -> np.ndarray:
    """What is encoded when `photo` is written as `format`: (H, W, C) uint8 or uint16.

    C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. A file of a lossless format, read and given here, gives
    the samples it was written from.
    """
    channels = [photo.pixels]
    if photo.meta.kind == "gray" and format != "WEBP":
        # A network's three channels are three estimates of one gray: their mean is the best of them.
        channels = [photo.pixels.mean(axis=2, keepdims=True)]
    if photo.alpha is not None:
        channels.append(photo.alpha[:, :, None])
    deep = photo.meta.bit_depth == 16 and format in HOLDS_16_BITS
    return _quantise(np.concatenate(channels, axis=2), np.uint16 if deep else np.uint8)


def output_path(
    source: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, suffix: str | None = None
) -> Path:
    """Where the result for `source` goes; nothing is made or written here.

    Without `out`, NAME.deblurred.EXT beside the source. With a folder, or a path without a suffix (a
    folder still to be made), that name inside it. Any other `out` is the file itself. EXT is `suffix`,
    such as ".png", or the source's own, or .png where the source's cannot be written.

    Raises:
        ImageError: the suffix is not one that can be written, or `out` is the source itself.
    """
    source = Path(source)
    out = source.parent if out is None else Path(out)
    if os.path.isdir(out) or not out.suffix:
        own = source.suffix if source.suffix.lower() in FORMAT_BY_SUFFIX else ".png"
        out = out / f"{source.stem}{RESULT_MARK}{own if suffix is None else suffix}"
    _format_for(out)
    both_exist = os.path.exists(out) and os.path.exists(source)
    if out.resolve() == source.resolve() or (both_exist and out.samefile(source)):
        raise ImageError(f"{out}: is the photo itself, which is never overwritten; choose another name")
    return out


def _format_for(path: Path) -> str:
    format = FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if format is None:
        ending = path.suffix or "no suffix"
        raise ImageError(f"{path}: cannot write {ending}; choose .png, .jpg, .webp, .tif or .bmp")
    return format


def _alpha_to_write(photo: Photo, path: Path, format: str) -> np.ndarray | None:
    if photo.alpha is None or format in HOLDS_ALPHA:
        return photo.alpha
    if photo.alpha.min() >= 1:  # nothing is transparent, so nothing is lost
        return None
    raise ImageError(f"{path}: {format} cannot hold this photo's transparency; choose PNG, WebP or TIFF")


def _quantise(values: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """[0, 1] to the full range of `dtype`, rounded to the nearest."""
    return np.rint(np.clip(values, 0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)


def _meta_to_write(meta: PhotoMeta, *, gray: bool) -> PhotoMeta:
    """Without a profile that describes other channels than those written, as a gray one in RGB does."""
    fits = profile_space(meta.icc) == ("GRAY" if gray else "RGB")
    return meta if fits else replace(meta, icc=None)


def _options(format: str, meta: PhotoMeta, quality: int) -> dict[str, object]:
    """Pillow's options for 8-bit PNG, JPEG, WebP and BMP."""
    options: dict[str, object] = {}
    if meta.icc is not None and format != "BMP":
        options["icc_profile"] = meta.icc
    if meta.dpi is not None:
        options["dpi"] = meta.dpi
    if meta.exif is not None and format in ("PNG", "WEBP"):
        options["exif"] = meta.exif
    if meta.receipt is not None and format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text(KEY, meta.receipt)
    elif meta.receipt is not None and format != "BMP":
        options["xmp"] = xmp_packet(meta.receipt)
    if format == "JPEG":
        options |= {"quality": quality, "subsampling": "4:4:4"}
        if meta.exif is not None and len(_EXIF_PREFIX + meta.exif) <= _JPEG_SEGMENT_BYTES:
            options["exif"] = _EXIF_PREFIX + meta.exif
    if format == "WEBP":
        # exact: keep the colour of transparent pixels.
        options |= {"quality": quality, "lossless": quality >= 100, "exact": True}
    return options
