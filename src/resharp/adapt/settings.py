"""What an adaptation is, as a dataclass, and the training settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM
from resharp.train.config import TrainConfig

Method = Literal["reblur", "adversarial"]


@dataclass(frozen=True)
class AdaptSettings:
    """One adaptation; every value is in its report."""

    method: Method = "reblur"
    steps: int = 300
    batch_size: int = 8
    lr: float = 5e-5
    # Of each batch, pictures with training's ordinary blur, so that the model does not forget it.
    ordinary_share: float = 0.5
    # Of the photos, those that judge.
    held_out_share: float = 0.25
    # Side of the square that is looked at in each photo.
    window_px: int = 512
    # Of the reversed gradient, in the adversarial method.
    domain_weight: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("reblur", "adversarial"):
            raise ConfigError(f"unknown method {self.method!r}; allowed: reblur, adversarial")
        for name in ("steps", "batch_size", "lr", "domain_weight"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{_option(name)} is {getattr(self, name)}; it must be above 0")
        for name, most in (("ordinary_share", 1.0), ("held_out_share", 0.5)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{_option(name)} is {getattr(self, name)}; allowed: 0 to {most:g}")
        if self.window_px < 160:
            raise ConfigError(f"--window is {self.window_px}; allowed: 160 and more")
        if not 0 <= self.seed < 2**48:
            raise ConfigError(f"--seed is {self.seed}; allowed: 0 to 2^48 - 1")


def _option(name: str) -> str:
    return {"ordinary_share": "--ordinary-share", "held_out_share": "--hold-out"}.get(
        name, f"--{name.replace('_', '-')}"
    )


# Losses and blur where no training configuration is given: those of configs/fast.toml, but for its [blur].
DEFAULTS = TrainConfig(prediction_loss="charbonnier", regression_weight=0.1, warm_start_steps=0, ramp_steps=0)


def tuning_config(
    settings: AdaptSettings, model: ICDPM, schedule: NoiseSchedule, base: TrainConfig = DEFAULTS
) -> TrainConfig:
    """How the fine-tune trains: losses, blur and crops of `base`, everything else for a short run.

    A model of predict and refine trains its guidance and predictor, any other all it has.

    Raises:
        ConfigError: settings that do not go together.
    """
    return replace(
        base,
        model=model.config,
        stage="joint" if model.predictor is None else "predictor",
        init=None,
        schedule=schedule,
        steps=settings.steps,
        batch_size=settings.batch_size,
        micro_batch_size=None,
        optimizer="adam",
        lr=settings.lr,
        lr_warmup_steps=min(20, settings.steps // 10),
        lr_decay="cosine",
        beta_1=0.9,
        beta_2=0.99,
        ema_decay=0.98,
        warm_start_steps=0,
        ramp_steps=0,
        precision="float32",
        compile=False,
        seed=settings.seed,
        validation_photos=0,
        tracker="none",
    )
