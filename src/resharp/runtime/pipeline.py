"""`DeblurPipeline` for exported graphs: the same settings, the same noise, the same pictures up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from resharp.diffusion.choices import Choices, check_batch, noise_seed, rounds
from resharp.diffusion.presets import Defaults, Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.images.photo import as_floats
from resharp.memory import parse_bytes, spare_bytes
from resharp.runtime.networks import Networks
from resharp.runtime.noise import Noise
from resharp.runtime.pictures import Moments, to_unit, turned, turned_back
from resharp.runtime.samplers import OnStep, sample
from resharp.runtime.tiled import Conditions, condition, denoise_in_tiles, predict_in_tiles
from resharp.smaller_tiles import made_to_fit
from resharp.task import Task
from resharp.tile_choice import Portions, Tiles, portions_within

OnPreview = Callable[[np.ndarray], None]
OnSample = Callable[[int, np.ndarray], None]

# What a library takes of what `resharp.models.footprint` reckons, with room for what it keeps besides.
_MORE = {"openvino": 1.6}


@dataclass(frozen=True)
class Made:
    """What came out, and how; the fields are those of `resharp.restoration.Restored`, with arrays."""

    image: np.ndarray
    spread: np.ndarray | None
    output: str
    settings: Preset
    tile: tuple[int, int] | None = None
    batch: int = 1
    remark: str | None = None


class GraphPipeline:
    """A model whose networks are exported graphs; needs numpy and the library that runs them, and not torch.

    Args:
        networks: the graphs.
        schedule, defaults, task: the model's.
        backend: "onnx" or "openvino". version: of its library. precision: "float32" or "int8".
        release: gives back what the graphs keep, where memory runs out.
    """

    device = SimpleNamespace(type="cpu")  # as a torch.device has it

    def __init__(
        self,
        networks: Networks,
        schedule: NoiseSchedule,
        defaults: Defaults,
        task: Task = Task(),
        *,
        backend: str,
        version: str,
        precision: str,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        config = networks.config
        self.networks, self.schedule, self.defaults, self.task = networks, schedule, defaults, task
        self.choices = Choices(schedule, defaults, config.predictor is not None, config.denoiser is not None)
        self.backend, self.version, self.precision, self.release = backend, version, precision, release

    def presets(self) -> dict[str, Preset]:
        """What "draft", "standard" and "best" mean for this model."""
        return self.choices.presets()

    def choose(self, quality: str | None = None, **asked: Any) -> Preset:
        """The settings of a restoration; see `DeblurPipeline.choose`."""
        return self.choices.choose(quality, **asked)

    def restore(
        self,
        blurry: np.ndarray,
        *,
        quality: str | None = None,
        seed: int = 0,
        memory: int | str | None = None,
        tile: tuple[int, int] | None = None,
        batch: int | None = None,
        on_step: OnStep | None = None,
        on_preview: OnPreview | None = None,
        on_sample: OnSample | None = None,
        **asked: Any,
    ) -> Made:
        """Restore an array (B, 3, H, W), floats in [0, 1] or samples of a photo; see `DeblurPipeline.restore`."""
        settings = self.choose(quality, **asked)
        check_batch(batch)
        image = np.asarray(blurry)
        if settings.output == "input":
            return Made(np.asarray(as_floats(image), dtype=np.float32), None, "input", settings)
        portions = self._portions(settings, image.shape, memory, tile, batch)
        made = partial(self._made, image, settings, seed, (on_step, on_preview, on_sample))
        return made_to_fit(made, self.networks.config, (image.shape[2], image.shape[3]), portions, self.release)

    def _made(
        self, image: np.ndarray, settings: Preset, seed: int, watching: tuple[Any, Any, Any], portions: Portions
    ) -> Made:
        """`restore` with its settings decided."""
        (on_step, on_preview, on_sample), tiles = watching, portions.tiles
        g = None
        if settings.output == "predictor" or settings.ensemble > 1:
            g = self._ensemble(image, settings.ensemble, tiles, on_step, on_preview)
        if settings.output == "predictor":
            assert g is not None
            return Made(g, None, "predictor", settings)
        conditions, moments = condition(self.networks, image, tiles), Moments()
        for numbers, on_own in rounds(settings.samples, portions.batch, on_step):
            together = self._draw(conditions, settings, seed, numbers, on_own, on_preview)
            for i, drawn in zip(numbers, np.split(together, len(numbers)), strict=True):
                moments.add(drawn)
                if on_sample is not None:
                    on_sample(i, drawn)
        if settings.fidelity is not None and g is None and conditions.g is not None:
            g = to_unit(conditions.g, conditions.size)
        return Made(moments.result(settings.fidelity, g), moments.spread(), "diffusion", settings)

    def _portions(
        self,
        settings: Preset,
        shape: tuple[int, ...],
        memory: int | str | None,
        tile: tuple[int, int] | None,
        batch: int | None,
    ) -> Portions:
        """Those asked for, or with which the picture keeps to the memory; see `resharp.fitting.choose_portions`."""
        limit = parse_bytes(memory) if isinstance(memory, str) else memory
        may_try = limit is None and settings.output == "predictor"
        room = 0.0 if tile is not None else spare_bytes(limit) / _MORE.get(self.backend, 1)
        asked: dict[str, Any] = {"may_try": may_try, "tile": tile, "batch": batch or 1}
        return portions_within(self.networks.config, settings, shape, room, **asked)

    def _ensemble(
        self,
        image: np.ndarray,
        count: int,
        tiles: Tiles | None,
        on_step: OnStep | None,
        on_preview: OnPreview | None,
    ) -> np.ndarray:
        """The mean of g over `count` orientations, each padded after turning, (B, 3, H, W) in [0, 1]."""
        if tiles is not None:
            return predict_in_tiles(self.networks, image, tiles, count, on_step)
        total: np.ndarray | None = None
        for orientation in range(count):
            found = condition(self.networks, turned(image, orientation), None)
            assert found.g is not None
            restored = turned_back(to_unit(found.g, found.size), orientation)
            total = restored if total is None else total + restored
            if on_step is not None:
                on_step(orientation + 1, count)
            if on_preview is not None:
                on_preview(total / np.float32(orientation + 1))
        assert total is not None
        return np.ascontiguousarray(total if count == 1 else total / np.float32(count))

    def _draw(
        self,
        conditions: Conditions,
        settings: Preset,
        seed: int,
        numbers: Sequence[int],
        on_step: OnStep | None,
        on_preview: OnPreview | None,
    ) -> np.ndarray:
        """Samples of a seed by their numbers, drawn together, (samples B, 3, H, W) in [0, 1].

        x0 is clamped at every step through its image.
        """
        shape, conditions = conditions.y.shape, conditions.repeated(len(numbers))
        y, g, scale = conditions.y, conditions.g, np.float32(self.networks.config.residual_scale)
        noises = [Noise(noise_seed(seed, i)) for i in numbers]
        start = 1.0 if settings.start is None else math.sqrt(1 - settings.start)

        def picture(x0: np.ndarray) -> np.ndarray:
            return to_unit(x0 if g is None else g + x0 / scale, conditions.size)

        def denoise(x_t: np.ndarray, alpha_bar: float) -> np.ndarray:
            if conditions.layout is None:
                answer = self.networks.denoise(x_t, y, g, alpha_bar, conditions.h)
            else:
                answer = denoise_in_tiles(self.networks, conditions, x_t, alpha_bar, conditions.layout)
            x0 = _to_x0(answer, x_t, alpha_bar, self.networks.config.prediction_type)
            x0 = np.clip(x0, -1, 1) if g is None else scale * (np.clip(g + x0 / scale, -1, 1) - g)
            if on_preview is not None:
                on_preview(picture(x0)[: shape[0]])
            return x0

        def draw(_: tuple[int, ...]) -> np.ndarray:
            return np.concatenate([noise.draw(shape) for noise in noises])

        x_T = draw(y.shape) * np.float32(start)  # noqa: N806
        return picture(sample(denoise, x_T, self.choices.levels(settings), settings.sampler, draw, on_step))


def _to_x0(answer: np.ndarray, x_t: np.ndarray, alpha_bar: float, prediction_type: str) -> np.ndarray:
    """The clean image that the network's answer stands for; see `resharp.diffusion.process.to_x0`."""
    if prediction_type == "x0":
        return answer
    signal, noise = np.float32(math.sqrt(alpha_bar)), np.float32(math.sqrt(1 - alpha_bar))
    if prediction_type == "v":
        return signal * x_t - noise * answer
    return (x_t - noise * answer) / max(signal, np.float32(1e-6))
