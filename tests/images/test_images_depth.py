"""16-bit photos: every bit is read and written, checked against bytes laid out by hand and by tifffile."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ImageError
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo

PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def as_uint16(values):
    return np.rint(values * 65535).astype(np.uint16)


def samples(rng, channels, height=11, width=7):
    return rng.integers(0, 65536, (height, width, channels), dtype=np.uint16)


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def plain_png(values, *, extra=b""):
    """A 16-bit PNG without filters, written from the specification."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPE[channels], 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def photo_of(values, **meta):
    scaled = values.astype(np.float32) / 65535
    colours = scaled[:, :, :3] if values.shape[2] >= 3 else np.repeat(scaled[:, :, :1], 3, axis=2)
    kind = "gray" if values.shape[2] <= 2 else "rgb"
    alpha = scaled[:, :, -1] if values.shape[2] % 2 == 0 else None
    return Photo(colours, alpha, PhotoMeta(kind=kind, bit_depth=16, **meta))


def assert_same(photo, values):
    assert photo.meta.bit_depth == 16
    channels = [values[:, :, 0]] * 3 if values.shape[2] <= 2 else [values[:, :, c] for c in range(3)]
    assert np.array_equal(as_uint16(photo.pixels), np.stack(channels, axis=2))
    assert (photo.alpha is None) == (values.shape[2] % 2 == 1)
    if photo.alpha is not None:
        assert np.array_equal(as_uint16(photo.alpha), values[:, :, -1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_read(tmp_path, rng, channels):
    values = samples(rng, channels)
    (tmp_path / "photo.png").write_bytes(plain_png(values))
    assert_same(read_photo(tmp_path / "photo.png"), values)


def test_png_with_a_transparent_colour(tmp_path, rng):
    values = samples(rng, 3)
    key = values[0, 0]
    # Equal in its high bytes alone: not transparent.
    values[0, 1] = key ^ 1
    transparent = png_chunk(b"tRNS", key.astype(">u2").tobytes())
    (tmp_path / "photo.png").write_bytes(plain_png(values, extra=transparent))
    photo = read_photo(tmp_path / "photo.png")
    assert photo.alpha[0, :2].tolist() == [0, 1]
    assert np.array_equal(as_uint16(photo.pixels), values)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (11, 7), (130, 3)])
def test_png_round_trip(tmp_path, rng, channels, size):
    values = samples(rng, channels, *size)
    write_photo(photo_of(values), tmp_path / "photo.png")
    assert_same(read_photo(tmp_path / "photo.png"), values)
    with Image.open(tmp_path / "photo.png") as stored:
        stored.verify()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (11, 7), (700, 90)])
def test_tiff_written(tmp_path, rng, channels, size):
    tifffile = pytest.importorskip("tifffile")
    values = samples(rng, channels, *size)
    write_photo(photo_of(values), tmp_path / "photo.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "photo.tif").reshape(values.shape), values)
    if channels != 2:  # Pillow does not know this layout
        assert_same(read_photo(tmp_path / "photo.tif"), values)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "layout", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}, {"tile": (16, 16)}]
)
def test_tiff_read(tmp_path, rng, channels, order, layout):
    tifffile = pytest.importorskip("tifffile")
    values = samples(rng, channels, 20, 33)
    tifffile.imwrite(
        tmp_path / "photo.tif",
        values[:, :, 0] if channels == 1 else values,
        byteorder=order,
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        **layout,
    )
    assert_same(read_photo(tmp_path / "photo.tif"), values)


def test_tiff_with_white_as_zero(tmp_path, rng):
    tifffile = pytest.importorskip("tifffile")
    values = samples(rng, 1)
    tifffile.imwrite(tmp_path / "photo.tif", values[:, :, 0], photometric="miniswhite")
    assert_same(read_photo(tmp_path / "photo.tif"), 65535 - values)


def test_tiff_with_separate_planes_is_refused(tmp_path, rng):
    tifffile = pytest.importorskip("tifffile")
    planes = np.moveaxis(samples(rng, 3), 2, 0)
    tifffile.imwrite(tmp_path / "photo.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageError, match="interleaved"):
        read_photo(tmp_path / "photo.tif")


def test_oriented_16_bit_tiff(tmp_path, rng):
    tifffile = pytest.importorskip("tifffile")
    values = samples(rng, 3)
    tifffile.imwrite(tmp_path / "photo.tif", values, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    assert_same(read_photo(tmp_path / "photo.tif"), np.rot90(values, -1))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_pixels_are_refused(tmp_path, mode):
    Image.new(mode, (3, 3)).save(tmp_path / "photo.tif")
    with pytest.raises(ImageError, match="8 or 16 bits"):
        read_photo(tmp_path / "photo.tif")


def test_16_bits_are_rounded_where_the_format_has_8(tmp_path, rng):
    values = samples(rng, 3)
    write_photo(photo_of(values), tmp_path / "photo.bmp")
    photo = read_photo(tmp_path / "photo.bmp")
    assert photo.meta.bit_depth == 8
    assert np.abs(photo.pixels - values / 65535).max() <= 0.5 / 255 + 1e-6


def test_metadata_of_a_16_bit_png(tmp_path, rng, camera_exif):
    block = camera_exif.tobytes()[6:]
    photo = photo_of(samples(rng, 3), exif=block, dpi=(300.0, 150.0))
    write_photo(photo, tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as stored:
        stored.load()
        assert stored.getexif()[0x0110] == "Model X"
        assert stored.info["dpi"] == pytest.approx((300, 150), abs=0.02)
