"""Guidance features: a guidance that is a known filter, the choice of channels, and the figure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from resharp.analysis.feature_figure import draw_features, features_table, scale_values
from resharp.analysis.feature_maps import (
    choose_channels,
    correlation,
    feature_maps,
    gradient_magnitude,
)
from resharp.analysis.figures import TEXT_INCHES
from resharp.errors import ConfigError, DataError, ModelError
from resharp.models.guidance import phi
from resharp.models.icdpm import ICDPM
from tiny import TINY


def gradient_guide() -> nn.Conv2d:
    """h = (d/dx, d/dy, the picture itself, a constant)."""
    guide = nn.Conv2d(1, 4, 3, padding=1)
    with torch.no_grad():
        guide.weight.zero_()
        guide.weight[0, 0, 1, 0], guide.weight[0, 0, 1, 2] = -0.5, 0.5
        guide.weight[1, 0, 0, 1], guide.weight[1, 0, 2, 1] = -0.5, 0.5
        guide.weight[2, 0, 1, 1] = 1
        guide.bias.copy_(torch.tensor([3.0, 0.0, 0.0, 7.0]))
    return guide


def identity_head() -> nn.Conv2d:
    """R that takes the picture's channel; SiLU before it keeps what is far above zero nearly as it is."""
    head = nn.Conv2d(4, 1, 3, padding=1)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.weight[0, 2, 1, 1] = 1
    return head


@pytest.fixture
def filter_model() -> ICDPM:
    model = ICDPM(TINY)
    model.guidance.guides[0] = gradient_guide()
    model.guidance.heads[0] = identity_head()
    return model.eval()


def stripes() -> torch.Tensor:
    """Vertical bars of several heights on gray, (1, 3, 128, 192): flat nearly everywhere, edges along x only."""
    image = torch.full((1, 3, 128, 192), 0.4)
    for left, value in ((32, 0.9), (80, 0.6), (130, 0.1)):
        image[..., left : left + 20] = value
    return image


def test_a_gradient_filter_follows_the_edges(filter_model):
    scales = feature_maps(filter_model, stripes(), channels=[0, 1, 2, 3])
    assert [scale.k for scale in scales] == [1, 2]
    for scale in scales:
        across, down, picture, constant = scale.channels
        assert across.edges_of_y == pytest.approx(1, abs=1e-6)  # its offset of 3 does not matter
        assert down.edges_of_y is None
        assert constant.edges_of_y is None
        assert abs(picture.edges_of_y) < 0.5
        assert scale.copy[0] == pytest.approx(picture.edges_of_y, abs=1e-6)
        assert constant.deviation == pytest.approx(0, abs=1e-6)


def test_maps_are_those_of_the_model_without_its_padding(filter_model):
    blurry = torch.rand(1, 3, 70, 101, generator=torch.Generator().manual_seed(1))
    scales = feature_maps(filter_model, blurry, channels=[2])
    y = blurry * 2 - 1
    for scale in scales:
        cut = y[..., : 70 // 2**scale.k * 2**scale.k, : 101 // 2**scale.k * 2**scale.k]
        expected = phi(cut, scale.k)[0, 0].numpy()
        np.testing.assert_allclose(scale.channels[0].values, expected, atol=1e-6)
        np.testing.assert_allclose(scale.y_k, (expected + 1) / 2, atol=1e-6)
        silu = torch.nn.functional.silu(torch.from_numpy(expected)).numpy()
        np.testing.assert_allclose(scale.regression, (silu + 1) / 2, atol=1e-6)


def test_noise_is_that_of_training_and_follows_its_seed(filter_model):
    blurry = torch.full((1, 3, 128, 128), 0.5)
    quiet, again, other = (feature_maps(filter_model, blurry, channels=[2], noise_seed=s) for s in (None, 5, 6))
    same = feature_maps(filter_model, blurry, channels=[2], noise_seed=5)
    for a, b, c, d in zip(quiet, again, other, same, strict=True):
        assert a.y_k.std() == 0
        assert b.y_k.std() == pytest.approx(TINY.guidance.sigma_k, rel=0.1)
        np.testing.assert_array_equal(b.y_k, d.y_k)
        assert not np.array_equal(b.y_k, c.y_k)
        # The shown phi_k(y) is the one the features were computed from.
        np.testing.assert_allclose(b.channels[0].values, b.y_k * 2 - 1, atol=1e-5)


def test_channels_with_the_largest_deviation_are_chosen():
    spreads = {1: np.array([1.0, 3.0, 2.0, 3.0]), 2: np.array([9.0, 3.0, 2.0, 3.0])}
    assert choose_channels(spreads, 2, shared=False) == {1: (1, 3), 2: (0, 1)}
    assert choose_channels(spreads, 3, shared=True) == {1: (0, 1, 3), 2: (0, 1, 3)}


def test_default_is_all_channels_of_a_narrow_model_the_liveliest_first(filter_model):
    for scale in feature_maps(filter_model, stripes()):
        assert [channel.number for channel in scale.channels][0] == 2
        assert [channel.number for channel in scale.channels][-2:] == [1, 3]
        assert len(scale.channels) == 4


def test_gradient_of_a_plane_is_its_slope():
    down, across = np.mgrid[0:9, 0:12]
    np.testing.assert_allclose(gradient_magnitude(3.0 * across + 4.0 * down), 5.0)


def test_correlation_is_numpys():
    a, b = np.random.default_rng(0).normal(size=(2, 8, 9))
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert correlation(a, np.ones((8, 9))) is None


def test_what_the_model_does_not_have_is_refused(filter_model):
    with pytest.raises(ConfigError, match="channels 0 to 3"):
        feature_maps(filter_model, stripes(), channels=[4])
    with pytest.raises(ConfigError, match="has 4"):
        feature_maps(filter_model, stripes(), count=5)
    with pytest.raises(ConfigError, match="not both"):
        feature_maps(filter_model, stripes(), count=2, channels=[1])
    with pytest.raises(DataError, match=r"a\.png: is 64x40.*64 px"):
        feature_maps(filter_model, torch.zeros(1, 3, 40, 64), name="a.png")
    plain = ICDPM(dataclasses.replace(TINY, guidance=None))
    with pytest.raises(ModelError, match="no guidance"):
        feature_maps(plain, stripes())


def test_without_r_there_is_no_regression(tmp_path):
    guidance = dataclasses.replace(TINY.guidance, regression=False)
    scales = feature_maps(ICDPM(dataclasses.replace(TINY, guidance=guidance)), stripes())
    assert all(scale.regression is None and scale.regression_edges is None for scale in scales)
    draw_features(tmp_path / "a.png", scales)
    assert "| - |\n" in features_table(scales)


def test_figure_is_as_wide_as_a_page_and_the_same_each_time(tmp_path, filter_model):
    scales = feature_maps(filter_model, stripes())
    for name in ("a.png", "b.png", "a.pdf", "b.pdf"):
        draw_features(tmp_path / name, scales)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == int(TEXT_INCHES * 300)
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    with pytest.raises(ConfigError, match="figure"):
        draw_features(tmp_path / "a.jpg", scales)
    assert len(scale_values(scales)[1]["channels"]) == 4
