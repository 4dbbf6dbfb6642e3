"""A program run to its end within limits of time and memory, and what it held."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from resharp.bench.timed_calls import NotMeasuredError

POLL_S = 0.02


@dataclass(frozen=True)
class Limits:
    """What a measurement may use.

    threads: of the processor.
    seconds: a longer one is ended.
    memory_bytes: a process that asks for more gets none; None sets no limit.
    """

    threads: int
    seconds: float
    memory_bytes: int | None


def run_to_end(command: Sequence[str], folder: Path, limits: Limits) -> tuple[float, int]:
    """Run it to its end: seconds, and the most memory that it and its children were seen to hold together.

    Raises:
        NotMeasuredError: it failed, or was ended for taking too long.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(limits.threads)}
    # What it says goes to a file: a pipe that nobody empties would stop it.
    with (folder / "words.txt").open("w+", encoding="utf-8", errors="replace") as words:
        start = time.perf_counter()
        try:
            process = psutil.Popen(
                list(command),
                stdout=words,
                stderr=words,
                stdin=subprocess.DEVNULL,
                env=environment,
                preexec_fn=_limiter(limits.memory_bytes),
            )
        except OSError as error:
            raise NotMeasuredError(f"{command[0]}: cannot be run ({error.strerror})") from error
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, _held(process))
                if time.perf_counter() - start > limits.seconds:
                    raise NotMeasuredError(f"took more than {limits.seconds:g} s")
                time.sleep(POLL_S)
        finally:
            _end(process)
        seconds = time.perf_counter() - start
        words.seek(0)
        if process.returncode:
            raise NotMeasuredError(why_it_ended(process.returncode, words.read()))
    return seconds, peak


def _held(process: psutil.Process) -> int:
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.Error:  # it has ended meanwhile
        pass
    return total


def _end(process: psutil.Process) -> None:
    """End it and what it has started, if it runs."""
    if process.poll() is None:
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                each.kill()
        process.wait()


def _limiter(memory_bytes: int | None) -> Callable[[], None] | None:
    """What sets the limit in the new process, where the system has such limits."""
    if memory_bytes is None or not sys.platform.startswith("linux"):
        return None
    import resource

    def limit() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))

    return limit


def why_it_ended(code: int, words: str) -> str:
    """In a few words, from a process's exit code, not 0, and what it printed."""
    if code == -9:
        return "ended by the system, as a rule for want of memory"
    last = next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "no words")
    if "memory" in last.lower() or "MemoryError" in last:
        return "not enough memory"
    return f"ended with code {code} ({last[:160]})"
