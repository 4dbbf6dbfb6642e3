"""One measurement of training, on one process or as one of several: `python -m resharp.bench.training SPEC RESULT`.

Training itself is that of `resharp.train`: a Trainer is put together as ever, and its parts are timed.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.flop_counter import FlopCounterMode

from resharp.bench.figures import Blocks, block_lengths, slowest, speeds
from resharp.bench.matrix_rate import matrix_rate, synchronise
from resharp.bench.photographs import MadePhotographs
from resharp.bench.spec import Spec
from resharp.data.source import Source
from resharp.errors import ResharpError, TrainingError
from resharp.train.batches import Part
from resharp.train.data import open_data
from resharp.train.degradation import degradation_of
from resharp.train.loop import Trainer
from resharp.train.processes import is_main
from resharp.train.run_folder import environment

# The first steps allocate and choose algorithms; the first of a block wait for workers that have just started.
WARM_STEPS = 3
WARM_STEPS_OF_A_BLOCK = 2
MADE_SIDE_PX = 512


def photographs(spec: Spec) -> Source:
    """The data sets named, or photographs made up.

    Raises:
        DataError, ImageError: data that cannot be used.
    """
    config = spec.train_config()
    if spec.places:
        return open_data(config, spec.places)[0]
    needed_px = config.crop_px + 2 * degradation_of(config).margin_px
    return MadePhotographs(side_px=max(MADE_SIDE_PX, needed_px))


def flops_of(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in `work`, its backward passes included.

    An addition is counted for each multiplication: divide by 2 for multiply-adds.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


class Steps:
    """Times a trainer's steps, from asking for a batch to the changed weights."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.number = 0
        # Batches that the workers are ahead; with more to come they work on to the end of a block.
        self.ahead = 2 * trainer.parts.workers + 1
        with closing(trainer.parts(0, 1)) as first:
            self.held = next(first)

    def take(self, batches: Iterator[list[Part]]) -> float:
        """One step on the next batch; the seconds that it took.

        Raises:
            TrainingError: its loss is not finite, so that nothing was updated.
        """
        start = time.perf_counter()
        result = self.trainer.engine.step(self.number, next(batches))
        synchronise(self.trainer.device)
        self.number += 1
        if not result.finite:
            raise TrainingError("a step's loss is not finite, so its time means nothing; try --data with other photos")
        return time.perf_counter() - start

    def block(self, steps: int, *, with_data: bool) -> list[float]:
        """Seconds of `steps` steps in a row, after a few that do not count."""
        total = WARM_STEPS_OF_A_BLOCK + steps
        self.trainer.accelerator.wait_for_everyone()
        if not with_data:
            return self._times(itertools.repeat(self.held), total)
        # Fresh workers for each block: none runs beside the other kind, and no batch waits ready-made.
        with closing(self.trainer.parts(self.number, self.number + total + self.ahead)) as batches:
            return self._times(batches, total)

    def _times(self, batches: Iterator[list[Part]], total: int) -> list[float]:
        return [self.take(batches) for _ in range(total)][WARM_STEPS_OF_A_BLOCK:]

    def alternating(self, steps: int) -> tuple[Blocks, Blocks]:
        """Blocks with the batch held and blocks with data in turn, so that other load meets both alike."""
        times: dict[bool, Blocks] = {False: [], True: []}
        for i, length in enumerate(block_lengths(steps)):
            for with_data in (False, True) if i % 2 == 0 else (True, False):
                times[with_data].append(self.block(length, with_data=with_data))
        return times[False], times[True]


def peak_memory_bytes(device: torch.device) -> int:
    """The most that this process has held: of the GPU where it uses one, else of main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, in which Linux counts what the process that started this one had held until then.
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(spec: Spec, folder: Path) -> dict[str, Any]:
    """Measure, together with the other processes if there are any; all of them get the same figures.

    Args:
        folder: an empty place for the trainer's folder; nothing is written there.

    Raises:
        ConfigError, DataError, ImageError, TrainingError: what cannot be measured.
    """
    began = time.perf_counter()
    torch.set_num_threads(spec.threads)
    source = photographs(spec)
    trainer = Trainer(
        spec.train_config(), source, [], folder, device=torch.device(spec.device), workers=spec.workers, report=_silent
    )
    accelerator = trainer.accelerator
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    rate = matrix_rate(accelerator, dtype)
    if trainer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(trainer.device)
    steps = Steps(trainer)
    for _ in range(WARM_STEPS):
        steps.take(itertools.repeat(steps.held))
    times = steps.alternating(spec.steps)
    peak = peak_memory_bytes(trainer.device)
    # Last, since counting needs memory of its own.
    flops = flops_of(lambda: steps.take(itertools.repeat(steps.held)))
    rate = max(rate, matrix_rate(accelerator, dtype))
    together = gather_object([(times, peak)])
    held, with_data = (slowest([each[kind] for each, _ in together]) for kind in (0, 1))
    return {
        "size": spec.size,
        "processes": accelerator.num_processes,
        "parameters": trainer.engine.model.parameter_count(),
        **speeds(spec.batch_size * accelerator.num_processes, held, with_data, flops // spec.batch_size, rate),
        "peak_memory_bytes": max(peak for _, peak in together),
        "precision": "bf16" if dtype == torch.bfloat16 else "float32",
        "data": source.describe(),
        "times_s": {"held": held, "with_data": with_data},
        "seconds": time.perf_counter() - began,
        "environment": environment(accelerator.num_processes, trainer.device),
    }


def main(spec_path: str, result_path: str) -> None:
    """Measure what the file `spec_path` says; the first process writes the figures, or the error, to `result_path`.

    An error for users is a result too. A process that failed would make the launcher end the first one, perhaps
    before it has written.
    """
    values = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    spec = Spec(**{**values, "places": tuple(values["places"])})
    try:
        result = measure(spec, Path(spec_path).parent / "run")
    except ResharpError as error:
        result = {"error": str(error)}
    if is_main():
        Path(result_path).write_text(json.dumps(result), encoding="utf-8")


def _silent(text: str) -> None:
    pass


if __name__ == "__main__":
    main(*sys.argv[1:])
