"""Distances of feature sets by closed forms; luma by scikit-image; NIQE's fit by known samples; the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from skimage.color import rgb2ycbcr

from resharp.errors import ConfigError, DataError
from resharp.metrics.catalogue import METRICS, Absent, PairMetric, choose_metrics
from resharp.metrics.frechet import frechet_distance, kernel_distance
from resharp.metrics.full_reference import luma
from resharp.metrics.niqe import fit_aggd


def features(seed: int, rows: int = 400, width: int = 6, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, width)) @ rng.standard_normal((width, width)) + shift


def test_frechet_distance_is_the_textbook_formula():
    a, b = features(0), features(1, rows=300, shift=0.7)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_a_shift_is_its_square():
    a = features(0)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(6 * 4, rel=1e-9)


def test_kernel_distance_is_the_unbiased_polynomial_one():
    a, b = features(0, rows=50), features(1, rows=50, shift=0.5)
    kernel = [(x @ y.T / 6 + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    within = [(k.sum() - np.trace(k)) / (50 * 49) for k in kernel[:2]]
    expected = sum(within) - 2 * kernel[2].mean()
    assert kernel_distance(a, b, subset_size=50, subsets=3) == pytest.approx(expected, rel=1e-9)


def test_too_few_samples_are_refused():
    with pytest.raises(DataError):
        frechet_distance(features(0, rows=1), features(1))
    with pytest.raises(DataError):
        kernel_distance(features(0, rows=10), features(1, rows=10))


def test_luma_is_that_of_scikit_image():
    image = torch.rand(1, 3, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = rgb2ycbcr(image[0].permute(1, 2, 0).numpy())[..., 0] / 255
    np.testing.assert_allclose(luma(image)[0, 0].numpy(), expected, atol=1e-12)


def test_niqe_fit_finds_a_known_distribution():
    """A generalised Gaussian of shape 1.5, scaled to 0.5 left of zero and 1 right of it."""
    rng = np.random.default_rng(0)
    size = np.abs(stats.gennorm.rvs(1.5, size=400_000, random_state=rng))
    right = rng.random(400_000) < 1 / (1 + 0.5)  # the density is continuous at zero
    samples = torch.from_numpy(np.where(right, size, -0.5 * size))[None]
    alpha, left, right_scale = (float(x) for x in fit_aggd(samples))
    assert alpha == pytest.approx(1.5, abs=0.05)
    assert right_scale / left == pytest.approx(2, rel=0.03)


def test_what_cannot_be_measured_says_how_it_could(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    chosen = {metric.name: metric for metric in choose_metrics(METRICS, tmp_path)}
    assert tuple(chosen) == METRICS
    assert isinstance(chosen["psnr"], PairMetric)
    for name in ("lpips-alex", "lpips-vgg", "niqe", "fid", "kid"):
        assert isinstance(chosen[name], Absent)
        assert chosen[name].remedy
    with pytest.raises(ConfigError, match="psnr-y"):
        choose_metrics(["psnrr"])
