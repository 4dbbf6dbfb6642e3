"""What lenses and camera software do to a whole picture: defocus, sharpening, enlarging. Batches, size by sample."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_SUBPIXELS = 8


def disc_kernels(radius_px: Tensor) -> Tensor:
    """Discs of uniform weight with anti-aliased edges: radii (B,) -> (B, S, S), each of sum 1, S for the largest."""
    half = math.ceil(float(radius_px.max()))
    fine = (torch.arange((2 * half + 1) * _SUBPIXELS, device=radius_px.device) + 0.5) / _SUBPIXELS - (half + 0.5)
    inside = fine[:, None].square() + fine.square() <= radius_px[:, None, None].square()
    discs = F.avg_pool2d(inside.float()[:, None], _SUBPIXELS)[:, 0]
    return discs / discs.sum(dim=(1, 2), keepdim=True)


def gaussian_kernels(deviation_px: Tensor) -> Tensor:
    """Deviations (B,) -> (B, S, S), each of sum 1, cut at three times the largest."""
    half = math.ceil(3 * float(deviation_px.max()))
    at = torch.arange(-half, half + 1, device=deviation_px.device)
    line = (-0.5 * (at / deviation_px[:, None]).square()).exp()
    kernels = line[:, :, None] * line[:, None]
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def filtered(images: Tensor, kernels: Tensor) -> Tensor:
    """Images (B, 3, H, W), each with its own symmetric kernel (B, S, S); borders are repeated outwards."""
    batch, channels, height, width = images.shape
    half = kernels.shape[-1] // 2
    padded = F.pad(images, (half,) * 4, mode="replicate").reshape(1, batch * channels, height + 2 * half, -1)
    weights = kernels.repeat_interleave(channels, dim=0)[:, None]
    return F.conv2d(padded, weights, groups=batch * channels).view(batch, channels, height, width)


def defocused(light: Tensor, radius_px: Tensor) -> Tensor:
    """Linear light (B, 3, H, W) out of focus: every point becomes a disc of radius (B,)."""
    return filtered(light, disc_kernels(radius_px))


def sharpened(encoded: Tensor, amount: Tensor, deviation_px: Tensor) -> Tensor:
    """Unsharp masking of pixel values (B, 3, H, W): `amount` (B,) times the detail is added. Clipped to [0, 1]."""
    detail = encoded - filtered(encoded, gaussian_kernels(deviation_px))
    return (encoded + amount[:, None, None, None] * detail).clamp(0, 1)


def enlarged(encoded: Tensor, factor: float) -> Tensor:
    """The middle of pictures (B, 3, H, W), `factor` >= 1 times as large, in a picture of the same size; bicubic."""
    height, width = encoded.shape[-2:]
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    part = encoded[..., top : top + rows, left : left + columns]
    return F.interpolate(part, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
