"""EXIF, ICC profile and resolution, from one file through restoration to another."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("result", [".jpg", ".png", ".webp", ".tif"])
def test_exif_survives_with_orientation_1(tmp_path, scene, camera_exif, source, result):
    Image.fromarray(scene).save(tmp_path / f"in{source}", exif=camera_exif)
    photo = read_photo(tmp_path / f"in{source}")
    write_photo(photo, tmp_path / f"out{result}")
    with Image.open(tmp_path / f"out{result}") as stored:
        exif = stored.getexif()
        assert (exif[0x010F], exif[0x0110]) == ("Maker", "Model X")
        assert exif.get(0x0112, 1) == 1
        assert exif.get_ifd(0x8769)[0x829A] == 0.5
        assert exif.get_ifd(0x8769)[0x927C] == b"maker note \x00\x01"
        assert exif.get_ifd(0x8825)[1] == "N"
        assert stored.size == (24, 40)


@pytest.mark.parametrize("result", [".jpg", ".png", ".tif"])
def test_exif_of_a_tiff(tmp_path, scene, camera_exif, result):
    # Written by us, as Pillow cannot write these tags into TIFF; then read by both.
    block = camera_exif.tobytes()[6:]
    photo = Photo(scene.astype(np.float32) / 255, meta=PhotoMeta(exif=block))
    write_photo(photo, tmp_path / "in.tif")
    write_photo(read_photo(tmp_path / "in.tif"), tmp_path / f"out{result}")
    with Image.open(tmp_path / f"out{result}") as stored:
        exif = stored.getexif()
        assert exif[0x0110] == "Model X"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert np.abs(np.asarray(stored).astype(int) - scene).max() <= 4


def test_exif_bytes_stay_where_they_are_but_the_thumbnail_goes(tmp_path, scene):
    # II, IFD0 at 8 with orientation 8 alone, IFD1 at 26, and a maker's bytes at the end.
    entry = bytes.fromhex("1201 0300 01000000 0800 0000")
    block = b"II*\0\x08\0\0\0" + b"\x01\0" + entry + b"\x1a\0\0\0" + b"\0\0\0\0\0\0" + b"maker's own"
    Image.fromarray(scene).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + block)
    kept = read_photo(tmp_path / "in.jpg").meta.exif
    changed = [place for place in range(len(block)) if kept[place] != block[place]]
    assert len(kept) == len(block)
    assert changed == [18, 22]  # the orientation, and where the thumbnail was


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_icc_profile_is_the_same_bytes(tmp_path, scene, suffix):
    Image.fromarray(scene).save(tmp_path / f"in{suffix}", icc_profile=SRGB)
    write_photo(read_photo(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        assert stored.info["icc_profile"] == SRGB


def test_a_profile_of_other_channels_is_not_kept(tmp_path, scene):
    Image.fromarray(scene[:, :, 0]).save(tmp_path / "in.jpg", icc_profile=SRGB)
    assert read_photo(tmp_path / "in.jpg").meta.icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
def test_resolution(tmp_path, scene, suffix):
    Image.fromarray(scene).save(tmp_path / f"in{suffix}", dpi=(300, 150))
    write_photo(read_photo(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        assert [float(dots) for dots in stored.info["dpi"]] == pytest.approx([300, 150], abs=0.1)


def test_exif_too_long_for_a_jpeg_is_left_out(tmp_path, scene):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    Image.fromarray(scene).save(tmp_path / "in.png", exif=exif)
    photo = read_photo(tmp_path / "in.png")
    write_photo(photo, tmp_path / "out.jpg")
    write_photo(photo, tmp_path / "out.png")
    assert read_photo(tmp_path / "out.jpg").meta.exif is None
    assert read_photo(tmp_path / "out.png").meta.exif == photo.meta.exif
