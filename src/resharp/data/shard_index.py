"""The index of a set of shards: `index.json`, written last, read strictly."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from reprlib import repr as shortened
from typing import Any, get_args

from resharp.data.listing import Kind
from resharp.data.remote import NotThereError, is_url, shown
from resharp.data.shard_bytes import below, parent, read_whole, without_file_scheme
from resharp.errors import DataError

INDEX_NAME = "index.json"
SHARD_NAME = re.compile(r"resharp-\d{6}\.tar")
FORMAT, VERSION = "resharp-shards", 1
# Enough for a hundred million samples; what a server sends beyond that is no index.
MAX_INDEX_BYTES = 1 << 30
# Of a tar file: whatever begins in it begins at a multiple of this.
BLOCK = 512


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Args:
        name: of the file, beside the index.
        samples: how many it holds.
        bytes: its length.
        sha256: of the file, in hexadecimal.
        starts: the byte at which each sample begins; a sample ends where the next one begins. So any sample can
            be read, or asked of a server, without what comes before it.
    """

    name: str
    samples: int
    bytes: int
    sha256: str
    starts: tuple[int, ...]

    def span(self, row: int) -> tuple[int, int]:
        """First byte of a sample, and the byte after its last one."""
        return self.starts[row], self.starts[row + 1] if row + 1 < self.samples else self.bytes


@dataclass(frozen=True)
class ShardIndex:
    """What a set of shards holds.

    Args:
        kind: whether samples have a blurry partner.
        layout, split: of the data set that was packed.
        source_fingerprint: of the listing that was packed.
        seed: of the order of the samples.
        tile_px, tile_overlap_px: of the tiles that photographs were cut into; None where they are whole.
        total: samples in all shards.
        shards: the files.
        left_out: a line, with name and reason, for each photograph that could not be read.
    """

    kind: Kind
    layout: str
    split: str
    source_fingerprint: str
    seed: int
    tile_px: int | None
    tile_overlap_px: int | None
    total: int
    shards: tuple[Shard, ...]
    left_out: tuple[str, ...]

    def to_json(self) -> str:
        """The file's text; a line for each shard."""
        facts = {"format": FORMAT, "version": VERSION, **asdict(self)}
        facts["shards"] = [asdict(shard) for shard in self.shards]
        lines = []
        for key, value in facts.items():
            inside = ",\n    ".join(map(json.dumps, value)) if key in ("shards", "left_out") and value else None
            lines.append(f'  "{key}": ' + (json.dumps(value) if inside is None else f"[\n    {inside}\n  ]"))
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the index's content, which holds the shards' own."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def locate_index(place: str) -> tuple[str, str]:
    """The folder of shards, and the index in it, that `place` means: a folder or an index.json, as path or URL."""
    place = without_file_scheme(place)
    if shown(place).endswith(".json"):
        return parent(place), place
    return place, below(place, INDEX_NAME)


def is_shards(place: str) -> bool:
    """Whether `place` means shards and not a folder of photographs; true for a set that is incomplete, too."""
    folder, index = locate_index(place)
    if is_url(folder) or place == index:
        return True
    try:
        if any(SHARD_NAME.fullmatch(name) for name in os.listdir(folder)):
            return True
        with open(index, "rb") as file:
            return FORMAT.encode() in file.read(200)
    except OSError:
        return False


def open_index(place: str) -> ShardIndex:
    """Read and check the index of a folder of shards.

    Args:
        place: the folder or its index.json, as path or URL.

    Raises:
        DataError: there is none, it cannot be read, or it is not as `resharp data pack` writes it.
    """
    _, file = locate_index(place)
    try:
        data = read_whole(file, MAX_INDEX_BYTES)
    except NotThereError as error:
        remedy = "make one with: resharp data pack PATH -o FOLDER (a pack that was interrupted has none)"
        raise DataError(f"{shown(file)}: no such file, so this is no complete set of shards; {remedy}") from error
    try:
        return _parse(json.loads(data))
    except (ValueError, RecursionError, _WrongError) as error:  # what is not JSON or not UTF-8 is a ValueError
        remedy = "copy it here again, or pack the photographs again with: resharp data pack"
        raise DataError(f"{shown(file)}: not an index of shards ({error}); {remedy}") from error


class _WrongError(Exception):
    """What is not as it must be."""


def _parse(facts: Any) -> ShardIndex:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise _WrongError(f"its format is not {FORMAT}")
    if facts.get("version") != VERSION:
        raise _WrongError(f"its version is {shortened(facts.get('version'))}, this resharp reads {VERSION}")
    _check_keys(facts, {"format", "version", *ShardIndex.__dataclass_fields__}, "the index")
    for key in ("layout", "split", "source_fingerprint"):
        _check(isinstance(facts[key], str), f"{key} is no text")
    for key in ("tile_px", "tile_overlap_px"):
        _check(facts[key] is None or _is_count(facts[key]), f"{key} is no whole number")
    _check(facts["kind"] in get_args(Kind), f"kind is {shortened(facts['kind'])}")
    _check(isinstance(facts["seed"], int), "seed is no whole number")
    _check(_is_list(facts["left_out"], str), "left_out is no list of lines")
    _check(_is_list(facts["shards"], dict) and facts["shards"], "shards is no list of files")
    shards = tuple(_parse_shard(shard) for shard in facts["shards"])
    _check(len({shard.name for shard in shards}) == len(shards), "a shard is listed twice")
    _check(facts["total"] == sum(shard.samples for shard in shards), "total is not the sum of the shards' samples")
    given = {key: value for key, value in facts.items() if key not in ("format", "version")}
    return ShardIndex(**given | {"shards": shards, "left_out": tuple(facts["left_out"])})


def _parse_shard(facts: Mapping[str, Any]) -> Shard:
    _check_keys(facts, set(Shard.__dataclass_fields__), "a shard")
    name, starts, size = facts["name"], facts["starts"], facts["bytes"]
    # Names are joined to the index's place: one with a slash in it could mean any file.
    _check(isinstance(name, str) and SHARD_NAME.fullmatch(name) is not None, f"{shortened(name)} is no name of a shard")
    _check(isinstance(facts["sha256"], str) and re.fullmatch("[0-9a-f]{64}", facts["sha256"]), f"{name}: sha256")
    _check(_is_list(starts, int) and all(map(_is_count, starts)) and _is_count(size), f"{name}: bytes or starts")
    _check(_is_count(facts["samples"]) and facts["samples"] == len(starts) > 0, f"{name}: samples are not its starts")
    rising = starts[0] == 0 and all(a < b for a, b in pairwise([*starts, size]))
    _check(rising and all(start % BLOCK == 0 for start in starts), f"{name}: starts that no tar file has")
    return Shard(name, facts["samples"], size, facts["sha256"], tuple(starts))


def _check_keys(facts: Mapping[str, Any], expected: set[str], what: str) -> None:
    for key in sorted(expected ^ facts.keys()):
        raise _WrongError(f"{what} has {'no' if key in expected else 'an unknown'} {shortened(key)}")


def _check(right: Any, wrong: str) -> None:
    if not right:
        raise _WrongError(wrong)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: Any, of: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, of) for item in value)
