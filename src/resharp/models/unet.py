"""The icDPM UNet (arXiv 2112.02475) with guided ResBlocks in its encoder (arXiv 2212.01789)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resharp.models.config import GuidanceConfig, UNetConfig, guidance_levels
from resharp.models.layers import NoiseLevelEmbedding, ResBlock, zeroed
from resharp.models.transformer import TransformerBlock


@dataclass(frozen=True)
class Prepared:
    """What a UNet makes of the inputs that stay the same while others change; see `UNet.prepare`.

    images: those after the first, folded, (B, C p^2, H / p, W / p).
    guides: by level, h as each encoder block of it projects it.
    """

    images: Tensor
    guides: dict[int, tuple[Tensor, ...]]


class UNet(nn.Module):
    """1x1 convolution in, `len(widths)` scales, a middle stage, 3x3 convolution out; fully convolutional.

    With `patch_size` p the image is folded to 1/p of its size first and unfolded at the end, so level l works
    at 1 / (p 2^l). Guidance of scale k enters every encoder block of the level of its own size; where the
    finest level is coarser than h_k, h_k is folded to that level.

    Args:
        config: widths and depths.
        channels_in, channels_out: of the unfolded images.
        noise_level: whether the network is conditioned on alpha_bar; an initial predictor is not.
        guidance: what h will be; None for an unguided network.
        patch_size: 1, 2 or 4.
    """

    def __init__(
        self,
        config: UNetConfig,
        channels_in: int,
        channels_out: int = 3,
        *,
        noise_level: bool = True,
        guidance: GuidanceConfig | None = None,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.levels_of_h = guidance_levels(guidance, patch_size)
        widths, dropout = config.widths, config.dropout
        embedding_dim = widths[0] if noise_level else None
        self.embedding = NoiseLevelEmbedding(widths[0]) if noise_level else None
        self.stem = nn.Conv2d(channels_in * patch_size**2, widths[0], 1)
        guidance_dims = self._guidance_dims(guidance)

        def resized(width_in: int, width_out: int, resample: Literal["down", "up"]) -> ResBlock:
            return ResBlock(width_in, width_out, embedding_dim, dropout=dropout, resample=resample)

        def block(width_in: int, width_out: int, guidance_dim: int | None = None) -> nn.Module:
            options: dict[str, Any] = {"embedding_dim": embedding_dim, "guidance_dim": guidance_dim, "dropout": dropout}
            if config.transformer is None:
                return ResBlock(width_in, width_out, **options)
            return TransformerBlock(width_in, width_out, **options, config=config.transformer)

        self.encoder, self.downs = nn.ModuleList(), nn.ModuleList()
        skips = [widths[0]]
        for level, width in enumerate(widths):
            dim = guidance_dims.get(level)
            stage = [block(width, width, guidance_dim=dim) for _ in range(config.encoder_blocks)]
            self.encoder.append(nn.ModuleList(stage))
            skips += [width] * config.encoder_blocks
            if level + 1 < len(widths):
                self.downs.append(resized(width, widths[level + 1], "down"))
                skips.append(widths[level + 1])
        self.middle = nn.ModuleList(block(widths[-1], widths[-1]) for _ in range(config.middle_blocks))
        self.decoder, self.ups = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(widths))):
            width = widths[level]
            stage = [block(width + skips.pop(), width) for _ in range(config.decoder_blocks)]
            self.decoder.append(nn.ModuleList(stage))
            if level:
                self.ups.append(resized(width, widths[level - 1], "up"))
        self.head = zeroed(nn.Conv2d(widths[0], channels_out * patch_size**2, 3, padding=1))

    def _guidance_dims(self, guidance: GuidanceConfig | None) -> dict[int, int]:
        """Channels of guidance arriving at each level: scales that fold into one level are concatenated."""
        dims: dict[int, int] = {}
        for k, level in self.levels_of_h.items():
            assert guidance is not None
            fold = self._fold(k, level)
            dims[level] = dims.get(level, 0) + guidance.features * fold**2
        return dims

    def _fold(self, k: int, level: int) -> int:
        """How much finer h_k is than its level."""
        return self.patch_size * 2**level // 2**k

    def _by_level(self, h: dict[int, Tensor]) -> dict[int, Tensor]:
        """h_k grouped, folded and concatenated by the encoder level that takes them."""
        arriving: dict[int, list[Tensor]] = {}
        for k, level in self.levels_of_h.items():
            fold = self._fold(k, level)
            arriving.setdefault(level, []).append(F.pixel_unshuffle(h[k], fold) if fold > 1 else h[k])
        return {level: torch.cat(parts, dim=1) for level, parts in arriving.items()}

    def _folded(self, x: Tensor) -> Tensor:
        """(B, C, H, W) as (B, C p^2, H / p, W / p)."""
        return F.pixel_unshuffle(x, self.patch_size) if self.patch_size > 1 else x

    def prepare(self, images: Tensor, h: dict[int, Tensor]) -> Prepared:
        """What `forward` takes in place of h and of the images that follow the first, (B, C, H, W)."""
        guides = {
            level: tuple(block.guide(arriving) for block in self.encoder[level].children())  # type: ignore[operator]
            for level, arriving in self._by_level(h).items()
        }
        return Prepared(self._folded(images), guides)

    def forward(
        self,
        x: Tensor,
        alpha_bar: Tensor | None = None,
        h: dict[int, Tensor] | None = None,
        prepared: Prepared | None = None,
    ) -> Tensor:
        """x: (B, channels_in, H, W); alpha_bar: (B,); h: {k: h_k}. Returns (B, channels_out, H, W).

        prepared: in place of h and all channels but the first; the result is the same.
        """
        embedding = None
        if self.embedding is not None:
            assert alpha_bar is not None
            embedding = self.embedding(alpha_bar)
        guidance = self._by_level(h) if h else {}
        x = self._folded(x)
        if prepared is not None:
            x = torch.cat([x, prepared.images], dim=1)
        x = self.stem(x)
        skips = [x]
        for level, stage in enumerate(self.encoder):
            for i, block in enumerate(stage.children()):
                projected = prepared.guides[level][i] if prepared and level in prepared.guides else None
                x = block(x, embedding, guidance.get(level), projected)
                skips.append(x)
            if level < len(self.downs):
                x = self.downs[level](x, embedding)
                skips.append(x)
        for block in self.middle:
            x = block(x, embedding)
        for i, stage in enumerate(self.decoder):
            for block in stage.children():
                x = block(torch.cat([x, skips.pop()], dim=1), embedding)
            if i < len(self.ups):
                x = self.ups[i](x, embedding)
        x = self.head(F.silu(x))
        return F.pixel_shuffle(x, self.patch_size) if self.patch_size > 1 else x
