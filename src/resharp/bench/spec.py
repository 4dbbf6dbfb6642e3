"""What one measurement of training is: a size, a batch, processes and where their data comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from resharp.errors import ConfigError
from resharp.train.config import TrainConfig


@dataclass(frozen=True)
class Spec:
    """One measurement, as plain values: it is handed to other processes as JSON.

    Args:
        size: a named size.
        processes: that train together.
        batch_size: crops a step of each process, so that more processes take larger steps.
        crop_px: side of a crop.
        steps: timed steps of each kind, with one batch held and with data.
        device: "cpu", "cuda" or "mps".
        workers: processes that prepare batches, for each process that trains.
        threads: of each process that trains.
        places: data sets; none means photographs made up on the spot.

    Raises:
        ConfigError: no such size, or numbers that cannot be trained with.
    """

    SMALLER: ClassVar[str] = "a smaller --batch-size or --crop-px"

    size: str
    processes: int = 1
    batch_size: int = 8
    crop_px: int = 128
    steps: int = 10
    device: str = "cpu"
    workers: int = 1
    threads: int = 1
    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("processes", "batch_size", "steps", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.workers < 0:
            raise ConfigError(f"workers is {self.workers}; it must not be negative")
        self.train_config()

    def train_config(self) -> TrainConfig:
        """Settings of a run in which every part of the network is trained from the first step on."""
        return TrainConfig(
            size=self.size,
            stage="joint",
            batch_size=self.batch_size * self.processes,
            crop_px=self.crop_px,
            lr_warmup_steps=0,
            warm_start_steps=0,
            ramp_steps=0,
            tracker="none",
            validation_photos=0,
        )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
