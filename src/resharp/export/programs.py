"""A model's guide, predict and denoise as programs with free batch, height and width."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from resharp.models.icdpm import ICDPM
from resharp.runtime.networks import DENOISE, GUIDE, PREDICT, graph_inputs

_NOT_NEEDED = {GUIDE: ("predictor", "denoiser"), PREDICT: ("guidance", "denoiser"), DENOISE: ("guidance",)}
_MOST_BATCH, _MOST_SIDE = 1024, 1 << 16  # the side in multiples of the model's own; far more than memory holds


@dataclass(frozen=True)
class Program:
    """A network as a module of tensors alone, with what `torch.export` needs to know of them.

    inputs, outputs: names, in order. examples: a tensor for each input. shapes: its free dimensions.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: tuple[Tensor, ...]
    shapes: tuple[dict[int, Any], ...]


class _Guide(nn.Module):
    def __init__(self, model: ICDPM) -> None:
        super().__init__()
        self.model = model

    def forward(self, y: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.guide(y).values())


class _Predict(nn.Module):
    def __init__(self, model: ICDPM, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *tensors: Tensor) -> Tensor:
        named = dict(zip(self.inputs, tensors, strict=True))
        return self.model.predict(named["y"], _h(named))


class _Denoise(_Predict):
    def forward(self, *tensors: Tensor) -> Tensor:
        named = dict(zip(self.inputs, tensors, strict=True))
        return self.model(named["x_t"], named["y"], named["alpha_bar"], _h(named), named.get("g"))


def programs(model: ICDPM) -> dict[str, Program]:
    """The networks of a model by name: "guide" with guidance, "predict" with a predictor, "denoise" with a denoiser."""
    inputs = graph_inputs(model.config)
    examples = _examples(model)
    found = {}
    for name, names in inputs.items():
        part = _without(model, _NOT_NEEDED[name])
        module = _Guide(part) if name == GUIDE else {PREDICT: _Predict, DENOISE: _Denoise}[name](part, names)
        outputs = {PREDICT: ("g",), DENOISE: ("answer",)}.get(name, tuple(h for h in examples if h.startswith("h_")))
        shapes = _shapes(model, names)
        found[name] = Program(module.eval(), names, outputs, tuple(examples[each] for each in names), shapes)
    return found


def _without(model: ICDPM, parts: tuple[str, ...]) -> ICDPM:
    """The model without parts that a program does not run, so that its file does not hold them."""
    lighter = copy.copy(model)
    lighter._modules = {name: None if name in parts else module for name, module in model._modules.items()}
    return lighter


def _examples(model: ICDPM) -> dict[str, Tensor]:
    """Small inputs. Each is a tensor of its own: two names for one would become one input."""
    multiple = model.size_multiple
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(3, 2, 3, 2 * multiple, 3 * multiple, generator=generator) * 2 - 1
    y, x_t, g = (each.clone() for each in pictures)
    with torch.no_grad():
        h = {f"h_{k}": value.clone() for k, value in model.guide(y).items()}
    return {"x_t": x_t, "y": y, "g": g, "alpha_bar": torch.tensor([0.3, 0.6]), **h}


def _shapes(model: ICDPM, names: tuple[str, ...]) -> tuple[dict[int, Any], ...]:
    batch = Dim("batch", min=1, max=_MOST_BATCH)
    rows, columns = (Dim(side, min=1, max=_MOST_SIDE) for side in ("rows", "columns"))

    def shape(name: str) -> dict[int, Any]:
        if name == "alpha_bar":
            return {0: batch}
        side = model.size_multiple >> (int(name[2:]) if name.startswith("h_") else 0)
        # torch has no name for one times a dimension.
        return {0: batch, 2: rows if side == 1 else side * rows, 3: columns if side == 1 else side * columns}

    return tuple(shape(name) for name in names)


def _h(named: Mapping[str, Tensor]) -> dict[int, Tensor]:
    return {int(name[2:]): value for name, value in named.items() if name.startswith("h_")}
