"""`resharp ablate`: variants of a model trained with several seeds each, scored, and compared in one table."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.analysis.ablation import Ablation

# What the shell and process managers expect of a program that a signal ended.
EXIT_CODES = {"": 0, "time": 0, "interrupt": 130, "terminate": 143}


def ablate(
    configs: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG", help="Configurations of equal crops; the first is the reference."),
    ],
    data: Annotated[
        list[str],
        typer.Option(metavar="PLACE", help="Data to train on, as for resharp train; may be given several times."),
    ],
    pairs: Annotated[
        str, typer.Option(metavar="FOLDER", help="Real pairs: NAME_blur.* and NAME_sharp.*, or blurry/ and sharp/.")
    ],
    sharp: Annotated[str, typer.Option(metavar="FOLDER", help="Sharp photos that are not trained on.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Runs, scores and the table.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each configuration, with the seeds 0, 1, ...")] = 3,
    steps: Annotated[int | None, typer.Option(help="Replaces the configurations' steps.")] = None,
    sampling_steps: Annotated[int, typer.Option(min=1, help="Denoising steps in scoring.")] = 8,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Samples to average in scoring.")] = 1,
    lpips_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="AlexNet weights; without them LPIPS is left out.")
    ] = None,
    score_crop_px: Annotated[
        int | None,
        typer.Option(metavar="PX", help="Score the middle of larger pictures only; default: whole pictures."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse networks that differ in size by more than 2 %.")
    ] = False,
    other_blur: Annotated[
        bool, typer.Option("--other-blur", help="Accept configurations of other [blur]; in domain is the first's.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at the same time.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Helpers of each training that prepare batches.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each training, and of scoring, on a CPU.")] = 1,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; the same command goes on from there.")
    ] = None,
    device: DeviceOption = "auto",
    accept_changed_data: Annotated[
        bool, typer.Option("--accept-changed-data", help="Go on although the data set is not what it was.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train, score and compare variants of a model: all seeds, in domain and out of it, in one table.

    Runs that are finished and scores that are there are not made again; what was interrupted goes on.
    """
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"--minutes is {minutes}; it must be above 0")
    folder = Path(out)
    check_folder(folder)
    where = pick_device(device)

    import torch

    from resharp.analysis.ablation import prepare
    from resharp.analysis.scoring import Sampling, Scorer
    from resharp.analysis.training import TrainingOptions
    from resharp.metrics.lpips import load_lpips
    from resharp.train.run_folder import lock
    from resharp.train.stops import Stops

    lpips = None if lpips_weights is None else load_lpips(lpips_weights).to(where)
    options = TrainingOptions(tuple(data), steps, device, workers, threads, accept_changed_data)
    ablation = prepare(
        configs,
        folder,
        options=options,
        pairs=pairs,
        sharp=sharp,
        seeds=seeds,
        sampling=Sampling(sampling_steps, samples),
        crop_px=score_crop_px,
        strict=strict,
        other_blur=other_blur,
    )
    for line in ablation.notes:
        note(line)
    scorer = Scorer(ablation.sets, ablation.sampling, lpips, lpips_weights, where)
    make_folder(folder)
    with lock(folder), Stops(minutes) as stops:
        reason, scores = ablation.train(jobs, stops, note), {}
        if not reason:
            torch.set_num_threads(threads)
            scores, reason = ablation.score(scorer, stops, note)
        if not reason:
            content, text = _results(ablation, scores, folder, where.type)
    if reason:
        content, text = _unfinished(ablation, reason)
    say(json.dumps(content, indent=2, allow_nan=False) if as_json else text)
    if EXIT_CODES[reason]:
        raise typer.Exit(EXIT_CODES[reason])


def _results(ablation: Ablation, scores: Any, folder: Path, device: str) -> tuple[dict[str, Any], str]:
    """Write the tables; what to print, as JSON and as text."""
    from resharp.analysis.ablation import contrasts, lines
    from resharp.analysis.ablation_table import markdown, report, write_tables
    from resharp.train.run_folder import git_revision

    rows, compared = lines(ablation, scores), contrasts(ablation, scores)
    about = {"resharp": __version__, "git": git_revision(), "command": sys.argv, "device": device}
    about["training"] = asdict(ablation.options)
    content, text = report(ablation, rows, compared, about), markdown(ablation, rows, compared)
    write_tables(folder, text, content)
    return {"complete": True, **content}, f"{text}\ntables: {folder / 'table'}.md, .csv, .json"


def _unfinished(ablation: Ablation, reason: str) -> tuple[dict[str, Any], str]:
    runs = {run.name: {"steps_done": run.steps_done(), "steps": run.config.steps} for run in ablation.runs}
    finished = sum(run.is_finished() for run in ablation.runs)
    text = f"stopped with {finished} of {len(runs)} runs trained; the same command goes on"
    return {"complete": False, "stopped": reason, "runs": runs}, text
