"""Photos in one file of limited size, and out of it again."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.errors import DataError
from runs import rectangles, save

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from accelerator_pack import pack, unpack


@pytest.fixture
def photos(tmp_path):
    """Twelve photos of noise, hard to compress, 300 px high, and one that repeats another."""
    generator = torch.Generator().manual_seed(0)
    for i in range(12):
        pixels = torch.randint(0, 256, (3, 300, 500), generator=generator).byte()
        save(pixels, tmp_path / "photos" / f"p{i:02d}.png")
    (tmp_path / "photos" / "again.png").write_bytes((tmp_path / "photos" / "p03.png").read_bytes())
    return tmp_path / "photos"


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_what_fits_is_packed_as_it_is(photos, tmp_path):
    manifest = pack([str(photos)], tmp_path / "a.tar", 60, report=lambda line: None)
    assert manifest["encoding"] == "as it was"
    assert manifest["left_out"] == ["p03.png: the same as again.png"]
    inside = members(tmp_path / "a.tar")
    assert json.loads(inside["manifest.json"]) == manifest
    for photo in manifest["photos"]:
        data = inside[f"photos/{photo['name']}"]
        assert data == (photos / photo["original"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == photo["sha256"] == photo["original_sha256"]


@pytest.mark.parametrize("max_mib", [3.0, 2.5])
def test_the_limit_holds_and_the_greatest_size_that_fits_is_taken(photos, tmp_path, max_mib):
    told = []
    manifest = pack([str(photos)], tmp_path / "a.tar", max_mib, report=told.append)
    assert (tmp_path / "a.tar").stat().st_size <= max_mib * 2**20
    inside = members(tmp_path / "a.tar")
    sides = {max(Image.open(io.BytesIO(inside[f"photos/{photo['name']}"])).size) for photo in manifest["photos"]}
    assert len(sides) == 1
    assert len(manifest["photos"]) == 12
    side = sides.pop()
    assert side <= 500
    # It says which sizes were too large, and that is the next larger one.
    assert told[0] == f"as they are: more than {max_mib:g} MiB"
    if side < 500:
        assert any("px: more than" in line for line in told)
    shorter = min(Image.open(io.BytesIO(inside["photos/000000.jpg"])).size)
    assert shorter >= 256


def test_the_same_photos_give_the_same_bytes(photos, tmp_path):
    for name in ("a.tar", "b.tar"):
        pack([str(photos)], tmp_path / name, 3.0, report=lambda line: None)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_too_many_photos_for_the_limit_are_refused_and_nothing_is_written(photos, tmp_path):
    with pytest.raises(DataError, match=r"12 photos do not fit into 0\.5 MiB, even at 384 px"):
        pack([str(photos)], tmp_path / "a.tar", 0.5, report=lambda line: None)
    assert not (tmp_path / "a.tar").exists()


def test_an_index_puts_origins_into_the_manifest(photos, tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("file,source,licence\nsub/p01.png,Somebody,CC0\n")
    manifest = pack([str(photos)], tmp_path / "a.tar", 60, index)
    rows = {photo["original"]: photo.get("index") for photo in manifest["photos"]}
    assert rows["p01.png"] == {"source": "Somebody", "licence": "CC0"}
    assert rows["p02.png"] is None
    index.write_text("photo\np01.png\n")
    with pytest.raises(DataError, match="no column 'file' or 'name'"):
        pack([str(photos)], tmp_path / "b.tar", 60, index)


def test_photos_that_cannot_be_read_are_named(photos, tmp_path):
    (photos / "p05.png").write_bytes((photos / "p05.png").read_bytes()[:2000])
    manifest = pack([str(photos)], tmp_path / "a.tar", 60)
    assert len(manifest["photos"]) == 11
    assert any(line.startswith("p05.png: damaged") for line in manifest["left_out"])


def test_unpacking_divides_photos_once_and_for_all(photos, tmp_path):
    manifest = pack([str(photos)], tmp_path / "a.tar", 60)
    assert unpack(tmp_path / "a.tar", tmp_path / "data") == manifest
    train, held = ({path.name for path in (tmp_path / "data" / name).iterdir()} for name in ("photos", "held_out"))
    assert len(held) == 2
    assert train | held == {photo["name"] for photo in manifest["photos"]}
    assert not train & held
    first = tmp_path / "data" / "photos" / sorted(train)[0]
    before = first.stat().st_mtime_ns
    unpack(tmp_path / "a.tar", tmp_path / "data")
    assert first.stat().st_mtime_ns == before
    (photos / "p00.png").unlink()
    pack([str(photos)], tmp_path / "b.tar", 60)
    unpack(tmp_path / "b.tar", tmp_path / "data")
    assert sum(1 for _ in (tmp_path / "data").rglob("*.png")) == 11
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_damaged_and_foreign_files_are_refused(photos, tmp_path):
    pack([str(photos)], tmp_path / "a.tar", 60)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"\d{6}\.png is damaged; copy the file again"):
        unpack(tmp_path / "a.tar", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    (tmp_path / "b.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match="not a file made by `pack`"):
        unpack(tmp_path / "b.tar", tmp_path / "data")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        text = json.dumps({"format": 1, "photos": [{"name": "../../evil.png", "sha256": "0"}]}).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    with pytest.raises(DataError, match="not a file made by `pack`"):
        unpack(tmp_path / "c.tar", tmp_path / "data")
    few = tmp_path / "few"
    for i, photo in enumerate(rectangles(3)):
        save(photo, few / f"{i}.png")
    pack([str(few)], tmp_path / "d.tar", 60)
    with pytest.raises(DataError, match="3 photos; at least 4 are needed"):
        unpack(tmp_path / "d.tar", tmp_path / "data")


def test_photos_are_not_enlarged(tmp_path):
    """With a limit that the files pass and their JPEGs do not, small photos keep their size."""
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (3, 100, 120), dtype=np.uint8)
        save(torch.from_numpy(pixels), tmp_path / "photos" / f"{i}.png")
    manifest = pack([str(tmp_path / "photos")], tmp_path / "a.tar", 0.11, report=lambda line: None)
    assert manifest["encoding"].startswith("JPEG")
    inside = members(tmp_path / "a.tar")
    assert {Image.open(io.BytesIO(inside[f"photos/{i:06d}.jpg"])).size for i in range(4)} == {(120, 100)}
