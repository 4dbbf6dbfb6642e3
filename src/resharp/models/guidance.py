"""Multiscale structure guidance: phi_k, the guidance network H and the regression head R (arXiv 2212.01789)."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.models.config import GuidanceConfig
from resharp.models.edges import edges
from resharp.models.layers import ResBlock

# Rec. 601 luma, our choice: the paper says gray and does not give the weights.
LUMA = (0.299, 0.587, 0.114)
# Channels of structure, by `GuidanceConfig.color`.
CHANNELS = {"gray": 1, "rgb": 3, "edges": 1, "gray+edges": 2}


def gray(x: Tensor) -> Tensor:
    """(B, 3, H, W) RGB to (B, 1, H, W) luma, in the same range."""
    red, green, blue = (weight * x[:, i : i + 1] for i, weight in enumerate(LUMA))
    return red + green + blue


def phi(
    y: Tensor, k: int, *, color: str = "gray", sigma_k: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """phi_k(y) = down_{2^k}(gray(y)) + n: the coarse structure of an image at 1 / 2^k of its size.

    Args:
        y: (B, 3, H, W) in [-1, 1], H and W multiples of 2^k.
        k: halvings. The operator is the area mean over 2^k x 2^k pixels (our choice).
        color: "gray", or "rgb" for the paper's ablation; "edges" is the slope of the coarse gray picture, and
            "gray+edges" both (ours; see `resharp.models.edges`).
        sigma_k: standard deviation of the noise n, on [0, 1]; our range [-1, 1] is twice as wide.
        generator: where the noise comes from; without one there is no noise.

    Returns:
        (B, CHANNELS[color], H / 2^k, W / 2^k).

    Example:
        >>> y = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 3, 8, 16)  # stripes
        >>> phi(y, k=2).shape
        torch.Size([1, 1, 2, 4])
        >>> phi(y, k=2).abs().max().item() < 1e-6  # are gone at a quarter of the size
        True
    """
    structure = F.avg_pool2d(y if color == "rgb" else gray(y), 2**k)
    if color in ("edges", "gray+edges"):
        slopes = edges(structure)
        structure = slopes if color == "edges" else torch.cat((structure, slopes), dim=1)
    if sigma_k > 0 and generator is not None:
        noise = torch.randn(structure.shape, generator=generator, device=generator.device)
        structure = structure + 2 * sigma_k * noise.to(structure)
    return structure


class StructureGuide(nn.Module):
    """H: a convolution and several ResBlocks; the last one's output is the guidance feature h_k."""

    def __init__(self, config: GuidanceConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(CHANNELS[config.color], config.width, 3, padding=1)
        widths = [config.width] * config.blocks + [config.features]
        self.blocks = nn.Sequential(*(ResBlock(*pair) for pair in itertools.pairwise(widths)))

    def forward(self, y_k: Tensor) -> Tensor:
        """y_k: what `phi` gives, (B, C, H_k, W_k). Returns h_k: (B, features, H_k, W_k)."""
        return self.blocks(self.stem(y_k))


class Guidance(nn.Module):
    """phi, H and R over all scales of a `GuidanceConfig`."""

    def __init__(self, config: GuidanceConfig) -> None:
        super().__init__()
        self.config = config
        distinct = 1 if config.shared else len(config.scales)
        channels = CHANNELS[config.color]
        self.guides = nn.ModuleList(StructureGuide(config) for _ in range(distinct))
        heads = distinct if config.regression else 0
        self.heads = nn.ModuleList(nn.Conv2d(config.features, channels, 3, padding=1) for _ in range(heads))

    def forward(self, y: Tensor, generator: torch.Generator | None = None) -> dict[int, Tensor]:
        """h_k for every scale k. Depends on y alone: call it once per image.

        Args:
            y: (B, 3, H, W) in [-1, 1], sides multiples of 2^max(k).
            generator: noise inside phi, for training; inference goes without (our choice).

        Returns:
            {k: (B, features, H / 2^k, W / 2^k)}.
        """
        config = self.config
        h = {}
        for i, k in enumerate(config.scales):
            y_k = phi(y, k, color=config.color, sigma_k=config.sigma_k, generator=generator)
            h[k] = self.guides[0 if config.shared else i](y_k)
        return h

    def regress(self, h: dict[int, Tensor]) -> dict[int, Tensor]:
        """R(h_k): the sharp structure at every scale, {k: (B, C, H / 2^k, W / 2^k)}; {} without R."""
        if not self.heads:
            return {}
        shared = self.config.shared
        return {k: self.heads[0 if shared else i](F.silu(h[k])) for i, k in enumerate(self.config.scales)}

    def targets(self, x: Tensor) -> dict[int, Tensor]:
        """phi_k(x) without noise, for the sharp image x: what R is trained towards."""
        return {k: phi(x, k, color=self.config.color) for k in self.config.scales}
