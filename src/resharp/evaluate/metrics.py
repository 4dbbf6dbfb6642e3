"""PSNR and SSIM in RGB, on the pixel values a saved 8-bit file would hold.

Both compute per image and leave averaging to the caller. torchmetrics takes 1.5 to 2.5 s to import, so it is
imported when a metric is first computed and not with this module.
"""

from __future__ import annotations

from torch import Tensor

SSIM_WINDOW_PX = 11


def round_to_uint8(image: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to the nearest of the 256 values of an 8-bit file; still in [0, 1]."""
    return image.clamp(0, 1).mul(255).round().div(255)


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, `10 log10(255^2 / MSE)` over all pixels and the three channels, in dB.

    Args:
        restored, sharp: (B, 3, H, W), [0, 1]; both are rounded to 8 bits first.

    Returns:
        (B,) float64, one value per image; `inf` where the two are equal after rounding.

    Raises:
        ValueError: the shapes differ or are not (B, 3, H, W).
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    restored, sharp = _prepare(restored, sharp)
    return peak_signal_noise_ratio(
        restored.double(), sharp.double(), data_range=1.0, reduction="none", dim=(1, 2, 3)
    )


def ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Structural similarity with an 11x11 Gaussian window, sigma 1.5 px, K1 = 0.01, K2 = 0.03, range 1.

    Population (not sample) covariances; the mean over the three RGB channels and over the windows that lie
    wholly inside the image, so 5 px at each border are window centres no more.

    Args:
        restored, sharp: (B, 3, H, W), [0, 1], H and W at least 11; both are rounded to 8 bits first.

    Returns:
        (B,) float32, one value per image; 1 where the two are equal.

    Raises:
        ValueError: the shapes differ, are not (B, 3, H, W), or are smaller than the window.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    restored, sharp = _prepare(restored, sharp)
    if min(restored.shape[-2:]) < SSIM_WINDOW_PX:
        height, width = restored.shape[-2:]
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW_PX} px a side, got {width}x{height}")
    values = structural_similarity_index_measure(
        restored,
        sharp,
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=SSIM_WINDOW_PX,
        reduction="none",
        data_range=1.0,
        k1=0.01,
        k2=0.03,
    )
    return values.reshape(restored.shape[0])


def _prepare(restored: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor]:
    if restored.ndim != 4 or restored.shape[1] != 3 or restored.shape != sharp.shape:
        raise ValueError(
            f"expected two (B, 3, H, W) tensors of one shape, got {tuple(restored.shape)} and {tuple(sharp.shape)}"
        )
    return round_to_uint8(restored.float()), round_to_uint8(sharp.float())
