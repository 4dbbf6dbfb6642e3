"""The forward process and the three things a network can predict about it, as plain formulae."""

from __future__ import annotations

import torch
from torch import Tensor

from resharp.errors import ConfigError


def _roots(alpha_bar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), shaped to multiply images."""
    alpha_bar = alpha_bar.view(-1, 1, 1, 1)
    # 1 - alpha_bar in the precision and place it came in: float32 would lose the smallest noise levels, and
    # some devices have no float64.
    return alpha_bar.sqrt().to(like.device, like.dtype), (1 - alpha_bar).sqrt().to(like.device, like.dtype)


def q_sample(x0: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    """x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps (arXiv 2212.01789, forward process).

    Args:
        x0, eps: (B, C, H, W).
        alpha_bar: (B,).

    Example:
        >>> x0, eps = torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2)
        >>> q_sample(x0, torch.tensor([0.25]), eps)[0, 0, 0, 0].item()
        0.25
    """
    signal, noise = _roots(alpha_bar, x0)
    return signal * x0 + noise * eps


def target(x0: Tensor, eps: Tensor, alpha_bar: Tensor, prediction_type: str) -> Tensor:
    """What the network should have answered: eps, x0, or v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0."""
    if prediction_type == "eps":
        return eps
    if prediction_type == "x0":
        return x0
    if prediction_type == "v":
        signal, noise = _roots(alpha_bar, x0)
        return signal * eps - noise * x0
    raise ConfigError(f"unknown prediction_type {prediction_type!r}; allowed: 'eps', 'v', 'x0'")


def to_x0(output: Tensor, x_t: Tensor, alpha_bar: Tensor, prediction_type: str) -> Tensor:
    """The clean image that the network's answer stands for; the inverse of `target`.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x0, eps = (torch.randn(1, 3, 2, 2, generator=generator) for _ in range(2))
        >>> alpha_bar = torch.tensor([0.3])
        >>> answer = target(x0, eps, alpha_bar, "v")
        >>> torch.allclose(to_x0(answer, q_sample(x0, alpha_bar, eps), alpha_bar, "v"), x0, atol=1e-6)
        True
    """
    if prediction_type == "x0":
        return output
    signal, noise = _roots(alpha_bar, x_t)
    if prediction_type == "v":
        return signal * x_t - noise * output
    if prediction_type == "eps":
        return (x_t - noise * output) / torch.clamp(signal, min=1e-6)
    raise ConfigError(f"unknown prediction_type {prediction_type!r}; allowed: 'eps', 'v', 'x0'")
