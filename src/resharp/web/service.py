"""What the page's jobs share: the model, the limits, the line; and what a visitor has asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from resharp.diffusion.presets import Preset
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin
from resharp.web.estimate import Estimator
from resharp.web.limits import Limits
from resharp.web.line import Line
from resharp.web.visitors import Visitors
from resharp.web.work import TimeOutError


@dataclass(frozen=True)
class Asked:
    """What a visitor has chosen.

    fidelity: 0 to 1; 1 with one sample leaves the choice of the model's part to the quality.
    samples, steps: of the diffusion; steps None is the quality's.
    """

    quality: str = "standard"
    fidelity: float = 1.0
    samples: int = 1
    steps: int | None = None
    seed: int = 0
    force: bool = False
    strip_gps: bool = False

    def settings(self) -> dict[str, Any]:
        """For `DeblurPipeline.restore`, with the seed."""
        draws = self.fidelity < 1 or self.samples > 1
        return {
            "quality": self.quality,
            "fidelity": self.fidelity if self.fidelity < 1 else None,
            "samples": self.samples if draws else None,
            "steps": self.steps if draws else None,
            "seed": self.seed,
        }


@dataclass
class Service:
    """The model, and everything that visitors share.

    estimator: None until the machine has been measured.
    """

    pipeline: DeblurPipeline
    origin: Origin
    limits: Limits
    visitors: Visitors
    estimator: Estimator | None = None
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.line = Line(self.limits.concurrency, self.limits.max_waiting)

    def wait_for_estimator(self, timeout_s: float) -> None:
        """Return when the machine is measured, or after the time."""
        end = time.monotonic() + timeout_s
        while self.estimator is None and time.monotonic() < end:
            time.sleep(0.2)

    def chosen(self, asked: Asked) -> Preset:
        """The settings that count.

        Raises:
            ConfigError: the model cannot do it.
        """
        return self.pipeline.choose(**{name: value for name, value in asked.settings().items() if name != "seed"})

    def seconds(self, size: tuple[int, int], asked: Asked) -> float | None:
        """Expected for a photo of this width and height; None while the machine is not measured."""
        return None if self.estimator is None else self.estimator.seconds(*size, self.chosen(asked))

    def check_time(self, size: tuple[int, int], asked: Asked) -> None:
        """Refuse, with TimeOutError, what is expected to take longer than allowed."""
        seconds = self.seconds(size, asked)
        if seconds is not None and seconds > self.limits.timeout_s:
            raise TimeOutError("this takes longer than this server allows")
