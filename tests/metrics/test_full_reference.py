"""PSNR and SSIM against closed forms and scikit-image."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from resharp.metrics.full_reference import psnr, round_to_uint8, ssim


def noisy_pair(height: int = 61, width: int = 83, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(2, 3, H, W) smooth colours with noise of a different strength per image, and without, in 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 3, 8, 9, generator=generator)
    sharp = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = torch.randn(sharp.shape, generator=generator) * torch.tensor([0.02, 0.1]).view(2, 1, 1, 1)
    return round_to_uint8(sharp + noise), round_to_uint8(sharp)


def as_uint8(image: torch.Tensor) -> np.ndarray:
    return (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def test_psnr_of_a_constant_offset_is_known():
    sharp = torch.full((3, 3, 12, 15), 100 / 255)
    offset = torch.tensor([1.0, 5.0, 155.0]).view(3, 1, 1, 1) / 255
    expected = [20 * math.log10(255 / steps) for steps in (1, 5, 155)]
    torch.testing.assert_close(
        psnr(sharp + offset, sharp), torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_equal_images_score_infinity_and_one():
    sharp = torch.rand(2, 3, 20, 20)
    assert psnr(sharp, sharp).tolist() == [math.inf, math.inf]
    torch.testing.assert_close(ssim(sharp, sharp), torch.ones(2, dtype=torch.float64), atol=1e-9, rtol=0)


def test_values_are_rounded_to_8_bits_first():
    sharp = torch.full((1, 3, 16, 16), 100 / 255)
    assert psnr(sharp + 0.4 / 255, sharp).item() == math.inf
    assert psnr(sharp + 0.6 / 255, sharp).item() == pytest.approx(20 * math.log10(255), abs=1e-4)
    assert psnr(torch.full_like(sharp, 1.7), torch.ones_like(sharp)).item() == math.inf
    torch.testing.assert_close(round_to_uint8(torch.tensor([-1.0, 0.5, 2.0])), torch.tensor([0, 128 / 255, 1]))


def test_psnr_agrees_with_scikit_image_to_a_billionth_of_a_db():
    restored, sharp = noisy_pair()
    ours = psnr(restored, sharp)
    for image in range(2):
        theirs = peak_signal_noise_ratio(as_uint8(sharp[image]), as_uint8(restored[image]), data_range=255)
        assert ours[image].item() == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("size", [(61, 83), (11, 11), (11, 40)])
def test_ssim_agrees_with_scikit_image_to_a_billionth(size: tuple[int, int]):
    restored, sharp = noisy_pair(*size)
    ours = ssim(restored, sharp)
    assert ours.shape == (2,)
    for image in range(2):
        theirs = structural_similarity(
            as_uint8(sharp[image]),
            as_uint8(restored[image]),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        )
        assert ours[image].item() == pytest.approx(theirs, abs=1e-9)


def test_ssim_of_two_flat_images_is_its_luminance_term():
    a, b, c1 = 51 / 255, 204 / 255, 0.01**2
    value = ssim(torch.full((1, 3, 20, 20), a), torch.full((1, 3, 20, 20), b))
    assert value.item() == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), abs=1e-9)


def test_each_image_is_scored_alone():
    restored, sharp = noisy_pair()
    for metric in (psnr, ssim):
        both, alone = metric(restored, sharp), metric(restored[1:], sharp[1:])
        torch.testing.assert_close(both[1:], alone)


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("shapes", [((1, 3, 20, 20), (1, 3, 20, 21)), ((3, 20, 20),) * 2, ((1, 1, 20, 20),) * 2])
def test_other_shapes_are_refused(metric, shapes):
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        metric(torch.rand(shapes[0]), torch.rand(shapes[1]))


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim(torch.rand(1, 3, 10, 30), torch.rand(1, 3, 10, 30))


def test_ssim_is_near_that_of_torchmetrics_away_from_borders():
    from torchmetrics.functional.image import structural_similarity_index_measure

    restored, sharp = noisy_pair()
    _, similarity = structural_similarity_index_measure(
        restored, sharp, data_range=1.0, reduction="none", return_full_image=True
    )
    inside = similarity[..., 5:-5, 5:-5].double().mean(dim=(1, 2, 3))
    torch.testing.assert_close(ssim(restored, sharp), inside, atol=1e-5, rtol=0)


def test_importing_does_not_pull_in_torchmetrics():
    program = "import sys, resharp.evaluate.score, resharp.metrics.lpips; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
