"""Photographs in folders: every epoch goes through all of them, whoever asks and in whatever order."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resharp.data.folders import FolderSource
from resharp.data.listing import Entry, Listing
from resharp.data.source import Batching
from resharp.errors import DataError
from runs import pair_listing, rectangles, save, sharp_listing


def names(source, batching, steps):
    return [
        [sample.name for part in range(batching.parts) for sample in source.draw(batching, step, part).samples]
        for step in steps
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return FolderSource([sharp_listing(tmp_path_factory.mktemp("photos"), 7, 40)])


@given(seed=st.integers(0, 100), part_size=st.integers(1, 5), parts=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_every_epoch_has_every_photograph_once(source, seed, part_size, parts):
    batching = Batching(part_size * parts, parts, seed)
    drawn = sum(names(source, batching, range(21)), [])
    for start in range(0, len(drawn) - 6, 7):
        assert len(set(drawn[start : start + 7])) == 7


def test_what_is_drawn_does_not_depend_on_what_was_drawn_before(source):
    batching = Batching(4, 2, 3)
    forward = names(source, batching, range(12))
    again = pickle.loads(pickle.dumps(source))
    assert list(reversed(names(again, batching, reversed(range(12))))) == forward
    assert names(source, Batching(4, 4, 3), range(12)) == forward, "the division into parts changes nothing"
    assert names(source, Batching(4, 2, 4), range(12)) != forward
    assert forward[0] + forward[1] != forward[7] + forward[8][:1], "epochs differ in their order"


def test_held_out_photographs_are_not_drawn(tmp_path):
    source = FolderSource([sharp_listing(tmp_path, 6, 40)])
    held = source.hold_out(2)
    assert [sample.name.rsplit("/", 1)[1] for sample in held] == ["0.png", "3.png"]
    drawn = Counter(sum(names(source, Batching(2, 1, 0), range(6)), []))
    assert len(drawn) == len(source) == 4
    assert not set(drawn) & {sample.name for sample in held}
    with pytest.raises(DataError, match="validation_photos = 4"):
        source.hold_out(4)


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_pairs_come_with_their_partner(tmp_path, cache_gb):
    listing = pair_listing(tmp_path, 3, 40)
    source = FolderSource([listing], cache_gb=cache_gb)
    assert source.kind == "pairs"
    for sample in source.draw(Batching(3, 1, 0), 0, 0).samples:
        assert sample.blurry.shape == sample.sharp.shape == (3, 40, 40)
        assert sample.blurry.float().mean() < 0.8 * sample.sharp.float().mean()


def test_unusable_photographs_are_left_out_and_named(tmp_path):
    for i, photo in enumerate(rectangles(2)):
        save(photo, tmp_path / f"good_{i}.png")
    save(rectangles(1, 20)[0], tmp_path / "small.png")
    (tmp_path / "text.jpg").write_text("not a photo")
    cut = save(rectangles(1)[0], tmp_path / "cut.png")
    cut.write_bytes(cut.read_bytes()[:-300])
    entries = tuple(Entry(path.name, path) for path in sorted(tmp_path.iterdir()))
    listing = Listing("sharp", tmp_path, "all", entries)
    source = FolderSource([listing], min_side_px=64)
    assert sorted(line.split(":")[0].rsplit("/", 1)[1] for line in source.left_out) == [
        "cut.png",
        "small.png",
        "text.jpg",
    ]
    assert len(source) == 2
    assert torch.equal(source.read(entries[1]).sharp, rectangles(2)[0])
    # Without a cache the cut one is met when it is drawn, and replaced.
    late = FolderSource([listing], min_side_px=64, cache_gb=0.0)
    assert len(late.left_out) == 2
    drawn = [late.draw(Batching(3, 1, 0), step, 0) for step in range(3)]
    assert sum(len(part.failures) for part in drawn) == 1
    assert {len(part.samples) for part in drawn} == {3}
    with pytest.raises(DataError, match=r"no usable photograph.*3 left out|no usable photograph.*5 left out"):
        FolderSource([listing], min_side_px=500)


def test_partners_of_different_size_are_left_out(tmp_path):
    listing = pair_listing(tmp_path, 3, 40)
    save(rectangles(1, 44)[0], listing.entries[1].blurry)
    source = FolderSource([listing])
    assert len(source) == 2
    assert "not of the same size" in source.left_out[0]


def test_pairs_and_sharp_photographs_do_not_mix(tmp_path):
    with pytest.raises(DataError, match="not on both at once"):
        FolderSource([pair_listing(tmp_path / "a", 1, 40), sharp_listing(tmp_path / "b", 1, 40)])


def test_fingerprints_follow_the_files(tmp_path):
    listing = sharp_listing(tmp_path, 3, 40)
    before = FolderSource([listing]).fingerprint()
    assert FolderSource([listing]).fingerprint() == before
    save(rectangles(1, 48)[0], tmp_path / "1.png")
    assert FolderSource([listing]).fingerprint() != before
