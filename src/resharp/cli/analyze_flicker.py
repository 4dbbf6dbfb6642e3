"""`resharp analyze flicker`: how much results change from frame to frame, with one noise for all and with many."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from resharp import __version__
from resharp.cli.console import say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device


def flicker(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A video, a folder of frames, or a photo that drifts.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model's name, folder or Hub id.")] = "default",
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    frames: Annotated[int, typer.Option(min=2, help="How many, from the beginning.")] = 8,
    crop: Annotated[int, typer.Option(min=0, metavar="PX", help="The middle of larger frames; 0: all of it.")] = 256,
    drift: Annotated[float, typer.Option(min=0, metavar="PX", help="Of a photo, from frame to frame; 0: still.")] = 0.0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print how much a clip and its results change from frame to frame, in levels of 255.

    For the initial predictor, the diffusion with the same noise in all frames, as `resharp deblur` does it, and with a
    noise of its own in each.
    """
    where = pick_device(device)

    from resharp.analysis.flicker import clip_frames, flicker_table, measure_flicker, ways
    from resharp.pipeline import DeblurPipeline
    from resharp.progress import progress_after_a_second

    pipeline = DeblurPipeline.from_pretrained(model).to(where)
    rows = []
    with progress_after_a_second("restoring frames") as on_step:
        chosen = list(ways(pipeline, steps, seed))
        for i, (way, restore) in enumerate(chosen):
            rows.append(measure_flicker(way, clip_frames(Path(clip), frames, crop, drift), restore))
            on_step(i + 1, len(chosen))
    if as_json:
        command = shlex.join(["resharp", *sys.argv[1:]])
        about = {"resharp": __version__, "command": command, "clip": clip, "model": model, "steps": steps, "seed": seed}
        say(json.dumps({**about, "ways": [asdict(row) for row in rows]}, indent=2, allow_nan=False))
    else:
        say(flicker_table(rows))
