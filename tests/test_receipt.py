"""Receipts as texts, and the digests in them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from resharp.errors import DataError, ImageError
from resharp.receipt import FORMAT, Receipt, file_sha256, pixels_digest

RECEIPT = Receipt(
    resharp="1.2.3",
    torch="2.0",
    device="cuda",
    model="owner/name",
    weights_sha256="a" * 64,
    part="diffusion",
    seed=7,
    settings={"steps": 3, "fidelity": None, "final_variance": 0.1, "some future setting": [1, "x"]},
    guard=True,
    photo='Großmutter \udce4 "und" <ich>.jpg',
    photo_sha256="b" * 64,
    pixels_sha256="c" * 64,
)


def test_text_and_back():
    text = RECEIPT.to_text()
    assert Receipt.from_text(text, "a.png") == RECEIPT
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text.replace(json.dumps(RECEIPT.photo), "").replace("some future setting", "")


def test_every_cut_text_is_refused():
    text = RECEIPT.to_text()
    for end in range(len(text)):
        with pytest.raises(ImageError, match="a.png: its receipt is damaged"):
            Receipt.from_text(text[:end], "a.png")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "7"},
        {"seed": -1},
        {"seed": 2**48},
        {"seed": True},
        {"part": "guess"},
        {"settings": [1]},
        {"guard": 1},
        {"unknown": 1},
        {"photo": "../../etc/passwd"},
        {"photo": "a\\b.png"},
        {"photo": "a\0.png"},
        {"photo": ".."},
        {"photo": ""},
        {"photo": "x" * 300},
        {"weights_sha256": "a" * 63},
        {"photo_sha256": "z" * 64},
        {"pixels_sha256": "A" * 64},
    ],
)
def test_what_no_receipt_says_is_refused(change):
    data = json.loads(RECEIPT.to_text()) | change
    with pytest.raises(ImageError, match=r"^a\.png: its receipt is damaged"):
        Receipt.from_text(json.dumps(data), "a.png")


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "1", '"x"', "[" * 100_000, '{"format": 1}'])
def test_other_json_is_refused(text):
    with pytest.raises(ImageError, match="damaged"):
        Receipt.from_text(text, "a.png")


def test_a_newer_receipt_asks_for_an_update():
    data = json.loads(RECEIPT.to_text()) | {"format": FORMAT + 1, "new": 1}
    with pytest.raises(ImageError, match="update resharp"):
        Receipt.from_text(json.dumps(data), "a.png")


def test_pixels_digest_is_that_of_shape_depth_and_bytes():
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (3, 4, 2), dtype=np.uint16)
    expected = hashlib.sha256(b"(3, 4, 2) uint16\n")
    for value in deep.ravel().tolist():
        expected.update(bytes((value & 255, value >> 8)))
    assert pixels_digest(deep) == expected.hexdigest()
    assert pixels_digest(deep.astype(">u2")) == expected.hexdigest()
    assert pixels_digest(np.asfortranarray(deep)) == expected.hexdigest()
    flat = rng.integers(0, 256, (4, 6, 1), dtype=np.uint8)
    assert pixels_digest(flat) != pixels_digest(flat.reshape(6, 4, 1))
    assert pixels_digest(flat) == hashlib.sha256(b"(4, 6, 1) uint8\n" + flat.tobytes()).hexdigest()


def test_file_digest_in_pieces(tmp_path):
    data = bytes(range(256)) * 9000  # more than two pieces
    (tmp_path / "a").write_bytes(data)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    with pytest.raises(DataError, match="gone: cannot be read"):
        file_sha256(tmp_path / "gone")


def test_what_decides_the_pixels_leaves_the_machine_and_names_out():
    elsewhere = replace(RECEIPT, torch="3", device="cpu", resharp="2", model="x", photo="y.png", pixels_sha256="d" * 64)
    assert elsewhere.inputs() == RECEIPT.inputs()
    for change in ({"seed": 8}, {"part": "predictor"}, {"settings": {}}, {"guard": False}, {"photo_sha256": "d" * 64}):
        assert replace(RECEIPT, **change).inputs() != RECEIPT.inputs()


def test_a_tile_is_written_only_where_there_is_one():
    """The first version of receipts did not know tiles: it goes on reading what was made as a whole."""
    assert "tile" not in json.loads(RECEIPT.to_text())
    tiled = replace(RECEIPT, tile=(512, 768), format=2)
    assert Receipt.from_text(tiled.to_text(), "a.png") == tiled
    with pytest.raises(ImageError, match=r"tile is .0, 5.; it must be a height and a width"):
        Receipt.from_text(replace(tiled, tile=(0, 5)).to_text(), "a.png")
