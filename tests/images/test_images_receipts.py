"""Receipts inside files: stored where each format has a place, beside what the user had there."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ImageError
from resharp.images.formats import LOSSLESS
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import samples_for, write_photo
from resharp.images.xmp import KEY, xmp_packet

TEXT = '{"a":"<&>\'\\"\\u00e9\\ud83d","b":[1,null]}'
PLACES = [".png", ".jpg", ".webp", ".tif"]


def photo_of(channels: int, depth: int) -> Photo:
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 2**depth, (9, 13, 4)).astype(np.float32) / (2**depth - 1)
    if channels <= 2:
        pixels[:, :, :3] = pixels[:, :, :1]
    kind = {1: "gray", 2: "gray", 3: "rgb", 4: "rgba"}[channels]
    alpha = pixels[:, :, 3] if channels in (2, 4) else None
    return Photo(pixels[:, :, :3], alpha, PhotoMeta(kind=kind, bit_depth=depth))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", PLACES)
def test_a_receipt_is_read_back_and_the_picture_is_as_without_it(tmp_path, scene, suffix, depth):
    photo = Photo(scene.astype(np.float32) / 255, meta=PhotoMeta(bit_depth=depth))
    write_photo(photo, tmp_path / f"with{suffix}", receipt_for=lambda samples: TEXT)
    write_photo(photo, tmp_path / f"without{suffix}")
    assert read_receipt(tmp_path / f"with{suffix}") == TEXT
    assert read_receipt(tmp_path / f"without{suffix}") is None
    read = [read_photo(tmp_path / f"{name}{suffix}") for name in ("with", "without")]
    assert np.array_equal(read[0].pixels, read[1].pixels)
    assert read[0].meta == read[1].meta


@pytest.mark.parametrize("suffix", PLACES)
def test_exif_and_profile_stay_as_they_are(tmp_path, scene, camera_exif, suffix):
    Image.fromarray(scene).save(tmp_path / "in.jpg", exif=camera_exif)
    photo = read_photo(tmp_path / "in.jpg")
    write_photo(photo, tmp_path / f"with{suffix}", receipt_for=lambda samples: TEXT)
    write_photo(photo, tmp_path / f"without{suffix}")
    kept, plain = (read_photo(tmp_path / f"{name}{suffix}").meta.exif for name in ("with", "without"))
    assert kept == plain
    assert b"Model X" in kept


def test_the_samples_given_are_those_that_are_stored(tmp_path):
    for format, suffix in (("PNG", ".png"), ("TIFF", ".tif")):
        for channels in (1, 2, 3, 4):
            for depth in (8, 16):
                if (format, channels, depth) == ("TIFF", 2, 16):
                    continue  # written, but Pillow cannot read it
                given = []
                path = tmp_path / f"{channels}-{depth}{suffix}"
                write_photo(photo_of(channels, depth), path, receipt_for=lambda s, given=given: given.append(s) or "x")
                assert given[0].shape == (9, 13, channels)
                assert given[0].dtype == f"uint{depth}"
                assert format in LOSSLESS
                assert np.array_equal(samples_for(read_photo(path), format), given[0])


def test_bmp_has_no_place(tmp_path, scene):
    write_photo(Photo(scene.astype(np.float32) / 255), tmp_path / "a.bmp", receipt_for=lambda samples: 1 / 0)
    assert read_receipt(tmp_path / "a.bmp") is None


def test_reading_a_photo_forgets_its_receipt(tmp_path, scene):
    write_photo(Photo(scene.astype(np.float32) / 255), tmp_path / "a.png", receipt_for=lambda samples: TEXT)
    write_photo(read_photo(tmp_path / "a.png"), tmp_path / "b.png")
    assert read_receipt(tmp_path / "b.png") is None


def test_the_packet_is_xml_and_xmp():
    root = ElementTree.fromstring(xmp_packet(TEXT).decode().lstrip("\ufeff"))
    (found,) = root.iter("{urn:resharp:}receipt")
    assert found.text == TEXT
    assert root.tag == "{adobe:ns:meta/}xmpmeta"


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_packet_rewritten_with_attributes_is_read(tmp_path, scene, quote):
    value = "{&#34;a&#34;:&apos;1&apos;&lt;&amp;}"
    packet = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description {KEY}={quote}{value}{quote}/></x:xmpmeta>"
    Image.fromarray(scene).save(tmp_path / "a.jpg", xmp=packet.encode())
    assert read_receipt(tmp_path / "a.jpg") == "{\"a\":'1'<&}"


def test_someone_elses_xmp_is_no_receipt(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.jpg", xmp=b"<x:xmpmeta>\xff resharp</x:xmpmeta>")
    assert read_receipt(tmp_path / "a.jpg") is None


def test_text_that_was_moved_behind_the_pixels_is_found(tmp_path, scene):
    write_photo(Photo(scene.astype(np.float32) / 255), tmp_path / "a.png", receipt_for=lambda samples: TEXT)
    data = (tmp_path / "a.png").read_bytes()
    start, end = data.index(b"tEXt") - 4, data.index(b"IEND") - 4
    length = 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[start + length : end] + data[start : start + length] + data[end:]
    (tmp_path / "a.png").write_bytes(moved)
    assert read_receipt(tmp_path / "a.png") == TEXT


def test_what_is_no_photo_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(ImageError, match=r"a\.png: not a photo"):
        read_receipt(tmp_path / "a.png")
