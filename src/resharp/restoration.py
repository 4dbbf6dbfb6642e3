"""From model and noise to a sharp image: padding, guidance once, sampling, clamping. Tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resharp.diffusion.process import to_x0
from resharp.diffusion.samplers import sample
from resharp.models.icdpm import ICDPM

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Conditions:
    """What is computed once per image, before any noise: y, h and, with a predictor, g; all padded."""

    y: Tensor
    h: dict[int, Tensor]
    g: Tensor | None
    size: tuple[int, int]

    def cropped(self, image: Tensor) -> Tensor:
        """`image` without the padding."""
        return image[..., : self.size[0], : self.size[1]]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """(B, C, H, W) grown to the right and below until both sides are multiples, by reflection.

    Sides shorter than the padding are reflected back and forth, so 1x1 works too.
    """
    for dim in (2, 3):
        size = image.shape[dim]
        missing = -size % multiple
        if missing:
            period = max(1, 2 * (size - 1))
            index = torch.arange(size + missing, device=image.device) % period
            image = image.index_select(dim, torch.minimum(index, period - index) if size > 1 else index)
    return image


def condition(model: ICDPM, blurry: Tensor) -> Conditions:
    """Guide and predict, once for an image.

    Args:
        blurry: (B, 3, H, W) in [0, 1], any size.
    """
    y = pad_to_multiple(blurry * 2 - 1, model.size_multiple)
    h = model.guide(y)
    g = None if model.predictor is None else model.predict(y, h)
    return Conditions(y, h, g, (blurry.shape[2], blurry.shape[3]))


def predicted(conditions: Conditions) -> Tensor:
    """The initial prediction g(y), (B, 3, H, W) in [0, 1]."""
    assert conditions.g is not None
    return to_unit(conditions.cropped(conditions.g))


def diffused(
    model: ICDPM,
    conditions: Conditions,
    alpha_bars: Tensor,
    sampler: str,
    generator: torch.Generator,
    on_step: OnStep | None = None,
) -> Tensor:
    """One sample of the diffusion model, (B, 3, H, W) in [0, 1].

    x0 is clamped at every step so that the image stays in [-1, 1]; a residual is clamped through its image.
    """
    y, h, g = conditions.y, conditions.h, conditions.g
    scale = model.config.residual_scale

    def denoise(x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        output = model(x_t, y, alpha_bar.float().to(y.device), h, g)
        x0_hat = to_x0(output, x_t, alpha_bar, model.config.prediction_type)
        return x0_hat.clamp(-1, 1) if g is None else scale * ((g + x0_hat / scale).clamp(-1, 1) - g)

    x_T = torch.randn(y.shape, generator=generator, device=generator.device).to(y)  # noqa: N806
    x0 = sample(denoise, x_T, alpha_bars, sampler, generator, on_step)
    return to_unit(conditions.cropped(x0 if g is None else g + x0 / scale))


def to_unit(image: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], clamped."""
    return ((image + 1) / 2).clamp(0, 1)
