"""`resharp data pack` as a user calls it."""

from __future__ import annotations

import json

import pytest

from resharp.data.shards import ShardSource
from shard_sets import make_listing, picture


@pytest.fixture
def photos(tmp_path):
    make_listing(tmp_path / "photos", 5, width=80, height=60)
    return tmp_path / "photos"


def test_packs_what_the_source_then_reads(resharp, photos, tmp_path):
    out = tmp_path / "new" / "shards"
    ran = resharp("data", "pack", photos, "-o", out)
    assert ran.code == 0
    assert ran.out.startswith("5 pairs in 1 shards, ")
    assert ran.out.count("\n") == 1
    assert str(out) in ran.out
    source = ShardSource(out)
    assert (len(source), source.kind) == (5, "pairs")


def test_json_is_the_only_output(resharp, photos, tmp_path):
    (photos / "sharp" / "001.png").write_bytes(b"broken")
    out = tmp_path / "shards"
    ran = resharp("data", "pack", photos, "-o", out, "--json", "--tile-px", 48, "--seed", 4)
    assert ran.code == 0
    facts = json.loads(ran.out)
    source = ShardSource(out)
    # Overlap by a quarter: 80 x 60 are two tiles by two.
    assert (facts["samples"], facts["shards"], facts["kind"]) == (16, 1, "pairs")
    assert facts["bytes"] == (out / "resharp-000000.tar").stat().st_size
    assert facts["fingerprint"] == source.fingerprint()
    assert (source.index.seed, source.index.tile_px, source.index.tile_overlap_px) == (4, 48, 12)
    (line,) = facts["left_out"]
    assert line.startswith("sharp/001.png: not a photo")
    assert "left out 1 of 5:" in ran.err
    assert line in ran.err


def test_sharp_photographs(resharp, tmp_path):
    (tmp_path / "own").mkdir()
    for i in range(3):
        picture(i).save(tmp_path / "own" / f"{i}.png")
    ran = resharp("data", "pack", tmp_path / "own", "-o", tmp_path / "shards", "--json")
    assert json.loads(ran.out)["kind"] == "sharp"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tile-px", 8], "tiles of 8 px"),
        (["--tile-px", 64, "--tile-overlap-px", 64], "overlap by 64 px"),
        (["--tile-overlap-px", 16], "--tile-overlap-px is for tiles; give --tile-px too"),
        (["--split", "test"], "no split 'test'"),
        (["--gopro-blur", "both"], "blur_gamma"),
    ],
)
def test_impossible_options_are_one_line_and_make_nothing(resharp, photos, tmp_path, options, words):
    ran = resharp("data", "pack", photos, "-o", tmp_path / "shards", *options)
    assert ran.code == 1
    assert words in ran.line
    assert not (tmp_path / "shards").exists()


def test_a_shard_size_of_nothing_is_a_misunderstanding(resharp, photos, tmp_path):
    ran = resharp("data", "pack", photos, "-o", tmp_path / "shards", "--shard-mb", 0)
    assert ran.code == 2
    assert "--shard-mb" in ran.line


def test_places_that_cannot_be_used(resharp, photos, tmp_path):
    assert "no such folder" in resharp("data", "pack", tmp_path / "none", "-o", tmp_path / "shards").line
    assert "is not one; choose another" in resharp("data", "pack", photos, "-o", photos / "sharp" / "000.png").line
    ran = resharp("data", "pack", photos, "-o", photos)
    assert ran.code == 1
    assert "which is no shard; choose an empty folder" in ran.err.splitlines()[-1]
    assert (photos / "sharp" / "000.png").exists()
