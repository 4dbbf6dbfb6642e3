"""What `write_photo` puts on disk, read back with Pillow."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ImageError, OutputError
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import output_path, write_photo


def photo_of(array, **meta):
    scaled = array.astype(np.float32) / 255
    return Photo(scaled[:, :, :3], scaled[:, :, 3] if array.shape[2] == 4 else None, PhotoMeta(**meta))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_formats_are_exact(tmp_path, rng, suffix):
    array = rng.integers(0, 256, (31, 17, 3), dtype=np.uint8)
    write_photo(photo_of(array), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        assert stored.mode == "RGB"
        assert np.array_equal(np.asarray(stored), array)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_and_the_colour_under_it(tmp_path, rng, suffix):
    array = rng.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    array[:4, :, 3] = 0
    write_photo(photo_of(array), tmp_path / f"out{suffix}", quality=100)
    with Image.open(tmp_path / f"out{suffix}") as stored:
        assert np.array_equal(np.asarray(stored.convert("RGBA")), array)


@pytest.mark.parametrize(("suffix", "bound"), [(".jpg", 4), (".webp", 12)])
def test_lossy_formats_stay_close(tmp_path, scene, suffix, bound):
    write_photo(photo_of(scene), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        difference = np.abs(np.asarray(stored).astype(int) - scene)
    assert difference.max() <= bound


def test_quality_is_used(tmp_path, rng):
    photo = photo_of(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    write_photo(photo, tmp_path / "high.jpg")
    write_photo(photo, tmp_path / "low.jpg", quality=30)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size / 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
def test_gray_stays_gray(tmp_path, suffix):
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(gray).save(tmp_path / "in.png")
    write_photo(read_photo(tmp_path / "in.png"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as stored:
        # A BMP of gray is a palette of grays; Pillow gives it back as L too.
        assert stored.mode == "L"
        assert np.abs(np.asarray(stored).astype(int) - gray).max() <= (3 if suffix == ".jpg" else 0)


def test_values_outside_the_range_are_cut(tmp_path):
    pixels = np.array([[[-0.5, 0.5, 1.5]]], dtype=np.float32)
    write_photo(Photo(pixels), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as stored:
        assert stored.getpixel((0, 0)) == (0, 128, 255)


def test_values_that_are_not_numbers_are_refused(tmp_path):
    with pytest.raises(ImageError, match="not numbers"):
        write_photo(Photo(np.full((2, 2, 3), np.nan, np.float32)), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_not_dropped_silently(tmp_path, rng, suffix):
    array = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8)
    with pytest.raises(ImageError, match="choose PNG, WebP or TIFF"):
        write_photo(photo_of(array), tmp_path / f"out{suffix}")
    array[:, :, 3] = 255  # opaque everywhere: nothing to lose
    write_photo(photo_of(array), tmp_path / f"out{suffix}")


@pytest.mark.parametrize("name", ["out.gif", "out.jxl", "out", "out.deblurred"])
def test_unknown_suffix(tmp_path, name):
    with pytest.raises(ImageError, match=r"choose \.png"):
        write_photo(Photo(np.zeros((1, 1, 3), np.float32)), tmp_path / name)


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16384), (".jpg", 65501)])
def test_sides_beyond_the_format(tmp_path, suffix, side):
    with pytest.raises(ImageError, match="choose PNG or TIFF"):
        write_photo(Photo(np.zeros((1, side, 3), np.float32)), tmp_path / f"out{suffix}")


def test_folder_that_is_missing(tmp_path):
    with pytest.raises(OutputError, match="cannot write here"):
        write_photo(Photo(np.zeros((1, 1, 3), np.float32)), tmp_path / "no" / "out.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch, suffix):
    (tmp_path / f"out{suffix}").write_bytes(b"old")

    def half_a_file(path, _):
        with path.open("wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", half_a_file)
    with pytest.raises(OutputError, match="No space left"):
        write_photo(Photo(np.zeros((2, 2, 3), np.float32)), tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]
    assert (tmp_path / f"out{suffix}").read_bytes() == b"old"


@pytest.mark.parametrize("writer", ["write_tiff", "write_deep_png"])
def test_full_disk_in_our_own_writers(tmp_path, monkeypatch, writer):
    def half_a_file(path, *_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"resharp.images.writing.{writer}", half_a_file)
    name = "out.tif" if writer == "write_tiff" else "out.png"
    photo = Photo(np.zeros((2, 2, 3), np.float32), meta=PhotoMeta(bit_depth=16))
    with pytest.raises(OutputError, match="No space left"):
        write_photo(photo, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_output_path(tmp_path):
    source = tmp_path / "holiday.v2.JPG"
    source.touch()
    (tmp_path / "out").mkdir()
    assert output_path(source) == tmp_path / "holiday.v2.deblurred.JPG"
    assert output_path(source, suffix=".png") == tmp_path / "holiday.v2.deblurred.png"
    assert output_path(source, tmp_path / "out") == tmp_path / "out" / "holiday.v2.deblurred.JPG"
    assert output_path(source, tmp_path / "new") == tmp_path / "new" / "holiday.v2.deblurred.JPG"
    assert output_path(source, tmp_path / "sharp.tif") == tmp_path / "sharp.tif"
    assert output_path(tmp_path / "scan.mpo") == tmp_path / "scan.deblurred.png"


def test_output_path_never_is_the_photo_itself(tmp_path):
    source = tmp_path / "photo.png"
    source.touch()
    (tmp_path / "link.png").symlink_to(source)
    for out in (source, tmp_path / "." / "photo.png", tmp_path / "link.png"):
        with pytest.raises(ImageError, match="never overwritten"):
            output_path(source, out)


def test_output_path_with_a_suffix_that_cannot_be_written(tmp_path):
    with pytest.raises(ImageError, match=r"cannot write \.gif"):
        output_path(tmp_path / "photo.png", tmp_path / "photo.gif")
    with pytest.raises(ImageError, match=r"cannot write \.jxl"):
        output_path(tmp_path / "photo.png", suffix=".jxl")
