"""Kernels against their closed forms, and the draw's promises: sum 1, centred, seeded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resharp.evaluate.degrade import BlurPipeline, convolve, degrade, pillow_jpeg
from resharp.evaluate.kernels import (
    RANDOM_KERNELS,
    disk_kernel,
    gaussian_mix_kernel,
    line_kernel,
    splat,
    walk_kernel,
)


def moments(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass relative to the middle entry (x, y), and the 2x2 covariance, in px."""
    half = kernel.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    centre = np.array([(kernel * x).sum(), (kernel * y).sum()])
    second = np.array([[(kernel * x * x).sum(), (kernel * x * y).sum()], [0, (kernel * y * y).sum()]])
    second[1, 0] = second[0, 1]
    return centre, second - np.outer(centre, centre)


@pytest.mark.parametrize("name", RANDOM_KERNELS)
def test_every_kernel_sums_to_one_and_is_centred(name: str):
    rng = np.random.default_rng(3)
    for _ in range(50):
        kernel = RANDOM_KERNELS[name](rng)
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(moments(kernel)[0], 0, atol=1e-9)


@pytest.mark.parametrize("name", RANDOM_KERNELS)
def test_the_seed_decides_the_kernel(name: str):
    draw = RANDOM_KERNELS[name]
    first, again, other = (draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_an_axis_aligned_line_is_a_row_of_equal_weights():
    kernel = line_kernel(8.0, 0.0)
    row = kernel[kernel.shape[0] // 2]
    assert row.sum() == pytest.approx(1)
    middle = len(row) // 2
    np.testing.assert_allclose(row[middle - 3 : middle + 4], 1 / 8, rtol=0.02)
    np.testing.assert_allclose(row[[middle - 4, middle + 4]], 1 / 16, rtol=0.1)


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, 2.5])
def test_a_line_has_the_variance_of_its_length_along_its_angle(angle: float):
    length = 17.3
    _, covariance = moments(line_kernel(length, angle))
    along = np.array([np.cos(angle), np.sin(angle)])
    # Bilinear drawing adds at most 1/4 px^2.
    assert along @ covariance @ along == pytest.approx(length**2 / 12, abs=0.35)
    across = np.array([-along[1], along[0]])
    assert 0 <= across @ covariance @ across <= 0.26


def test_a_walk_is_as_wide_as_asked_and_curved():
    for seed in range(20):
        kernel = walk_kernel(20.0, np.random.default_rng(seed))
        y, x = np.nonzero(kernel)
        points = np.stack([x, y], axis=1).astype(float)
        extent = np.linalg.norm(points[:, None] - points[None], axis=-1).max()
        assert 20 - 1e-6 <= extent <= 20 + 2 * np.sqrt(2)
        smaller = np.linalg.eigvalsh(moments(kernel)[1])[0]
        assert smaller < 20**2 / 12
    assert (
        np.mean(
            [np.linalg.eigvalsh(moments(walk_kernel(20.0, np.random.default_rng(s)))[1])[0] > 0.5 for s in range(20)]
        )
        > 0.5
    )


def test_a_disk_has_the_variance_of_a_disk():
    for radius in (1.5, 3.0, 4.7):
        _, covariance = moments(disk_kernel(radius))
        # r^2/4, and 1/12 for the pixels the samples were gathered in.
        np.testing.assert_allclose(np.diag(covariance), radius**2 / 4 + 1 / 12, rtol=0.04, atol=0.09)
        assert covariance[0, 1] == pytest.approx(0, abs=1e-12)


def test_a_gaussian_mix_has_the_mixed_variance():
    kernel = gaussian_mix_kernel(np.array([[2.0, 1.0], [1.5, 1.5]]), np.array([0.0, 0.7]), np.array([3.0, 1.0]))
    _, covariance = moments(kernel)
    expected = 0.75 * np.diag([4.0, 1.0]) + 0.25 * np.diag([2.25, 2.25])
    np.testing.assert_allclose(covariance, expected, rtol=0.05, atol=0.02)


def test_splat_moves_the_mean_to_the_middle():
    kernel = splat(np.array([[10.25, -3.5], [12.25, -3.5]]))
    np.testing.assert_allclose(kernel[kernel.shape[0] // 2], [0, 0.5, 0, 0.5, 0], atol=1e-12)


def test_convolution_agrees_with_scipy_and_reflects_borders():
    from scipy.ndimage import convolve as scipy_convolve

    image = torch.rand(1, 3, 30, 41, dtype=torch.float64)
    kernel = walk_kernel(9.0, np.random.default_rng(0))
    blurred = convolve(image, kernel)
    for channel in range(3):
        expected = scipy_convolve(image[0, channel].numpy(), kernel, mode="mirror")
        np.testing.assert_allclose(blurred[0, channel].numpy(), expected, atol=1e-12)
    flat = torch.full((1, 3, 30, 41), 0.3)
    torch.testing.assert_close(convolve(flat, kernel), flat)


def test_a_photo_smaller_than_the_blur_is_refused():
    with pytest.raises(ValueError, match="41x5 is too small"):
        convolve(torch.rand(1, 3, 5, 41), line_kernel(20.0, 0.0))


def test_degrading_is_seeded_noisy_and_in_8_bit_steps():
    sharp = torch.full((1, 3, 48, 48), 0.5)
    pipeline = BlurPipeline(("line",), noise_sigma=(4 / 255, 4 / 255), jpeg_quality=(100, 100))
    first, again, other = (degrade(sharp, pipeline, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == sharp.shape
    assert first.dtype == torch.float32
    torch.testing.assert_close(first * 255, (first * 255).round(), atol=1e-4, rtol=0)
    luma = (first * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1)
    # Independent noise in three channels: the luma's is sigma times the length of the weights.
    assert luma.std().item() * 255 == pytest.approx(4 * 0.6685, rel=0.1)


def test_lower_jpeg_quality_is_farther_from_the_photo():
    image = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    near, far = ((pillow_jpeg(image, quality) - image).abs().mean() for quality in (95, 50))
    assert near < far
