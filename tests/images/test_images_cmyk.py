"""CMYK and Lab: converted to RGB, with a profile that describes the result."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from resharp.images.colour import profile_space, srgb_profile
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo


def cmyk_profile():
    """A CMYK profile in which black ink gives L* = 100 (1 - k), and cyan, magenta, yellow nothing at all.

    One table from CMYK to Lab (ICC.1:2022, 10.11, lut8Type) with two points an axis.
    """
    table = b"mft1" + bytes(4) + struct.pack(">BBBx", 4, 3, 2)
    table += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table += bytes(range(256)) * 4
    table += b"".join(bytes([0 if point & 1 else 255, 128, 128]) for point in range(16))  # k varies fastest
    table += bytes(range(256)) * 3
    tags = struct.pack(">I", 1) + struct.pack(">4sII", b"A2B0", 144, len(table))
    header = struct.pack(">I4sI4s4s4s", 144 + len(table), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)  # the illuminant, D50
    return header.ljust(128, b"\0") + tags + table


def test_the_profile_made_here_is_a_profile():
    assert profile_space(cmyk_profile()) == "CMYK"


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_plain_cmyk_is_close_to_the_colours_it_came_from(tmp_path, scene, suffix):
    options = {"quality": 98} if suffix == ".jpg" else {}
    Image.fromarray(scene).convert("CMYK").save(tmp_path / f"in{suffix}", **options)
    photo = read_photo(tmp_path / f"in{suffix}")
    assert (photo.meta.kind, photo.meta.icc) == ("cmyk", None)
    assert np.abs(photo.pixels * 255 - scene).max() <= (8 if suffix == ".jpg" else 1)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_profile(tmp_path, suffix):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, :, 0] = 200  # cyan, which prints nothing with this profile
    ink[:, :, 3] = 128
    Image.fromarray(ink, "CMYK").save(tmp_path / f"in{suffix}", icc_profile=cmyk_profile())

    photo = read_photo(tmp_path / f"in{suffix}")

    # L* = 50 is a gray of 119 in sRGB; Pillow's plain formula would give a dark red-free colour.
    assert np.abs(photo.pixels * 255 - 119).max() <= 3
    assert profile_space(photo.meta.icc) == "RGB"


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_cmyk_is_written_as_rgb_with_an_rgb_profile(tmp_path, suffix):
    ink = np.full((8, 8, 4), 60, np.uint8)
    Image.fromarray(ink, "CMYK").save(tmp_path / "in.tif", icc_profile=cmyk_profile())
    write_photo(read_photo(tmp_path / "in.tif"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        assert stored.mode == "RGB"
        assert profile_space(stored.info["icc_profile"]) == "RGB"


def test_our_profile_does_not_hold_the_time_of_day():
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())).profile
    assert (profile.creation_date.year, profile.creation_date.hour) == (2024, 0)


def test_adobe_cmyk_jpeg_is_not_inverted(tmp_path):
    # White paper: no ink. An Adobe JPEG stores that as 255; Pillow writes and reads it so.
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "in.jpg")
    assert b"Adobe" in (tmp_path / "in.jpg").read_bytes()
    assert read_photo(tmp_path / "in.jpg").pixels.min() > 0.98


def test_broken_cmyk_profile_is_ignored(tmp_path, scene):
    image = Image.fromarray(scene).convert("CMYK")
    image.save(tmp_path / "in.tif", icc_profile=cmyk_profile()[:300])
    photo = read_photo(tmp_path / "in.tif")
    assert photo.meta.icc is None
    assert np.abs(photo.pixels * 255 - scene).max() <= 1


def test_lab_tiff(tmp_path, scene):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(scene // 4 + 90), srgb, lab, outputMode="LAB")
    image.save(tmp_path / "in.tif")
    photo = read_photo(tmp_path / "in.tif")
    assert np.abs(photo.pixels * 255 - (scene // 4 + 90)).max() <= 3
    assert ImageCms.ImageCmsProfile(io.BytesIO(photo.meta.icc)).profile.xcolor_space.strip() == "RGB"
