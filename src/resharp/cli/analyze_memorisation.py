"""`resharp analyze memorisation`: does a model return training photos?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import PARTS, DebugOption, DeviceOption, JsonOption, check_part, pick_device
from resharp.cli.places import check_file, check_folder, make_folder
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.analysis.memorisation import Crops, Distances, Finding
    from resharp.evaluate.pairs import Pair

_SHOWN = 12


def memorisation(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, folder or Hub id.")],
    training: Annotated[str, typer.Option(metavar="FOLDER", help="The photos it was trained on.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Gets memorisation.json and the sheet memorisation.png.")],
    pairs: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Pairs it has not seen: NAME_blur.* and NAME_sharp.*, or ...")
    ] = None,
    sharp: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Or sharp photos it has not seen, to be blurred as in training."),
    ] = None,
    crops: Annotated[int, typer.Option(min=1, help="How many crops to test.")] = 100,
    size: Annotated[int, typer.Option(metavar="PX", help="Side of a crop, a multiple of 16.")] = 64,
    stride: Annotated[
        int, typer.Option(metavar="PX", help="Of the grid that is searched, a multiple of size / 16.")
    ] = 8,
    middle: Annotated[int, typer.Option(metavar="PX", help="Restore the middle of larger pairs; 0: all of it.")] = 512,
    part: Annotated[
        str | None, typer.Option(metavar="|".join(PARTS), help="Which part to test; default: the model's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: the model's.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to average; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of places, blur and noise.")] = 0,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare restored crops with all crops of the training photos.

    A model that memorises returns crops that are nearer to training than their truth is.
    """
    check_part(part)
    folder = Path(out)
    check_folder(folder)
    report_file, sheet_file = folder / "memorisation.json", folder / "memorisation.png"
    for path in (report_file, sheet_file):
        check_file(path, overwrite=overwrite)
    where = pick_device(device)

    from resharp.analysis.memorisation import draw_crops, judge, measure, write_closest
    from resharp.analysis.patch_search import Grid
    from resharp.data.layouts import find_listing
    from resharp.files import write_text
    from resharp.pipeline import DeblurPipeline

    grid = Grid(size, stride)
    known = [entry.sharp for entry in find_listing(training, strict=False).entries]
    tested = _pairs(pairs, sharp, middle, seed)
    pipeline = DeblurPipeline.from_pretrained(model).to(where)
    asked = {"output": part, "steps": steps, "samples": samples}
    used = pipeline.choose(**asked)
    if used.output == "input":
        raise ConfigError(f"{model}: passes photos through, which cannot show what it remembers; give --part")
    drawn = draw_crops(
        lambda blurry: pipeline.restore(blurry, seed=seed, **asked).image, tested, crops, size, seed, _told("restored")
    )
    distances = measure(drawn, known, grid, where, _told("searched"))
    finding = judge(distances)
    about: dict[str, Any] = {"resharp": __version__, "model": model, "settings": asdict(used), "seed": seed}
    about |= {"training": training, "training_photos": len(known), "pairs": pairs or sharp, "command": sys.argv}
    report = _report(about, drawn, distances, finding, [str(path) for path in known])
    make_folder(folder)
    write_closest(sheet_file, drawn, distances, known, grid, _SHOWN)
    write_text(report_file, json.dumps(report, indent=2, allow_nan=False) + "\n")
    note(f"written: {report_file}, {sheet_file}")
    say(json.dumps(report, indent=2, allow_nan=False) if as_json else _text(report))


def _pairs(pairs: str | None, sharp: str | None, middle: int, seed: int) -> list[Pair]:
    from resharp.data.blur_config import BlurConfig
    from resharp.evaluate.centre import CentrePair
    from resharp.evaluate.protocols import paired_folder
    from resharp.evaluate.synthetic_pairs import in_domain_pairs

    if (pairs is None) == (sharp is None):
        raise ConfigError("give either --pairs or --sharp: what the model restores, and the truth of it")
    if middle < 0:
        raise ConfigError(f"--middle is {middle}; allowed: 0 or more")
    if sharp is not None:
        return list(in_domain_pairs(sharp, BlurConfig(), side_px=middle or 1 << 20, seed=seed))
    found = paired_folder(str(pairs))
    return [CentrePair(pair, middle) for pair in found] if middle else list(found)


def _report(
    about: dict[str, Any], crops: Crops, distances: Distances, finding: Finding, training: list[str]
) -> dict[str, Any]:
    from resharp.analysis.memorisation import RULE, closest

    kinds = {"restored to training": distances.restored, "sharp to training": distances.sharp}
    kinds |= {"blurry to training": distances.blurry, "restored to its sharp crop": distances.error}
    kinds["ratio of the first two"] = distances.ratio()
    import numpy as np

    spread = {
        name: {"median": float(np.median(of)), "percent_1": float(np.quantile(of, 0.01)), "minimum": float(of.min())}
        for name, of in kinds.items()
    }
    cases = [
        {
            "pair": crops.names[i],
            "distances": {name: round(float(of[i]), 4) for name, of in kinds.items()},
            "training": training[distances.matches[i].photo],
            **{name: getattr(distances.matches[i], name) for name in ("top", "left", "turn")},
            "copy": i in finding.copies,
        }
        for i in closest(distances, _SHOWN)
    ]
    return {"finding": asdict(finding), "rule": RULE, "distances": spread, "closest": cases, **about}


def _text(report: dict[str, Any]) -> str:
    finding = report["finding"]
    lines = [f"{'distance':<28}{'median':>9}{'1 %':>9}{'minimum':>9}"]
    for name, of in report["distances"].items():
        lines.append(f"{name:<28}{of['median']:>9.3f}{of['percent_1']:>9.3f}{of['minimum']:>9.3f}")
    tested = f"{len(finding['copies'])} copies and {finding['mirrored']} mirrored ones"
    tested += f" in {finding['crops'] - finding['seen']} crops"
    left_out = f"{finding['seen']} more left out, whose truth is in the training photos"
    lines.append(f"memorisation: {finding['verdict']}; {tested}; {left_out}")
    return "\n".join([*lines, report["rule"]])


def _told(what: str) -> Any:
    """Progress: on a terminal a line that is written over, else nothing until the end."""

    def tell(done: int, total: int, name: str) -> None:
        if sys.stderr.isatty():
            end = "" if done < total else "\n"
            print(f"\r\x1b[2K{what} {done}/{total} {name}"[:110], end=end, file=sys.stderr, flush=True)

    return tell
