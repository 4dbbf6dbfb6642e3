"""Files that cannot be read: one line that names the file and the remedy, no traceback, no warning."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from resharp.errors import ImageError
from resharp.images.reading import read_photo


def refusal(path, **options):
    with pytest.raises(ImageError) as caught:
        read_photo(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def encoded(array, format, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format, **options)
    return buffer.getvalue()


def test_missing_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "no.jpg")


def test_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.jpg")


def test_text_named_as_a_photo(tmp_path):
    (tmp_path / "notes.jpg").write_text("Dear diary\n" * 100)
    assert "not a photo" in refusal(tmp_path / "notes.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not an ordinary file" in refusal(tmp_path / "pipe.jpg")


def test_no_permission(tmp_path, monkeypatch):
    (tmp_path / "mine.png").write_bytes(b"x")

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Not by chmod: a superuser, as in a container, may read everything.
    monkeypatch.setattr("PIL.Image.open", forbidden)
    assert "no permission" in refusal(tmp_path / "mine.png")


@pytest.mark.parametrize(
    ("name", "start", "what"),
    [
        ("a.gif", b"GIF89a" + bytes(40), "GIF"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        ("phone.jpg", b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        ("a.avif", b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
        ("a.psd", b"8BPS\0\1" + bytes(40), "Photoshop"),
    ],
)
def test_other_formats_are_named(tmp_path, name, start, what):
    (tmp_path / name).write_bytes(start)
    message = refusal(tmp_path / name)
    assert what in message
    assert "export it as PNG or JPEG" in message


@pytest.mark.parametrize("suffix", [".CR2", ".nef", ".dng", ".ARW"])
def test_raw_files_do_not_give_their_thumbnail(tmp_path, scene, suffix):
    (tmp_path / f"photo{suffix}").write_bytes(encoded(scene, "TIFF"))
    assert "export it as PNG or JPEG" in refusal(tmp_path / f"photo{suffix}")


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("BMP", {}),
    ],
)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.97])
def test_cut_short(tmp_path, rng, format, options, part, recwarn):
    noise = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    whole = encoded(noise, format, **options)
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * part)])
    refusal(tmp_path / "cut")
    assert not recwarn.list


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge(kind):
    """A header that promises 40,000 x 40,000 pixels (16,383 squared in WebP), and next to no data."""
    side = 40_000
    small = np.zeros((16, 16, 3), np.uint8)
    if kind == "PNG":
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    data = bytearray(encoded(small, kind, **({"lossless": True} if kind == "WEBP" else {})))
    if kind == "JPEG":
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "WEBP":
        data[21:25] = struct.pack("<I", 16382 | 16382 << 14)
    else:
        directory = struct.unpack_from("<I", data, 4)[0]
        for entry in range(struct.unpack_from("<H", data, directory)[0]):
            at = directory + 2 + 12 * entry
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                struct.pack_into("<HII", data, at + 2, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF"])
def test_huge_header_is_refused_quickly(tmp_path, kind, recwarn):
    (tmp_path / "huge").write_bytes(huge(kind))
    begin = time.perf_counter()
    assert "more than 200 megapixels" in refusal(tmp_path / "huge")
    assert time.perf_counter() - begin < 1
    assert not recwarn.list


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_several_pictures(tmp_path, scene, format):
    other = Image.fromarray(255 - scene)
    Image.fromarray(scene).save(tmp_path / "many", format, save_all=True, append_images=[other])
    assert "several pictures" in refusal(tmp_path / "many")


def test_png_text_that_swells(tmp_path, scene):
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 40_000_000, zip=True)
    Image.fromarray(scene).save(tmp_path / "bomb.png", pnginfo=text)
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    assert "damaged" in refusal(tmp_path / "bomb.png")


def test_damaged_bytes_never_raise_anything_else(tmp_path, rng, recwarn):
    noise = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    path = tmp_path / "damaged"
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        whole = encoded(noise, format)
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 400), 3):
                data[place] = rng.integers(0, 256)
            path.write_bytes(data)
            with suppress(ImageError):  # anything else, a warning included, fails the test
                assert np.isfinite(read_photo(path, max_pixels=10**6).pixels).all()
    assert not recwarn.list


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:2:0", "optimize": True}])
def test_a_jpeg_with_too_few_bytes_for_its_size(tmp_path, options):
    """Its decoder fills the rest with gray and says nothing, since the end of the picture is marked."""
    data = bytearray(encoded(np.zeros((16, 16, 3), np.uint8), "JPEG", **options))
    frame = next(data.index(bytes((0xFF, kind))) for kind in (0xC0, 0xC2) if bytes((0xFF, kind)) in data)
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 3_000)
    (tmp_path / "a.jpg").write_bytes(data)
    begin = time.perf_counter()
    assert "too few bytes for 3000x60000 pixels" in refusal(tmp_path / "a.jpg")
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "quality": 1}])
def test_the_emptiest_jpeg_is_no_damaged_one(tmp_path, mode, options):
    Image.new(mode, (4000, 3000), "gray").save(tmp_path / "a.jpg", subsampling="4:2:0", **options)
    assert read_photo(tmp_path / "a.jpg").size == (3000, 4000)
