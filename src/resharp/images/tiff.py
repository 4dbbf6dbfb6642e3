"""Write TIFF, 8 and 16 bits: Pillow writes 16 bits for gray alone and cuts colour to 8."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import TiffImagePlugin as Tiff

from resharp.images.exif import tiff_tags
from resharp.images.photo import PhotoMeta
from resharp.images.receipts import TIFF_XMP
from resharp.images.xmp import xmp_packet

_DEFLATE = 8
_PREDICTOR = 317
_DIFFERENCES = 2  # each sample is stored as the difference from the pixel to its left
_STRIP_BYTES = 1 << 18
_PER_INCH = 2
_ICC, _IPTC = 34675, 33723
_BYTE = 1
_LONG = 4
_UNDEFINED = 7


def write_tiff(path: Path, values: np.ndarray, meta: PhotoMeta) -> None:
    """Write (H, W, C) uint8 or uint16 as TIFF, losslessly compressed.

    C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. Of the EXIF block, the camera, date, author and
    description tags and the whole Exif and GPS directories are kept.
    """
    height, width, channels = values.shape
    rows = max(1, _STRIP_BYTES // (width * channels * values.itemsize))
    strips = [_compressed(values[top : top + rows]) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]

    directory = Tiff.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in tiff_tags(meta.exif).items():
        directory[tag] = value
    directory[Tiff.IMAGEWIDTH] = width
    directory[Tiff.IMAGELENGTH] = height
    directory[Tiff.BITSPERSAMPLE] = (8 * values.itemsize,) * channels
    directory[Tiff.SAMPLESPERPIXEL] = channels
    directory[Tiff.PHOTOMETRIC_INTERPRETATION] = 2 if channels >= 3 else 1  # RGB, or gray with black 0
    directory[Tiff.PLANAR_CONFIGURATION] = 1
    directory[Tiff.COMPRESSION] = _DEFLATE
    directory[_PREDICTOR] = _DIFFERENCES
    if channels in (2, 4):
        directory[Tiff.EXTRASAMPLES] = 2  # alpha, colours not multiplied by it
    if meta.dpi is not None:
        directory[Tiff.X_RESOLUTION], directory[Tiff.Y_RESOLUTION] = meta.dpi
        directory[Tiff.RESOLUTION_UNIT] = _PER_INCH
    if meta.icc is not None:
        directory.tagtype[_ICC] = _UNDEFINED
        directory[_ICC] = meta.icc
    packet = xmp_packet(meta.receipt, meta.xmp, meta.source_type)
    if packet is not None:
        directory.tagtype[TIFF_XMP] = _BYTE
        directory[TIFF_XMP] = packet
    if meta.iptc is not None:
        directory.tagtype[_IPTC] = _UNDEFINED
        directory[_IPTC] = meta.iptc
    directory[Tiff.ROWSPERSTRIP] = rows
    directory.tagtype[Tiff.STRIPOFFSETS] = directory.tagtype[Tiff.STRIPBYTECOUNTS] = _LONG
    directory[Tiff.STRIPBYTECOUNTS] = tuple(sizes)
    # Counted from the end of the directory: Pillow adds where that is.
    directory[Tiff.STRIPOFFSETS] = tuple(np.cumsum([0, *sizes[:-1]]).tolist())
    with path.open("wb") as file:
        directory.save(file)
        file.writelines(strips)


def _compressed(strip: np.ndarray) -> bytes:
    differences = strip.astype(strip.dtype.newbyteorder("<"))  # (rows, W, C), a copy
    differences[:, 1:] -= strip[:, :-1]  # wraps around, as the format asks
    return zlib.compress(differences.tobytes())
