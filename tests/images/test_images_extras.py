"""What a file has beside the picture is told, and a picture that merely looks like it is not accused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from resharp.images.extras import DEEPER, DEPTH, EXTENDED_XMP, GAIN_MAP, OTHER_PICTURES, VIDEO, bits_lost
from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo
from sample_photos import scene

MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(200)
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'


def jpeg(array: np.ndarray | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene() if array is None else array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def dropped(path, data: bytes) -> tuple[str, ...]:
    path.write_bytes(data)
    return read_photo(path).meta.dropped


def gain_map_xmp() -> bytes:
    inner = '<rdf:Description rdf:about="" xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/" h:Version="1.0"/>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {RDF}>{inner}</rdf:RDF></x:xmpmeta>'.encode()


def segment(payload: bytes) -> bytes:
    return b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload


def test_an_ordinary_photo_has_nothing_besides(tmp_path):
    assert dropped(tmp_path / "a.jpg", jpeg()) == ()


def test_gain_map_of_ultra_hdr(tmp_path):
    whole = jpeg(xmp=gain_map_xmp()) + jpeg(xmp=gain_map_xmp())
    assert dropped(tmp_path / "a.jpg", whole) == (GAIN_MAP,)
    assert read_photo(tmp_path / "a.jpg").meta.xmp is None  # it would point to a picture that is not there


def test_gain_map_of_iso_21496(tmp_path):
    whole = jpeg()
    sign = b"\xff\xe2" + (30).to_bytes(2, "big") + b"urn:iso:std:iso:ts:21496:-1\0"
    assert dropped(tmp_path / "a.jpg", whole[:2] + sign + whole[2:] + jpeg()) == (GAIN_MAP,)


def test_motion_photo(tmp_path):
    assert dropped(tmp_path / "a.jpg", jpeg() + MP4) == (VIDEO,)


def test_long_xmp(tmp_path):
    whole = jpeg()
    assert dropped(
        tmp_path / "a.jpg", whole[:2] + segment(b"http://ns.adobe.com/xmp/extension/\0" + bytes(80)) + whole[2:]
    ) == (EXTENDED_XMP,)


def test_depth(tmp_path):
    whole = jpeg()
    assert dropped(
        tmp_path / "a.jpg", whole[:2] + segment(b"http://ns.google.com/photos/1.0/depthmap/") + whole[2:]
    ) == (DEPTH,)


def test_a_second_picture(tmp_path):
    buffer = io.BytesIO()
    other = Image.fromarray(255 - scene())
    Image.fromarray(scene()).save(buffer, "MPO", save_all=True, append_images=[other])
    assert dropped(tmp_path / "a.jpg", buffer.getvalue()) == (OTHER_PICTURES,)
    assert np.abs(read_photo(tmp_path / "a.jpg").pixels * 255 - scene()).max() < 40  # the first one, not its negative


@pytest.mark.parametrize("sign", [b"ftypmp4", b"ftypisom", b"mpvd"])
def test_what_a_caption_says_is_no_video(tmp_path, sign):
    assert dropped(tmp_path / "a.jpg", jpeg(comment=sign)) == ()


def test_a_deeper_heic_is_told(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    deep = (scene().astype(np.uint16) * 257).tobytes()
    heif.from_bytes(mode="RGB;16", size=(24, 20), data=deep).save(tmp_path / "a.heic", quality=90)
    assert read_photo(tmp_path / "a.heic").meta.dropped == (DEEPER,)


def test_a_deeper_avif_is_told(tmp_path):
    pytest.importorskip("PIL._avif")
    Image.fromarray(scene()).save(tmp_path / "a.avif")
    assert read_photo(tmp_path / "a.avif").meta.dropped == ()
    data = bytearray((tmp_path / "a.avif").read_bytes())
    data[data.index(b"av1C") + 6] |= 0x40  # high_bitdepth of its configuration; no encoder of such files is here
    (tmp_path / "deep.avif").write_bytes(data)
    with Image.open(tmp_path / "a.avif") as image:
        assert bits_lost(image, scene(), tmp_path / "deep.avif") == (DEEPER,)


def test_16_bits_are_kept_and_nothing_is_told(tmp_path):
    for suffix in (".png", ".tif"):
        write_photo(Photo(scene().astype(np.float32) / 255, meta=PhotoMeta(bit_depth=16)), tmp_path / f"a{suffix}")
        meta = read_photo(tmp_path / f"a{suffix}").meta
        assert (meta.bit_depth, meta.dropped) == (16, ())
