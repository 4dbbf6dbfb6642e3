"""`resharp data pack`: a data set in, a folder of WebDataset shards out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError


def pack(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A data set: a folder of a known layout, or of photos.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Where the shards go: a new folder.")],
    split: Annotated[str, typer.Option(help="Which part of the data set, where it has parts.")] = "train",
    shard_mb: Annotated[int, typer.Option(min=1, metavar="MB", help="Size of a shard.")] = 256,
    seed: Annotated[int, typer.Option(help="Decides the order of the photographs.")] = 0,
    tile_px: Annotated[
        int | None, typer.Option(metavar="PX", help="Cut photographs into squares, saved as PNG.")
    ] = None,
    tile_overlap_px: Annotated[
        int | None, typer.Option(metavar="PX", help="What neighbours share; default 128, or a quarter if that is less.")
    ] = None,
    gopro_blur: Annotated[
        str, typer.Option(metavar="blur|blur_gamma", help="Which blurry photographs of GOPRO_Large.")
    ] = "blur",
    reds_blur: Annotated[
        str, typer.Option(metavar="blur|blur_jpeg", help="Which blurry frames of REDS, where both are there.")
    ] = "blur",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Pack a data set into WebDataset shards, to train from over a network or from slow disks.

    Files go in as they are, in a random order, unless --tile-px cuts them. index.json is written last: a folder
    without it is an incomplete set, and the same command starts it over.
    """
    if tile_px is None and tile_overlap_px is not None:
        raise ConfigError("--tile-overlap-px is for tiles; give --tile-px too")
    folder = Path(out)
    check_folder(folder)

    from resharp.data.layouts import find_listing
    from resharp.data.packing import pack as pack_listing
    from resharp.data.tiles import DEFAULT_OVERLAP_PX, Tiling
    from resharp.progress import progress_after_a_second

    tiling = None
    if tile_px is not None:
        tiling = Tiling(tile_px, min(DEFAULT_OVERLAP_PX, tile_px // 4) if tile_overlap_px is None else tile_overlap_px)
    listing = find_listing(
        path,
        split,
        gopro_blur=gopro_blur,  # type: ignore[arg-type]
        reds_blur=reds_blur,  # type: ignore[arg-type]
    )
    what = "pairs" if listing.kind == "pairs" else "sharp photographs"
    note(f"packing {len(listing.entries)} {what} of {path} ({listing.layout}, {listing.split})")
    make_folder(folder)
    with progress_after_a_second("packing") as on_photo:
        index = pack_listing(listing, folder, shard_mb=shard_mb, seed=seed, tiling=tiling, on_photo=on_photo)
    _tell_left_out(index.left_out, len(listing.entries))
    size = sum(shard.bytes for shard in index.shards)
    if as_json:
        facts = {"out": out, "kind": index.kind, "layout": index.layout, "split": index.split}
        facts |= {"samples": index.total, "shards": len(index.shards), "bytes": size}
        facts |= {"fingerprint": index.fingerprint(), "left_out": list(index.left_out)}
        say(json.dumps(facts, indent=2))
        return
    unit = what if tiling is None else f"tiles of {what}"
    say(f"{index.total} {unit} in {len(index.shards)} shards, {size / 1e6:.1f} MB: {folder}")


def _tell_left_out(left_out: Sequence[str], of: int) -> None:
    if left_out:
        note(f"left out {len(left_out)} of {of}:")
        for line in left_out:
            note(f"  {line}")
