"""From a listing of photographs to WebDataset shards: ordinary tar files with a few files for each sample.

A sample KEY is `KEY.sharp.png`, for pairs `KEY.blurry.png`, and `KEY.json` with its name; suffixes are those of the
files that were packed.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from resharp.data.decoding import decode_photo
from resharp.data.draws import ORDER, derived_seed
from resharp.data.listing import Listing
from resharp.data.shard_bytes import sha256_of
from resharp.data.shard_index import BLOCK, INDEX_NAME, SHARD_NAME, Shard, ShardIndex
from resharp.data.shard_order import shuffled
from resharp.data.tiles import Tiling, cut
from resharp.errors import ConfigError, DataError, ImageError, OutputError
from resharp.files import atomic_path, write_text

if TYPE_CHECKING:
    from webdataset.writer import TarWriter

OnPhoto = Callable[[int, int], None]

# Tiles of one photograph come one after another; so many bytes of them wait to be mixed with those of others.
MIXED_BYTES = 256 << 20
# What `atomic_path` leaves behind when the machine goes down.
_TEMPORARY = re.compile(r"\.resharp-[a-z0-9_]{8}\.(tar|json)")
_OWNER = "resharp"


class _File(NamedTuple):
    """A photograph's file that was read. pixels: (3, H, W) uint8."""

    suffix: str
    data: bytes
    pixels: Tensor


class _Photo(NamedTuple):
    """A photograph, or a pair, with its files by what they are: "sharp", "blurry"."""

    name: str
    files: dict[str, _File]


class _Packed(NamedTuple):
    """A sample as its shard will hold it: the files' contents by what follows the key in their names."""

    files: dict[str, bytes]

    @property
    def size(self) -> int:
        """Bytes in the tar file: a block of header each, and contents filled up to whole blocks."""
        return sum(BLOCK + -(-len(data) // BLOCK) * BLOCK for data in self.files.values())


def pack(
    listing: Listing,
    out: Path,
    *,
    shard_mb: int = 256,
    seed: int = 0,
    tiling: Tiling | None = None,
    on_photo: OnPhoto = lambda done, total: None,
) -> ShardIndex:
    """Write a listing's photographs as shards, in a random order. The same call writes the same bytes.

    Every photograph is decoded once as a check; files are stored as they are, unless they are cut into tiles. The
    index is written last, so shards without one are an incomplete set.

    Args:
        listing: the photographs.
        out: an existing folder, empty but for what an interrupted call left there, which is removed.
        shard_mb: a shard is ended before it would pass this many MiB; a larger sample has one to itself.
        seed: of the order.
        tiling: cut photographs into tiles; None keeps them whole.
        on_photo: called with how many photographs are read and how many there are.

    Returns:
        The index; its `left_out` names the photographs that could not be read.

    Raises:
        ConfigError: a size that is not allowed, or webdataset is not installed.
        DataError: no photograph can be read.
        OutputError: the folder holds other things or a complete set, or cannot be written to, or the disk is full.
    """
    if shard_mb < 1:
        raise ConfigError(f"a shard of {shard_mb} MB: allowed are 1 and more")
    writer = _tar_writer()
    _clear(out)
    left_out: list[str] = []
    photos = _readable(listing, seed, left_out, on_photo)
    samples = _whole(photos) if tiling is None else _mixed(_tiles(photos, tiling), seed)
    shards = _write_shards(samples, out, shard_mb << 20, writer)
    if not shards:
        reason = f" (first of {len(left_out)}: {left_out[0]})" if left_out else ""
        raise DataError(f"{listing.root}: no photograph that could be packed{reason}")
    index = ShardIndex(
        kind=listing.kind,
        layout=listing.layout,
        split=listing.split,
        source_fingerprint=listing.fingerprint(),
        seed=seed,
        tile_px=None if tiling is None else tiling.size_px,
        tile_overlap_px=None if tiling is None else tiling.overlap_px,
        total=sum(shard.samples for shard in shards),
        shards=tuple(shards),
        left_out=tuple(sorted(left_out)),
    )
    write_text(out / INDEX_NAME, index.to_json())
    return index


def _tar_writer() -> type[TarWriter]:
    try:
        from webdataset.writer import TarWriter
    except ImportError as error:
        raise ConfigError("packing needs webdataset; install it with: pip install 'resharp[shards]'") from error
    return TarWriter


def _clear(out: Path) -> None:
    """Remove what an interrupted call left; nothing is removed where anything else is in the folder."""
    try:
        names = sorted(os.listdir(out))
        if INDEX_NAME in names:
            raise OutputError(
                f"{out}: {INDEX_NAME} exists already, with its shards; choose another folder or delete it"
            )
        for name in names:
            if not (SHARD_NAME.fullmatch(name) or _TEMPORARY.fullmatch(name)):
                raise OutputError(f"{out}: holds {name}, which is no shard; choose an empty folder")
        for name in names:
            (out / name).unlink()
    except OSError as error:
        raise OutputError(f"{out}: cannot use this folder ({error.strerror or error}); choose another") from error


def _whole(photos: Iterator[_Photo]) -> Iterator[_Packed]:
    """Photographs as they are."""
    for name, files in photos:
        packed = {f"{role}{file.suffix}": file.data for role, file in files.items()}
        yield _Packed(packed | _about({"name": name}))


def _tiles(photos: Iterator[_Photo], tiling: Tiling) -> Iterator[_Packed]:
    """Tiles, photograph after photograph; both partners are cut alike."""
    for name, files in photos:
        height, width = files["sharp"].pixels.shape[1:]
        for left, top in tiling.corners(width, height):
            packed = {f"{role}.png": cut(file.pixels, left, top, tiling.size_px) for role, file in files.items()}
            yield _Packed(
                packed | _about({"name": f"{name}@{left},{top}", "photo": name, "left_px": left, "top_px": top})
            )


def _about(facts: dict[str, Any]) -> dict[str, bytes]:
    return {"json": json.dumps(facts).encode()}


def _readable(listing: Listing, seed: int, left_out: list[str], on_photo: OnPhoto) -> Iterator[_Photo]:
    """The photographs in a random order; a line in `left_out` for each that cannot be used."""
    total = len(listing.entries)
    for done, i in enumerate(shuffled(total, seed)):
        on_photo(done, total)
        entry = listing.entries[i]
        paths = {"sharp": entry.sharp} | ({} if entry.blurry is None else {"blurry": entry.blurry})
        try:
            files = {role: _read(path, listing.root) for role, path in paths.items()}
            if len({file.pixels.shape for file in files.values()}) > 1:
                raise ImageError(f"{entry.name}: its blurry partner is not of the same size")
        except ImageError as error:
            left_out.append(str(error))
            continue
        yield _Photo(entry.name, files)
    on_photo(total, total)


def _read(path: Path, root: Path) -> _File:
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{name}: cannot read it ({error.strerror or error})") from error
    return _File(path.suffix.lower(), data, decode_photo(data, name))


def _mixed(samples: Iterator[_Packed], seed: int) -> Iterator[_Packed]:
    """The same samples, each held back for a random while, as long as there is room for others."""
    held: list[_Packed] = []
    size = drawn = 0
    for sample in samples:
        held.append(sample)
        size += sample.size
        while size > MIXED_BYTES:
            i = derived_seed(seed, drawn, ORDER) % len(held)
            held[i], held[-1] = held[-1], held[i]
            size -= held[-1].size
            drawn += 1
            yield held.pop()
    for i in shuffled(len(held), seed):
        yield held[i]


def _write_shards(samples: Iterator[_Packed], out: Path, limit: int, writer: type[TarWriter]) -> list[Shard]:
    shards: list[Shard] = []
    total = 0
    waiting = next(samples, None)
    while waiting is not None:
        path = out / f"resharp-{len(shards):06d}.tar"
        with atomic_path(path) as temporary:
            # Not webdataset's ShardWriter, which gives a shard its final name before it is complete. The fixed time
            # makes equal data equal bytes.
            with open(temporary, "wb") as file, writer(file, encoder=False, mtime=0, user=_OWNER, group=_OWNER) as tar:
                size = 0
                while waiting is not None and (not size or size + waiting.size <= limit):
                    tar.write({"__key__": f"{total:08d}", **waiting.files})
                    size += waiting.size
                    total += 1
                    waiting = next(samples, None)
            shards.append(_describe(temporary, path.name))
    return shards


def _describe(path: Path, name: str) -> Shard:
    """The index's words about a shard, from reading it again: what was written is what is promised."""
    starts: dict[str, int] = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            starts.setdefault(member.name.partition(".")[0], member.offset)
    return Shard(name, len(starts), path.stat().st_size, sha256_of(path), tuple(starts.values()))
