"""Streaming from shards: who gets which sample, from disk and over http, and what happens when things break."""

from __future__ import annotations

import io
import os
import pickle
import random
import shutil
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resharp.data import remote
from resharp.data import shards as shards_module
from resharp.data.listing import Listing
from resharp.data.packing import pack
from resharp.data.shard_bytes import LocalShard, StreamedShard
from resharp.data.shard_index import open_index
from resharp.data.shard_order import ShardOrder, shuffled
from resharp.data.shards import ShardSource
from resharp.data.source import Batching
from resharp.errors import DataError, ImageError
from shard_sets import make_listing, picture, serving

COUNT = 23


@pytest.fixture(scope="module")
def listing(tmp_path_factory) -> Listing:
    return make_listing(tmp_path_factory.mktemp("photos"), COUNT, width=300, height=200)


@pytest.fixture(scope="module")
def packed(listing, tmp_path_factory) -> Path:
    """23 pairs in 12 shards."""
    folder = tmp_path_factory.mktemp("shards")
    pack(listing, folder, shard_mb=1)
    assert len(open_index(str(folder)).shards) == 12
    return folder


@pytest.fixture
def shards(packed, tmp_path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(packed, tmp_path / "copy"))


@pytest.fixture
def served(packed, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(remote, "PAUSES_S", (0.0, 0.01, 0.01))
    with serving(packed) as server:
        yield server


BATCHING = Batching(batch_size=4, parts=2, seed=5)


def names(source: ShardSource, step: int, part: int, batching: Batching = BATCHING) -> list[str]:
    return [sample.name for sample in source.draw(batching, step, part).samples]


def run_of(source: ShardSource, steps: range, batching: Batching = BATCHING) -> list[list[str]]:
    return [names(source, step, part, batching) for step in steps for part in range(batching.parts)]


# Who gets which sample: arithmetic.

orders = st.builds(
    lambda sizes, parts, part_size, window, streams, seed: (
        ShardOrder(sizes, window, streams),
        Batching(parts * part_size, parts, seed),
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(0, 2**40),
)


def epoch_of(order: ShardOrder, batching: Batching, epoch: int) -> list[list]:
    """For each step and part of an epoch, its samples."""
    steps = order.epoch_steps(batching)
    dealt = []
    for step in range(epoch * steps, (epoch + 1) * steps):
        for part in range(batching.parts):
            lane, first = order.lane(batching, step, part)
            assert lane.epoch == epoch
            dealt.append([order.sample(lane, first + i) for i in range(batching.part_size)])
    return dealt


@settings(deadline=None, max_examples=150)
@given(orders, st.integers(0, 5))
def test_an_epoch_uses_each_sample_at_most_once_and_leaves_less_than_a_batch(case, epoch):
    order, batching = case
    dealt = Counter(at for part in epoch_of(order, batching, epoch) for at in part)
    assert all(0 <= at.row < order.samples[at.shard] for at in dealt)
    if order.total >= batching.batch_size:
        assert max(dealt.values()) == 1
        assert order.total - len(dealt) < batching.batch_size
    else:
        assert dealt.total() == batching.batch_size
        assert len(dealt) == order.total
        assert max(dealt.values()) - min(dealt.values()) <= 1


@settings(deadline=None, max_examples=25, derandomize=True)
@given(orders)
def test_over_many_epochs_every_sample_is_used(case):
    order, batching = case
    used = {at for epoch in range(40) for part in epoch_of(order, batching, epoch) for at in part}
    assert len(used) == order.total


@settings(deadline=None, max_examples=80)
@given(orders, st.integers(0, 3))
def test_windows_are_what_is_dealt_out_of_them(case, epoch):
    """A streaming reader that reads windows meets every sample of its lane, and no other."""
    order, batching = case
    steps = order.epoch_steps(batching)
    for step in range(epoch * steps, (epoch + 1) * steps):
        lane, first = order.lane(batching, step, batching.parts - 1)
        for place in range(first, first + batching.part_size):
            window = order.window_samples(lane, place // order.window)
            assert len(window) <= order.window
            assert order.sample(lane, place) in window


def test_epochs_differ_in_order_and_in_what_is_left_over():
    order, batching = ShardOrder([50], window=8, streams=1), Batching(batch_size=8, parts=1, seed=0)
    epochs = [[at for part in epoch_of(order, batching, epoch) for at in part] for epoch in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert len({frozenset(epoch) for epoch in epochs}) == 3


def test_the_order_stays_what_it_is():
    """Runs are resumed elsewhere and later: these numbers must not change."""
    assert shuffled(8, 1, 2) == [4, 7, 0, 3, 1, 2, 6, 5]
    order = ShardOrder([5, 3, 9], window=4, streams=2)
    lane, first = order.lane(Batching(batch_size=4, parts=2, seed=7), 5, 1)
    assert [tuple(order.sample(lane, first + i)) for i in range(2)] == [(2, 4), (2, 3)]


# Reading.


def test_samples_are_the_files(listing, packed):
    source = ShardSource(packed)
    files = {entry.name: entry for entry in listing.entries}
    assert (source.kind, len(source)) == ("pairs", COUNT)
    seen = set()
    for step in range(5):
        for part in range(2):
            drawn = source.draw(BATCHING, step, part)
            assert drawn.failures == []
            assert len(drawn.samples) == BATCHING.part_size
            for sample in drawn.samples:
                for tensor, path in (
                    (sample.sharp, files[sample.name].sharp),
                    (sample.blurry, files[sample.name].blurry),
                ):
                    assert tensor.dtype == torch.uint8
                    assert np.array_equal(tensor.permute(1, 2, 0), Image.open(path))
                seen.add(sample.name)
    assert len(seen) == 20


def test_what_is_drawn_depends_on_the_arguments_alone(packed):
    source = ShardSource(packed, streams=2, window=5)
    in_turn = {(step, part): names(source, step, part) for step in range(14) for part in range(2)}
    keys = list(in_turn)
    random.Random(0).shuffle(keys)
    for step, part in keys:
        assert names(source, step, part) == in_turn[step, part]
    for step, part in keys[:6]:
        assert names(ShardSource(packed, streams=2, window=5), step, part) == in_turn[step, part]
    other = ShardSource(packed, streams=2, window=5)
    assert [names(other, 1, 0, Batching(4, 2, seed)) for seed in (5, 6)].count(in_turn[1, 0]) == 1


def test_a_run_goes_on_in_the_middle_of_an_epoch(packed):
    whole = run_of(ShardSource(packed, streams=3), range(12))
    assert run_of(ShardSource(packed, streams=3), range(3, 12)) == whole[6:]


def test_the_streams_matter_and_so_does_the_seed(packed):
    run = run_of(ShardSource(packed, streams=1), range(5))
    assert run != run_of(ShardSource(packed, streams=2), range(5))
    assert run != run_of(ShardSource(packed), range(5), Batching(4, 2, seed=6))


def test_a_set_smaller_than_a_batch_comes_round_again(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    pack(make_listing(tmp_path / "photos", 3), folder)
    drawn = run_of(ShardSource(folder), range(4), Batching(8, 1, 0))
    assert all(Counter(step).most_common()[-1][1] >= 2 and len(set(step)) == 3 for step in drawn)


class _Draws(torch.utils.data.Dataset):
    def __init__(self, source: ShardSource) -> None:
        self.source = source

    def __getitem__(self, step: int) -> list[tuple[str, int]]:
        samples = self.source.draw(BATCHING, step, 1).samples
        return [(sample.name, int(sample.sharp.sum()) + int(sample.blurry.sum())) for sample in samples]


def loaded(source: ShardSource, workers: int, **options: object) -> list:
    # A source that was used before must not hand its open files to the workers.
    source.draw(BATCHING, 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        loader = torch.utils.data.DataLoader(
            _Draws(source),
            batch_size=None,
            sampler=range(2, 13),
            num_workers=workers,
            timeout=60 * bool(workers),
            **options,
        )
        return [[tuple(sample) for sample in step] for step in loader]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_draw_the_same(packed, start):
    if start == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork here")
    source = ShardSource(packed, streams=2, window=6)
    assert loaded(source, 2, multiprocessing_context=start) == loaded(source, 0)


def test_workers_draw_the_same_over_http(packed, served):
    expected = loaded(ShardSource(packed, streams=2, window=6), 0)
    assert loaded(ShardSource(served.url, streams=2, window=6), 2) == expected


def test_pickling_carries_no_open_file(packed, served):
    for place in (packed, served.url):
        source = ShardSource(place)
        expected = names(source, 3, 0)
        copy = pickle.loads(pickle.dumps(source))
        assert not copy._lanes
        assert names(copy, 3, 0) == expected


# How much is read.


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """The sizes of all reads from shards."""
    sizes: list[int] = []
    for kind in (LocalShard, StreamedShard):

        def counting(self, start, end, real=kind.read):
            sizes.append(end - start)
            return real(self, start, end)

        monkeypatch.setattr(kind, "read", counting)
    return sizes


@pytest.mark.parametrize("where", ["disk", "http"])
def test_each_part_and_each_worker_reads_its_share(packed, served, read, where):
    total = sum(shard.bytes for shard in open_index(str(packed)).shards)
    place = packed if where == "disk" else served.url
    batching = Batching(batch_size=2, parts=2, seed=1)
    for part in range(2):
        for worker in range(2):
            source = ShardSource(place, streams=2, window=4)
            read.clear()
            for step in range(worker, 11, 2):
                source.draw(batching, step, part)
            # 11 steps of 23 samples: 6 or 5 of each lane.
            assert len(read) == (6, 5)[worker]
            assert sum(read) == pytest.approx(total * len(read) / COUNT, rel=0.05)


def test_over_http_a_shard_is_one_request_for_each_lane(served):
    source = ShardSource(served.url, window=4)
    served.requests.clear()
    for step in range(11):
        source.draw(Batching(2, 1, 3), step, 0)
    asked = Counter(path for path, _ in served.requests)
    # The shard in which the epoch begins is met again at its end.
    assert asked.total() <= 13
    assert sorted(asked.values())[:-1] == [1] * (len(asked) - 1)


def test_resuming_over_http_skips_what_comes_before(served):
    batching = Batching(2, 1, 3)
    ShardSource(served.url, window=2).draw(batching, 0, 0)
    served.requests.clear()
    ShardSource(served.url, window=2).draw(batching, 8, 0)
    assert [path for path, _ in served.requests][0] == "index.json"
    assert len(served.requests) <= 3


# Over http.


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("end", ["", "/", "/index.json", "/index.json?key=secret"])
def test_http_gives_the_same_as_the_disk(packed, served, ranges, end):
    served.ranges = ranges
    source = ShardSource(served.url + end, streams=2, window=7)
    disk = ShardSource(packed, streams=2, window=7)
    assert source.fingerprint() == disk.fingerprint()
    assert run_of(source, range(7)) == run_of(disk, range(7))
    assert names(source, 1, 1) == names(disk, 1, 1)
    assert "secret" not in source.describe()


def test_broken_connections_are_mended(packed, served):
    served.fail = lambda path, earlier: (503, -700_000, -300_000, None)[min(earlier, 3)] if ".tar" in path else None
    assert run_of(ShardSource(served.url), range(5)) == run_of(ShardSource(packed), range(5))
    assert any(start for _, start in served.requests)


def test_broken_connections_are_mended_without_ranges(packed, served):
    served.ranges = False
    served.fail = lambda path, earlier: -400_000 if ".tar" in path and earlier % 2 == 0 else None
    assert run_of(ShardSource(served.url), range(5)) == run_of(ShardSource(packed), range(5))


def test_a_server_that_stays_broken_is_named(served):
    source = ShardSource(f"{served.url}/?key=secret")
    served.fail = lambda path, earlier: 503
    with pytest.raises(DataError, match=r"/resharp-0000\d\d.tar: cannot read it .*503.*tried 4 times") as caught:
        source.draw(BATCHING, 0, 0)
    assert served.url in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    served.fail = lambda path, earlier: None
    assert source.draw(BATCHING, 0, 0).failures == []


@pytest.mark.parametrize(("status", "words"), [(404, "no such file"), (403, "refused .HTTP 403")])
def test_refusals_are_not_tried_again(served, status, words):
    source = ShardSource(served.url)
    served.fail = lambda path, earlier: status
    served.requests.clear()
    with pytest.raises(DataError, match=words):
        source.draw(BATCHING, 0, 0)
    assert len(served.requests) == 1


def test_no_index_and_no_server(served, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=f"{served.url}/elsewhere/index.json: no such file.*resharp data pack"):
        ShardSource(f"{served.url}/elsewhere")
    with pytest.raises(DataError, match=r"index.json: no such file.*resharp data pack"):
        ShardSource(tmp_path)
    with pytest.raises(DataError, match="cannot read it.*check the network"):
        ShardSource("http://127.0.0.1:9/shards")
    with pytest.raises(DataError, match="what://host/index.json"):
        ShardSource("what://host")


def test_a_shard_of_another_length_at_the_server(shards, served):
    served.folder = shards
    source = ShardSource(served.url)
    for file in shards.glob("*.tar"):
        file.write_bytes(file.read_bytes() + bytes(512))
    with pytest.raises(DataError, match="bytes long, but index.json says"):
        source.draw(BATCHING, 0, 0)


def test_other_schemes_are_read_with_fsspec(packed):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for file in packed.iterdir():
        memory.pipe(f"/shard-test/{file.name}", file.read_bytes())
    try:
        source = ShardSource("memory://shard-test", window=6)
        assert run_of(source, range(5)) == run_of(ShardSource(packed, window=6), range(5))
        with pytest.raises(DataError, match="resharp data pack"):
            ShardSource("memory://elsewhere")
    finally:
        memory.rm("/shard-test", recursive=True)


def test_file_urls_are_paths(packed):
    source = ShardSource(packed.as_uri())
    assert not source.remote
    assert names(source, 0, 0) == names(ShardSource(packed / "index.json"), 0, 0)


def test_the_cache_keeps_whole_shards(packed, served, tmp_path):
    cache = tmp_path / "cache" / "deep"
    source = ShardSource(served.url, cache_dir=cache)
    assert run_of(source, range(5)) == run_of(ShardSource(packed), range(5))
    kept = {path.name: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    assert kept == {name: (packed / name).read_bytes() for name in kept}
    assert len(kept) > 8
    served.requests.clear()
    assert run_of(ShardSource(served.url, cache_dir=cache), range(5)) == run_of(ShardSource(packed), range(5))
    assert served.requests == [("index.json", 0)]


def test_the_cache_refuses_a_wrong_checksum(shards, served, tmp_path):
    served.folder = shards
    for file in shards.glob("*.tar"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    with pytest.raises(DataError, match=f"{served.url}/.*its SHA-256 is not the one in index.json"):
        ShardSource(served.url, cache_dir=tmp_path / "cache").draw(BATCHING, 0, 0)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


# Damage.


def damage(folder: Path, which: int, row: int, offset: int = 0) -> None:
    """Overwrite 600 bytes of a sample: of its first header, or of what is `offset` behind that."""
    shard = open_index(str(folder)).shards[which]
    with open(folder / shard.name, "rb+") as file:
        file.seek(shard.starts[row] + offset)
        file.write(b"\xa5" * 600)


@pytest.mark.parametrize(("offset", "reason"), [(0, "the sample is damaged"), (60_000, "damaged or cut short")])
def test_damaged_samples_are_replaced_and_named(packed, shards, offset, reason):
    good = _drawn(ShardSource(packed))
    damage(shards, 3, 1, offset)
    source = ShardSource(shards)
    replaced = []
    for key, drawn in _drawn(source).items():
        expected = [sample.name for sample in good[key].samples]
        found = [sample.name for sample in drawn.samples]
        assert len(found) == len(expected)
        differing = [a for a, b in zip(expected, found, strict=True) if a != b]
        replaced += differing
        assert len(drawn.failures) == len(differing) <= 1
        assert all(reason in line for line in drawn.failures)
    # One sample, wherever it should have been.
    (bad,) = set(replaced)
    assert len(replaced) == sum(sample.name == bad for drawn in good.values() for sample in drawn.samples)
    again = _drawn(ShardSource(shards))
    assert {key: drawn.failures for key, drawn in again.items()} == {
        key: drawn.failures for key, drawn in _drawn(source).items()
    }


def _drawn(source: ShardSource) -> dict:
    return {(step, part): source.draw(BATCHING, step, part) for step in range(20) for part in range(2)}


def test_small_photographs_are_replaced(tmp_path):
    listing = make_listing(tmp_path / "photos", 6)
    picture(0, width=60, height=27).save(listing.entries[2].sharp)
    picture(0, width=60, height=27).save(listing.entries[2].blurry)
    (tmp_path / "shards").mkdir()
    pack(listing, tmp_path / "shards")
    source = ShardSource(tmp_path / "shards", min_side_px=28)
    drawn = source.draw(Batching(6, 1, 0), 0, 0)
    assert [sample.name for sample in drawn.samples].count("sharp/002.png") == 0
    assert len(drawn.samples) == 6
    assert drawn.failures == ["sharp/002.png: 60x27 is too small for training; 28 px a side are needed"]


def test_hardly_anything_usable_is_an_error(packed):
    with pytest.raises(DataError, match=r"20 samples in a row cannot be used.*300x200 is too small"):
        ShardSource(packed, min_side_px=201).draw(BATCHING, 0, 0)


def test_one_usable_photograph_of_few_is_found(tmp_path):
    listing = make_listing(tmp_path / "photos", 5)
    for entry in listing.entries[:4]:
        for path in (entry.sharp, entry.blurry):
            picture(0, width=20).save(path)
    (tmp_path / "shards").mkdir()
    pack(listing, tmp_path / "shards")
    source = ShardSource(tmp_path / "shards", min_side_px=24, streams=4)
    for batching in (Batching(1, 1, 0), Batching(2, 2, 1), Batching(5, 1, 2)):
        for step in range(10):
            assert set(names(source, step, 0, batching)) == {"sharp/004.png"}


def test_partners_of_different_size_in_a_shard(tmp_path):
    """Packing leaves them out; a set packed by other means may have them."""
    listing = make_listing(tmp_path / "photos", 4)
    folder = tmp_path / "shards"
    folder.mkdir()
    pack(listing, folder)
    picture(9, width=39).save(listing.entries[0].blurry)
    files = {"sharp.png": listing.entries[0].sharp.read_bytes(), "blurry.png": listing.entries[0].blurry.read_bytes()}
    data = tar_of({**files, "json": b'{"name": "odd"}'})
    with pytest.raises(ImageError, match="odd: its blurry partner is not of the same size"):
        ShardSource(folder)._decode(data, "here")


def test_a_sample_that_lacks_a_file(tmp_path, packed):
    source = ShardSource(packed)
    with pytest.raises(ImageError, match="alone: the sample is damaged .here.; copy the shard again"):
        source._decode(tar_of({"sharp.png": b"", "json": b'{"name": "alone"}'}), "here")
    for files in ({"json": b'{"name": "x"}'}, {"sharp.png": b"x"}, {"sharp.png": b"x", "json": b"[]"}):
        with pytest.raises(ImageError, match="here: the sample is damaged"):
            source._decode(tar_of(files), "here")


def tar_of(files: dict[str, bytes]) -> bytes:
    from webdataset.writer import TarWriter

    buffer = io.BytesIO()
    with TarWriter(buffer, encoder=False) as tar:
        tar.write({"__key__": "0", **files})
    return buffer.getvalue()


def test_a_missing_shard_is_named_at_once(shards):
    (shards / "resharp-000004.tar").unlink()
    with pytest.raises(DataError, match=r"resharp-000004.tar: listed in index.json but cannot be read \(No such file"):
        ShardSource(shards)


def test_a_shard_of_another_length_is_named_at_once(shards):
    file = shards / "resharp-000004.tar"
    file.write_bytes(file.read_bytes()[:-1024])
    with pytest.raises(DataError, match=r"resharp-000004.tar: is \d+ bytes long, but index.json says \d+; copy it"):
        ShardSource(shards)


def test_shards_that_change_under_the_reader(shards):
    source = ShardSource(shards)
    for file in shards.glob("*.tar"):
        os.truncate(file, 1024)
    with pytest.raises(DataError, match=r"resharp-0000\d\d.tar: cut short"):
        source.draw(BATCHING, 0, 0)
    for file in shards.glob("*.tar"):
        file.unlink()
    with pytest.raises(DataError, match=r"resharp-0000\d\d.tar: cannot read it \(No such file"):
        run_of(pickle.loads(pickle.dumps(source)), range(1))


# What it says about itself.


def test_the_fingerprint_is_the_contents(listing, packed, tmp_path):
    copy = Path(shutil.copytree(packed, tmp_path / "copy"))
    assert ShardSource(copy).fingerprint() == ShardSource(packed).fingerprint()
    (tmp_path / "other").mkdir()
    pack(listing, tmp_path / "other", seed=1)
    assert ShardSource(tmp_path / "other").fingerprint() != ShardSource(packed).fingerprint()


def test_description(packed):
    text = ShardSource(packed).describe()
    assert text == f"23 pairs (pairs of folders, all) in 12 shards at {packed}"


def test_left_out_is_passed_on(tmp_path):
    listing = make_listing(tmp_path / "photos", 4, pairs=False)
    listing.entries[1].sharp.write_bytes(b"x")
    (tmp_path / "shards").mkdir()
    index = pack(listing, tmp_path / "shards")
    source = ShardSource(tmp_path / "shards")
    assert source.left_out == list(index.left_out)
    assert "sharp/001.png" in source.left_out[0]
    assert (len(source), source.kind) == (3, "sharp")
    assert source.draw(Batching(1, 1, 0), 0, 0).samples[0].blurry is None


def test_windows_are_smaller_where_photographs_are_large(packed, monkeypatch):
    size = sum(shard.bytes for shard in open_index(str(packed)).shards) // COUNT
    for megabytes, expected in ((10 * size, 10), (size, shards_module.SMALLEST_WINDOW), (10**9, 16)):
        monkeypatch.setattr(shards_module, "WINDOW_BYTES", megabytes)
        assert ShardSource(packed, window=16)._order.window == expected
