"""Edge maps against SciPy's Sobel, and as guidance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from resharp.models.config import GuidanceConfig
from resharp.models.edges import edges
from resharp.models.guidance import Guidance, phi


def test_edges_are_scipys(generator):
    picture = torch.rand(1, 1, 12, 17, generator=generator)
    plane = picture[0, 0].double().numpy()
    slopes = [ndimage.sobel(plane, axis=axis, mode="nearest") / 8 for axis in (0, 1)]
    np.testing.assert_allclose(edges(picture)[0, 0], np.hypot(*slopes), atol=1e-5)


def test_a_ramp_gives_its_slope_whatever_its_direction():
    across = torch.arange(9.0).expand(1, 1, 9, 9) * 0.1
    for ramp in (across, across.mT, across.flip(-1)):
        assert torch.allclose(edges(ramp)[..., 1:-1, 1:-1], torch.tensor(0.1))
    assert torch.allclose(edges(torch.full((1, 1, 1, 1), 0.5)), torch.tensor(0.0), atol=1e-5)


def test_edges_do_not_know_the_level():
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(phi(picture, 1, color="edges"), phi(picture + 0.5, 1, color="edges"), atol=1e-5)


def test_structure_of_both_is_gray_and_its_edges(generator):
    y = torch.rand(2, 3, 16, 24, generator=generator)
    both = phi(y, 2, color="gray+edges")
    assert torch.equal(both[:, :1], phi(y, 2))
    assert torch.equal(both[:, 1:], phi(y, 2, color="edges"))


@pytest.mark.parametrize("color", ["edges", "gray+edges"])
def test_the_regression_predicts_edges_too(color, generator):
    guidance = Guidance(GuidanceConfig(features=6, width=8, blocks=1, color=color))
    y = torch.rand(1, 3, 32, 32, generator=generator)
    regressed, targets = guidance.regress(guidance(y)), guidance.targets(y)
    channels = 2 if "+" in color else 1
    assert {k: v.shape for k, v in regressed.items()} == {k: v.shape for k, v in targets.items()}
    assert targets[1].shape == (1, channels, 16, 16)


def test_gradients_are_finite_where_a_picture_is_flat():
    flat = torch.full((1, 1, 8, 8), 0.3, requires_grad=True)
    edges(flat).sum().backward()
    assert torch.isfinite(flat.grad).all()
