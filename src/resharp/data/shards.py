"""Training's photographs from shards, on disk or at a URL, each part reading its own share of them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resharp.data.decoding import decode_photo
from resharp.data.listing import Kind
from resharp.data.remote import is_url, shown
from resharp.data.shard_bytes import LocalShard, ShardBytes, StreamedShard, below, download
from resharp.data.shard_index import Shard, locate_index, open_index
from resharp.data.shard_order import At, Lane, ShardOrder
from resharp.data.source import Batching, Drawn, Sample
from resharp.errors import DataError, ImageError, OutputError

# So many unusable photographs in a row are no accident.
MAX_TRIES = 20
# A window of samples from a URL is held in memory, encoded, for each lane that a process reads.
WINDOW_BYTES = 64 << 20
SMALLEST_WINDOW = 8
MAX_LANES = 64


class ShardSource:
    """The samples of a folder of shards; see `resharp.data.source.Source`.

    From disk, each sample is read where it is. From a URL, the shards of a lane are streamed, each once an epoch;
    a process that asks for samples elsewhere connects again there.

    Args:
        place: a folder that `resharp data pack` has made, or its index.json; a path or a URL.
        min_side_px: photographs with a shorter side are replaced by others.
        window: samples that are shuffled together; fewer where they take more than 64 MiB, but 8 at least.
        streams: into how many lanes each part's samples are divided, each read by one data worker. A setting of
            the run: the order depends on it, but not on the number of workers, which should divide it.
        cache_dir: keep shards that come from a URL in this folder, whole, with their checksums verified.

    Attributes:
        left_out: one line, with the reason, for each photograph that could not be packed.

    Raises:
        DataError: no index, a wrong one, or a shard on disk that is missing or of another length.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        *,
        min_side_px: int = 0,
        window: int = 256,
        streams: int = 1,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if window < 1 or streams < 1:
            raise ValueError(f"window = {window} and streams = {streams} must be at least 1")
        self.folder, _ = locate_index(os.fspath(place))
        self.index = open_index(os.fspath(place))
        self.kind: Kind = self.index.kind
        self.left_out = list(self.index.left_out)
        self._fingerprint = self.index.fingerprint()
        self.min_side_px = min_side_px
        self.remote = is_url(self.folder)
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        if not self.remote:
            for shard in self.index.shards:
                _check_local(Path(self.folder, shard.name), shard)
        fitting = WINDOW_BYTES * self.index.total // sum(shard.bytes for shard in self.index.shards)
        window = min(window, max(SMALLEST_WINDOW, fitting))
        self._order = ShardOrder([shard.samples for shard in self.index.shards], window, streams)
        self._forget()

    def __len__(self) -> int:
        return self.index.total

    def fingerprint(self) -> str:
        """SHA-256 of the index's content."""
        return self._fingerprint

    def describe(self) -> str:
        """One line for people."""
        index = self.index
        what = "pairs" if self.kind == "pairs" else "sharp photographs"
        tiles = "" if index.tile_px is None else f", tiles of {index.tile_px} px"
        where = f"{len(index.shards)} shards at {shown(self.folder)}"
        return f"{len(self)} {what} ({index.layout}, {index.split}{tiles}) in {where}"

    def draw(self, batching: Batching, step: int, part: int) -> Drawn:
        """As in `Source`. Each epoch goes at most once through each sample; less than a batch is left over.

        Raises:
            DataError: a shard cannot be read, or hardly any photograph in it can be used.
        """
        lane, first = self._order.lane(batching, step, part)
        failures: list[str] = []
        samples = [self._first_usable(lane, place, failures) for place in range(first, first + batching.part_size)]
        return Drawn(samples, failures)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lanes": None, "_process": None}

    def _first_usable(self, lane: Lane, place: int, failures: list[str]) -> Sample:
        for tried in range(place, place + MAX_TRIES):
            at = self._order.sample(lane, tried)
            label = f"{self.index.shards[at.shard].name}, sample {at.row}"
            try:
                return self._decode(self._read(lane, tried, at), label)
            except ImageError as error:
                line = str(error)
                if line not in failures:
                    failures.append(line)
        raise DataError(f"{shown(self.folder)}: {MAX_TRIES} samples in a row cannot be used; check the set ({line})")

    def _decode(self, data: bytes, label: str) -> Sample:
        packed = unpack(data, label)
        if (packed.blurry is None) != (self.kind == "sharp"):
            raise ImageError(f"{packed.name}: the sample is damaged ({label}); copy the shard again")
        sharp = decode_photo(packed.sharp, packed.name)
        blurry = None if packed.blurry is None else decode_photo(packed.blurry, f"{packed.name} (blurry)")
        if blurry is not None and blurry.shape != sharp.shape:
            raise ImageError(f"{packed.name}: its blurry partner is not of the same size")
        height, width = sharp.shape[1:]
        if min(height, width) < self.min_side_px:
            needed = f"{self.min_side_px} px a side are needed"
            raise ImageError(f"{packed.name}: {width}x{height} is too small for training; {needed}")
        return Sample(packed.name, sharp, blurry)

    def _read(self, lane: Lane, place: int, at: At) -> bytes:
        if self._process != os.getpid():
            # Processes that share an open file or connection would move each other's place in it.
            self._forget()
        key = (lane.seed, lane.part, lane.number)
        reader = self._lanes.setdefault(key, _LaneReader())
        self._lanes.move_to_end(key)
        if len(self._lanes) > MAX_LANES:
            self._lanes.popitem(last=False)[1].close()
        if not self.remote or self.cache_dir is not None or place >= lane.length:
            return self._span(reader, at)
        window = place // self._order.window
        if reader.window != (lane, window):
            reader.window, reader.held = (lane, window), {}
            reader.ahead = self._order.window_samples(lane, window)[::-1]
        while at not in reader.held:
            following = reader.ahead[-1]
            reader.held[following] = self._span(reader, following)
            reader.ahead.pop()
        return reader.held[at]

    def _span(self, reader: _LaneReader, at: At) -> bytes:
        shard = self.index.shards[at.shard]
        if reader.shard is None or reader.number != at.shard:
            reader.close()
            reader.number, reader.shard = at.shard, self._open(shard)
        return reader.shard.read(*shard.span(at.row))

    def _open(self, shard: Shard) -> ShardBytes:
        place = below(self.folder, shard.name)
        if not self.remote:
            return LocalShard(place)
        if self.cache_dir is None:
            return StreamedShard(place, shard.bytes)
        # Processes that need the same shard at the same time may each fetch it; the last one's stays.
        kept = self.cache_dir / self.fingerprint()[:16] / shard.name
        if not kept.is_file() or kept.stat().st_size != shard.bytes:
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{kept.parent}: cannot make this folder ({error.strerror})") from error
            download(place, shard.bytes, shard.sha256, kept)
        return LocalShard(str(kept))

    def _forget(self) -> None:
        self._lanes: OrderedDict[tuple[int, int, int], _LaneReader] = OrderedDict()
        self._process = os.getpid()


class _LaneReader:
    """What one process holds of one lane: an open shard and, of a stream, the window that is being dealt out."""

    def __init__(self) -> None:
        self.number = -1
        self.shard: ShardBytes | None = None
        self.window: tuple[Lane, int] | None = None
        self.ahead: list[At] = []
        self.held: dict[At, bytes] = {}

    def close(self) -> None:
        if self.shard is not None:
            self.shard.close()


@dataclass(frozen=True)
class Unpacked:
    """One sample as it is in a shard: whole files."""

    name: str
    sharp: bytes
    blurry: bytes | None


def unpack(data: bytes, label: str) -> Unpacked:
    """The files of one sample.

    Args:
        data: the stretch of a tar file that holds them.
        label: named in errors.

    Raises:
        ImageError: it does not hold what a sample must.
    """
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                role = member.name.partition(".")[2].partition(".")[0]
                file = archive.extractfile(member)
                files[role] = b"" if file is None else file.read()
        name = json.loads(files["json"])["name"]
        return Unpacked(str(name), files["sharp"], files.get("blurry"))
    except (tarfile.TarError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ImageError(f"{label}: the sample is damaged; copy the shard again") from error


def _check_local(path: Path, shard: Shard) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: listed in index.json but cannot be read ({reason}); copy it here again") from error
    if size != shard.bytes:
        raise DataError(f"{path}: is {size} bytes long, but index.json says {shard.bytes}; copy it here again")
