"""What a training run is, as a dataclass read from TOML."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from resharp.data.synthetic import BlurConfig
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.config import ModelConfig
from resharp.models.sizes import size
from resharp.settings import from_dict


@dataclass(frozen=True)
class TrainConfig:
    """One training run; every value is saved with it."""

    # A named size, unless a [model] table describes the network.
    size: str = "msgd-fast"
    model: ModelConfig | None = None
    # "joint" trains all at once as the paper does; "predictor" the guidance and g; "denoiser" the rest,
    # with guidance and g as they are in `init`.
    stage: Literal["joint", "predictor", "denoiser"] = "joint"
    # A saved model to start from.
    init: str | None = None
    steps: int = 1_000_000
    batch_size: int = 256
    crop_px: int = 128
    # Smallest factor of the random resize of training photographs.
    scale_min: float = 0.6
    lr: float = 1e-4
    lr_warmup_steps: int = 20_000
    # "none" keeps the rate after the warm-up, as the paper does; "cosine" lowers it to 1 % at the last step.
    lr_decay: Literal["none", "cosine"] = "none"
    beta_1: float = 0.5
    beta_2: float = 0.999
    clip_norm: float = 1.0
    ema_decay: float = 0.9999
    # Steps on the regression losses alone, then steps over which the denoising loss is faded in.
    warm_start_steps: int = 60_000
    ramp_steps: int = 20_000
    # Weight of the guidance's regression loss beside the others.
    regression_weight: float = 1.0
    # Loss of the initial predictor; see `resharp.diffusion.loss`.
    prediction_loss: Literal["l1", "charbonnier"] = "l1"
    seed: int = 0
    log_every: int = 50
    validate_every: int = 5000
    # Photographs kept out of training to validate on.
    validation_photos: int = 8
    checkpoint_every: int = 1000
    blur: BlurConfig = field(default_factory=BlurConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)

    def __post_init__(self) -> None:
        positive = ("steps", "batch_size", "lr", "log_every", "validate_every", "checkpoint_every", "clip_norm")
        for name in (*positive, "validation_photos"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("lr_warmup_steps", "warm_start_steps", "ramp_steps", "regression_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative")
        for name in ("beta_1", "beta_2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; allowed: 0 up to, not including, 1")
        if not 0 < self.scale_min <= 1:
            raise ConfigError(f"scale_min is {self.scale_min}; allowed: above 0 up to 1")
        if self.crop_px < 32 or self.crop_px % 32:
            raise ConfigError(f"crop_px is {self.crop_px}; allowed: multiples of 32 from 32 on")
        if self.stage == "predictor" and self.model_config().predictor is None:
            raise ConfigError("stage is 'predictor', but this model has none: add one, or train 'joint'")

    def model_config(self) -> ModelConfig:
        """The network: the [model] table, or the named size."""
        return self.model if self.model is not None else size(self.size)


def load_config(path: str | os.PathLike[str], **overrides: object) -> TrainConfig:
    """Read a TOML file.

    Args:
        path: the file.
        overrides: fields that replace the file's; None leaves the file's.

    Raises:
        ConfigError: missing file, broken TOML, unknown key, or a value that is not allowed.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read this configuration ({error}); give a TOML file") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML ({error})") from error
    data.update({key: value for key, value in overrides.items() if value is not None})
    return from_dict(TrainConfig, data, str(path))
