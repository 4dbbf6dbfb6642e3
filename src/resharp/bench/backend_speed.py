"""Time one way of running a model's networks, in a process of its own: `python -m ...backend_speed SPEC RESULT`.

What a way needs is imported when it is opened: its start-up and its memory are its own.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402 - the clock runs before anything is imported
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from resharp.bench import timed_calls  # noqa: E402
from resharp.errors import ResharpError  # noqa: E402

if TYPE_CHECKING:
    import numpy as np

    from resharp.pipeline import DeblurPipeline

Restore = Callable[["np.ndarray"], "np.ndarray"]
# More than any picture needs: none is made in tiles.
WHOLE = 1 << 62


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each call, seconds until the first result, and the most memory that the process held.

    Args:
        wanted: way: "torch", "torch channels_last", "torch compiled", "onnx" or "openvino"; folder: of the model;
            picture: an 8-bit file; result: where the result goes, (1, 3, H, W) in [0, 1] as .npy; threads; and
            steps of the diffusion, None for the predictor alone.

    Raises:
        NotMeasuredError: it cannot be had here.
    """
    os.environ["OMP_NUM_THREADS"] = str(wanted["threads"])
    try:
        restore, versions = (_torch if wanted["way"].startswith("torch") else _graphs)(wanted)
        picture = timed_calls.read_array(wanted["picture"])
        image = restore(picture)
    except ResharpError as error:
        raise timed_calls.NotMeasuredError(str(error)) from error
    start_s = time.perf_counter() - BEGAN
    seconds, processor_s = timed_calls.timed(lambda: restore(picture))
    peak_bytes = timed_calls.peak_bytes()
    import numpy as np

    np.save(wanted["result"], image)
    return {
        "seconds": seconds,
        "start_s": start_s,
        "peak_bytes": peak_bytes,
        "cpu_share": processor_s / (sum(seconds) * wanted["threads"]),
        "versions": versions,
    }


def settings_of(steps: int | None) -> dict[str, Any]:
    """What is asked of a model: its predictor, or one sample of its diffusion."""
    if steps is None:
        return {"output": "predictor", "ensemble": 1}
    return {"output": "diffusion", "steps": steps, "samples": 1}


def _graphs(wanted: dict[str, Any]) -> tuple[Restore, str]:
    from resharp.runtime.opening import open_graphs

    pipeline = open_graphs(Path(wanted["folder"]), wanted["way"], wanted["threads"])
    asked = settings_of(wanted["steps"])

    def restore(picture: np.ndarray) -> np.ndarray:
        return pipeline.restore(picture, memory=WHOLE, **asked).image

    return restore, f"{wanted['way']} {pipeline.version}, {pipeline.precision}"


def _torch(wanted: dict[str, Any]) -> tuple[Restore, str]:
    import torch

    from resharp.pipeline import DeblurPipeline

    torch.set_num_threads(wanted["threads"])
    pipeline = DeblurPipeline.from_pretrained(Path(wanted["folder"]))
    asked, versions = settings_of(wanted["steps"]), f"torch {torch.__version__}"
    if wanted["way"] == "torch":
        return _contiguous(pipeline, asked), versions
    if wanted["way"] == "torch compiled":
        from resharp.compiling import compile_networks

        compile_networks(pipeline.model)

    def restore(picture: np.ndarray) -> np.ndarray:
        return pipeline.restore(picture, memory=WHOLE, **asked).image.numpy()

    return restore, versions


def _contiguous(pipeline: DeblurPipeline, asked: dict[str, Any]) -> Restore:
    """As `restore`, without the layout that it gives to what networks are fed."""
    import torch

    from resharp.models.padding import pad_to_multiple
    from resharp.restoration import Conditions, predicted

    model, settings = pipeline.model, pipeline.choose(**asked)

    @torch.inference_mode()
    def restore(picture: np.ndarray) -> np.ndarray:
        y = pad_to_multiple(torch.from_numpy(picture) * 2 - 1, model.size_multiple)
        h = model.guide(y)
        g = None if model.predictor is None else model.predict(y, h)
        conditions = Conditions(y, h, g, (picture.shape[2], picture.shape[3]))
        made = predicted(conditions) if settings.output == "predictor" else pipeline.draw(conditions, settings, 0)
        return made.contiguous().numpy()

    return restore


if __name__ == "__main__":
    timed_calls.answer(sys.argv[2], lambda: measure(json.loads(sys.argv[1])))
