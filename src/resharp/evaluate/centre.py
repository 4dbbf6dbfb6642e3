"""Pairs cut down to their middle, where whole pictures would take too long to restore."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from resharp.evaluate.pairs import Pair


def centre_crop(image: Tensor, height_px: int, width_px: int) -> Tensor:
    """The middle of (..., H, W), (..., min(H, height_px), min(W, width_px)); a view.

    >>> import torch
    >>> centre_crop(torch.zeros(1, 3, 9, 4), 5, 5).shape
    torch.Size([1, 3, 5, 4])
    """
    height, width = min(height_px, image.shape[-2]), min(width_px, image.shape[-1])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


@dataclass(frozen=True)
class CentrePair:
    """The middle of another pair: each side is at most `side_px`."""

    pair: Pair
    side_px: int

    @property
    def name(self) -> str:
        """That of the whole pair."""
        return self.pair.name

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) float32 in [0, 1]; raises ImageError or DataError."""
        blurry, sharp = (centre_crop(image, self.side_px, self.side_px) for image in self.pair.load())
        return blurry.contiguous(), sharp.contiguous()
