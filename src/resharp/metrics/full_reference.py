"""PSNR and SSIM, in RGB or on luma, on the pixel values a saved 8-bit file would hold.

Both are computed per image, in float64, and leave averaging to the caller. torchmetrics is not used for them: its
SSIM in float32 is off by 4e-5 where an image is flat (variances are differences of nearly equal numbers), in
float64 it takes 14 s for a 1280x720 image on one CPU core against 0.4 s here, and its mean includes borders
where the window sees a reflection. Values here equal scikit-image's to 1e-9.
"""

from __future__ import annotations

import torch
from torch import Tensor

SSIM_SIGMA_PX = 1.5
SSIM_WINDOW_PX = 11
SSIM_C1 = 0.01**2  # (K1 L)^2 and (K2 L)^2 with L = 1, the range of the values
SSIM_C2 = 0.03**2


def round_to_uint8(image: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the nearest of the 256 values of an 8-bit file; still in [0, 1]."""
    return image.clamp(0, 1).mul(255).round().div(255)


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, `10 log10(1 / MSE)` over all pixels and the three channels, in dB.

    Args:
        restored, sharp: (B, 3, H, W), [0, 1]; both are rounded to 8 bits first.

    Returns:
        (B,) float64, one value per image; `inf` where the two are equal after rounding.

    Raises:
        ValueError: the shapes differ or are not (B, 3, H, W).

    Example:
        >>> sharp = torch.zeros(1, 3, 16, 16)
        >>> psnr(sharp + 0.1, sharp).round(decimals=2).tolist()  # 26 of 255 after rounding
        [19.83]
        >>> psnr(sharp, sharp).tolist()
        [inf]
    """
    return _psnr(*_prepare(restored, sharp))


def psnr_y(restored: Tensor, sharp: Tensor) -> Tensor:
    """`psnr` of the luma that `luma` gives, with peak 255; arguments, result and errors as there."""
    restored, sharp = _prepare(restored, sharp)
    return _psnr(luma(restored), luma(sharp))


def luma(image: Tensor) -> Tensor:
    """Y of ITU-R BT.601 in studio swing, as MATLAB's rgb2ycbcr gives it for floats: not rounded to whole numbers.

    `Y = 16 + 65.481 R + 128.553 G + 24.966 B`, here divided by 255: 16/255 for black, 235/255 for white.

    Args:
        image: (B, 3, H, W), [0, 1].

    Returns:
        (B, 1, H, W), the same type.
    """
    weights = image.new_tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1)
    return ((image * weights).sum(dim=1, keepdim=True) + 16) / 255


@torch.no_grad()
def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity with an 11x11 Gaussian window, sigma 1.5 px, K1 = 0.01, K2 = 0.03, range 1.

    Population (not sample) covariances; the mean over the three RGB channels and over the windows that lie wholly
    inside the image. It is what scikit-image computes with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, channel_axis=...`.

    Args:
        restored, sharp: (B, 3, H, W), [0, 1], H and W at least 11; both are rounded to 8 bits first.

    Returns:
        (B,) float64, one value per image; 1 where the two are equal.

    Raises:
        ValueError: the shapes differ, are not (B, 3, H, W), or are smaller than the window.

    Example:
        >>> sharp = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> ssim(sharp, sharp).tolist()
        [1.0, 1.0]
        >>> bool(ssim(1 - sharp, sharp).max() < 0)  # a negative
        True
    """
    return ssim_map(*_prepare(restored, sharp)).mean(dim=(1, 2, 3))


@torch.no_grad()
def ssim_y(restored: Tensor, sharp: Tensor) -> Tensor:
    """`ssim` of the luma that `luma` gives, with range 255; arguments, result and errors as there."""
    restored, sharp = _prepare(restored, sharp)
    return ssim_map(luma(restored), luma(sharp)).mean(dim=(1, 2, 3))


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of every window that lies wholly inside: (B, C, H, W) float64 of range 1 -> (B, C, H - 10, W - 10).

    Raises:
        ValueError: the images are smaller than the window.
    """
    if min(a.shape[-2:]) < SSIM_WINDOW_PX:
        height, width = a.shape[-2:]
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW_PX} px a side, got {width}x{height}")
    mean_a, mean_b = _window_mean(a), _window_mean(b)  # (B, 3, H - 10, W - 10), as all below
    both, product = mean_a.square() + mean_b.square(), mean_a * mean_b
    variances = _window_mean(a.square() + b.square()) - both
    covariance = _window_mean(a * b) - product
    luminance = (2 * product + SSIM_C1) / (both + SSIM_C1)
    contrast_structure = (2 * covariance + SSIM_C2) / (variances + SSIM_C2)
    return luminance * contrast_structure


def _psnr(a: Tensor, b: Tensor) -> Tensor:
    return -10 * (a - b).square().mean(dim=(1, 2, 3)).log10()


def _window_mean(x: Tensor) -> Tensor:
    """Gaussian-weighted mean over every 11x11 window inside (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    offsets = torch.arange(SSIM_WINDOW_PX, dtype=torch.float64) - SSIM_WINDOW_PX // 2
    gaussian = torch.exp(-0.5 * (offsets / SSIM_SIGMA_PX) ** 2)
    weights: list[float] = (gaussian / gaussian.sum()).tolist()
    for axis in (-2, -1):
        length = x.shape[axis] - SSIM_WINDOW_PX + 1
        # Sums of shifted copies: over ten times faster than float64 convolutions on a CPU.
        mean = x.narrow(axis, 0, length) * weights[0]
        for shift, weight in enumerate(weights[1:], start=1):
            mean.add_(x.narrow(axis, shift, length), alpha=weight)
        x = mean
    return x


def _prepare(restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    if restored.ndim != 4 or restored.shape[1] != 3 or restored.shape != sharp.shape:
        raise ValueError(
            f"expected two (B, 3, H, W) tensors of one shape, got {tuple(restored.shape)} and {tuple(sharp.shape)}"
        )
    if "mps" in (restored.device.type, sharp.device.type):  # has no float64
        restored, sharp = restored.cpu(), sharp.cpu()
    return _eight_bit(restored), _eight_bit(sharp)


def _eight_bit(image: Tensor) -> Tensor:
    # Rounded in float32, as files are written: in float64 a value halfway could fall on the other side.
    return image.float().clamp(0, 1).mul(255).round().double().div(255)
