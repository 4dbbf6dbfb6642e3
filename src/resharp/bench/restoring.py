"""One measurement of restoring photos, in a process of its own: `python -m resharp.bench.restoring SPEC RESULT`."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from resharp.bench.matrix_rate import matrix_rate, synchronise
from resharp.bench.restoring_spec import SHIPPED, RestoringSpec
from resharp.bench.training import flops_of, peak_memory_bytes
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ResharpError
from resharp.hub import locate_model
from resharp.images.reading import read_photo
from resharp.models.icdpm import ICDPM
from resharp.models.sizes import size
from resharp.picture import restore_file
from resharp.pipeline import DeblurPipeline
from resharp.runtime.opening import open_graphs
from resharp.runtime.pipeline import GraphPipeline
from resharp.serialization import Defaults
from resharp.train.run_folder import environment

# Operations are counted on a square of this side, a multiple of what every network asks for.
COUNTED_PX = 256
_FROM_SPEC = ("size", "backend", "output", "steps", "samples", "width", "height", "images")
_STRIPE_PX, _BLUR_PX = 40, 9


def made_photo(width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8: stripes with noise under horizontal motion blur, so that it is not passed through as sharp."""
    across = np.arange(width + _BLUR_PX - 1) // _STRIPE_PX % 2 * 150.0 + 50
    blurred = np.convolve(across, np.full(_BLUR_PX, 1 / _BLUR_PX), mode="valid")
    photo = np.empty((height, width, 3), dtype=np.uint8)
    random = np.random.default_rng(0)
    for top in range(0, height, _STRIPE_PX):
        rows = photo[top : top + _STRIPE_PX]
        level = blurred + 20 * (top // _STRIPE_PX % 2)
        rows[:] = np.clip(level[None, :, None] + random.normal(0, 1, rows.shape), 0, 255)
    return photo


def pipeline_for(spec: RestoringSpec) -> DeblurPipeline:
    """The shipped model, or a named size with the random weights it begins with."""
    if spec.size == SHIPPED:
        return DeblurPipeline.from_pretrained().to(spec.device)
    torch.manual_seed(0)
    model = ICDPM(size(spec.size)).eval()
    output = "diffusion" if model.predictor is None else "predictor"
    return DeblurPipeline(model, NoiseSchedule(), Defaults(output=output)).to(spec.device)


def opened(spec: RestoringSpec, pipeline: DeblurPipeline) -> DeblurPipeline | GraphPipeline:
    """What is timed: the pipeline itself, or the shipped model's graphs.

    Raises:
        ConfigError: its library is not installed.
    """
    return pipeline if spec.backend == "torch" else open_graphs(locate_model(None), spec.backend, spec.threads)


def measure(spec: RestoringSpec, folder: Path) -> dict[str, Any]:
    """Seconds, multiply-adds and memory.

    Args:
        folder: an empty place for the photos.

    Returns:
        seconds: from file to file, of all images; restore_s: of the networks and the sampler alone, of one image;
        processor_share: processor time over wall time and threads; below 1 others were at work.

    Raises:
        ConfigError, ImageError: what cannot be measured.
    """
    torch.set_num_threads(spec.threads)
    device = torch.device(spec.device)
    accelerator = Accelerator(cpu=spec.device == "cpu")
    settings: dict[str, Any] = {"output": spec.output, "memory": spec.memory}
    if spec.output == "diffusion":
        settings |= {"sampler": spec.sampler, "steps": spec.steps, "samples": spec.samples}
    source = folder / "photo.jpg"
    Image.fromarray(made_photo(spec.width, spec.height)).save(source, quality=95)
    pipeline = pipeline_for(spec)
    small = torch.rand(1, 3, COUNTED_PX, COUNTED_PX, generator=torch.Generator().manual_seed(0))
    flops = flops_of(lambda: pipeline.restore(small, **settings)) / COUNTED_PX**2
    flops *= _padded(spec.height, pipeline) * _padded(spec.width, pipeline)
    timed = opened(spec, pipeline)
    rate = matrix_rate(accelerator, torch.float32)
    if spec.device == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, processor_s, tile = [], [], None
    for _ in range(spec.repeats):
        begun = time.perf_counter(), time.process_time()
        for i in range(spec.images):
            tile = restore_file(timed, source, folder / f"{i}.jpg", {"seed": 0, **settings}, guard=True).tile
        synchronise(device)
        seconds.append(time.perf_counter() - begun[0])
        processor_s.append(time.process_time() - begun[1])
    restore_s = _restoring_s(timed, device, source, settings, spec.repeats) if spec.images == 1 else None
    rate = max(rate, matrix_rate(accelerator, torch.float32))
    median = statistics.median(seconds)
    return {
        **{name: getattr(spec, name) for name in _FROM_SPEC},
        "sampler": spec.sampler if spec.output == "diffusion" else None,
        "seconds": median,
        "restore_s": restore_s,
        "processor_share": min(1.0, sum(processor_s) / sum(seconds) / spec.threads) if spec.device == "cpu" else None,
        "multiply_adds": round(flops / 2),
        "matrix_rate_flops": rate,
        "share_of_matrix_rate": flops * spec.images / median / rate,
        "restore_share": None if restore_s is None else flops / restore_s / rate,
        "peak_memory_bytes": peak_memory_bytes(device),
        "tile": tile,
        "times_s": seconds,
        "environment": environment(1, device),
    }


def _restoring_s(
    pipeline: DeblurPipeline | GraphPipeline, device: torch.device, source: Path, settings: dict[str, Any], repeats: int
) -> float:
    """The median time from a photo's samples to the result's floats."""
    blurry, times = read_photo(source).planes, []
    for _ in range(repeats):
        start = time.perf_counter()
        pipeline.restore(blurry, **settings)
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _padded(side: int, pipeline: DeblurPipeline) -> int:
    return side + -side % pipeline.model.size_multiple


def main(spec_path: str, result_path: str) -> None:
    """Measure what the file `spec_path` says and write the figures, or the error, to `result_path`."""
    spec = RestoringSpec(**json.loads(Path(spec_path).read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="resharp-bench-") as folder:
        try:
            result = measure(spec, Path(folder))
        except ResharpError as error:
            result = {"error": str(error)}
    Path(result_path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
