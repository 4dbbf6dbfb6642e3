"""Many inputs over a few processes; one that hangs or dies is told and replaced."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS_PER_INPUT = 60.0  # of the processor, or ten times as long by the clock: other programs may run beside it
_STARTING_S = 300.0
# A process is replaced after so many inputs, so that what it has gathered cannot hide what one input takes.
_INPUTS_PER_PROCESS = 1000


class _Worker:
    def __init__(self, place: Path) -> None:
        words = [sys.executable, "-m", "fuzz.worker", str(place)]
        path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        if self.line(_STARTING_S) != "ready\n":
            raise RuntimeError("the process that tries inputs does not start; run python -m fuzz.worker FOLDER")

    def line(self, seconds: float) -> str | None:
        """None when there is none in time; empty when the process has ended."""
        begun, used = time.monotonic(), self._processor_s()
        while time.monotonic() - begun < 10 * seconds and self._processor_s() - used < seconds:
            ready, _, _ = select.select([self.process.stdout], [], [], 1.0)
            if ready:
                return self.process.stdout.readline()
        return None

    def _processor_s(self) -> float:
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # no Linux: the clock decides
            return time.monotonic() / 10
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def try_all(inputs: Iterable[tuple[str, int]], place: Path, processes: int) -> Iterator[tuple[str, int, list[str]]]:
    """Try each (family, number); yields it with what was wrong, in any order."""
    inputs = list(inputs)
    answers: queue.SimpleQueue[tuple[str, int, list[str]]] = queue.SimpleQueue()

    def part(start: int) -> None:
        for answer in _try_part(inputs[start::processes], place):
            answers.put(answer)

    with ThreadPoolExecutor(processes) as threads:
        parts = [threads.submit(part, start) for start in range(processes)]
        for _ in inputs:
            while answers.empty() and not all(each.done() for each in parts):
                time.sleep(0.01)
            if answers.empty():
                break
            yield answers.get()
        for each in parts:
            each.result()


def _try_part(inputs: list[tuple[str, int]], place: Path) -> Iterator[tuple[str, int, list[str]]]:
    worker = None
    try:
        for done, (family, number) in enumerate(inputs):
            if worker is None or done % _INPUTS_PER_PROCESS == 0:
                if worker is not None:
                    worker.end()
                worker = _Worker(place)
            worker.process.stdin.write(f"{family} {number}\n")
            worker.process.stdin.flush()
            answer = worker.line(SECONDS_PER_INPUT)
            if answer:
                yield family, number, json.loads(answer)
                continue
            what = "hangs" if answer is None else "ends the process"
            yield family, number, [f"{family} {number}: {what}"]
            worker.end()
            worker = None
    finally:
        if worker is not None:
            worker.end()
