"""What `read_photo` gives for each kind of file, against Pillow's own conversions."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from resharp.errors import ImageError
from resharp.images.reading import read_photo


def as_uint8(values):
    return np.rint(values * 255).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_exif_orientation_is_applied(tmp_path, scene, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(scene).save(path, exif=exif, **options)

    photo = read_photo(path)

    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(as_uint8(photo.pixels), expected)
    assert expected.shape[:2] == ((40, 24) if orientation >= 5 else (24, 40))


@pytest.mark.parametrize(
    ("mode", "suffix", "kind", "has_alpha"),
    [
        ("1", ".png", "gray", False),
        ("1", ".tif", "gray", False),
        ("L", ".png", "gray", False),
        ("L", ".jpg", "gray", False),
        ("L", ".bmp", "gray", False),
        ("LA", ".png", "gray", True),
        ("LA", ".tif", "gray", True),
        ("RGB", ".png", "rgb", False),
        ("RGB", ".bmp", "rgb", False),
        ("RGBA", ".png", "rgba", True),
        ("RGBA", ".tif", "rgba", True),
        ("P", ".png", "palette", False),
        ("P", ".bmp", "palette", False),
        ("P", ".tif", "palette", False),
        ("YCbCr", ".tif", "rgb", False),
    ],
)
def test_modes(tmp_path, rng, mode, suffix, kind, has_alpha):
    rgba = Image.fromarray(rng.integers(0, 256, (9, 13, 4), dtype=np.uint8))
    path = tmp_path / f"photo{suffix}"
    options = {"compression": "jpeg"} if mode == "YCbCr" else {}
    (rgba if mode in ("RGBA", "LA") else rgba.convert("RGB")).convert(mode).save(path, **options)

    photo = read_photo(path)

    with Image.open(path) as stored:
        expected = np.asarray(stored.convert("RGBA"))
    assert photo.pixels.shape == (9, 13, 3)
    assert photo.pixels.dtype == np.float32
    assert np.array_equal(as_uint8(photo.pixels), expected[:, :, :3])
    assert (photo.alpha is not None) == has_alpha
    if has_alpha:
        assert np.array_equal(as_uint8(photo.alpha), expected[:, :, 3])
    assert (photo.meta.kind, photo.meta.bit_depth) == (kind, 8)


@pytest.mark.parametrize("transparency", [1, bytes([0, 100, 255, 255])])
def test_palette_with_transparency(tmp_path, transparency):
    image = Image.fromarray(np.array([[0, 1], [2, 3]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.save(tmp_path / "photo.png", transparency=transparency)

    photo = read_photo(tmp_path / "photo.png")

    alpha = [255, 0, 255, 255] if transparency == 1 else list(transparency)
    assert as_uint8(photo.alpha).ravel().tolist() == alpha
    assert as_uint8(photo.pixels[0]).tolist() == [[255, 0, 0], [0, 255, 0]]


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9))])
def test_one_transparent_colour(tmp_path, mode, key):
    image = Image.new(mode, (2, 1), 200 if mode == "L" else (200, 8, 9))
    image.putpixel((1, 0), key)
    image.save(tmp_path / "photo.png", transparency=key)

    photo = read_photo(tmp_path / "photo.png")

    assert photo.alpha.tolist() == [[1, 0]]
    assert as_uint8(photo.pixels[0, 1]).tolist() == list(np.broadcast_to(key, 3))


def test_colour_of_transparent_pixels_is_kept(tmp_path, rng):
    rgba = rng.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    rgba[:, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "photo.png")
    assert np.array_equal(as_uint8(read_photo(tmp_path / "photo.png").pixels), rgba[:, :, :3])


def test_phone_jpeg_with_a_second_picture_gives_the_first(tmp_path, scene):
    path = tmp_path / "phone.jpg"
    first, preview = Image.fromarray(scene), Image.new("RGB", (8, 8))
    first.save(path, format="MPO", save_all=True, append_images=[preview])
    with Image.open(path) as stored:
        assert stored.format == "MPO"
        expected = np.asarray(stored)

    photo = read_photo(path)

    assert photo.meta.format == "JPEG"
    assert np.array_equal(as_uint8(photo.pixels), expected)


def test_suffix_may_lie(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "photo.jpg", format="PNG")
    photo = read_photo(tmp_path / "photo.jpg")
    assert photo.meta.format == "PNG"
    assert np.array_equal(as_uint8(photo.pixels), scene)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_one_pixel(tmp_path, suffix):
    Image.new("RGB", (1, 1), (250, 250, 250)).save(tmp_path / f"dot{suffix}")
    photo = read_photo(tmp_path / f"dot{suffix}")
    assert photo.pixels.shape == (1, 1, 3)
    assert np.allclose(photo.pixels, 250 / 255, atol=3 / 255)


def test_settings_of_pillow_are_put_back_and_not_trusted(tmp_path, scene, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10)
    Image.fromarray(scene).save(tmp_path / "photo.jpg")
    read_photo(tmp_path / "photo.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:-60])
    with pytest.raises(ImageError, match="cut short"):
        read_photo(tmp_path / "cut.jpg")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert Image.MAX_IMAGE_PIXELS == 10


def test_limit_is_exact(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "photo.png")
    assert read_photo(tmp_path / "photo.png", max_pixels=24 * 40).pixels.shape == (24, 40, 3)
    with pytest.raises(ImageError, match="megapixels"):
        read_photo(tmp_path / "photo.png", max_pixels=24 * 40 - 1)


def test_reads_while_metadata_is_broken(tmp_path, scene, recwarn):
    for suffix in (".jpg", ".png", ".webp", ".tif"):
        path = tmp_path / f"photo{suffix}"
        broken = {} if suffix == ".tif" else {"exif": b"Exif\x00\x00II*\x00\xff\xff\x00\x00junk"}
        Image.fromarray(scene).save(path, icc_profile=b"not a profile" * 20, **broken)
        photo = read_photo(path)
        assert photo.pixels.shape == (24, 40, 3)
        assert photo.meta.icc is None
        assert photo.meta.exif is None
    assert not recwarn.list
