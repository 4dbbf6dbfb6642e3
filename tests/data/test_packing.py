"""Shards against the files they were made from, read by webdataset and tarfile; what interrupted packing leaves."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.data import packing
from resharp.data.decoding import decode_photo
from resharp.data.listing import Listing
from resharp.data.packing import pack
from resharp.data.shard_index import is_shards, open_index
from resharp.data.tiles import Tiling
from resharp.errors import ConfigError, DataError, ImageError, OutputError
from resharp.images.reading import read_photo
from shard_sets import make_listing, picture


@pytest.fixture
def listing(tmp_path) -> Listing:
    return make_listing(tmp_path / "photos", 9)


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "shards").mkdir()
    return tmp_path / "shards"


def with_webdataset(folder: Path) -> list[dict]:
    """All samples as webdataset itself reads them, undecoded."""
    import webdataset

    names = [str(folder / shard.name) for shard in open_index(str(folder)).shards]
    return list(webdataset.WebDataset(names, shardshuffle=False, empty_check=False))


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".tif"])
def test_webdataset_reads_back_the_original_bytes(tmp_path, out, suffix):
    listing = make_listing(tmp_path / "photos", 9, suffix=suffix)
    index = pack(listing, out)
    entries = {entry.name: entry for entry in listing.entries}
    samples = with_webdataset(out)
    assert len(samples) == index.total == 9
    for sample in samples:
        entry = entries.pop(json.loads(sample["json"])["name"])
        assert sample["sharp" + suffix.lower()] == entry.sharp.read_bytes()
        assert sample["blurry" + suffix.lower()] == entry.blurry.read_bytes()
    assert not entries


def test_sharp_photographs_alone(tmp_path, out):
    index = pack(make_listing(tmp_path / "photos", 3, pairs=False), out)
    assert index.kind == "sharp"
    assert all("blurry.png" not in sample for sample in with_webdataset(out))


def test_the_order_is_the_seeds_and_the_bytes_follow_from_it(listing, tmp_path):
    names = {}
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / place).mkdir()
        pack(listing, tmp_path / place, seed=seed)
        names[place] = [json.loads(sample["json"])["name"] for sample in with_webdataset(tmp_path / place)]
    written = [entry.name for entry in listing.entries]
    assert names["a"] != names["c"]
    assert written not in (names["a"], names["c"])
    assert sorted(names["a"]) == sorted(names["c"]) == written
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_index_tells_the_truth(listing, out, monkeypatch):
    index = pack(listing, out, seed=3)
    assert open_index(str(out)) == open_index(str(out / "index.json")) == index
    assert index.source_fingerprint == listing.fingerprint()
    assert (index.kind, index.layout, index.split, index.seed) == ("pairs", listing.layout, "all", 3)
    (shard,) = index.shards
    data = (out / shard.name).read_bytes()
    assert (shard.bytes, shard.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for row in range(shard.samples):
        start, end = shard.span(row)
        with tarfile.open(fileobj=io.BytesIO(data[start:end])) as archive:
            assert {name.partition(".")[0] for name in archive.getnames()} == {f"{row:08d}"}
            assert len(archive.getnames()) == 3


def test_shards_stay_below_their_size_and_none_is_lost(tmp_path, out):
    # 300 x 300 of noise are 0.27 MB; a pair half of a shard.
    listing = make_listing(tmp_path / "photos", 7, width=300, height=300)
    index = pack(listing, out, shard_mb=1)
    assert [shard.samples for shard in index.shards] == [1] * 7
    assert len(with_webdataset(out)) == 7
    assert [shard.name for shard in index.shards] == [f"resharp-{i:06d}.tar" for i in range(7)]
    for child in out.iterdir():
        child.unlink()
    index = pack(listing, out, shard_mb=2)
    assert [shard.samples for shard in index.shards] == [3, 3, 1]
    assert all(shard.bytes <= 2 << 20 for shard in index.shards)


def test_tiles_are_the_photographs_own_pixels(tmp_path, out):
    listing = make_listing(tmp_path / "photos", 2, width=100, height=70)
    index = pack(listing, out, tiling=Tiling(40, 10))
    assert (index.tile_px, index.tile_overlap_px) == (40, 10)
    entries = {entry.name: entry for entry in listing.entries}
    corners = {name: set() for name in entries}
    for sample in with_webdataset(out):
        about = json.loads(sample["json"])
        left, top, entry = about["left_px"], about["top_px"], entries[about["photo"]]
        assert about["name"] == f"{entry.name}@{left},{top}"
        corners[entry.name].add((left, top))
        for role, path in (("sharp", entry.sharp), ("blurry", entry.blurry)):
            tile = Image.open(io.BytesIO(sample[f"{role}.png"]))
            assert tile.size == (40, 40)
            assert np.array_equal(tile, Image.open(path).crop((left, top, left + 40, top + 40)))
    assert all(found == {(x, y) for x in (0, 30, 60) for y in (0, 30)} for found in corners.values())


@pytest.mark.parametrize(
    ("length", "starts"), [(20, [0]), (32, [0]), (33, [0, 1]), (56, [0, 24]), (57, [0, 24, 25]), (100, [0, 24, 48, 68])]
)
def test_tiles_reach_the_border_and_overlap(length, starts):
    assert [left for left, _ in Tiling(32, 8).corners(length, 10)] == starts
    assert [top for _, top in Tiling(32, 8).corners(10, length)] == starts


@pytest.mark.parametrize(("size", "overlap"), [(31, 0), (64, 64), (64, -1)])
def test_impossible_tiles_are_refused(size, overlap):
    with pytest.raises(ConfigError, match="tiles"):
        Tiling(size, overlap)


def test_tiles_of_different_photographs_are_mixed_within_bounded_memory(tmp_path, out, monkeypatch):
    listing = make_listing(tmp_path / "photos", 12, pairs=False, width=96, height=64)
    monkeypatch.setattr(packing, "MIXED_BYTES", 20 * 5120)
    taken = given = most = 0

    def watched(samples, seed):
        nonlocal given, most

        def counted():
            nonlocal taken
            for sample in samples:
                taken += 1
                yield sample

        for sample in mixed(counted(), seed):
            given += 1
            most = max(most, taken - given)
            yield sample

    mixed = packing._mixed
    monkeypatch.setattr(packing, "_mixed", watched)
    pack(listing, out, tiling=Tiling(32, 0))
    names = [json.loads(sample["json"])["photo"] for sample in with_webdataset(out)]
    assert len(names) == 12 * 6
    assert 10 <= most <= 24
    # In the order of the photographs, 60 of 71 neighbours would be of one photograph.
    assert sum(a == b for a, b in zip(names, names[1:], strict=False)) < 30


def test_unusable_photographs_are_left_out_by_name(listing, out):
    broken, cut_short, other = (listing.entries[i] for i in (2, 4, 6))
    broken.sharp.write_bytes(b"not a picture")
    cut_short.blurry.write_bytes(cut_short.blurry.read_bytes()[:-400])
    picture(0, width=20).save(other.blurry)
    index = pack(listing, out)
    assert index.total == 6
    lines = "\n".join(index.left_out)
    assert len(index.left_out) == 3
    for name in ("sharp/002.png: ", "blurry/004.png: ", "sharp/006.png: "):
        assert name in lines
    assert open_index(str(out)).left_out == index.left_out


def test_nothing_usable_is_an_error_and_leaves_no_index(listing, out):
    for entry in listing.entries:
        entry.sharp.write_bytes(b"no")
    with pytest.raises(DataError, match=r"no photograph that could be packed \(first of 9: sharp/00"):
        pack(listing, out)
    assert list(out.iterdir()) == []


def test_an_interrupted_pack_is_no_set_and_is_started_over(tmp_path, out, monkeypatch):
    listing = make_listing(tmp_path / "photos", 6, width=300, height=300)

    def interrupt(done, total):
        assert total == 6
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(listing, out, shard_mb=1, on_photo=interrupt)
    left = sorted(path.name for path in out.iterdir())
    assert left == [f"resharp-{i:06d}.tar" for i in range(3)]
    assert is_shards(str(out))
    with pytest.raises(DataError, match="no complete set of shards.*resharp data pack"):
        open_index(str(out))
    (out / ".resharp-abcd1234.tar").write_bytes(b"left by a power cut")
    index = pack(listing, out, shard_mb=2)
    assert {path.name for path in out.iterdir()} == {"index.json", *(shard.name for shard in index.shards)}
    assert len(with_webdataset(out)) == 6


def test_an_interrupted_shard_is_not_left_under_its_name(listing, out, monkeypatch):
    real, calls = packing.decode_photo, []

    def decode(data, name):
        calls.append(name)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return real(data, name)

    monkeypatch.setattr(packing, "decode_photo", decode)
    with pytest.raises(KeyboardInterrupt):
        pack(listing, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("foreign", ["notes.txt", "resharp-1.tar", "folder"])
def test_folders_with_other_things_are_refused_untouched(listing, out, foreign):
    if foreign == "folder":
        (out / foreign).mkdir()
    else:
        (out / foreign).write_text("mine")
    (out / "resharp-000000.tar").write_text("old")
    with pytest.raises(OutputError, match=f"holds {foreign}, which is no shard"):
        pack(listing, out)
    assert (out / foreign).exists()
    assert (out / "resharp-000000.tar").read_text() == "old"


def test_a_complete_set_is_not_replaced(listing, out):
    pack(listing, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OutputError, match="exists already"):
        pack(listing, out, seed=7)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_full_disk_is_one_line(tmp_path, out):
    """The limit on a file's size is the nearest to a full disk that needs no rights."""
    pytest.importorskip("resource")
    make_listing(tmp_path / "photos", 4, width=300, height=300)
    code = f"""
import resource
from pathlib import Path
from resharp.data.listing import Entry, Listing
from resharp.data.packing import pack
from resharp.errors import OutputError
root = Path({str(tmp_path / "photos")!r})
listing = Listing("x", root, "all", tuple(Entry(p.name, p) for p in sorted((root / "sharp").iterdir())))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    pack(listing, Path({str(out)!r}))
except OutputError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.count("\n") == 1
    assert "resharp-000000.tar: cannot write it (File too large)" in ran.stdout
    assert ran.stderr == ""
    assert list(out.iterdir()) == []


def test_without_webdataset_the_error_names_the_extra(listing, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset.writer", None)
    with pytest.raises(ConfigError, match=r"pip install 'resharp\[shards\]'"):
        pack(listing, out)


def _edited(key, value):
    return lambda facts: facts | {key: value}


def _edited_shard(key, value):
    return lambda facts: facts | {"shards": [facts["shards"][0] | {key: value}]}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_edited("format", "other"), "its format is not"),
        (_edited("version", 2), "its version is 2"),
        (_edited("more", 1), "the index has an unknown 'more'"),
        (lambda facts: {key: value for key, value in facts.items() if key != "seed"}, "the index has no 'seed'"),
        (_edited("kind", "gt"), "kind is 'gt'"),
        (_edited("layout", 3), "layout is no text"),
        (_edited("tile_px", "4"), "tile_px is no whole number"),
        (_edited("left_out", [1]), "left_out"),
        (_edited("shards", []), "shards is no list"),
        (_edited("total", 10), "total is not the sum"),
        (lambda facts: facts | {"shards": facts["shards"] * 2}, "listed twice"),
        (_edited_shard("name", "../resharp-000000.tar"), "no name of a shard"),
        (_edited_shard("sha256", "ab"), "sha256"),
        (_edited_shard("samples", 8), "samples are not its starts"),
        (_edited_shard("samples", True), "samples are not its starts"),
        (_edited_shard("bytes", 512), "starts that no tar file has"),
        (_edited_shard("starts", [0, 1, 2, 3, 4, 5, 6, 7, 8]), "starts that no tar file has"),
        (_edited_shard("starts", [0, 512, 512, 1024, 2048, 4096, 4608, 5120, 5632]), "starts that no tar file has"),
        (_edited_shard("path", "x"), "a shard has an unknown 'path'"),
        (lambda facts: [facts], "its format is not"),
    ],
)
def test_a_wrong_index_is_refused_with_the_reason(listing, out, edit, reason):
    pack(listing, out)
    file = out / "index.json"
    file.write_text(json.dumps(edit(json.loads(file.read_text()))))
    with pytest.raises(DataError, match=reason) as caught:
        open_index(str(out))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_what_is_no_json_is_refused(out, content):
    (out / "index.json").write_bytes(content)
    with pytest.raises(DataError, match="not an index of shards"):
        open_index(str(out))


def test_what_counts_as_shards(listing, out, tmp_path):
    assert not is_shards(str(listing.root))
    assert not is_shards(str(out))
    assert not is_shards(str(tmp_path / "missing"))
    pack(listing, out)
    assert is_shards(str(out))
    assert is_shards(str(out / "index.json"))
    assert is_shards(f"file://{out}")
    assert is_shards("https://example.org/shards")
    (listing.root / "index.json").write_text('{"a data set": "of its own"}')
    assert not is_shards(str(listing.root))


def _saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def _deep(path: Path) -> Path:
    """A 16-bit RGB PNG, which Pillow cannot write, by hand."""
    import struct
    import zlib

    values = np.random.default_rng(5).integers(0, 65536, (13, 17, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 17, 13, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def _turned(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(path, picture(1), exif=exif)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("rgb.png", lambda path: _saved(path, picture(1))),
        ("rgb.jpg", lambda path: _saved(path, picture(1), quality=90)),
        ("turned.jpg", _turned),
        ("gray.png", lambda path: _saved(path, picture(1).convert("L"))),
        ("palette.png", lambda path: _saved(path, picture(1).convert("P"))),
        ("alpha.webp", lambda path: _saved(path, picture(1).convert("RGBA"), lossless=True)),
        ("cmyk.jpg", lambda path: _saved(path, picture(1).convert("CMYK"))),
        ("gray16.png", lambda path: _saved(path, Image.fromarray(np.arange(0, 60000, 100, np.uint16).reshape(20, 30)))),
        ("rgb16.png", _deep),
    ],
)
def test_bytes_decode_to_what_reading_the_file_gives(tmp_path, name, make):
    path = make(tmp_path / name)
    expected = torch.from_numpy(read_photo(path).pixels).mul(255).round().byte().permute(2, 0, 1)
    assert torch.equal(decode_photo(path.read_bytes(), name), expected)


def test_damaged_bytes_are_named(tmp_path):
    path = _saved(tmp_path / "a.png", picture(1))
    data = bytearray(path.read_bytes())
    with pytest.raises(ImageError, match="a.png: damaged or cut short"):
        decode_photo(bytes(data[:-200]), "a.png")
    data[600] ^= 0xFF
    with pytest.raises(ImageError, match="a.png: damaged or cut short"):
        decode_photo(bytes(data), "a.png")
    with pytest.raises(ImageError, match="a.png: not a photo"):
        decode_photo(b"text", "a.png")
    frames = [picture(1), picture(2)]
    _saved(tmp_path / "b.webp", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="b.webp: holds several pictures"):
        decode_photo((tmp_path / "b.webp").read_bytes(), "b.webp")
