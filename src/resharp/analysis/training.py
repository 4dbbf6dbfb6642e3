"""Train the runs of an ablation, each in a process of its own, some at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resharp.analysis.variants import Run
from resharp.errors import OutputError, TrainingError
from resharp.train.stops import Reason, Stops

LOG = "train.log"
_POLL_S = 0.1
_TELL_EVERY_S = 60.0
# How `resharp train` ends once it was told to stop: before it began, and with a checkpoint.
_STOPPED = (-15, 143)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class TrainingOptions:
    """What all runs have in common; names as those of the options of `resharp train`."""

    data: tuple[str, ...]
    steps: int | None = None
    device: str = "auto"
    workers: int = 0
    threads: int = 1
    accept_changed_data: bool = False

    def words(self, run: Run, minutes: float | None) -> list[str]:
        """The command line of one run."""
        words = [sys.executable, "-m", "resharp", "train", str(run.variant.path), "--out", str(run.folder)]
        for place in self.data:
            words += ["--data", place]
        words += ["--seed", str(run.seed), "--device", self.device]
        words += ["--workers", str(self.workers), "--threads", str(self.threads)]
        words += [] if self.steps is None else ["--steps", str(self.steps)]
        words += [] if minutes is None else ["--minutes", f"{minutes:.4f}"]
        return words + (["--accept-changed-data"] if self.accept_changed_data else [])


def train_all(runs: Sequence[Run], options: TrainingOptions, jobs: int, stops: Stops, tell: Tell) -> Reason:
    """Train what is not finished, `jobs` runs at a time; each writes what it says to train.log in its folder.

    Asked to stop, the runs going on save a checkpoint and end; so do they if one of them fails.

    Args:
        stops: entered; says when to stop.
        tell: gets a line when a run begins or ends, and one a minute for each that goes on.

    Returns:
        Why it stopped; "" when all runs are finished.

    Raises:
        TrainingError: a run failed.
        OutputError: a run's folder cannot be written to.
    """
    waiting = deque(run for run in runs if not run.is_finished())
    total, going = len(waiting), list[_Going]()
    told = time.monotonic()
    try:
        while going or (waiting and not stops.reason):
            while waiting and len(going) < jobs and not stops.reason:
                run = waiting.popleft()
                tell(f"{run.name}: training from step {run.steps_done()}, {total - len(waiting)} of {total} runs")
                going.append(_Going(run, options, stops))
            for each in [each for each in going if each.process.poll() is not None]:
                going.remove(each)
                each.check_ended()
                tell(f"{each.run.name}: at step {each.run.steps_done()} of {each.run.config.steps}")
            if stops.reason in ("interrupt", "terminate"):
                for each in going:
                    each.stop()
            if time.monotonic() > told + _TELL_EVERY_S:
                told = time.monotonic()
                for each in going:
                    tell(f"{each.run.name}: {_last_line(each.log)}")
            time.sleep(_POLL_S)
    finally:
        for each in going:
            each.stop()
        for each in going:
            each.process.wait()
    if all(run.is_finished() for run in runs):
        return ""
    return stops.reason or "time"


class _Going:
    """A run that is being trained."""

    def __init__(self, run: Run, options: TrainingOptions, stops: Stops) -> None:
        self.run, self.log, self._told = run, run.folder / LOG, False
        minutes = None
        if stops.deadline is not None:
            minutes = max(stops.deadline - time.monotonic(), 0.1) / 60
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "PYTHONUNBUFFERED": "1"}
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            with open(self.log, "ab") as log:
                # A session of its own: else Ctrl-C in the terminal would reach it beside the signal of `stop`.
                self.process = subprocess.Popen(
                    options.words(run, minutes),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            raise OutputError(f"{run.folder}: cannot train here ({error.strerror or error})") from error

    def stop(self) -> None:
        """Let it save a checkpoint and end. A second signal would end it without one, so only one is sent."""
        if not self._told and self.process.poll() is None:
            self.process.terminate()
        self._told = True

    def check_ended(self) -> None:
        """Raise TrainingError unless it ended as it should."""
        code = self.process.returncode
        if code == 0 or (self._told and code in _STOPPED):
            return
        said = _last_line(self.log).removeprefix("resharp: ")
        reason = f"signal {-code}" if code < 0 else said or f"exit code {code}"
        raise TrainingError(f"{self.run.name}: training failed ({reason}); see {self.log}, the same command goes on")


def _last_line(log: Path) -> str:
    """The last line of text, cut to what fits one line; "" if there is none yet."""
    with open(log, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
