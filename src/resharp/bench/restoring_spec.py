"""What one measurement of restoring is: a model, a size of picture, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from resharp.diffusion.samplers import SAMPLERS
from resharp.errors import ConfigError
from resharp.models.sizes import SIZES, size

# What ships with the program and can be named beside the untrained sizes.
SHIPPED = "default"
BACKENDS = ("torch", "onnx", "openvino")
MAX_SIDE_PX = 20_000


@dataclass(frozen=True)
class RestoringSpec:
    """One measurement, as plain values: it is handed to another process as JSON.

    Args:
        size: "default", the shipped model, or a named size, whose weights are random.
        output: "predictor" or "diffusion".
        sampler, steps, samples: of the diffusion.
        width, height: of the photo, px.
        images: photos restored one after the other.
        repeats: times each is measured; the median counts.
        memory: as of `resharp deblur --memory`; None is what is free.
        device: "cpu", "cuda" or "mps".
        backend: "torch", or "onnx" or "openvino", which run the shipped model on a CPU.
        threads: on the CPU.

    Raises:
        ConfigError: no such size or sampler, or numbers that are not allowed.
    """

    SMALLER: ClassVar[str] = "a smaller --width or --height"
    processes: ClassVar[int] = 1

    size: str = SHIPPED
    output: str = "predictor"
    sampler: str = "dpm++"
    steps: int = 1
    samples: int = 1
    width: int = 1280
    height: int = 720
    images: int = 1
    repeats: int = 3
    memory: str | None = None
    device: str = "cpu"
    backend: str = "torch"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "images", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("width", "height"):
            if not 1 <= getattr(self, name) <= MAX_SIDE_PX:
                raise ConfigError(f"{name} is {getattr(self, name)}; allowed: 1 to {MAX_SIDE_PX} px")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"unknown sampler {self.sampler!r}; allowed: {', '.join(SAMPLERS)}")
        if self.backend not in BACKENDS:
            raise ConfigError(f"unknown backend {self.backend!r}; allowed: {', '.join(BACKENDS)}")
        if self.backend != "torch" and (self.size != SHIPPED or self.device != "cpu"):
            raise ConfigError(
                f"{self.backend} runs {SHIPPED} on the CPU; measure {self.size} on {self.device} with torch"
            )
        config = size("msgd-fast" if self.size == SHIPPED else self.size)
        if self.output == "predictor" and config.predictor is None:
            raise ConfigError(f"{self.size} has no initial predictor; measure its diffusion")

    @property
    def megapixels(self) -> float:
        """Of one photo."""
        return self.width * self.height / 1e6


def has_predictor(name: str) -> bool:
    """Whether "default" or a named size has one."""
    return name == SHIPPED or SIZES[name].predictor is not None
