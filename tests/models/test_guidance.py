"""phi, H and R against their definitions."""

from __future__ import annotations

import pytest
import torch

from resharp.models.config import GuidanceConfig
from resharp.models.guidance import Guidance, gray, phi


def test_gray_is_rec_601_luma():
    x = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)
    assert gray(x).item() == pytest.approx(0.299 - 0.114)
    assert torch.allclose(gray(torch.full((1, 3, 2, 2), 0.3)), torch.tensor(0.3))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_phi_is_the_mean_of_each_square(k, generator):
    y = torch.rand(2, 3, 16, 24, generator=generator)
    side = 2**k
    luma = 0.299 * y[:, 0] + 0.587 * y[:, 1] + 0.114 * y[:, 2]
    expected = luma.view(2, 16 // side, side, 24 // side, side).mean(dim=(2, 4))
    assert torch.allclose(phi(y, k)[:, 0], expected, atol=1e-6)


def test_phi_keeps_colour_for_the_rgb_ablation(generator):
    assert phi(torch.rand(1, 3, 8, 8, generator=generator), 1, color="rgb").shape == (1, 3, 4, 4)


def test_noise_has_the_asked_deviation_and_comes_from_the_generator():
    y = torch.zeros(1, 3, 512, 512)
    noisy = phi(y, 1, sigma_k=0.02, generator=torch.Generator().manual_seed(1))
    # sigma_k is on [0, 1], the network's range is twice as wide.
    assert noisy.std().item() == pytest.approx(0.04, rel=0.02)
    assert torch.equal(noisy, phi(y, 1, sigma_k=0.02, generator=torch.Generator().manual_seed(1)))
    assert not torch.equal(noisy, phi(y, 1, sigma_k=0.02, generator=torch.Generator().manual_seed(2)))
    assert torch.equal(phi(y, 1, sigma_k=0.02), torch.zeros(1, 1, 256, 256))


def test_shapes_of_features_and_regression(generator):
    guidance = Guidance(GuidanceConfig(features=6, width=8, blocks=2))
    h = guidance(torch.rand(2, 3, 32, 48, generator=generator))
    assert {k: tuple(v.shape) for k, v in h.items()} == {1: (2, 6, 16, 24), 2: (2, 6, 8, 12), 3: (2, 6, 4, 6)}
    regressed = guidance.regress(h)
    targets = guidance.targets(torch.rand(2, 3, 32, 48, generator=generator))
    assert {k: v.shape for k, v in regressed.items()} == {k: v.shape for k, v in targets.items()}


def test_one_h_for_all_scales_or_one_each():
    shared = Guidance(GuidanceConfig(features=4, width=4, blocks=1))
    apart = Guidance(GuidanceConfig(features=4, width=4, blocks=1, shared=False))
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(apart) == 3 * count(shared)


def test_without_regression_there_is_no_head():
    guidance = Guidance(GuidanceConfig(features=4, width=4, blocks=1, regression=False))
    assert len(guidance.heads) == 0
    assert guidance.regress(guidance(torch.rand(1, 3, 8, 8))) == {}
