"""`resharp analyze pd-curve`: what steps, samples and fidelity buy, in distortion and in perception."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError

Number = TypeVar("Number", int, float)


def pd_curve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, folder or Hub id.")],
    pairs: Annotated[
        str, typer.Option(metavar="FOLDER", help="Real pairs: NAME_blur.* and NAME_sharp.*, or blurry/ and sharp/.")
    ],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Points and figure; a curve in it is gone on with.")],
    sharp: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Sharp photos, blurred otherwise than in training.")
    ] = None,
    steps: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of denoising steps.")] = "1,2,4,8,50",
    samples: Annotated[str, typer.Option(metavar="N,N,...", help="Numbers of samples to average.")] = "1,4",
    fidelity: Annotated[
        str, typer.Option(metavar="F,F,...", help="Mixes of mean side and one sample, 0 to 1.")
    ] = "0,0.25,0.5,0.75,1",
    final_variance: Annotated[
        str | None,
        typer.Option(metavar="V,V,...", help="Last betas of sampling schedules; none is the model's grid."),
    ] = None,
    sampler: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the model's.")] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="time|logsnr", help="Of the noise levels; default: the model's.")
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="First alpha_bar with logsnr spacing; default: the schedule's last.")
    ] = None,
    crop: Annotated[int, typer.Option(metavar="PX", help="Score the middle of larger photos; 0: whole ones.")] = 256,
    limit: Annotated[int | None, typer.Option(metavar="N", help="The first N photos of each set.")] = None,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them LPIPS is left out.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the diffusion's noise.")] = 1,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure a model's perception-distortion curve: steps, final variance, samples, fidelities and its presets.

    Points that are in the folder already are not run again.
    """
    grid: dict[str, Any] = {
        "steps": _numbers("--steps", steps, int),
        "samples": _numbers("--samples", samples, int),
        "fidelities": _numbers("--fidelity", fidelity, float),
        "final_variances": _variances(final_variance),
        **{"sampler": sampler, "spacing": spacing, "start": start},
    }
    folder = Path(out)
    check_folder(folder)
    where = pick_device(device)

    from resharp.analysis.pd_curve import curve_sets, measure, named, plan
    from resharp.analysis.pd_figure import check_matplotlib, draw_curve
    from resharp.analysis.pd_table import CurveFiles
    from resharp.metrics.lpips import load_lpips
    from resharp.pipeline import DeblurPipeline

    check_matplotlib()
    pipeline = DeblurPipeline.from_pretrained(model).to(where)
    wanted = plan(pipeline, **grid)
    sets = curve_sets(pairs, sharp, crop or None, limit)
    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    depends = _depends(model, pipeline, sets, seeds, lpips_weights)
    made = {"resharp": __version__, "command": sys.argv, "model": model, "device": where.type}
    made["sets"] = {each.name: each.about for each in sets}
    make_folder(folder)
    files = CurveFiles(folder, depends, made, named(pipeline), pipeline.schedule)
    for each in sets:
        missing = files.missing(each.name, wanted)
        if len(missing) < len(wanted):
            note(f"{each.title}: {len(wanted) - len(missing)} of {len(wanted)} points are there")
        for points in measure(pipeline, each, missing, seeds=range(seeds), lpips=lpips, on_image=_progress):
            files.add(points)
    written = draw_curve(folder, files.points, files.names)
    note(f"written: {folder / 'pd_curve.csv'}, .json, .md, {', '.join(path.suffix for path in written)}")
    say((folder / "pd_curve.json").read_text(encoding="utf-8") if as_json else files.markdown())


def _depends(model: str, pipeline: Any, sets: Any, seeds: int, lpips_weights: str | None) -> dict[str, Any]:
    """What the points depend on beside their settings."""
    from resharp.analysis.scoring import file_digest
    from resharp.hub import locate_model
    from resharp.serialization import WEIGHTS
    from resharp.settings import to_dict

    return {
        "weights": file_digest(locate_model(model) / WEIGHTS),
        "schedule": to_dict(pipeline.schedule),
        "seeds": seeds,
        "lpips": None if lpips_weights is None else file_digest(Path(lpips_weights)),
        **{f"{each.title} pairs": each.identity for each in sets},
    }


def _variances(text: str | None) -> list[float | None]:
    """Final variances, None for the model's own grid."""
    words = ["none"] if text is None else text.split(",")
    found = [None if word.strip() == "none" else _numbers("--final-variance", word, float)[0] for word in words]
    return list(dict.fromkeys(found))


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """ "1,2,4" as numbers without repeats, in their order."""
    try:
        found = [kind(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{option} {text}: expected numbers with commas between them, such as 1,2,4") from error
    return list(dict.fromkeys(found))


def _progress(what: str, done: int, total: int, name: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{what}: {done}/{total} {name}"[:110], end="" if done < total else "\n", file=sys.stderr)
    elif done == total:
        note(f"{what}: {total} photos")
