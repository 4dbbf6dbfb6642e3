"""What a training run is, as a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resharp.data.compression import CompressionConfig
from resharp.data.inpainting import InpaintingConfig
from resharp.data.noise import NoiseConfig
from resharp.data.super_resolution import SuperResolutionConfig
from resharp.data.synthetic import BlurConfig
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.config import ModelConfig
from resharp.models.sizes import size

# Settings that decide how a run is watched and carried out, and not what it computes: they may change on resume.
OPERATIONAL = frozenset(
    {"log_every", "validate_every", "checkpoint_every", "keep_checkpoints", "tracker", "cache_gb", "max_skipped_steps"}
)


@dataclass(frozen=True)
class TrainConfig:
    """One training run; every value is saved with it. Defaults are the paper's where they are known."""

    # A named size; what a [model] table says replaces that part of it.
    size: str = "msgd-fast"
    model: ModelConfig | None = None
    # "joint" trains all at once as the paper does; "predictor" the guidance and g; "denoiser" the rest,
    # with guidance and g as they are in `init`; "distil" the denoiser, to do in one step what that of `init` does
    # in `teacher_steps`.
    stage: Literal["joint", "predictor", "denoiser", "distil"] = "joint"
    # A saved model to start from.
    init: str | None = None
    # Of the data set: "train", "test", "val".
    split: str = "train"
    # Which blurry photographs of GOPRO_Large.
    gopro_blur: Literal["blur", "blur_gamma"] = "blur"
    # Which blurry photographs of REDS.
    reds_blur: Literal["blur", "blur_jpeg"] = "blur"
    steps: int = 1_000_000
    batch_size: int = 256
    # Crops that one process handles at once; None shares the batch out equally and makes no parts of that.
    micro_batch_size: int | None = None
    crop_px: int = 128
    # Smallest factor of the random resize of sharp training photographs; pairs are not resized.
    scale_min: float = 0.6
    # Reading positions in each process's part of packed shards: a multiple of the workers is best.
    streams: int = 4
    # Photographs are held decoded in memory if they fit into this many GB, else read when needed.
    cache_gb: float = 4.0
    # "muon" makes the updates of inner convolutions orthogonal and leaves the rest to Adam; see `resharp.train.muon`.
    optimizer: Literal["adam", "muon"] = "adam"
    lr: float = 1e-4
    # Learning rate of what Muon updates; follows the course of `lr`.
    lr_matrix: float = 0.02
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
    # Loss of the initial predictor, and of the student in stage "distil"; see `resharp.diffusion.loss`.
    prediction_loss: Literal["l1", "charbonnier"] = "l1"
    # Weights of further losses of the predictor, on spectra and on LPIPS, and the AlexNet weights for the latter.
    frequency_weight: float = 0.0
    perceptual_weight: float = 0.0
    # Weight of LPIPS between the image that x0_hat stands for and the sharp one, as a further loss of the denoiser.
    denoising_perceptual_weight: float = 0.0
    perceptual_trunk: str | None = None
    # Which noise levels the denoiser is trained on; see `resharp.diffusion.schedule`.
    noise_levels: Literal["schedule", "logsnr"] = "schedule"
    # Steps of the teacher in stage "distil".
    teacher_steps: int = 16
    # "auto" is bfloat16 autocast on CUDA and float32 elsewhere.
    precision: Literal["auto", "float32", "bf16"] = "auto"
    # torch.compile: minutes at the start, faster steps on a GPU.
    compile: bool = False
    seed: int = 0
    # Steps whose gradient is not finite are skipped; one more than this many ends the run.
    max_skipped_steps: int = 20
    log_every: int = 50
    tracker: Literal["tensorboard", "trackio", "wandb", "none"] = "tensorboard"
    validate_every: int = 5000
    # Photographs to validate on: of the data set's test photographs, else kept out of training; 0 does without.
    validation_photos: int = 8
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    blur: BlurConfig = field(default_factory=BlurConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    # Other damages to restore; with any of these there is no motion blur. See `resharp.train.degradation`.
    super_resolution: SuperResolutionConfig | None = None
    noise: NoiseConfig | None = None
    jpeg: CompressionConfig | None = None
    inpainting: InpaintingConfig | None = None

    def __post_init__(self) -> None:
        positive = ("steps", "batch_size", "lr", "lr_matrix", "clip_norm", "log_every", "validate_every")
        for name in (*positive, "checkpoint_every", "keep_checkpoints", "streams", "teacher_steps"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        not_negative = ("lr_warmup_steps", "warm_start_steps", "ramp_steps", "regression_weight", "max_skipped_steps")
        not_negative += ("frequency_weight", "perceptual_weight", "denoising_perceptual_weight")
        for name in (*not_negative, "validation_photos", "cache_gb"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative")
        for name in ("beta_1", "beta_2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; allowed: 0 up to, not including, 1")
        if not 0 < self.scale_min <= 1:
            raise ConfigError(f"scale_min is {self.scale_min}; allowed: above 0 up to 1")
        if self.crop_px < 32 or self.crop_px % 32:
            raise ConfigError(f"crop_px is {self.crop_px}; allowed: multiples of 32 from 32 on")
        if self.micro_batch_size is not None and (self.micro_batch_size < 1 or self.batch_size % self.micro_batch_size):
            raise ConfigError(
                f"micro_batch_size is {self.micro_batch_size}; allowed: divisors of batch_size, {self.batch_size}"
            )
        for name in ("perceptual_weight", "denoising_perceptual_weight"):
            if getattr(self, name) and self.perceptual_trunk is None:
                raise ConfigError(f"{name} needs perceptual_trunk, a file with the weights of AlexNet")
        self._check_stage()

    def _check_stage(self) -> None:
        """Every step must have something to train."""
        model = self.model_config()
        if self.stage == "predictor" and model.predictor is None:
            raise ConfigError("stage is 'predictor', but this model has none: add one, or train 'joint'")
        if self.stage != "predictor" and model.denoiser is None:
            raise ConfigError(f"stage is {self.stage!r}, but this model has no denoiser: train 'predictor'")
        if self.stage == "distil":
            if model.prediction_type == "eps":
                raise ConfigError(
                    "stage is 'distil', but this model's prediction_type is 'eps': the noise says nothing of the "
                    "image where all is noise, which is where one step begins; use a model that predicts 'x0' or 'v'"
                )
            if self.teacher_steps > self.schedule.train_steps:
                raise ConfigError(
                    f"teacher_steps is {self.teacher_steps}; the noise schedule has {self.schedule.train_steps}"
                )
        if self.warm_start_steps and self.stage != "predictor":
            regression = model.guidance is not None and model.guidance.regression and self.regression_weight > 0
            given = self.stage == "distil" or (self.stage == "denoiser" and model.predictor is not None)
            if given or not (regression or model.predictor is not None):
                raise ConfigError(
                    f"warm_start_steps is {self.warm_start_steps}, but without a regression loss there is nothing to "
                    "train in these steps: set it to 0"
                )

    def model_config(self) -> ModelConfig:
        """The network: the [model] table, or the named size."""
        return self.model if self.model is not None else size(self.size)
