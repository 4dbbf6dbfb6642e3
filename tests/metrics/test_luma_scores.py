"""PSNR and SSIM on luma against scikit-image and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from made_weights import made_image
from resharp.metrics.full_reference import luma, psnr_y, ssim_y


def as_uint8(image: torch.Tensor) -> np.ndarray:
    return (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def test_luma_runs_from_16_to_235():
    black, white = torch.zeros(1, 3, 1, 1, dtype=torch.float64), torch.ones(1, 3, 1, 1, dtype=torch.float64)
    assert luma(black).item() * 255 == pytest.approx(16)
    assert luma(white).item() * 255 == pytest.approx(235)
    green = black.clone()
    green[:, 1] = 1
    assert luma(green).item() * 255 == pytest.approx(144.553)


def test_both_agree_with_scikit_image_on_its_own_luma():
    restored, sharp = made_image(61, 83, seed=1, batch=2), made_image(61, 83, seed=2, batch=2)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for image in range(2):
        a, b = (rgb2ycbcr(as_uint8(each[image]))[:, :, 0] for each in (restored, sharp))
        assert psnr_y(restored, sharp)[image].item() == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9
        )
        assert ssim_y(restored, sharp)[image].item() == pytest.approx(structural_similarity(b, a, **options), abs=1e-9)


def test_a_gray_step_counts_for_less_than_in_rgb():
    """One step of 255 in gray is 219 / 255 steps of luma."""
    sharp = torch.full((1, 3, 12, 12), 100 / 255)
    assert psnr_y(sharp + 1 / 255, sharp).item() == pytest.approx(20 * math.log10(255 * 255 / 219), abs=1e-9)
    assert psnr_y(sharp, sharp).item() == math.inf
    assert ssim_y(sharp, sharp).item() == pytest.approx(1)


def test_small_or_unequal_images_are_refused():
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim_y(torch.zeros(1, 3, 10, 20), torch.zeros(1, 3, 10, 20))
    with pytest.raises(ValueError, match="one shape"):
        psnr_y(torch.zeros(1, 3, 12, 12), torch.zeros(1, 3, 12, 13))
