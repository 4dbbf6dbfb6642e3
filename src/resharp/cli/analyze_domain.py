"""`resharp analyze domain-distance`: does the guidance bring two kinds of blurry photos closer together?"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_file, check_folder, make_folder

if TYPE_CHECKING:
    from resharp.analysis.domain_distance import Compared

NAME = "domain_distance"


def domain_distance(
    a: Annotated[str, typer.Argument(metavar="A", help="A folder of blurry photos; of pairs, the blurry sides.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Blurry photos of another domain.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Write domain_distance.md, .csv and .json here.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model's name, folder or Hub id.")] = "default",
    weights: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Weights of the feature networks; looked in first.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="inception|efficientnet", help="This network only; may be given several times."),
    ] = None,
    patch: Annotated[int, typer.Option(metavar="PX", help="Side of the patches of the photos.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The first N photos of each folder.")] = None,
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N patches of each folder, drawn at random.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of that draw.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure FID and KID between two folders at each scale, for phi_k(y) and for R(H(phi_k(y))).

    FID and KID need Inception's weights; without them their columns are empty. A Frechet and a kernel distance of
    EfficientNet-Lite0's features stand beside them under their own names.
    """
    folder = Path(out)
    check_folder(folder)
    for suffix in (".md", ".csv", ".json"):
        check_file(folder / (NAME + suffix), overwrite=overwrite)
    where = pick_device(device)

    from resharp.analysis.domain_distance import compare_domains
    from resharp.analysis.domain_networks import NAMES, WIDTHS, load_networks
    from resharp.analysis.domain_patches import blurry_photos, check_model, choose_patches, domain_features
    from resharp.analysis.domain_table import domain_table
    from resharp.pipeline import DeblurPipeline

    network = DeblurPipeline.from_pretrained(model).to(where).model
    check_model(network, patch)
    scales = network.config.guidance.scales  # type: ignore[union-attr]
    sets = {
        side: choose_patches(blurry_photos(side)[:limit], patch, 2 ** max(scales), most, seed, side) for side in (a, b)
    }
    found, absent = load_networks(features or NAMES, None if weights is None else Path(weights), where)
    with image_progress() as on_image:
        both = [domain_features(network, sets[side], patch, found, on_image, side) for side in (a, b)]
    compared = compare_domains(*both, scales, {name: WIDTHS[name] for name in found})
    counts = [int(each.counts.sum()) for each in both]
    table = domain_table(compared, [*found, *absent], absent, min(counts))
    table += _made(
        patch, {name: (len(each.counts), count) for name, each, count in zip("AB", both, counts, strict=True)}
    )
    about: dict[str, Any] = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]])}
    about |= {"a": a, "b": b, "model": model, "patch_px": patch, "most_patches": most, "seed": seed}
    about |= {"photos": [len(each.counts) for each in both], "patches": counts, "absent": absent}
    about["networks"] = {name: each.protocol for name, each in found.items()}
    say(_write(folder, about, compared, table, as_json))


def _made(patch_px: int, sets: dict[str, tuple[int, int]]) -> str:
    counts = " and ".join(f"{patches:,} of {photos} photos in {name}" for name, (photos, patches) in sets.items())
    return (
        f"Patches of {patch_px} px of the photo, {patch_px} / 2^k px at scale x2^k, without overlap: {counts}."
        " Cut from pictures made of the whole photo; gray repeated to three channels, 8 bits.\n"
    )


def _write(folder: Path, about: dict[str, Any], compared: list[Compared], table: str, as_json: bool) -> str:
    from resharp.analysis.domain_table import domain_values
    from resharp.evaluate.tables import write_csv
    from resharp.files import write_text

    values = domain_values(compared)
    report = json.dumps({**about, "distances": values}, indent=2, allow_nan=False)
    make_folder(folder)
    write_csv(folder / f"{NAME}.csv", [tuple(each.values()) for each in values], list(values[0]))
    write_text(folder / f"{NAME}.json", report + "\n")
    write_text(folder / f"{NAME}.md", table)
    note(f"written: {folder / NAME}.md, .csv, .json")
    return report if as_json else table.rstrip()
