"""Write 16-bit PNG: Pillow writes 16 bits for gray alone and cuts colour to 8."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from resharp.images.photo import PhotoMeta
from resharp.images.png_text import png_chunks

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG colour type
_SUB = 1  # the filter that stores each byte as the difference from the pixel to its left
_ROWS_AT_ONCE = 64
_INCH_M = 0.0254


def write_deep_png(path: Path, values: np.ndarray, meta: PhotoMeta) -> None:
    """Write (H, W, C) uint16 as a 16-bit PNG; C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha."""
    height, width, channels = values.shape
    with path.open("wb") as file:

        def chunk(name: bytes, data: bytes) -> None:
            file.write(struct.pack(">I", len(data)) + name + data)
            file.write(struct.pack(">I", zlib.crc32(name + data)))

        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0))
        if meta.icc is not None:
            chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta.icc))
        if meta.dpi is not None:
            across, down = (round(dots / _INCH_M) for dots in meta.dpi)
            chunk(b"pHYs", struct.pack(">IIB", across, down, 1))  # 1: per metre
        if meta.exif is not None:
            chunk(b"eXIf", meta.exif)
        for name, data, *_ in png_chunks(meta).chunks:
            chunk(name, data)
        for data in _compressed(values):
            chunk(b"IDAT", data)
        chunk(b"IEND", b"")


def _compressed(values: np.ndarray) -> Iterator[bytes]:
    """The zlib stream of the filtered rows, in pieces, so that no second copy of the photo is held."""
    stream = zlib.compressobj()
    height, _, channels = values.shape
    pixel_bytes = 2 * channels
    for top in range(0, height, _ROWS_AT_ONCE):
        block = np.ascontiguousarray(values[top : top + _ROWS_AT_ONCE], dtype=">u2")
        rows = block.view(np.uint8).reshape(len(block), -1)  # (rows, bytes)
        filtered = np.full((len(rows), rows.shape[1] + 1), _SUB, dtype=np.uint8)
        filtered[:, 1:] = rows
        filtered[:, 1 + pixel_bytes :] -= rows[:, :-pixel_bytes]  # wraps at 256, as the format asks
        if data := stream.compress(filtered.tobytes()):
            yield data
    yield stream.flush()
