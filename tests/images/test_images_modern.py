"""HEIC and AVIF in and out, and what is said where their codecs are missing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ImageError
from resharp.images import modern, reading, writing
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import write_photo
from sample_photos import SRGB, XMP, exif_of_a_camera, scene

pytest.importorskip("pillow_heif")
BOTH = pytest.mark.parametrize("suffix", [".heic", ".avif"])
EVERY = pytest.mark.parametrize("suffix", [".heic", ".heif", ".hif", ".avif"])


def photo(**meta: object) -> Photo:
    return Photo(scene(64, 48).astype(np.float32) / 255, meta=PhotoMeta(**meta))


@EVERY
def test_colours_come_back(tmp_path, suffix):
    write_photo(photo(), tmp_path / f"a{suffix}")
    back = read_photo(tmp_path / f"a{suffix}")
    assert np.abs(back.pixels - photo().pixels).max() < 12 / 255
    assert back.meta.bit_depth == 8


@BOTH
def test_sides_that_are_odd_and_tiny(tmp_path, suffix):
    for height, width in ((1, 1), (1, 7), (17, 3), (65, 33)):
        write_photo(Photo(np.full((height, width, 3), 0.5, np.float32)), tmp_path / f"a{suffix}")
        assert read_photo(tmp_path / f"a{suffix}").pixels.shape == (height, width, 3)


@BOTH
def test_transparency_stays(tmp_path, suffix):
    alpha = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)
    write_photo(Photo(photo().pixels, alpha), tmp_path / f"a{suffix}", quality=100)
    assert np.abs(read_photo(tmp_path / f"a{suffix}").alpha - alpha).max() < 4 / 255


@BOTH
def test_metadata_stays_and_the_orientation_is_applied_once(tmp_path, suffix):
    Image.fromarray(scene()).save(tmp_path / "in.jpg", exif=exif_of_a_camera(), xmp=XMP, icc_profile=SRGB, quality=100)
    first = read_photo(tmp_path / "in.jpg")
    write_photo(first, tmp_path / f"out{suffix}", receipt_for=lambda samples: '{"a":1}')
    second = read_photo(tmp_path / f"out{suffix}")
    assert second.pixels.shape == first.pixels.shape == (24, 20, 3)
    assert np.abs(second.pixels - first.pixels).max() < 16 / 255
    assert second.meta.icc == SRGB
    assert b"A title" in second.meta.xmp
    found = Image.Exif()
    found.load(second.meta.exif)
    assert found[0x0110] == "Model X"
    assert found.get(0x0112, 1) == 1
    assert found.get_ifd(0x8769)[0x927C] == b"maker note \x00\x01"
    assert read_receipt(tmp_path / f"out{suffix}") == '{"a":1}'


@BOTH
def test_maker_notes_stay_where_they_are(tmp_path, suffix):
    block = exif_of_a_camera().tobytes()[6:]
    write_photo(photo(exif=block.replace(b"\0\x06\0\0", b"\0\x01\0\0", 1)), tmp_path / f"a{suffix}")
    kept = read_photo(tmp_path / f"a{suffix}").meta.exif
    assert kept.index(b"maker note") == block.index(b"maker note")


def test_avif_turned_by_its_own_box(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene()).save(tmp_path / "in.avif", exif=exif, quality=95)
    back = read_photo(tmp_path / "in.avif")
    assert np.abs(back.pixels * 255 - np.rot90(scene(), -1)).max() < 40
    write_photo(back, tmp_path / "out.avif")
    assert read_photo(tmp_path / "out.avif").pixels.shape == back.pixels.shape


@BOTH
def test_gray_stays_gray(tmp_path, suffix):
    gray = Photo(np.repeat(scene()[:, :, :1].astype(np.float32) / 255, 3, axis=2), meta=PhotoMeta(kind="gray"))
    write_photo(gray, tmp_path / f"a{suffix}")
    pixels = read_photo(tmp_path / f"a{suffix}").pixels
    assert np.abs(pixels - gray.pixels).max() < 8 / 255
    assert np.ptp(pixels, axis=2).max() <= 2 / 255


@BOTH
def test_same_picture_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        write_photo(photo(icc=SRGB, xmp=XMP), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@BOTH
def test_cut_short(tmp_path, suffix):
    write_photo(photo(), tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    for part in (0.1, 0.5, 0.98):
        (tmp_path / f"cut{suffix}").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ImageError, match="damaged|not a photo"):
            read_photo(tmp_path / f"cut{suffix}")


@pytest.mark.parametrize(
    ("suffix", "format", "says"), [(".heic", "HEIF", "resharp\\[heic\\]"), (".avif", "AVIF", "Pillow")]
)
def test_a_missing_codec_is_named_with_its_remedy(tmp_path, monkeypatch, suffix, format, says):
    write_photo(photo(), tmp_path / f"a{suffix}")
    without = tuple(each for each in reading.READABLE_FORMATS if each != format)
    monkeypatch.setattr(reading, "READABLE_FORMATS", without)
    monkeypatch.setattr(writing, "READABLE_FORMATS", without)
    with pytest.raises(ImageError, match=says):
        read_photo(tmp_path / f"a{suffix}")
    with pytest.raises(ImageError, match=says):
        write_photo(photo(), tmp_path / f"b{suffix}")


def test_brands():
    def start(brand: bytes, *others: bytes) -> bytes:
        return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"".join(others)

    assert modern.modern_format(start(b"heic", b"mif1")) == "HEIF"
    assert modern.modern_format(start(b"mif1", b"heic")) == "HEIF"
    assert modern.modern_format(start(b"mif1", b"avif")) == "AVIF"
    assert modern.modern_format(start(b"avif")) == "AVIF"
    assert modern.modern_format(start(b"isom")) is None
    assert modern.modern_format(b"\xff\xd8\xff") is None
