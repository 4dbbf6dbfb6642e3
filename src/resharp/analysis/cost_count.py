"""What a network costs, counted and not timed: parameters, multiply-accumulates (MAC) and bytes of tensors.

Everything runs on the meta device, where tensors have shapes and no values: nothing is computed or stored.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError
from resharp.models.config import ModelConfig
from resharp.models.icdpm import ICDPM
from resharp.models.padding import pad_to_multiple
from resharp.restoration import Conditions, clamped_x0

# What is run for a picture: H and its features, the initial predictor, one call of the denoiser.
PARTS = ("guidance", "predictor", "step")
MAX_SIDE_PX = 100_000
T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """Width and height of a picture in pixels.

    Raises:
        ConfigError: a side outside 1 to 100,000.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if not 1 <= side <= MAX_SIDE_PX:
                raise ConfigError(f"size {self}: sides from 1 to {MAX_SIDE_PX:,} px are allowed")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Count:
    """What one picture takes, by the parts of `PARTS` that the network has.

    parameters: trainable numbers; those of the step are the denoiser's. Guidance includes the regression head R,
        which only training runs.
    macs: multiply-accumulates of convolutions and dense layers for one run of a part, at the padded size.
    tensor_bytes: the most that inputs and results of its operations hold at once in float32, weights left out; what
        a library needs for its own work comes on top.
    """

    parameters: dict[str, int]
    macs: dict[str, int]
    tensor_bytes: dict[str, int]


def meta_model(config: ModelConfig) -> ICDPM:
    """The network without numbers."""
    with torch.device("meta"):
        return ICDPM(config).eval()


def counted(config: ModelConfig, size: Size) -> Count:
    """Count every part for one picture; sides are padded as restoration pads them."""
    model = meta_model(config)
    modules = {"guidance": model.guidance, "predictor": model.predictor, "step": model.denoiser}
    parameters = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in modules.items()
        if module is not None
    }
    macs, held = {}, {}
    blurry = torch.empty(1, 3, size.height, size.width, device="meta")
    for name, work in works(model, blurry).items():
        with FlopCounterMode(display=False) as counter, LiveBytes() as live:
            work()
        # The counter takes a multiply-accumulate for two operations.
        macs[name], held[name] = counter.get_total_flops() // 2, live.peak
    return Count(parameters, macs, held)


def works(model: ICDPM, blurry: Tensor) -> dict[str, Callable[[], object]]:
    """The parts that `model` has, as functions to be called in this order: later ones use what earlier ones made.

    Args:
        blurry: (1, 3, H, W) in [0, 1], any size.
    """
    y = pad_to_multiple(blurry * 2 - 1, model.size_multiple)
    made: dict[str, Any] = {"guidance": {}, "predictor": None}

    def keeping(name: str, work: Callable[[], T]) -> Callable[[], object]:
        def kept() -> None:
            with torch.inference_mode():
                made[name] = work()

        return kept

    def step() -> Tensor:
        conditions = Conditions(y, made["guidance"], made["predictor"], (blurry.shape[2], blurry.shape[3]))
        return clamped_x0(model, conditions)(x_t, alpha_bar)

    found: dict[str, Callable[[], object]] = {}
    if model.guidance is not None:
        found["guidance"] = keeping("guidance", lambda: model.guide(y))
    if model.predictor is not None:
        found["predictor"] = keeping("predictor", lambda: model.predict(y, made["guidance"]))
    if model.denoiser is not None:
        x_t = torch.randn_like(y)
        alpha_bar = torch.full((1,), 0.5, dtype=torch.float64, device="cpu" if y.device.type == "mps" else y.device)
        found["step"] = keeping("step", step)
    return found


def calls(settings: Preset, *, has_predictor: bool) -> dict[str, int]:
    """How often each part runs for a picture restored with these settings; see `DeblurPipeline.restore`.

    A step is counted whole, by itself. In a run its projections of h, below 1 %, are made once for all steps.
    """
    if settings.output == "input":
        return dict.fromkeys(PARTS, 0)
    if settings.output == "predictor":
        return {"guidance": settings.ensemble, "predictor": settings.ensemble, "step": 0}
    # A mix with an ensemble of the predictor runs that besides the diffusion's own guidance and prediction.
    several = settings.ensemble if has_predictor and settings.fidelity is not None and settings.ensemble > 1 else 0
    return {"guidance": 1 + several, "predictor": 1 + several, "step": settings.steps * settings.samples}


def for_image(once: Mapping[str, float], settings: Preset) -> float:
    """A sum over parts, each as often as it runs: the MACs or the seconds of a whole picture.

    Args:
        once: by part, of one run of it.
    """
    times = calls(settings, has_predictor="predictor" in once)
    return sum(times[name] * value for name, value in once.items())


class LiveBytes(TorchDispatchMode):
    """Follows the bytes of the tensors used inside the block; `peak` is the most that were alive at once.

    A tensor counts from its first use to its end, those made before the block included. Parameters do not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves((args, kwargs, result)):
            if isinstance(each, Tensor) and not isinstance(each, torch.nn.Parameter):
                self._note(each.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
