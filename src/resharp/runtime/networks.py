"""The graphs of a model as functions of arrays, whichever library runs them.

    guide(y) -> h_k for every scale; predict(y, h) -> g; denoise(x_t, y, g, alpha_bar, h) -> the network's answer

All pictures are (B, 3, H, W) float32 in [-1, 1] with sides that are multiples of the model's `size_multiple`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from resharp.models.config import ModelConfig

GUIDE, PREDICT, DENOISE = "guide", "predict", "denoise"
Run = Callable[[str, Mapping[str, np.ndarray]], Sequence[np.ndarray]]


def graph_inputs(config: ModelConfig) -> dict[str, tuple[str, ...]]:
    """The graphs of a model and the names of their inputs, in order."""
    scales = () if config.guidance is None else config.guidance.scales
    h = tuple(f"h_{k}" for k in scales)
    found: dict[str, tuple[str, ...]] = {}
    if config.guidance is not None:
        found[GUIDE] = ("y",)
    if config.predictor is not None:
        found[PREDICT] = ("y", *h)
    if config.denoiser is not None:
        found[DENOISE] = ("x_t", "y", *(() if config.predictor is None else ("g",)), "alpha_bar", *h)
    return found


@dataclass(frozen=True)
class Networks:
    """The networks of one model.

    run: (graph's name, inputs by name) -> its outputs, in order.
    """

    config: ModelConfig
    run: Run

    def guide(self, y: np.ndarray) -> dict[int, np.ndarray]:
        """h_k for every scale; {} without guidance."""
        if self.config.guidance is None:
            return {}
        return dict(zip(self.config.guidance.scales, self.run(GUIDE, {"y": y}), strict=True))

    def predict(self, y: np.ndarray, h: Mapping[int, np.ndarray]) -> np.ndarray:
        """The initial prediction g(y), (B, 3, H, W)."""
        return self.run(PREDICT, {"y": y, **_named(h)})[0]

    def denoise(
        self, x_t: np.ndarray, y: np.ndarray, g: np.ndarray | None, alpha_bar: float, h: Mapping[int, np.ndarray]
    ) -> np.ndarray:
        """The denoiser's answer, (B, 3, H, W): eps_hat, v_hat or x0_hat after `config.prediction_type`."""
        level = np.full(len(x_t), alpha_bar, dtype=np.float32)
        given = {"x_t": x_t, "y": y, "alpha_bar": level, **_named(h)}
        return self.run(DENOISE, given if g is None else {**given, "g": g})[0]


def _named(h: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"h_{k}": h_k for k, h_k in h.items()}
