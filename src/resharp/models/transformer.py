"""The Restormer block (arXiv 2111.09881) with what a ResBlock takes: noise level and guidance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.models.config import TransformerConfig
from resharp.models.layers import zeroed


class TransformerBlock(nn.Module):
    """x + MDTA(LN(x) + c), then x + GDFN(LN(x) + c), where c is the embedding's and h_k's projection.

    The two parts are the paper's; c takes the place that it has in `ResBlock`, before the first layer that mixes
    pixels (ours). Both parts begin as nothing. Attention is between channels over the whole picture, so the cost grows
    with its area only, any size works, and what a pixel becomes depends a little on all others: a picture restored in
    parts is not quite the picture restored at once.

    Args:
        width_in, width_out: channels before and after; a 1x1 convolution comes first where they differ.
        embedding_dim, guidance_dim, dropout: as for `resharp.models.layers.ResBlock`.
        config: heads and width of the inner layers.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        embedding_dim: int | None = None,
        guidance_dim: int | None = None,
        dropout: float = 0.0,
        *,
        config: TransformerConfig,
    ) -> None:
        super().__init__()
        self.enter = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)
        self.norm_1, self.norm_2 = ChannelNorm(width_out), ChannelNorm(width_out)
        self.attention = TransposedAttention(width_out, config.head_channels)
        self.feed_forward = GatedFeedForward(width_out, config.expansion)
        self.shift = None if embedding_dim is None else nn.Linear(embedding_dim, width_out)
        self.guide = None if guidance_dim is None else nn.Conv2d(guidance_dim, width_out, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        embedding: Tensor | None = None,
        h_k: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> Tensor:
        """As `resharp.models.layers.ResBlock.forward`."""
        x = self.enter(x)
        given: Tensor | float = 0.0
        if self.shift is not None:
            assert embedding is not None
            given = self.shift(F.silu(embedding))[:, :, None, None]
        if self.guide is not None and h_k is not None:
            projected = self.guide(h_k)
        if projected is not None:
            given = given + projected
        x = x + self.attention(self.norm_1(x) + given)  # (B, width_out, H, W)
        return x + self.dropout(self.feed_forward(self.norm_2(x) + given))


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel of (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TransposedAttention(nn.Module):
    """MDTA: queries, keys and values with 3x3 context; attention between channels, (C / heads) x (C / heads)."""

    def __init__(self, width: int, head_channels: int) -> None:
        super().__init__()
        self.count = width // head_channels
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.context = nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width)
        self.temperature = nn.Parameter(torch.ones(self.count, 1, 1))
        self.out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        batch, width, height, wide = x.shape
        parts = self.context(self.project(x)).reshape(batch, 3 * self.count, width // self.count, height * wide)
        queries, keys, values = parts.chunk(3, dim=1)  # (B, heads, C / heads, H W) each
        queries, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
        weights = (queries @ keys.mT * self.temperature).softmax(dim=-1)  # (B, heads, C / heads, C / heads)
        return self.out((weights @ values).reshape(batch, width, height, wide))


class GatedFeedForward(nn.Module):
    """GDFN: two wide halves with 3x3 context, one the gate of the other."""

    def __init__(self, width: int, expansion: float) -> None:
        super().__init__()
        inner = int(width * expansion)
        self.project = nn.Conv2d(width, 2 * inner, 1)
        self.context = nn.Conv2d(2 * inner, 2 * inner, 3, padding=1, groups=2 * inner)
        self.out = zeroed(nn.Conv2d(inner, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        gate, values = self.context(self.project(x)).chunk(2, dim=1)
        return self.out(F.gelu(gate) * values)
