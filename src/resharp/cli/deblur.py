"""`resharp deblur`: photos and folders of photos in, restored photos out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.console import note, say
from resharp.cli.options import PARTS, BackendOption, DebugOption, DeviceOption, JsonOption, check_part
from resharp.errors import ConfigError, OutputError, ResharpError

if TYPE_CHECKING:
    from resharp.cli.plan import Failure, Job
    from resharp.cli.scale import Outcome
    from resharp.picture import Result
    from resharp.receipt import Origin

_SPREAD = "--spread shows how samples differ: add --samples 2 or more"


def deblur(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Photos, folders, Parquet, videos; paths or URLs.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="OUT", help="A file or a folder; default NAME.deblurred.EXT."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps, 1 to 10000.")] = None,
    samples: Annotated[int | None, typer.Option(help="Samples to draw and average, 1 to 1000.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    sampler: Annotated[
        str | None, typer.Option(metavar="dpm++|ddim|ddpm|unipc", help="How noise is walked back.")
    ] = None,
    final_variance: Annotated[float | None, typer.Option(help="Last beta of the sampling schedule, in (0, 1).")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="|".join(PARTS), help="Which part of the model makes the picture.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(metavar="draft|standard|best", help="A preset; see resharp info. Options replace it.")
    ] = None,
    fidelity: Annotated[
        float | None, typer.Option(help="1: predictor, or mean of samples; 0: one sample; between: their mix.")
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(metavar="1|2|4|8", help="Flips and turns to average the predictor over.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH|ID", help="default, one-step, a model folder or Hub id; default: default."),
    ] = None,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads on the CPU; default: the cores this process may use.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The most memory to hold, as 2GB; default: what is free.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="The most samples in one network call; default: 1, on a GPU what fits.")
    ] = None,
    backend: BackendOption = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="torch.compile: takes minutes first; for many photos of one size.")
    ] = False,
    spread: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write how much samples differ, as a gray PNG.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="Leave alone results whose receipt names the same work.")
    ] = False,
    failures_to: Annotated[
        str | None, typer.Option("--failures", metavar="FILE", help="Write what failed, as .csv or .json.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", metavar="local|ray", help="This process, or Ray's workers on many machines.")
    ] = "local",
    workers: Annotated[int | None, typer.Option(help="Workers at most, with --engine ray.")] = None,
    image_column: Annotated[str, typer.Option(help="Parquet's column of encoded photos.")] = "image",
    name_column: Annotated[str, typer.Option(help="Parquet's column of their names.")] = "name",
    crf: Annotated[int | None, typer.Option(help="A video's encoding: lower is better and larger.")] = None,
    no_receipt: Annotated[
        bool, typer.Option("--no-receipt", help="Do not write into results how they were made; see resharp verify.")
    ] = False,
    strip_gps: Annotated[
        bool, typer.Option("--strip-gps", help="Leave out of results where the photo was made.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Restore photos without motion blur too, and hold nothing back.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Restore blurry photos.

    Steps, samples, sampler, final variance or fidelity, if given, make the diffusion run; else the quality's or
    model's default does.
    """
    drawing = {"steps": steps, "samples": samples, "sampler": sampler, "final_variance": final_variance}
    settings = {**drawing, "seed": seed, "output": part}
    settings |= {"quality": quality, "fidelity": fidelity, "ensemble": ensemble}
    settings |= {} if memory is None else {"memory": memory}
    settings |= {} if batch is None else {"batch": batch}
    from resharp.cli.failures import check_table
    from resharp.cli.restore_jobs import failed, restore_all
    from resharp.cli.scale import Scale
    from resharp.engines.orders import Orders
    from resharp.video.clip import is_video

    orders = Orders(settings, not force, strip_gps, overwrite, skip_done or (engine == "ray" and not overwrite))
    load = partial(_pipeline, model, settings=settings, threads=threads, compiled=compiled)
    try:
        _check_options(inputs, spread, part, drawing, quality)
        if skip_done and (no_receipt or spread is not None):
            raise ConfigError("--skip-done goes by receipts and makes no spread; leave out --no-receipt and --spread")
        table = None if failures_to is None else check_table(Path(failures_to))
        scale = Scale(engine, workers, image_column, name_column)
        large = scale.needs_tasks(inputs, output)
        if backend not in ("torch", "auto") and (large or is_video(inputs[0])):
            raise ConfigError(f"--backend {backend} is for photos on this disk; leave it out")
        if compiled and engine == "ray":
            raise ConfigError("--compile is for this process; leave out it or --engine ray")
        if large:
            if spread is not None:
                raise ConfigError("--spread is for photos on this disk, one at a time")
            from resharp.cli.deblur_many import deblur_many

            outcome = deblur_many(
                inputs, output, model, load, device, orders, scale, receipts=not no_receipt, quiet=as_json
            )
            return _sum_up(outcome, table, as_json)
        if is_video(inputs[0]):
            if spread is not None:
                raise ConfigError("--spread is for photos, and a video is given")
            from resharp.cli.deblur_videos import deblur_videos, plan_videos

            clips = plan_videos(inputs, output)
            origin = None if no_receipt else _origin(model)
            made = deblur_videos(load(device), clips, orders, origin, crf, quiet=as_json, debug=debug)
            return _sum_up(made, table, as_json)
        jobs, failures = _jobs(inputs, output)
        place = _spread_place(spread, jobs, overwrite)
        pipeline = load(device, spread=spread, backend=backend) if jobs else None
        origin = _origin(model) if jobs and not no_receipt else None
    except ResharpError as error:
        if as_json:
            say(json.dumps({"results": [], "restored": 0, "failed": 0, "error": str(error)}))
        raise
    results = [failed(failure.source, failure.error, debug) for failure in failures]
    results += restore_all(pipeline, jobs, orders, origin, place, quiet=as_json, debug=debug)
    return _sum_up(results, table, as_json)


def _sum_up(results: Sequence[Result] | Outcome, table: Path | None, as_json: bool) -> int:
    """The last words, and the table of failures; returns the exit code."""
    from resharp.cli.failures import write_failures
    from resharp.cli.scale import Outcome

    outcome = results if isinstance(results, Outcome) else Outcome.of(results)
    if table is not None:
        write_failures(table, outcome.failures)
    restored, skipped, lost = outcome.restored, outcome.skipped, len(outcome.failures)
    if as_json:
        counts = {"restored": restored, "skipped": skipped, "failed": lost, "error": None}
        say(json.dumps({"results": [asdict(result) for result in outcome.results], **counts}, indent=2))
    elif restored + skipped + lost > 1 or skipped:
        note(f"restored {restored}, " + (f"skipped {skipped}, " if skipped else "") + f"failed {lost}")
    return 1 if lost else 0


def _check_options(
    inputs: Sequence[str], spread: str | None, part: str | None, drawing: dict[str, Any], quality: str | None
) -> None:
    """What can be refused without looking at any file."""
    check_part(part)
    given = [name for name, value in drawing.items() if value is not None]
    if part == "predictor" and given:
        option = given[0].replace("_", "-")
        raise ConfigError(f"--{option} is for the diffusion; leave it out, or choose --part diffusion")
    if spread is None:
        return
    if quality is None and (drawing["samples"] is None or drawing["samples"] < 2):
        raise ConfigError(_SPREAD)
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise ConfigError("--spread is for one photo at a time; give a single file")
    if Path(spread).suffix.lower() != ".png":
        raise ConfigError(f"--spread writes a PNG, and {spread!r} is not named so; give a name ending in .png")


def _jobs(inputs: Sequence[str], output: str | None) -> tuple[list[Job], list[Failure]]:
    from resharp.cli.plan import find_inputs, plan

    photos, failures = find_inputs(inputs)
    several = len(inputs) > 1 or Path(inputs[0]).is_dir()
    return plan(photos, output, several=several), failures


def _spread_place(spread: str | None, jobs: Sequence[Job], overwrite: bool) -> Path | None:
    from resharp.cli.places import check_file, check_folder

    if spread is None:
        return None
    place = Path(spread)
    for job in jobs:
        if os.path.realpath(place) in (os.path.realpath(job.source), os.path.realpath(job.target)):
            raise OutputError(f"{place}: is the photo or its restoration; choose another name for --spread")
    check_folder(place.parent)
    check_file(place, overwrite=overwrite)
    return place


def _pipeline(
    model: str | None,
    device: str,
    *,
    settings: dict[str, Any],
    threads: int | None = None,
    spread: str | None = None,
    backend: str = "torch",
    compiled: bool = False,
) -> Any:
    """The model on its device, with every setting found acceptable to it: a `DeblurPipeline` or a `GraphPipeline`."""
    from resharp.cli.backends import load_pipeline
    from resharp.diffusion.choices import check_batch, chosen_of, noise_seed

    pipeline = load_pipeline(model, backend, device, threads, compiled=compiled)
    noise_seed(settings["seed"], 0)
    check_batch(settings.get("batch"))
    chosen = pipeline.choose(**chosen_of(settings))
    if spread is not None and (chosen.output != "diffusion" or chosen.samples < 2):
        raise ConfigError(_SPREAD)
    return pipeline


def _origin(model: str | None) -> Origin:
    from resharp.provenance import origin_of

    return origin_of(model)
