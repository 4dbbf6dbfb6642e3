"""`resharp train`: a configuration and a data set in, a model folder out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.cli.train_progress import watched
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.train.loop import Trainer

NAMED = 10
# What the shell and process managers expect of a program that a signal ended.
EXIT_CODES = {"": 0, "time": 0, "interrupt": 130, "terminate": 143}


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A TOML file, such as configs/fast.toml.")],
    data: Annotated[
        list[str],
        typer.Option(metavar="PLACE", help="A data set: a folder, may be given several times; or packed shards."),
    ],
    out: Annotated[
        str | None, typer.Option(metavar="RUN_FOLDER", help="Where the run lives; default runs/NAME_OF_CONFIG.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replaces a setting, as in --set model.guidance.scales=[3]."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Replaces the configuration's steps.")] = None,
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Start from this model; replaces the configuration's init.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the configuration's seed.")] = None,
    validate_on: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Validate on these photographs instead of the data set's own.")
    ] = None,
    shard_cache: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Keep shards that come from a URL here.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; the same command goes on from there.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Train with so many processes: one for each GPU, or on one CPU.")
    ] = None,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Helpers of each process that prepare batches.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for the network on a CPU.")] = None,
    accept_changed_data: Annotated[
        bool, typer.Option("--accept-changed-data", help="Go on although the data set is not what it was.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Train a model, or go on with a run that was stopped."""
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"--minutes is {minutes}; it must be above 0")
    # With several processes torch warns at length of what is so by design; see `processes.accelerator`.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from resharp.hub import locate_model
    from resharp.train.config_file import load_config
    from resharp.train.processes import check_world_size, is_launched, is_main, start_processes

    source = None if init is None else str(locate_model(init))
    chosen = load_config(config, settings or (), steps=steps, seed=seed, init=source)
    folder = Path("runs", Path(config).stem) if out is None else Path(out)
    check_folder(folder)
    where = pick_device(device)
    if processes is not None and processes > 1 and not is_launched():
        start_processes(processes, sys.argv[1:])
    check_world_size(processes)

    import torch

    from resharp.train.data import open_data
    from resharp.train.loop import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    photographs, validation = open_data(chosen, data, validate_on, shard_cache)
    if is_main():
        _tell_left_out(photographs.left_out)
    make_folder(folder)
    with watched(chosen.steps, quiet=not is_main(), tell=note if as_json else say) as (report, on_step):
        trainer = Trainer(
            chosen,
            photographs,
            validation,
            folder,
            device=where,
            workers=workers,
            report=report,
            on_step=on_step,
            accept_changed_data=accept_changed_data,
        )
        reason = trainer.run(minutes)
    if is_main() and as_json:
        say(json.dumps(_summary(folder, trainer, reason), indent=2))
    elif is_main():
        say(f"model: {folder / 'model'}")
        say(f"use it: resharp deblur photo.jpg --model {folder / 'model'}")
    if is_launched():
        # All is saved. Threads of torch's process group, taken down by the interpreter's end, abort now and then.
        sys.stdout.flush()
        os._exit(EXIT_CODES[reason])
    if EXIT_CODES[reason]:
        raise typer.Exit(EXIT_CODES[reason])


def _summary(folder: Path, trainer: Trainer, reason: str) -> dict[str, Any]:
    return {
        "run": str(folder),
        "model": str(folder / "model"),
        "step": trainer.step,
        "steps": trainer.config.steps,
        "stopped": reason or None,
        "skipped_steps": trainer.skipped,
        "validation": trainer.log.newest.get("validation"),
    }


def _tell_left_out(left_out: Sequence[str]) -> None:
    """Training goes on without them, so the user must know which they are and why."""
    if not left_out:
        return
    note(f"left out {len(left_out)} {'photo' if len(left_out) == 1 else 'photos'}:")
    for line in left_out[:NAMED]:
        note(f"  {line}")
    if len(left_out) > NAMED:
        note(f"  and {len(left_out) - NAMED} more")
