"""JPEG's loss on batches of tensors: colour conversion, 8x8 DCT, quantisation, and back.

Entropy coding loses nothing, so it is left out. Follows ITU-T T.81 (tables: its Annex K) and libjpeg's
quality scale, box chroma subsampling and triangle ("fancy") chroma upsampling, so that the result is that
of Pillow to within rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def quantisation_tables(quality: torch.Tensor) -> torch.Tensor:
    """Luma and chroma tables of libjpeg at `quality` (B,), 1 to 100: (B, 2, 8, 8), integers 1 to 255."""
    base = torch.tensor((_LUMA_TABLE, _CHROMA_TABLE), dtype=torch.float32, device=quality.device)
    quality = quality.round().clamp(1, 100)
    scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((base * scale[:, None, None, None] + 50) / 100).floor().clamp(1, 255)


def jpeg(images: torch.Tensor, quality: torch.Tensor, subsample_chroma: bool) -> torch.Tensor:
    """What remains of RGB images (B, 3, H, W) in [0, 1] after JPEG at `quality` (B,): 8-bit steps in [0, 1].

    subsample_chroma: True is 4:2:0, False 4:4:4. Any H and W: the last rows and columns are repeated, as in
    libjpeg.
    """
    height, width = images.shape[-2:]
    tables = quantisation_tables(quality.to(images.device, torch.float32))
    cell = 16 if subsample_chroma else 8
    padded = F.pad(images.float(), (0, -width % cell, 0, -height % cell), mode="replicate")
    ycc = (
        _mix((padded * 255).round(), _TO_YCC).round() - torch.tensor([128.0, 0, 0], device=images.device)[:, None, None]
    )
    luma, chroma = ycc[:, :1], ycc[:, 1:]
    if subsample_chroma:
        # libjpeg's sums of four round halves up in odd columns and quarters down in even ones.
        bias = torch.tensor([1.0, 2.0], device=images.device).repeat(chroma.shape[-1] // 4 + 1)
        chroma = ((F.avg_pool2d(chroma, 2) * 4 + bias[: chroma.shape[-1] // 2]) / 4).floor()
    luma = _quantise(luma, tables[:, :1]).round().clamp(-128, 127) + 128
    chroma = _quantise(chroma, tables[:, 1:]).round().clamp(-128, 127)
    if subsample_chroma:
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()
    rgb = _mix(torch.cat((luma, chroma), dim=1), _TO_RGB)[..., :height, :width]
    return rgb.round().clamp(0, 255) / 255


def _mix(images: torch.Tensor, matrix: tuple[tuple[float, ...], ...]) -> torch.Tensor:
    weight = torch.tensor(matrix, dtype=images.dtype, device=images.device)
    return torch.einsum("ij,bjhw->bihw", weight, images)


@lru_cache(maxsize=1)
def _dct_rows() -> tuple[tuple[float, ...], ...]:
    """Orthonormal 8-point DCT-II: row u, column x."""
    rows = []
    for u in range(8):
        norm = math.sqrt((1 if u == 0 else 2) / 8)
        rows.append(tuple(norm * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)))
    return tuple(rows)


def _quantise(planes: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Planes (B, C, H, W), centred on 0, with their DCT rounded to multiples of the table (B, 1, 8, 8)."""
    batch, channels, height, width = planes.shape
    dct = torch.tensor(_dct_rows(), dtype=planes.dtype, device=planes.device)
    blocks = planes.view(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4)  # (B, C, h, w, 8, 8)
    steps = table[:, :, None, None]
    # libjpeg's integer DCT has a resolution of 1/8, and ties between two multiples go away from 0.
    spectrum = (dct @ blocks @ dct.T * 8).round() / 8
    spectrum = (spectrum.abs() / steps + 0.5).floor() * spectrum.sign() * steps
    return (dct.T @ spectrum @ dct).transpose(3, 4).reshape(batch, channels, height, width)
