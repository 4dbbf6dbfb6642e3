"""How a picture is made: part, steps, samples and the like, as one value; and the named qualities of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from resharp.diffusion.sampler_names import SAMPLERS, SamplerName
from resharp.diffusion.schedule import MAX_STEPS, SPACINGS, SpacingName
from resharp.errors import ConfigError

OUTPUTS = ("diffusion", "predictor", "input")
QUALITIES = ("draft", "standard", "best")
ENSEMBLES = (1, 2, 4, 8)
MAX_SAMPLES = 1000


@dataclass(frozen=True)
class Preset:
    """One way to make a picture. Settings that its output does not use are kept and have no effect.

    output: "input" passes the photo through: a model that has not been shown to help.
    steps, samples, sampler, final_variance: of the diffusion; see `DeblurPipeline.__call__`.
    ensemble: over how many flips and quarter turns the predictor is averaged: 1, 2, 4 or 8.
    fidelity: None gives the mean of the samples. Else f in [0, 1] mixes f times the mean side, which is the
        predictor where there is one, with 1 - f times the first sample.
    spacing, start: of the noise levels; see `NoiseSchedule.grid`.

    Raises:
        ConfigError: a value outside its range.
    """

    output: Literal["input", "predictor", "diffusion"] = "diffusion"
    steps: int = 50
    samples: int = 1
    sampler: SamplerName = "dpm++"
    ensemble: int = 1
    fidelity: float | None = None
    final_variance: float | None = None
    spacing: SpacingName = "time"
    start: float | None = None

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise ConfigError(f"unknown output {self.output!r}; allowed: {', '.join(OUTPUTS)}")
        if not 1 <= self.steps <= MAX_STEPS:
            raise ConfigError(f"steps is {self.steps}; allowed: 1 to {MAX_STEPS}")
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise ConfigError(f"samples is {self.samples}; allowed: 1 to {MAX_SAMPLES}")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"unknown sampler {self.sampler!r}; allowed: {', '.join(SAMPLERS)}")
        if self.ensemble not in ENSEMBLES:
            raise ConfigError(f"ensemble is {self.ensemble}; allowed: {', '.join(map(str, ENSEMBLES))}")
        # The comparison is written so that NaN fails it.
        if self.fidelity is not None and not 0 <= self.fidelity <= 1:
            raise ConfigError(f"fidelity is {self.fidelity}; allowed: 0 to 1")
        if self.spacing not in SPACINGS:
            raise ConfigError(f"unknown spacing {self.spacing!r}; allowed: {', '.join(SPACINGS)}")
        if self.start is not None and self.spacing != "logsnr":
            raise ConfigError(f"start is {self.start}, which needs spacing 'logsnr'")
        if self.final_variance is not None and self.spacing != "time":
            raise ConfigError("final_variance is a schedule of its own; leave out spacing 'logsnr'")

    def __str__(self) -> str:
        """What it does, in a few words.

        >>> print(Preset(steps=8, samples=4))
        diffusion, 8 steps of dpm++, 4 samples
        """
        ensemble = "" if self.ensemble == 1 else f", ensemble of {self.ensemble}"
        if self.output == "input":
            return "input, unchanged"
        if self.output == "predictor":
            return f"predictor{ensemble}"
        words = [f"diffusion, {self.steps} step{'s' * (self.steps > 1)} of {self.sampler}"]
        words.append(f"{self.samples} sample{'s' * (self.samples > 1)}")
        if self.final_variance is not None:
            words.append(f"final variance {self.final_variance:g}")
        elif self.spacing != "time":
            words.append(f"{self.spacing} spacing" + ("" if self.start is None else f" from {self.start:g}"))
        if self.fidelity is not None:
            words.append(f"fidelity {self.fidelity:g}{ensemble}")
        return ", ".join(words)

    def choose(self, asked: Mapping[str, Any], *, has_predictor: bool) -> Preset:
        """This preset with single settings replaced.

        Without "output" in `asked`, the settings of the diffusion ask for the diffusion, as does a fidelity; an
        ensemble asks for the predictor. A fidelity of 1 is the predictor, where there is one.

        Args:
            asked: by the names of the fields; None stands for not asked.

        Returns:
            The settings that count; what the output does not use is back at its default.

        Raises:
            ConfigError: a value outside its range, or settings that do not go together.
        """
        asked = {name: value for name, value in asked.items() if value is not None}
        several = asked.get("ensemble", 1) != 1
        if asked.get("output", "diffusion") != "diffusion" and "fidelity" in asked:
            raise ConfigError(
                f"fidelity is between predictor and diffusion; leave it out, or leave out output {asked['output']!r}"
            )
        if "output" not in asked:
            if asked.keys() - {"ensemble"}:
                asked["output"] = "diffusion"
            elif several and (self.output != "diffusion" or self.fidelity is None):
                asked["output"] = "predictor"
        if asked.keys() & {"spacing", "start"}:
            asked.setdefault("final_variance", None)
        elif "final_variance" in asked:  # brings a grid of its own
            asked |= {"spacing": "time", "start": None}
        chosen = replace(self, **asked)
        if several and (chosen.output == "input" or (chosen.output == "diffusion" and chosen.fidelity is None)):
            raise ConfigError("an ensemble is of the predictor; leave it out, or give a fidelity or output 'predictor'")
        if chosen.output == "diffusion" and chosen.fidelity == 1 and has_predictor:
            chosen = replace(chosen, output="predictor")
        if chosen.output == "input":
            return Preset(output="input")
        if chosen.output == "predictor":
            return Preset(output="predictor", ensemble=chosen.ensemble)
        mixes = chosen.fidelity is not None and has_predictor
        return chosen if mixes else replace(chosen, ensemble=1)


@dataclass(frozen=True)
class Qualities:
    """A model's presets by name; one that is None follows from the model's default."""

    draft: Preset | None = None
    standard: Preset | None = None
    best: Preset | None = None


@dataclass(frozen=True)
class Defaults(Preset):
    """What a model does when nothing is asked for, and its presets; measured by the gate, saved with the model."""

    quality: Qualities = field(default_factory=Qualities)

    def preset(self) -> Preset:
        """The default without the table of presets."""
        return Preset(**{each.name: getattr(self, each.name) for each in fields(Preset)})

    def presets(self, *, has_predictor: bool) -> dict[str, Preset]:
        """Every quality, those of the table and those that follow from the default.

        The latter: standard is the default. Draft is the predictor, or one sample of one step. Best is the
        predictor over all 8 orientations, or 4 times the samples where the default is the diffusion. Where the
        default is "input", since no part has been shown to help, so is every quality, the table notwithstanding.
        """
        standard = self.preset()
        if self.output == "input":
            return dict.fromkeys(QUALITIES, standard)
        one_step = replace(standard, steps=1, samples=1, fidelity=None)
        best = replace(standard, samples=min(4 * self.samples, MAX_SAMPLES))
        if self.output == "predictor":
            best = replace(standard, ensemble=ENSEMBLES[-1])
        follow = {
            "draft": replace(standard, output="predictor", ensemble=1) if has_predictor else one_step,
            "standard": standard,
            "best": best,
        }
        return {name: getattr(self.quality, name) or follow[name] for name in QUALITIES}
