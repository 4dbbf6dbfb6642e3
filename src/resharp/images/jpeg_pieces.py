"""A JPEG file as its pieces, without decoding it."""

from __future__ import annotations

import re
from collections.abc import Iterator

APP1 = 0xE1
EOI = 0xD9
_SOI, _SOS = 0xD8, 0xDA
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8))
# In compressed data, 0xFF before a zero or a restart is no marker.
_MARKER = re.compile(rb"\xff(?=[^\x00\xd0-\xd7])")


def pieces(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker, payload and bytes of each segment to the end of the picture; after a scan, its compressed data.

    What follows the picture (second pictures, videos) is not among them.

    Raises:
        IndexError, ValueError: it is cut short, or no JPEG.
    """
    if data[:2] != bytes((0xFF, _SOI)):
        raise ValueError("not a JPEG")
    yield _SOI, b"", data[:2]
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        while data[at + 1] == 0xFF:  # any number of these may fill up
            at += 1
        marker = data[at + 1]
        if marker == EOI:
            yield EOI, b"", data[at : at + 2]
            return
        end = at + 2 if marker in _WITHOUT_LENGTH else at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        payload = data[at + 4 : end]
        if marker == _SOS:
            found = _MARKER.search(data, end)
            if found is None:
                raise ValueError("cut short")
            end = found.start()
        yield marker, payload, data[at:end]
        at = end
