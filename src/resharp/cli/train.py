"""`resharp train`: a configuration and folders of sharp photographs in, a model folder out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, pick_device
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError

NAMED = 10


def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A TOML file, such as configs/fast.toml.")],
    data: Annotated[list[str], typer.Option(metavar="FOLDER", help="Sharp photographs; may be given several times.")],
    out: Annotated[
        str | None, typer.Option(metavar="RUN_FOLDER", help="Where the run lives; default runs/NAME_OF_CONFIG.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Replaces the configuration's steps.")] = None,
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Start from this model; replaces the configuration's init.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the configuration's seed.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; the same command goes on from there.")
    ] = None,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads for the network on a CPU.")] = None,
    debug: DebugOption = False,
) -> None:
    """Train a model, or go on with a run that was stopped."""
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"--minutes is {minutes}; it must be above 0")
    from resharp.hub import locate_model
    from resharp.train.config import load_config

    source = None if init is None else str(locate_model(init))
    chosen = load_config(config, steps=steps, seed=seed, init=source)
    folder = Path("runs", Path(config).stem) if out is None else Path(out)
    check_folder(folder)
    where = pick_device(device)

    import torch

    from resharp.data.crops import load_photos
    from resharp.data.synthetic import BlurSynthesiser
    from resharp.train.loop import Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    margin_px = BlurSynthesiser(chosen.blur).margin_px
    photos, left_out = load_photos(data, min_side_px=chosen.crop_px + 2 * margin_px)
    _tell_left_out(left_out, len(photos))
    trainer = Trainer(chosen, photos, folder, device=where, workers=workers, report=say)
    make_folder(folder)
    trainer.run(minutes)
    say(f"model: {folder / 'model'}")
    say(f"use it: resharp deblur photo.jpg --model {folder / 'model'}")


def _tell_left_out(left_out: Sequence[str], used: int) -> None:
    """Training goes on without them, so the user must know which they are and why."""
    if not left_out:
        return
    note(f"left out {len(left_out)} of {used + len(left_out)} files:")
    for line in left_out[:NAMED]:
        note(f"  {line}")
    if len(left_out) > NAMED:
        note(f"  and {len(left_out) - NAMED} more")
