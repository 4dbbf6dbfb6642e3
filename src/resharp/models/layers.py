"""The blocks of the icDPM UNet: noise-level embedding and (guided) residual block."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NoiseLevelEmbedding(nn.Module):
    """Sinusoids of the continuous noise level, then a two-layer perceptron.

    The network is conditioned on alpha_bar, never on an integer t (arXiv 2212.01789). Sinusoids of a value
    in [0, 1] hardly vary, so the log signal-to-noise ratio, about -10 to 14 over the schedule, is embedded.

    Args:
        dim: channels of the embedding; even.
    """

    # Clamps log-SNR to what float32 can tell apart from alpha_bar = 0 and 1.
    MAX_LOG_SNR = 15.0
    frequencies: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Wavelengths from about 2 to 200 units of log-SNR.
        frequencies = torch.exp(torch.linspace(math.log(math.pi), math.log(math.pi / 100), dim // 2))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.perceptron = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, alpha_bar: Tensor) -> Tensor:
        """alpha_bar: (B,) in [0, 1]. Returns (B, dim)."""
        log_snr = torch.logit(alpha_bar.double().clamp(1e-12, 1 - 1e-12)).float()
        angles = log_snr.clamp(-self.MAX_LOG_SNR, self.MAX_LOG_SNR)[:, None] * self.frequencies
        return self.perceptron(torch.cat([angles.sin(), angles.cos()], dim=1))


class ResBlock(nn.Module):
    """BigGAN-style residual block without normalisation; with `guidance_dim`, the Guided ResBlock.

    swish -> (resample) -> conv3x3 -> + embedding, + projected h_k -> swish -> dropout -> conv3x3, beside a
    skip that is resampled too and brought to the width by a 1x1 convolution (arXiv 2112.02475). The embedding
    is a shift without a gain; guidance is added through a 1x1 projection (arXiv 2212.01789; the place within
    the block is ours).

    Args:
        width_in, width_out: channels before and after.
        embedding_dim: channels of the noise-level embedding; None for a network without one.
        guidance_dim: channels of h_k as they arrive at this level; None for a plain ResBlock.
        resample: "down" halves the size (2x2 mean), "up" doubles it (nearest).
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        embedding_dim: int | None = None,
        guidance_dim: int | None = None,
        resample: Literal["down", "up"] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.conv_1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.conv_2 = nn.Conv2d(width_out, width_out, 3, padding=1)
        self.skip = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)
        self.shift = None if embedding_dim is None else nn.Linear(embedding_dim, width_out)
        self.guide = None if guidance_dim is None else nn.Conv2d(guidance_dim, width_out, 1)
        self.dropout = nn.Dropout(dropout)
        # Without normalisation, blocks that start as the identity keep the signal's size through any depth.
        zeroed(self.conv_2)

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return x

    def forward(
        self,
        x: Tensor,
        embedding: Tensor | None = None,
        h_k: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> Tensor:
        """x: (B, width_in, H, W); embedding: (B, embedding_dim); h_k: (B, guidance_dim, H, W).

        projected: what `guide` makes of h_k, in its place, (B, width_out, H, W).
        """
        hidden = self.conv_1(self._resampled(F.silu(x)))  # (B, width_out, H', W')
        if self.shift is not None:
            assert embedding is not None
            hidden = hidden + self.shift(F.silu(embedding))[:, :, None, None]
        if self.guide is not None and h_k is not None:
            projected = self.guide(h_k)
        if projected is not None:
            hidden = hidden + projected
        hidden = self.conv_2(self.dropout(F.silu(hidden)))
        return self._resampled(self.skip(x)) + hidden


def zeroed(convolution: nn.Conv2d) -> nn.Conv2d:
    """The same convolution with weights and bias at zero: an output that starts as nothing."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution
