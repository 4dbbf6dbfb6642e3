"""Read photos: strictly where the picture is concerned, leniently where only its metadata is broken."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from resharp.errors import ImageError
from resharp.images.decoding import decode, turn_upright
from resharp.images.exif import exif_of, orientation_of
from resharp.images.extras import bits_lost, extras_of
from resharp.images.formats import FOREIGN_SIGNATURES, FORMAT_BY_SUFFIX, READABLE_FORMATS, RESULT_MARK
from resharp.images.modern import modern_format, remedy
from resharp.images.photo import Photo, PhotoMeta, as_floats
from resharp.images.png_text import texts_of
from resharp.images.raw import ADVICE, is_raw
from resharp.images.stated_colour import stated_profile
from resharp.images.xmp import lasting

MAX_PIXELS = 200_000_000

_CAN_READ = "resharp reads JPEG, PNG, WebP, TIFF, BMP, HEIC and AVIF"
_IPTC_RESOURCE, _IPTC_TAG = 0x0404, 33723  # among Photoshop's resources in JPEG, among the tags of TIFF
# A JPEG has two bits for each block of 8 x 8 samples at least. What is missing its decoder makes up in gray, without an
# error where the end is marked.
_MOST_PX_PER_BYTE = 1024
_pillow_lock = threading.RLock()


def read_photo(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read one photo, turned upright by its EXIF orientation.

    JPEG (also the kind phones write with a second picture inside), PNG, WebP, TIFF and BMP, HEIC where pillow-heif
    is installed and AVIF where Pillow has it; gray, RGB, palette, CMYK, with or without alpha; 8 bits, or 16 in
    gray, RGB and RGBA. CMYK and Lab become sRGB. Broken ICC, EXIF or XMP blocks are dropped. 16-bit CMYK, Lab and
    premultiplied RGBA, and HEIC and AVIF of more bits, are read at 8 bits. A file of more than `max_pixels` pixels
    is refused before it is decoded.

    Raises:
        ImageError: missing, not a photo, of a kind that cannot be read, too large, damaged, or cut short.
    """
    path = Path(path)
    _check_file(path)
    try:
        with strict_pillow(max_pixels), Image.open(path, formats=READABLE_FORMATS) as image:
            return _read_opened(image, path)
    except UnidentifiedImageError as error:
        raise ImageError(_why_unreadable(path)) from error
    except Image.DecompressionBombError as error:
        limit = f"{max_pixels / 1e6:g}"
        raise ImageError(f"{path}: has more than {limit} megapixels, the limit; make it smaller") from error
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory to read it; make it smaller") from error
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{path}: no permission to read it; change its permissions") from error
    except Exception as error:  # a decoder given a damaged file may raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{path}: damaged or cut short ({reason[:120]}); get a fresh copy or export it again"
        ) from error


def find_photos(inputs: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The photos that `inputs` name: files as given, folders searched through, in sorted order.

    In folders, photos are known by suffix; hidden files and folders and earlier results
    (`*.deblurred.*`) are skipped, and links to folders are not followed. Each photo comes once.

    Raises:
        ImageError: an input is missing, or a folder cannot be listed or has no photos.
    """
    found: list[Path] = []
    for given in map(Path, inputs):
        if os.path.isdir(given):  # unlike Path.is_dir, false where the answer is forbidden
            inside = sorted(_walk(given))
            if not inside:
                raise ImageError(f"{given}: no photos in this folder; {_CAN_READ}")
            found += inside
        else:
            _check_file(given)
            found.append(given)
    return list(dict.fromkeys(found))


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ImageError(f"{error.filename}: cannot list this folder ({error.strerror})") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            known = path.suffix.lower() in FORMAT_BY_SUFFIX
            if known and not name.startswith(".") and not path.stem.endswith(RESULT_MARK):
                yield path


def _read_opened(image: Image.Image, path: Path) -> Photo:
    # MPO is a JPEG followed by a preview or a second view: its first picture is the photo. HEIF names its main one.
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "HEIF"):
        raise ImageError(f"{path}: holds several pictures; save the one to restore as its own file")
    if image.format in ("JPEG", "MPO") and image.width * image.height > _MOST_PX_PER_BYTE * path.stat().st_size:
        raise ImageError(f"{path}: damaged or cut short (too few bytes for {image.width}x{image.height} pixels)")
    dropped = extras_of(image, path)
    values, kind, icc = decode(image, path)
    dropped += bits_lost(image, values, path)
    if icc is None and kind in ("rgb", "rgba", "palette"):
        icc = stated_profile(image, path)
    values = turn_upright(values, orientation_of(image))
    bit_depth = 16 if values.dtype == np.uint16 else 8
    alpha = as_floats(values[:, :, -1]) if values.shape[2] in (2, 4) else None
    colours = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, axis=2)
    meta = PhotoMeta(
        format="JPEG" if image.format == "MPO" else str(image.format),
        kind=kind,
        bit_depth=bit_depth,
        icc=icc,
        exif=exif_of(image),
        dpi=_dpi_of(image),
        xmp=lasting(image.info.get("xmp")),
        iptc=_iptc_of(image),
        texts=texts_of(image),
        dropped=dropped,
    )
    return Photo(np.ascontiguousarray(colours), alpha, meta)


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """The resolution, or None where it is missing or no real one, such as 0 or a division by 0."""
    if image.format == "TIFF" and TiffImagePlugin.X_RESOLUTION not in image.tag_v2:  # type: ignore[attr-defined]
        return None  # Pillow makes one up
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    sensible = all(math.isfinite(value) and 1 <= value <= 65535 for value in (across, down))
    return (across, down) if sensible else None


def _iptc_of(image: Image.Image) -> bytes | None:
    """Captions and credits in the form older than XMP, which newsrooms still use; None where there are none."""
    if image.format == "TIFF":
        stored = image.tag_v2.get(_IPTC_TAG)  # type: ignore[attr-defined]
    else:
        resources = image.info.get("photoshop")
        stored = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    # Each record begins with this byte; TIFF files with the bytes in the wrong order are known.
    return stored if isinstance(stored, bytes) and stored.startswith(b"\x1c") else None


@contextmanager
def strict_pillow(max_pixels: int) -> Iterator[None]:
    """Pillow's process-wide settings as reading needs them, put back afterwards; one thread at a time.

    Other libraries set them too, and one that allows truncated files would give us half-gray photos.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken metadata is dropped without a word
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        # Pillow warns above its limit and refuses, in each decoder and from the header, above twice that.
        Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_file(path: Path) -> None:
    """Refuse what no decoder should be asked about."""
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the name") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; name a photo inside it")
    if not path.is_file():
        raise ImageError(f"{path}: is not an ordinary file; name a photo")
    if empty:
        raise ImageError(f"{path}: is empty (0 bytes); get a fresh copy")
    try:
        raw = is_raw(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if raw:
        raise ImageError(f"{path}: {ADVICE}")


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    modern = modern_format(start)
    if modern is not None and modern not in READABLE_FORMATS:
        return f"{path}: {remedy(modern)}"
    for offset, signature, name in FOREIGN_SIGNATURES:
        if start[offset : offset + len(signature)] == signature:
            return f"{path}: is {name} file, which cannot be read; export it as PNG or JPEG"
    return f"{path}: not a photo, or a damaged one; {_CAN_READ}: export it as PNG or JPEG"
