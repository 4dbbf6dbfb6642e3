"""The record of a run: log.jsonl, lines for people, and a tracker's curves."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from resharp.errors import ConfigError
from resharp.train.run_folder import LOG

if TYPE_CHECKING:
    from accelerate import Accelerator

Report = Callable[[str], None]
# What each tracker is imported as.
_MODULES = {"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}


def usable_tracker(name: str, report: Report) -> str | None:
    """The tracker, if it is installed. The default one may be missing; another was asked for.

    Raises:
        ConfigError: a tracker that was asked for is not installed.
    """
    if name == "none" or importlib.util.find_spec(_MODULES[name]) is not None:
        return None if name == "none" else name
    if name != "tensorboard":
        raise ConfigError(f"tracker is {name!r}, which is not installed: pip install {name}")
    report(f"no TensorBoard curves, only {LOG}: for them, pip install 'resharp[train]'")
    return None


class RunLog:
    """Writes scalars by step. Only the main process has one that writes.

    Args:
        folder: of the run.
        accelerator: with its trackers, already started.
        report: gets a line for people.
        steps: of the whole run.
    """

    def __init__(self, folder: Path, accelerator: Accelerator, report: Report, steps: int) -> None:
        self.folder, self.accelerator, self.report, self.steps = folder, accelerator, report, steps
        self.newest: dict[str, dict[str, float]] = {}  # the last line of each group

    def __call__(self, step: int, values: dict[str, float], group: str) -> None:
        """Record values after `step` steps; `group` is "train" or "validation".

        A disk without room for a line of the log must not end a run of days.
        """
        if not self.accelerator.is_main_process:
            return
        line = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        self.newest[group] = line
        try:
            self._write(line)
            self.accelerator.log({f"{group}/{name}": value for name, value in values.items()}, step=step)
        except OSError as error:
            self.report(f"{self.folder / LOG}: cannot write it ({error.strerror}); training goes on without this line")
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.report(f"step {step}/{self.steps}  {shown}")

    def event(self, step: int, text: str) -> None:
        """Record something that happened, in words."""
        if not self.accelerator.is_main_process:
            return
        self.report(text)
        with suppress(OSError):  # a full disk may be what happened
            self._write({"step": step, "event": text})

    def _write(self, line: dict[str, Any]) -> None:
        with open(self.folder / LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def memory_gb(device: torch.device) -> float:
    """Memory in use: the most so far on a GPU, this process's own on a CPU. In units of 10^9 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9


def duration(seconds: float) -> str:
    """For people: "3 d 4 h", "4 h 05 min", "12 min" or "40 s"."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
