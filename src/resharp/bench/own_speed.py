"""Time a model of resharp on a picture, in a process of its own: `python -m resharp.bench.own_speed SPEC RESULT`."""

from __future__ import annotations

import json
import sys
from typing import Any

from resharp import __version__
from resharp.bench import timed_calls


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Seconds, memory and multiply-adds; raises ConfigError, ModelError."""
    import torch

    from resharp.pipeline import DeblurPipeline

    torch.set_num_threads(wanted["threads"])
    pipeline = DeblurPipeline.from_pretrained(wanted["model"])
    picture = timed_calls.read_picture(wanted["picture"])
    corner = picture[..., : timed_calls.WARM_PX, : timed_calls.WARM_PX]

    def restore() -> None:
        pipeline.restore(picture, quality=wanted["quality"])

    return {
        **timed_calls.figures(
            restore,
            lambda: pipeline.restore(corner, quality=wanted["quality"]),
            restore if wanted["count"] else None,
            sum(each.numel() for each in pipeline.model.parameters()),
            f"resharp {__version__}, torch {torch.__version__}",
        ),
        "settings": str(pipeline.choose(wanted["quality"])),
    }


if __name__ == "__main__":
    timed_calls.answer(sys.argv[2], lambda: measure(json.loads(sys.argv[1])))
