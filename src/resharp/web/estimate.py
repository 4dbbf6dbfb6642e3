"""How long a restoration will take on this machine: pixels times network calls, measured once and corrected by runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from resharp.assessment import assess_input, make_safe
from resharp.diffusion.presets import Preset
from resharp.pipeline import DeblurPipeline

_SIDE_PX = 256
_MEGAPIXELS = _SIDE_PX**2 / 1e6
# How much of what one run says is believed at once, and how far a correction may go.
_BELIEF = 0.4
_MOST = 20.0


@dataclass(frozen=True)
class Costs:
    """Seconds for each megapixel.

    predictor, denoiser: of one network call; 0 where the model has no such part.
    handling: of assessing, guarding, reading and writing.
    """

    predictor: float
    denoiser: float
    handling: float


class Estimator:
    """Expected seconds of a job. Safe to use from several threads."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self._factor = 1.0
        self._runs = 0
        self._lock = threading.Lock()

    def seconds(self, width: int, height: int, settings: Preset) -> float:
        """What restoring a photo of this size will take."""
        return self._factor * self._plain(width, height, settings)

    def learn(self, width: int, height: int, settings: Preset, seconds: float) -> None:
        """Correct later estimates by what a run took; the first run counts fully."""
        plain = self._plain(width, height, settings)
        if plain <= 0 or seconds <= 0:
            return
        seen = min(_MOST, max(1 / _MOST, seconds / plain))
        with self._lock:
            belief = 1.0 if self._runs == 0 else _BELIEF
            self._factor += belief * (seen - self._factor)
            self._runs += 1

    def _plain(self, width: int, height: int, settings: Preset) -> float:
        predictor, denoiser = network_calls(settings)
        each = predictor * self.costs.predictor + denoiser * self.costs.denoiser + self.costs.handling
        return width * height / 1e6 * each


def network_calls(settings: Preset) -> tuple[int, int]:
    """Calls of the predictor and of the denoiser."""
    if settings.output == "input":
        return 0, 0
    ensemble = settings.ensemble if settings.output == "predictor" or settings.ensemble > 1 else 0
    if settings.output == "predictor":
        return ensemble, 0
    return ensemble + 1, settings.steps * settings.samples


def calibrate(pipeline: DeblurPipeline, stop: threading.Event | None = None) -> Estimator | None:
    """Time one call of each part on a small picture; takes a second or two. None if `stop` was set meanwhile."""
    stop = stop or threading.Event()
    blurry = torch.rand((1, 3, _SIDE_PX, _SIDE_PX), generator=torch.Generator().manual_seed(0))
    predictor = denoiser = 0.0
    if pipeline.model.predictor is not None:
        predictor = _time(lambda: pipeline.restore(blurry, output="predictor", ensemble=1))
    if pipeline.model.denoiser is not None and not stop.is_set():
        both = _time(lambda: pipeline.restore(blurry, output="diffusion", steps=2, samples=1))
        denoiser = max(both - predictor, 0.25 * both) / 2
    handling = _time(lambda: make_safe(blurry, blurry * 0.99, assess_input(blurry)))
    return (
        None if stop.is_set() else Estimator(Costs(*(each / _MEGAPIXELS for each in (predictor, denoiser, handling))))
    )


def _time(work: Callable[[], object]) -> float:
    """Of the second call: the first one also pays for memory and threads."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
