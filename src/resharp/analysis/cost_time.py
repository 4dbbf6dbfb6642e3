"""Seconds and peak memory of a network's parts, in a process of its own: `python -m resharp.analysis.cost_time`.

In a process of its own, so that its memory is the row's alone, and so that one that dies takes nothing along.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resharp.bench import timed_calls
from resharp.bench.limited_process import why_it_ended
from resharp.errors import ResharpError

# A call that takes this long needs no call before it that does not count.
LONG_S = 5.0


class NotMeasured(ResharpError):  # noqa: N818 - an answer for one row, not the end of the program
    """A row that was not measured, and why."""


@dataclass(frozen=True)
class Job:
    """What to measure, as plain values.

    model: a `ModelConfig` as `resharp.settings.to_dict` writes it; its weights are made up.
    repeats: timings of each part, of which the median counts; one where a call takes more than `LONG_S`.
    limit_s: the whole process is ended after this long.
    """

    model: dict[str, Any]
    width: int
    height: int
    threads: int
    device: str = "cpu"
    repeats: int = 3
    limit_s: float = 180.0


@dataclass(frozen=True)
class Timing:
    """What came of it.

    seconds: of one run of each part, the median of `timings` runs.
    timings: how many runs were timed.
    cpu_share: the processor time of those runs over what `threads` cores could have given. With one thread, clearly
        less than 1 says that other programs were running and that the seconds are too many. None on a GPU.
    peak_bytes: of main memory the most that the process held while a part ran, the interpreter, torch and the
        weights included; of a GPU the most that tensors held. None where the system cannot tell parts apart.
    base_bytes: the same before the first part ran.
    most_bytes: the same over everything.
    """

    seconds: dict[str, float]
    timings: dict[str, int]
    cpu_share: float | None
    peak_bytes: dict[str, int] | None
    base_bytes: int
    most_bytes: int


def timed(job: Job) -> Timing:
    """Measure in a fresh process and wait for it.

    Raises:
        NotMeasured: it took longer than its limit, or ended without figures, for want of memory most likely.
    """
    with tempfile.TemporaryDirectory(prefix="resharp-cost-") as name:
        result, words = Path(name) / "result.json", Path(name) / "stderr.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads), "TORCH_CPP_LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-m", "resharp.analysis.cost_time", json.dumps(asdict(job)), str(result)]
        with words.open("wb") as said:
            # The pipe is never written to: when this process ends, however it may, the other one's input ends too.
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment)
            with process:
                try:
                    code = process.wait(job.limit_s)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise NotMeasured(f"took more than {job.limit_s:g} s") from None
                except BaseException:
                    process.kill()
                    raise
        if code or not result.exists():
            raise NotMeasured(why_it_ended(code, words.read_text(encoding="utf-8", errors="replace")))
        return Timing(**json.loads(result.read_text(encoding="utf-8")))


def measure(job: Job) -> Timing:
    """Measure in this process."""
    import torch

    from resharp.analysis.cost_count import works
    from resharp.models.config import ModelConfig
    from resharp.models.icdpm import ICDPM
    from resharp.settings import from_dict

    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    torch.manual_seed(0)
    model = ICDPM(from_dict(ModelConfig, job.model, "model")).eval().to(device)
    blurry = torch.rand(1, 3, job.height, job.width).to(device)
    parts = works(model, blurry)
    memory = _Memory(job.device)
    base = memory.peak()
    seconds: dict[str, float] = {}
    timings: dict[str, int] = {}
    peaks: dict[str, int] = {}
    total = used = 0.0
    for name, work in parts.items():
        memory.restart()
        times, processor_s = _times(work, job.repeats, memory.wait)
        total, used = total + sum(times), used + processor_s
        seconds[name], timings[name] = sorted(times)[len(times) // 2], len(times)
        peaks[name] = memory.peak()
    share = used / (total * job.threads) if job.device == "cpu" else None
    return Timing(seconds, timings, share, peaks if memory.restarts else None, base, max([base, *peaks.values()]))


def _times(work: Callable[[], object], repeats: int, wait: Callable[[], None]) -> tuple[list[float], float]:
    """The seconds of each call that counts, and the processor's of all of them together.

    The first call counts only where it is long, and thus the only one.
    """

    def once() -> float:
        wait()
        start = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - start

    before = time.process_time()
    first = once()
    if first > LONG_S:
        return [first], time.process_time() - before
    before = time.process_time()
    times = [once() for _ in range(repeats)]
    return times, time.process_time() - before


class _Memory:
    """The most that was held since the last restart, of the GPU or of main memory.

    restarts: whether the mark can be set back.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.restarts = device == "cuda" or timed_calls.restart_peak()

    def restart(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        elif self.restarts:
            timed_calls.restart_peak()

    def peak(self) -> int:
        if self.device == "cuda":
            import torch

            return torch.cuda.max_memory_allocated()
        return timed_calls.peak_bytes()

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device != "cpu":
            import torch

            (torch.cuda if self.device == "cuda" else torch.mps).synchronize()


def _end_with_the_other() -> None:
    """End this process when the one that started it is no more."""

    def wait() -> None:
        # Not through sys.stdin, whose lock the interpreter wants at its own end.
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _end_with_the_other()
    found = measure(Job(**json.loads(sys.argv[1])))
    Path(sys.argv[2]).write_text(json.dumps(asdict(found)), encoding="utf-8")
