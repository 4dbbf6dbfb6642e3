"""Camera raw files by their first bytes, as the makers' cameras write them, under any name."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from resharp.errors import ImageError
from resharp.images.raw import RAW_SUFFIXES, is_raw
from resharp.images.reading import read_photo
from sample_photos import scene


def tiff(order: str, *directories: list[tuple[int, int, int]], magic: int = 42, after: bytes = b"") -> bytes:
    """A TIFF header, `after`, and directories of (tag, type, value) one behind the other."""
    mark = {"<": b"II", ">": b"MM"}[order]
    place = 8 + len(after)
    body = b""
    for number, entries in enumerate(directories):
        end = place + 2 + 12 * len(entries) + 4
        body += struct.pack(order + "H", len(entries))
        for tag, kind, value in entries:
            stored = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
            body += struct.pack(order + "HHI", tag, kind, 1) + stored
        body += struct.pack(order + "I", end if number + 1 < len(directories) else 0)
        place = end
    return mark + struct.pack(order + "HI", magic, 8 + len(after)) + after + body


SHORT, LONG = 3, 4
SMALL = [
    (254, LONG, 1),
    (256, LONG, 160),
    (257, LONG, 120),
    (262, SHORT, 6),
]  # the small picture of the camera's screen
SENSOR = [(254, LONG, 0), (256, LONG, 6000), (257, LONG, 4000), (262, SHORT, 32803)]


def with_sub_directory(order: str) -> bytes:
    """NEF, ARW and DNG: the small picture first, the sensor's data in a directory below it."""
    first = [*SMALL, (330, LONG, 0)]
    at = 8 + 2 + 12 * len(first) + 4
    return tiff(order, [*SMALL, (330, LONG, at)]) + tiff(order, SENSOR)[8:]


FILES = {
    "cr2": tiff("<", SMALL, magic=42, after=b"CR\x02\0\0\0\0\0"),
    "cr3": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(60),
    "crw": b"II\x1a\0\0\0HEAPCCDR" + bytes(60),
    "nef": with_sub_directory(">"),
    "arw": with_sub_directory("<"),
    "dng with a version": tiff("<", [*SMALL, (50706, 1, 0x0401)]),
    "dng of linear raw": tiff(">", [(254, LONG, 0), (262, SHORT, 34892)]),
    "second directory is the sensor's, by sub-directories": with_sub_directory("<"),
    "raf": b"FUJIFILMCCD-RAW 0201FF383501X-T3" + bytes(60),
    "orf": tiff("<", SMALL).replace(b"II*\0", b"IIRO", 1),
    "orf of other models": tiff("<", SMALL).replace(b"II*\0", b"IIRS", 1),
    "rw2": tiff("<", SMALL).replace(b"II*\0", b"IIU\0", 1),
    "mrw": b"\0MRM" + bytes(60),
    "x3f": b"FOVb" + bytes(60),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["photo.tif", "photo.jpg", "photo"])
def test_a_raw_file_is_refused_under_any_name(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(FILES[kind])
    with pytest.raises(ImageError, match="is a camera raw file, which is not a picture yet; develop it"):
        read_photo(path)


@pytest.mark.parametrize("suffix", sorted(RAW_SUFFIXES))
def test_every_suffix_of_raw_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix.upper()}"
    Image.fromarray(scene()).save(path, "TIFF")
    with pytest.raises(ImageError, match="camera raw file"):
        read_photo(path)


def test_ordinary_tiffs_are_not_taken_for_raw(tmp_path):
    for name, options in {"a": {}, "b": {"compression": "tiff_lzw"}, "c": {"save_all": True}}.items():
        path = tmp_path / f"{name}.tif"
        Image.fromarray(scene()).save(path, "TIFF", **options)
        assert not is_raw(path)
        assert read_photo(path).pixels.shape == (20, 24, 3)


@pytest.mark.parametrize("at", [0, 1, 8, 2**31, 2**32 - 1])
def test_directories_that_lead_nowhere_or_in_circles_end(tmp_path, at):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", at) + struct.pack("<HHHII", 1, 330, LONG, 1, 8) + bytes(20))
    assert not is_raw(path)
