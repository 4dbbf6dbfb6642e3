"""`resharp score`: a model, classical deconvolution and other methods' pictures, side by side on the same inputs."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.each_image import image_progress
from resharp.cli.options import PARTS, DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError, DataError

if TYPE_CHECKING:
    from resharp.evaluate.methods import MethodScore
    from resharp.evaluate.score_sets import ScoreSet

_INTERVALS = (
    "In brackets: 95 % percentile bootstrap of the mean over images, a photo's seeds averaged first. Gains are over"
    " the blurry input, image by image, positive where better. Worse: share of pictures below their input."
)


def score(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model folder, or a Hub id; default: the shipped one.")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Real pairs: NAME_blur.* and NAME_sharp.*, or blurry/ and sharp/."),
    ] = None,
    sharp: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Sharp photos, blurred by three pipelines unlike training's.")
    ] = None,
    pipelines: Annotated[
        list[str] | None,
        typer.Option("--pipeline", metavar="kernels|shake|night", help="Only this one; may be given several times."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of noise and blur.")] = 3,
    crop: Annotated[int | None, typer.Option(metavar="PX", help="Score the middle of each picture only.")] = None,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them there is no LPIPS.")
    ] = None,
    peers: Annotated[
        list[str] | None,
        typer.Option("--peer", metavar="NAME=FOLDER", help="Pictures that another method made of exported inputs."),
    ] = None,
    classical: Annotated[bool, typer.Option("--classical", help="Score Wiener and Richardson-Lucy too.")] = False,
    parts: Annotated[
        list[str] | None,
        typer.Option("--part", metavar="|".join(PARTS), help="A part of the model; may be given several times."),
    ] = None,
    qualities: Annotated[
        list[str] | None,
        typer.Option("--quality", metavar="draft|standard|best", help="A preset; may be given several times."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: the model's.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to average; default: the model's.")] = None,
    export_inputs: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write the blurry inputs here as PNG, and score nothing.")
    ] = None,
    notes: Annotated[
        list[str] | None,
        typer.Option("--note", metavar="TEXT", help="A line below the table; may be given several times."),
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FOLDER", help="Write score.csv, .json and .md here.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare a model with its input, classical deconvolution and other methods on the same blurry pictures.

    Without --part or --quality the model does what `resharp deblur` would do by default.
    """
    for folder in (out, export_inputs):
        if folder is not None:
            check_folder(Path(folder))
    sets = _sets(pairs, sharp, pipelines, seeds, crop)
    if export_inputs is not None:
        _export(sets, export_inputs, as_json)
        return
    folders = _peer_folders(peers or [])
    where = pick_device(device)
    from resharp.cli.score_methods import classical_methods, model_methods
    from resharp.evaluate.methods import pictures_of_a_peer, score_methods
    from resharp.metrics.lpips import load_lpips

    methods = [pictures_of_a_peer(name, Path(folder), sets) for name, folder in folders.items()]
    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    own, about = model_methods(model, parts or [], qualities or [], {"steps": steps, "samples": samples}, where)
    methods = [*own, *(classical_methods() if classical else []), *methods]
    with image_progress() as on_image:
        rows = score_methods(methods, sets, range(seeds), lpips, on_image)
    about = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]]), **about, "peers": folders}
    about |= {"pairs": pairs, "sharp": sharp, "crop_px": crop, "seeds": seeds, "lpips": lpips is not None}
    _report(rows, about, [_INTERVALS, *(notes or [])], out, as_json)


def _sets(
    pairs: str | None, sharp: str | None, pipelines: Sequence[str] | None, seeds: int, crop: int | None
) -> list[ScoreSet]:
    from resharp.evaluate.protocols import SCORED
    from resharp.evaluate.score_sets import score_sets

    if seeds < 1:
        raise ConfigError(f"--seeds is {seeds}; allowed: 1 or more")
    sets = score_sets(pairs, sharp, pipelines or tuple(SCORED), range(seeds), crop)
    for each in sets:
        if len(each.pairs) < 2:
            raise DataError(f"{pairs if each.seed is None else sharp}: a single picture has no interval; give two")
    return sets


def _export(sets: Sequence[ScoreSet], folder: str, as_json: bool) -> None:
    from resharp.evaluate.score_sets import export_inputs

    with image_progress() as on_image:
        count = export_inputs(sets, Path(folder), on_image)
    names = [each.folder for each in sets]
    if as_json:
        say(json.dumps({"resharp": __version__, "folder": folder, "sets": names, "pictures": count}, indent=2))
    else:
        say(f"{folder}: {count} blurry pictures in {', '.join(names)}")


def _peer_folders(peers: Sequence[str]) -> dict[str, str]:
    """NAME=FOLDER as a table, in order."""
    from resharp.cli.score_methods import TAKEN
    from resharp.evaluate.methods import INPUT

    folders: dict[str, str] = {}
    for peer in peers:
        name, _, folder = peer.partition("=")
        name = name.strip()
        if not name or not folder:
            raise ConfigError(f"--peer {peer}: expected NAME=FOLDER")
        if name in folders or name == INPUT or name.split()[0] in TAKEN:
            raise ConfigError(f"--peer {peer}: the name {name!r} is taken; choose another")
        folders[name] = folder
    return folders


def _report(
    rows: Sequence[MethodScore], about: dict[str, Any], notes: list[str], out: str | None, as_json: bool
) -> None:
    from resharp.evaluate.method_table import methods_table, summarise_methods
    from resharp.evaluate.tables import write_csv
    from resharp.files import write_text

    summaries = summarise_methods(rows)
    table = methods_table(summaries, notes)
    report = json.dumps({**about, "notes": notes, "summary": [asdict(each) for each in summaries]}, indent=2)
    if out is not None:
        folder = Path(out)
        make_folder(folder)
        write_csv(folder / "score.csv", rows, type(rows[0])._fields)
        write_text(folder / "score.json", report + "\n")
        write_text(folder / "score.md", table)
        note(f"wrote {folder / 'score.csv'}, score.json and score.md")
    say(report if as_json else table.rstrip())
