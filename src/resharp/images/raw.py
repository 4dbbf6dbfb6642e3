"""Camera raw files: recognised and refused.

They hold what the sensor measured, one colour a pixel, and a small finished JPEG to show on the camera. Most are TIFF
inside, and a reader of TIFF would take the small picture for the photo without an error.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

# fmt: off
RAW_SUFFIXES = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq",
    ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
# fmt: on
ADVICE = (
    "is a camera raw file, which is not a picture yet; develop it (in the maker's program, darktable or RawTherapee) "
    "and export it as 16-bit TIFF, or export it as PNG or JPEG"
)

_SIGNATURES = (
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIU\0"),  # RW2
    (0, b"IIRO"),  # ORF, and the next two
    (0, b"IIRS"),
    (0, b"MMOR"),
    (4, b"ftypcrx "),  # CR3
    (8, b"CR\x02\0"),  # CR2
    (6, b"HEAPCCDR"),  # CRW
    (0, b"\0MRM"),
    (0, b"FOVb"),  # X3F
)
_SUB_IFDS, _PHOTOMETRIC, _DNG_VERSION = 330, 262, 50706
_RAW_PHOTOMETRICS = (32803, 34892)  # colour filter array, linear raw
_MOST_DIRECTORIES = 16
_MOST_ENTRIES = 1024


def is_raw(path: Path) -> bool:
    """Whether the file is a camera raw file, by its suffix or by what is in it.

    Raises:
        OSError: it cannot be read.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(16)
        if any(start[place : place + len(bytes_)] == bytes_ for place, bytes_ in _SIGNATURES):
            return True
        order = {b"II\x2a\x00": "<", b"MM\x00\x2a": ">"}.get(start[:4])
        if order is None:
            return False
        try:
            return _has_raw_directory(file, order, struct.unpack(order + "I", start[4:8])[0])
        except struct.error:
            return False


def _has_raw_directory(file: BinaryIO, order: str, first: int) -> bool:
    """Whether any directory of a TIFF file, the sub-directories included, describes sensor data."""
    waiting, seen = [first], set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        place = waiting.pop(0)
        if place in seen or place < 8:
            continue
        seen.add(place)
        file.seek(place)
        (count,) = struct.unpack(order + "H", file.read(2))
        entries = file.read(12 * min(count, _MOST_ENTRIES))
        for tag, kind, number, value in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
            if tag == _DNG_VERSION:
                return True
            if tag == _PHOTOMETRIC and kind == 3 and struct.unpack(order + "H", value[:2])[0] in _RAW_PHOTOMETRICS:
                return True
            if tag == _SUB_IFDS and 0 < number <= _MOST_DIRECTORIES:
                (at,) = struct.unpack(order + "I", value)
                if number == 1:
                    waiting.append(at)
                else:
                    file.seek(at)
                    waiting += struct.unpack(order + f"{number}I", file.read(4 * number))
    return False
