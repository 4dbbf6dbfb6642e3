"""Training losses: structure regression, initial prediction, denoising; and how their weights move."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.diffusion.process import q_sample, target, to_x0
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError


class Denoiser(Protocol):
    """What a loss needs of a model; `resharp.models.icdpm.ICDPM` has it."""

    def __call__(self, x_t: Tensor, y: Tensor, alpha_bar: Tensor, h: dict[int, Tensor], g: Tensor | None) -> Tensor:
        """The network's answer, (B, 3, H, W)."""


class Denoised(NamedTuple):
    """A denoising loss, and what the network took for x0, (B, 3, H, W), at which noise levels, (B,)."""

    loss: Tensor
    x0_hat: Tensor
    alpha_bar: Tensor


def regression_loss(regressed: dict[int, Tensor], targets: dict[int, Tensor]) -> Tensor:
    """sum_k || R(H(phi_k(y))) - phi_k(x) ||_2, read as the mean squared error of each scale (our reading)."""
    terms = [F.mse_loss(regressed[k], targets[k]) for k in regressed]
    return torch.stack(terms).sum()


def prediction_loss(g: Tensor, x: Tensor, kind: str = "l1") -> Tensor:
    """How far the initial prediction g(y) is from the sharp image (arXiv 2112.02475 trains g through the residual).

    Args:
        g, x: (B, 3, H, W) in [-1, 1].
        kind: "l1" is the mean absolute error; "charbonnier" the mean of sqrt(error^2 + 0.05^2), which weighs
            edges, where the errors of blur are, more than noise.
    """
    if kind == "l1":
        return F.l1_loss(g, x)
    if kind == "charbonnier":
        return ((g - x).square() + 0.05**2).sqrt().mean()
    raise ConfigError(f"unknown prediction loss {kind!r}; allowed: 'l1', 'charbonnier'")


def frequency_loss(g: Tensor, x: Tensor) -> Tensor:
    """Mean modulus of the spectrum of g - x, so that fine detail counts beside coarse (after arXiv 2108.05054).

    The transform is orthonormal, which keeps the loss in the units of pixel values whatever the size.

    Args:
        g, x: (B, 3, H, W) in [-1, 1].
    """
    return torch.fft.rfft2((g - x).float(), norm="ortho").abs().mean()


def denoising_loss(
    model: Denoiser,
    schedule: NoiseSchedule,
    x0: Tensor,
    y: Tensor,
    h: dict[int, Tensor],
    g: Tensor | None,
    prediction_type: str,
    generator: torch.Generator,
    noise_levels: str = "schedule",
) -> Denoised:
    """|| eps_hat - eps ||_1 at random noise levels (arXiv 2212.01789), or the same of v or x0.

    Args:
        x0: what is diffused: the sharp image, or the scaled residual; (B, 3, H, W).
        y, h, g: the conditions; see `ICDPM.forward`.
        generator: draws noise levels and noise.
        noise_levels: "schedule" draws them as `NoiseSchedule.draw` does, "logsnr" as `draw_log_snr`.
    """
    if noise_levels not in ("schedule", "logsnr"):
        raise ConfigError(f"unknown noise_levels {noise_levels!r}; allowed: 'schedule', 'logsnr'")
    draw = schedule.draw if noise_levels == "schedule" else schedule.draw_log_snr
    alpha_bar = draw(len(x0), generator).to(x0.device)
    eps = torch.randn(x0.shape, generator=generator, device=generator.device).to(x0)
    x_t = q_sample(x0, alpha_bar, eps)
    output = model(x_t, y, alpha_bar, h, g)
    loss = F.l1_loss(output, target(x0, eps, alpha_bar, prediction_type))
    return Denoised(loss, to_x0(output, x_t, alpha_bar, prediction_type), alpha_bar)


def denoising_weight(step: int, warm_start_steps: int, ramp_steps: int) -> float:
    """0 during the warm start on regression alone, then rising linearly to 1 over the ramp.

    The paper starts with 60,000 regression-only iterations and raises the weight gradually; the ramp's
    shape and its 20,000 steps are our choice.
    """
    if step < warm_start_steps:
        return 0.0
    return 1.0 if ramp_steps == 0 else min(1.0, (step - warm_start_steps + 1) / ramp_steps)
