"""`resharp analyze blur-gap`: how far synthetic blur is from real blur."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_file, check_folder, make_folder
from resharp.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from resharp.evaluate.pairs import FilePair

_READING = (
    "Distance: Wasserstein-1 in units of the real quartiles' distance; 0 is the same distribution."
    " Over the rows of kernels, PSNR and ratios of spectra, the mean is"
)


def blur_gap(
    pairs: Annotated[
        str, typer.Option(metavar="FOLDER", help="Real pairs: NAME_blur.* and NAME_sharp.*, or blurry/ and sharp/.")
    ],
    sharp: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Sharp photos to blur; default: the pairs' own.")
    ] = None,
    blur: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="TOML with a [blur] table; default: the default blur.")
    ] = None,
    tile: Annotated[int, typer.Option(metavar="PX", help="Side of the tiles that are measured.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The first N pairs, and photos.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of places and blur.")] = 0,
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write blur_gap.json and blur_gap.md here.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare real blurry pairs with the pairs that training would make from sharp photos.

    Measures kernels, spectra, noise, JPEG's traces and brightness of both, and the distances between them.
    """
    report_file, table_file = (Path(out or ".") / name for name in ("blur_gap.json", "blur_gap.md"))
    if out is not None:
        check_folder(Path(out))
        for path in (report_file, table_file):
            check_file(path, overwrite=overwrite)

    from resharp.analysis.blur_gap import compare, measure
    from resharp.analysis.blur_gap_table import blur_distance, gap_rows, gap_table
    from resharp.analysis.blur_tiles import check_tile, real_tiles, synthetic_tiles
    from resharp.data.blur_config import BlurConfig
    from resharp.evaluate.pairs import paired_folder
    from resharp.files import write_text
    from resharp.settings import to_dict
    from resharp.train.config_file import load_config

    check_tile(tile)
    config = BlurConfig() if blur is None else load_config(blur).blur
    real = paired_folder(pairs)[:limit]
    photos = _photos(real, sharp)[:limit]
    with image_progress() as on_image:
        # A few synthetic tiles take longer than reading all pairs, so what real pairs lack is said before.
        measured = measure(real_tiles(real, tile, on_image))
        _check_tiles(measured.tiles, f"{pairs}: no pair is as large as a tile of {tile} px; choose a smaller --tile")
        made = measure(synthetic_tiles(photos, config, tile, seed, on_image))
    small = f"no photo has room for a tile of {tile} px and the margins of this blur; choose a smaller --tile"
    _check_tiles(made.tiles, f"{sharp or pairs}: {small} or --sharp with larger photos")

    rows = compare(measured, made)
    mean = blur_distance(rows)
    about: dict[str, Any] = {"resharp": __version__, "command": sys.argv, "pairs": pairs, "sharp": sharp or pairs}
    about |= {"blur": to_dict(config), "tile_px": tile, "seed": seed}
    about["real"] = {"pairs": len(real), "tiles": measured.tiles, "kernels": measured.kernels}
    about["synthetic"] = {"photos": len(photos), "tiles": made.tiles, "kernels": made.kernels}
    report = json.dumps({**about, "blur_distance": mean, "rows": gap_rows(rows)}, indent=2, allow_nan=False)
    table = f"{gap_table(rows)}\n{_counts(about)} {_READING} {'not known' if mean is None else f'{mean:.2f}'}.\n"
    if out is not None:
        make_folder(Path(out))
        write_text(table_file, table)
        write_text(report_file, report + "\n")
        note(f"written: {report_file}, {table_file}")
    say(report if as_json else table.rstrip())


def _photos(pairs: Sequence[FilePair], sharp: str | None) -> list[tuple[str, Callable[[], Tensor]]]:
    """Name and loader of each photo to blur: those of the folder, or of the pairs."""
    from functools import partial

    from resharp.evaluate.pairs import photos_by_stem
    from resharp.images.reading import read_photo
    from resharp.images.tensors import photo_to_tensor

    if sharp is None:
        files = {pair.name: pair.sharp_path for pair in pairs}
    else:
        files = dict(sorted(photos_by_stem(Path(sharp)).items()))
        if not files:
            raise DataError(f"{sharp}: no photos in this folder")

    def load(path: Path) -> Tensor:
        return photo_to_tensor(read_photo(path))

    return [(name, partial(load, path)) for name, path in files.items()]


def _check_tiles(tiles: int, problem: str) -> None:
    if not tiles:
        raise DataError(problem)


def _counts(about: dict[str, Any]) -> str:
    real, made = about["real"], about["synthetic"]
    return (
        f"Tiles of {about['tile_px']} px: {real['tiles']} of {real['pairs']} real pairs, {real['kernels']} of which"
        f" tell their kernel, and {made['tiles']} synthetic ones of {made['photos']} sharp photos,"
        f" {made['kernels']} of which do."
    )
