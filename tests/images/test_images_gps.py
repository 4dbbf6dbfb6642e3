"""`--strip-gps` on single photos: coordinates go from every place, and nothing else does."""

from __future__ import annotations

import dataclasses
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from resharp.images import exif
from resharp.images.gps import UNSEARCHED, jpeg_without_gps, without_gps
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo
from sample_photos import SRGB, XMP, exif_of_a_camera, scene

# 48 degrees as EXIF stores it, in both byte orders; the tests' other values do not have it.
COORDINATES = (struct.pack(">II", 48, 1), struct.pack("<II", 48, 1), b"48,8.1N")


def place_in(data: bytes) -> bool:
    return any(sign in data for sign in COORDINATES)


def block() -> bytes:
    return exif_of_a_camera().tobytes()[6:]


def tags(data: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(data)
    return found


def test_the_directory_is_emptied_and_every_other_byte_stays():
    before, after = block(), exif.without_gps(block())
    assert place_in(before)
    assert not place_in(after)
    assert len(after) == len(before)
    found = tags(after)
    assert 0x8825 not in found
    assert (found[0x010F], found[0x0110]) == ("Maker", "Model X")
    assert found.get_ifd(0x8769)[0x927C] == b"maker note \x00\x01"
    where = before.index(b"maker note")
    assert after[where : where + 13] == before[where : where + 13]


def test_a_second_entry_for_the_place_goes_too():
    entry = struct.pack("<HHII", 0x8825, 4, 1, 38)
    directory = struct.pack("<H", 1) + struct.pack("<HHII", 2, 5, 1, 60) + bytes(4)
    whole = b"II*\0\x08\0\0\0\x02\0" + entry + entry + bytes(4) + directory + bytes(6) + struct.pack("<II", 48, 1)
    assert place_in(whole)
    clean = exif.without_gps(whole)
    assert not place_in(clean)
    assert 0x8825 not in tags(clean)


@pytest.mark.parametrize(
    "broken", [b"", b"II*\0", b"XX*\0\x08\0\0\0\0\0", block()[:60], b"II*\0\xff\xff\xff\xff" + bytes(9)]
)
def test_what_cannot_be_followed_is_left_out_and_told(broken):
    photo = Photo(scene().astype(np.float32) / 255, meta=PhotoMeta(exif=broken))
    clean = without_gps(photo)
    assert clean.meta.exif is None
    assert clean.meta.dropped == (UNSEARCHED,)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_spoilt_blocks_never_raise_or_change_length(data):
    whole = bytearray(block())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
    for clean in (exif.without_gps(bytes(whole)), exif.mark_upright(bytes(whole))):
        assert clean is None or len(clean) == len(whole)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
def test_no_format_keeps_the_place_and_all_keep_the_camera(tmp_path, suffix):
    pytest.importorskip("pillow_heif")
    source = tmp_path / "in.jpg"
    Image.fromarray(scene()).save(source, exif=exif_of_a_camera(), xmp=XMP, icc_profile=SRGB)
    photo = read_photo(source)
    write_photo(photo, tmp_path / f"with{suffix}")
    write_photo(without_gps(photo), tmp_path / f"out{suffix}")
    assert place_in((tmp_path / f"with{suffix}").read_bytes())
    assert not place_in((tmp_path / f"out{suffix}").read_bytes())
    kept = read_photo(tmp_path / f"out{suffix}").meta
    assert tags(kept.exif)[0x0110] == "Model X"
    assert b"A title" in kept.xmp
    assert kept.icc == SRGB
    assert kept.dropped == ()


def test_texts_of_png(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("exif:GPSLatitude", "48/1, 8/1")
    text.add_text("Title", "A title")
    Image.fromarray(scene()).save(tmp_path / "in.png", pnginfo=text)
    assert without_gps(read_photo(tmp_path / "in.png")).meta.texts == (("Title", "A title"),)


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 100}])
def test_a_jpeg_is_cleaned_without_a_second_compression(options):
    whole = jpeg(exif=exif_of_a_camera(), xmp=XMP, icc_profile=SRGB, comment=b"hello", **options)
    clean = jpeg_without_gps(whole + b"behind the picture " + jpeg(exif=exif_of_a_camera()))
    assert place_in(whole)
    assert not place_in(clean)
    assert b"behind" not in clean
    before, after = Image.open(io.BytesIO(whole)), Image.open(io.BytesIO(clean))
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert after.getexif()[0x0112] == 6  # the pixels are not turned, so it stays
    assert after.info["icc_profile"] == SRGB
    assert after.info["comment"] == b"hello"
    assert whole[whole.index(b"\xff\xda") :] == clean[clean.index(b"\xff\xda") :]


def test_a_jpeg_without_a_place_is_the_same_bytes():
    assert jpeg_without_gps(jpeg()) == jpeg()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_spoilt_jpegs_never_raise(data):
    whole = bytearray(jpeg(exif=exif_of_a_camera(), xmp=XMP))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + 2] = data.draw(st.binary(max_size=3))
    clean = jpeg_without_gps(bytes(whole))
    assert clean is None or clean.startswith(b"\xff\xd8")


def test_a_photo_without_metadata_is_as_it_was():
    photo = Photo(scene().astype(np.float32) / 255)
    assert dataclasses.asdict(without_gps(photo).meta) == dataclasses.asdict(photo.meta)
