"""Titles, comments and captions from one file to another, and what a format cannot hold."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, PngImagePlugin

from resharp.images.extras import DEEPER
from resharp.images.holding import CAPTIONS, EXIF, PROFILE, TEXTS, XMP, not_held
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo
from sample_photos import SRGB, exif_of_a_camera, scene
from sample_photos import XMP as PACKET

IPTC = b"\x1c\x02\x05\x00\x07A title" + b"\x1c\x02\x5a\x00\x03Ulm"  # object name, city


def photo(**meta: object) -> Photo:
    return Photo(scene().astype(np.float32) / 255, meta=PhotoMeta(**meta))


def copied(tmp_path, source: str, target: str) -> PhotoMeta:
    write_photo(read_photo(tmp_path / source), tmp_path / target)
    return read_photo(tmp_path / target).meta


@pytest.mark.parametrize("depth", [8, 16])
def test_texts_of_png_stay(tmp_path, depth):
    texts = (("Title", "A title"), ("Author", "ÿ é"), ("Comment", "日本 😀"), ("Description", "two\nlines"))
    write_photo(photo(texts=texts, bit_depth=depth), tmp_path / "in.png")
    assert dict(copied(tmp_path, "in.png", "out.png").texts) == dict(texts)
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert image.text == dict(texts)


def test_texts_compressed_and_international(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "A title", zip=True)
    info.add_itxt("Comment", "日本", lang="ja", tkey="コメント", zip=True)
    Image.fromarray(scene()).save(tmp_path / "in.png", pnginfo=info)
    assert dict(copied(tmp_path, "in.png", "out.png").texts) == {"Title": "A title", "Comment": "日本"}


def test_texts_that_repeat_the_old_orientation_or_other_blocks_do_not_stay(tmp_path):
    info = PngImagePlugin.PngInfo()
    for keyword in ("exif:Orientation", "Raw profile type iptc", "Raw profile type APP1"):
        info.add_text(keyword, "6")
    info.add_text("Title", "A title")
    Image.fromarray(scene()).save(tmp_path / "in.png", pnginfo=info)
    assert copied(tmp_path, "in.png", "out.png").texts == (("Title", "A title"),)


@pytest.mark.parametrize("keyword", ["", "x" * 80, "ü", "a\0b", "new\nline"])
def test_keywords_that_png_forbids_are_left_out(tmp_path, keyword):
    write_photo(photo(texts=((keyword, "text"), ("Title", "with a \0 zero"))), tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").meta.texts == (("Title", "with a  zero"),)


@pytest.mark.parametrize(("stored", "text"), [(b"hello", "hello"), ("é日".encode(), "é日"), (b"caf\xe9", "café")])
def test_the_comment_of_a_jpeg_stays_and_becomes_png_s(tmp_path, stored, text):
    Image.fromarray(scene()).save(tmp_path / "in.jpg", comment=stored)
    assert copied(tmp_path, "in.jpg", "out.jpg").texts == (("Comment", text),)
    assert copied(tmp_path, "in.jpg", "out.png").texts == (("Comment", text),)
    assert copied(tmp_path, "out.png", "again.jpg").texts == (("Comment", text),)


def test_captions_of_newsrooms_stay(tmp_path):
    for suffix in (".jpg", ".tif"):
        write_photo(photo(iptc=IPTC), tmp_path / f"in{suffix}")
        for target in (".jpg", ".tif"):
            assert copied(tmp_path, f"in{suffix}", f"out{target}").iptc == IPTC
            with Image.open(tmp_path / f"out{target}") as image:  # Pillow's own reader
                assert IptcImagePlugin.getiptcinfo(image)[2, 5] == b"A title"


def test_captions_of_odd_length_are_padded(tmp_path):
    for text in (IPTC, IPTC + b"!"):
        write_photo(photo(iptc=text), tmp_path / "a.jpg")
        with Image.open(tmp_path / "a.jpg") as image:
            assert image.info["photoshop"][0x0404] == text


def test_other_resources_of_photoshop_are_no_captions(tmp_path):
    payload = b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\x02hi"
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "JPEG", extra=b"\xff\xed" + (len(payload) + 2).to_bytes(2, "big") + payload)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert read_photo(tmp_path / "a.jpg").meta.iptc is None


FULL = PhotoMeta(
    exif=exif_of_a_camera().tobytes()[6:],
    xmp=PACKET,
    icc=SRGB,
    iptc=IPTC,
    texts=(("Comment", "hello"),),
    dpi=(300, 300),
)


@pytest.mark.parametrize(
    ("format", "suffix", "lost"),
    [
        ("JPEG", ".jpg", ()),
        ("PNG", ".png", (CAPTIONS,)),
        ("WEBP", ".webp", (CAPTIONS, TEXTS)),
        ("TIFF", ".tif", (TEXTS,)),
        ("BMP", ".bmp", (EXIF, XMP, CAPTIONS, TEXTS, PROFILE)),
        ("HEIF", ".heic", (CAPTIONS, TEXTS)),
        ("AVIF", ".avif", (CAPTIONS, TEXTS)),
    ],
)
def test_what_is_told_to_be_lost_is_lost_and_nothing_else(tmp_path, format, suffix, lost):
    pytest.importorskip("pillow_heif")
    assert not_held(FULL, format) == lost
    write_photo(
        photo(**{name: getattr(FULL, name) for name in ("exif", "xmp", "icc", "iptc", "texts")}),
        tmp_path / f"a{suffix}",
    )
    found = read_photo(tmp_path / f"a{suffix}").meta
    kept = {EXIF: found.exif, XMP: found.xmp, CAPTIONS: found.iptc, TEXTS: found.texts, PROFILE: found.icc}
    assert {what for what, value in kept.items() if not value} == set(lost)


def test_blocks_too_long_for_a_jpeg_are_told(tmp_path):
    long = replace(FULL, exif=FULL.exif + bytes(70_000), iptc=IPTC + bytes(70_000), texts=(("Comment", "x" * 70_000),))
    assert not_held(long, "JPEG") == (EXIF, CAPTIONS, TEXTS)
    write_photo(Photo(scene().astype(np.float32) / 255, meta=long), tmp_path / "a.jpg")
    found = read_photo(tmp_path / "a.jpg").meta
    assert (found.exif, found.iptc, found.texts) == (None, None, ())


def test_depth_is_told_where_it_is_lost():
    deep = PhotoMeta(bit_depth=16)
    assert [
        format for format in ("PNG", "TIFF", "JPEG", "WEBP", "HEIF", "AVIF", "BMP") if DEEPER in not_held(deep, format)
    ] == [*("JPEG", "WEBP", "HEIF", "AVIF", "BMP")]
