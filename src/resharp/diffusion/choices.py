"""Which settings a model offers, and which it refuses; the same for every library that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resharp.diffusion.presets import MAX_SAMPLES, QUALITIES, Defaults, Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError


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
    """Of the settings of a restoration those that `Choices.choose` knows: without seed, memory and tile."""
    return {name: value for name, value in settings.items() if name not in ("seed", "memory", "tile")}
