"""Write photos: the same kind of file as was read, as far as the format can hold it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from resharp.errors import ImageError
from resharp.files import atomic_path
from resharp.images.colour import profile_space, to_srgb
from resharp.images.deep_png import write_deep_png
from resharp.images.encoding import encode
from resharp.images.formats import (
    FORMAT_BY_SUFFIX,
    HOLDS_16_BITS,
    HOLDS_ALPHA,
    HOLDS_GRAY,
    HOLDS_RECEIPT,
    LONGEST_SIDE_PX,
    READABLE_FORMATS,
    RESULT_MARK,
)
from resharp.images.modern import remedy
from resharp.images.photo import Photo, PhotoMeta, as_floats
from resharp.images.tiff import write_tiff
from resharp.images.xmp import SourceType

_ROWS_AT_ONCE = 256


def write_photo(
    photo: Photo,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    receipt_for: Callable[[np.ndarray], str] | None = None,
    source_type: SourceType | None = None,
) -> None:
    """Write `photo` in the format that `path`'s suffix names; an error leaves no file and harms none.

    Gray stays gray (WebP and AVIF have no gray: they get three channels), and 16-bit photos stay 16-bit in PNG and
    TIFF and are rounded to 8 in the others. ICC profile, EXIF, XMP, IPTC, texts and dpi are kept where the format
    holds them, and `resharp.images.holding.not_held` says what it does not. Colours become sRGB in BMP, which has no
    place for a profile. docs/files.md has the table.

    Args:
        quality: 1 to 100, for JPEG, WebP, HEIC and AVIF; 100 is lossless in WebP. JPEG, HEIC and AVIF keep full
            colour resolution.
        receipt_for: given the samples to be encoded, as of `samples_for`, it returns a text of printable ASCII to be
            stored in the file; see `read_receipt`. Not called for BMP, which has no place for it.
        source_type: what the file's XMP says of how the picture came about, in the words of IPTC's vocabulary
            http://cv.iptc.org/newscodes/digitalsourcetype; None leaves what the photo's own XMP says.

    Raises:
        ImageError: as `check_writable`, or pixels are not finite, or the encoder refuses.
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    check_writable(photo, path)
    format = format_for(path)
    if not all(np.isfinite(photo.samples[rows]).all() for rows in _strips(photo)):
        raise ImageError(f"{path}: the result has pixels that are not numbers; try another device or dtype")

    values = samples_for(replace(photo, alpha=_alpha_to_write(photo, path, format)), format)
    meta = _meta_to_write(replace(photo.meta, source_type=source_type), gray=values.shape[2] <= 2)
    if format == "BMP" and meta.icc is not None and values.shape[2] == 3:
        values = np.asarray(to_srgb(Image.fromarray(values), meta.icc)[0])  # without its profile it would look faded
    if receipt_for is not None and format in HOLDS_RECEIPT:
        meta = replace(meta, receipt=receipt_for(values))

    with atomic_path(path) as temporary:
        if format == "TIFF":
            write_tiff(temporary, values, meta)
        elif values.dtype == np.uint16:
            write_deep_png(temporary, values, meta)
        else:
            encode(temporary, values, meta, format, quality, path)


def check_writable(photo: Photo, path: str | os.PathLike[str]) -> None:
    """Refuse what `write_photo` would refuse, before the work; it depends on name, size and transparency alone.

    Raises:
        ImageError: the suffix is unknown or its format has no encoder here, or the format cannot hold the photo
            (transparency in JPEG and BMP, a side above 65500 pixels in JPEG, 16383 in WebP, 16384 in HEIC).
    """
    path = Path(path)
    format = format_for(path)
    if format not in READABLE_FORMATS:
        raise ImageError(f"{path}: cannot be written: {remedy(format)}")
    _alpha_to_write(photo, path, format)
    longest = LONGEST_SIDE_PX.get(format)
    if longest is not None and max(photo.size) > longest:
        raise ImageError(f"{path}: {format} ends at {longest} pixels a side; choose PNG or TIFF")


def samples_for(photo: Photo, format: str) -> np.ndarray:
    """What is encoded when `photo` is written as `format`: (H, W, C) uint8 or uint16.

    C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. A file of a lossless format, read and given here, gives
    the samples it was written from.
    """
    gray = photo.meta.kind == "gray" and format in HOLDS_GRAY
    deep = photo.meta.bit_depth == 16 and format in HOLDS_16_BITS
    count = (1 if gray else 3) + (photo.alpha is not None)
    found = np.empty((*photo.size, count), np.uint16 if deep else np.uint8)
    for rows in _strips(photo):
        pixels = as_floats(photo.samples[rows])
        # A network's three channels are three estimates of one gray: their mean is the best of them.
        channels = [pixels.mean(axis=2, keepdims=True) if gray else pixels]
        if photo.alpha is not None:
            channels.append(photo.alpha[rows, :, None])
        found[rows] = _quantise(np.concatenate(channels, axis=2), found.dtype.type)
    return found


def _strips(photo: Photo) -> Iterator[slice]:
    """Its rows, some at a time, so that nothing in floating point is as large as the photo."""
    return (slice(top, top + _ROWS_AT_ONCE) for top in range(0, photo.size[0], _ROWS_AT_ONCE))


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
    format_for(out)
    both_exist = os.path.exists(out) and os.path.exists(source)
    # realpath, not Path.resolve: a link that leads to itself is an error there.
    if os.path.realpath(out) == os.path.realpath(source) or (both_exist and out.samefile(source)):
        raise ImageError(f"{out}: is the photo itself, which is never overwritten; choose another name")
    return out


def format_for(path: Path) -> str:
    """The format that a file of this name gets; ImageError for a suffix that cannot be written."""
    format = FORMAT_BY_SUFFIX.get(path.suffix.lower())
    if format is None:
        ending = path.suffix or "no suffix"
        raise ImageError(f"{path}: cannot write {ending}; choose .png, .jpg, .webp, .tif, .bmp, .heic or .avif")
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
