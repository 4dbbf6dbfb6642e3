"""Which settings a model offers, and which it refuses; the same for every library that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.diffusion.presets import MAX_SAMPLES, QUALITIES, Defaults, Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Choices:
    """What can be asked of a model with these parts.

    Raises:
        ConfigError: a default or preset that the model cannot do.
    """

    schedule: NoiseSchedule
    defaults: Defaults
    has_predictor: bool
    has_denoiser: bool

    def __post_init__(self) -> None:
        if self.defaults.output == "predictor" and not self.has_predictor:
            raise ConfigError("the default output is 'predictor', but this model has no initial predictor")
        if self.defaults.output == "diffusion" and not self.has_denoiser:
            raise ConfigError("the default output is 'diffusion', but this model is a regression and has no denoiser")
        for name, preset in self.presets().items():
            try:
                self.check(preset.choose({}, has_predictor=self.has_predictor))
            except ConfigError as error:
                raise ConfigError(f"the model's preset {name!r}: {error}") from error

    def presets(self) -> dict[str, Preset]:
        """What "draft", "standard" and "best" mean for this model."""
        return self.defaults.presets(has_predictor=self.has_predictor)

    def choose(self, quality: str | None = None, **asked: Any) -> Preset:
        """See `DeblurPipeline.choose`."""
        if quality is not None and quality not in QUALITIES:
            raise ConfigError(f"unknown quality {quality!r}; allowed: {', '.join(QUALITIES)}")
        base = self.defaults.preset() if quality is None else self.presets()[quality]
        chosen = base.choose(asked, has_predictor=self.has_predictor)
        self.check(chosen)
        return chosen

    def check(self, settings: Preset) -> None:
        """Refuse, with ConfigError, what this model cannot do."""
        if settings.output == "predictor" and not self.has_predictor:
            raise ConfigError("this model has no initial predictor; use output 'diffusion'")
        if settings.output != "diffusion":
            return
        if not self.has_denoiser:
            raise ConfigError("this model is a regression and cannot draw samples; use output 'predictor'")
        if settings.fidelity and not self.has_predictor and settings.samples < 2:
            raise ConfigError("without an initial predictor, fidelity needs a mean: give samples=2 or more")
        if settings.start is not None and not self.has_predictor:
            raise ConfigError("start is for models of a residual, and this one has no initial predictor")
        self.levels(settings)

    def levels(self, settings: Preset) -> np.ndarray:
        """The alpha_bars that sampling visits, float64; see `NoiseSchedule.grid_levels`."""
        return self.schedule.grid_levels(
            settings.steps, settings.final_variance, spacing=settings.spacing, start=settings.start
        )


def noise_seed(seed: int, index: int) -> int:
    """The seed of the noise of sample `index`; it does not depend on how many samples are drawn.

    Raises:
        ConfigError: a negative seed, or one of more than 48 bits.
    """
    if not 0 <= seed < 2**48:
        raise ConfigError(f"seed is {seed}; allowed: 0 to 2^48 - 1")
    return seed * MAX_SAMPLES + index


def chosen_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings of a restoration those that `Choices.choose` knows: without seed, batch, memory and tile."""
    return {name: value for name, value in settings.items() if name not in ("seed", "batch", "memory", "tile")}


def check_batch(batch: int | None) -> None:
    """Refuse, with ConfigError, a number of samples that cannot be drawn in one network call."""
    if batch is not None and not 1 <= batch <= MAX_SAMPLES:
        raise ConfigError(f"batch is {batch}; allowed: 1 to {MAX_SAMPLES}")


def rounds(samples: int, batch: int, on_step: OnStep | None) -> Iterator[tuple[range, OnStep | None]]:
    """The numbers of the samples that are drawn together, and what each such round is to tell of its steps.

    Args:
        on_step: called with (network calls done, network calls in all) over all rounds; a round tells its own.

    Example:
        >>> [numbers for numbers, _ in rounds(5, 2, None)]
        [range(0, 2), range(2, 4), range(4, 5)]
    """
    count = -(-samples // batch)

    def told(number: int) -> OnStep | None:
        return None if on_step is None else (lambda done, n: on_step(number * n + done, count * n))

    for number in range(count):
        yield range(number * batch, min((number + 1) * batch, samples)), told(number)
