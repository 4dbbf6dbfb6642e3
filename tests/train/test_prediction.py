"""The predictor's losses beside the one on pixels."""

from __future__ import annotations

import math

import pytest
import torch

from resharp.diffusion.loss import frequency_loss
from resharp.errors import ConfigError, ModelError
from resharp.metrics.lpips import load_lpips
from resharp.train.config import TrainConfig
from resharp.train.prediction import PredictorLoss
from trunks import made_trunk

CPU = torch.device("cpu")


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def trunk(tmp_path):
    return made_trunk(tmp_path)


@pytest.mark.parametrize("cycles", [1, 5, 20])
def test_a_wave_costs_the_same_at_any_frequency(cycles):
    """A cosine of amplitude a along the rows has one bin of the half spectrum, of modulus a sqrt(HW) / 2."""
    height, width, amplitude = 32, 64, 0.3
    wave = amplitude * torch.cos(2 * math.pi * cycles * torch.arange(width) / width).expand(1, 3, height, width)
    expected = amplitude * math.sqrt(height * width) / 2 / (height * (width // 2 + 1))
    torch.testing.assert_close(frequency_loss(wave, torch.zeros_like(wave)), torch.tensor(expected))


def test_noise_costs_about_its_deviation_at_any_size():
    """Bins of an orthonormal transform of noise are complex normal: their mean modulus is sigma sqrt(pi) / 2."""
    for side in (32, 128):
        noise = 0.1 * torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
        assert float(frequency_loss(noise, torch.zeros_like(noise))) == pytest.approx(
            0.1 * math.sqrt(math.pi) / 2, rel=0.03
        )


def test_by_default_there_are_pixels_alone():
    assert list(PredictorLoss(TrainConfig(), CPU)(images(0), images(1))) == ["prediction"]


def test_the_perceptual_term_is_lpips_and_reaches_the_prediction(trunk):
    config = TrainConfig(perceptual_weight=0.5, perceptual_trunk=str(trunk), frequency_weight=2.0)
    g, x = images(0).requires_grad_(), images(1)
    terms = PredictorLoss(config, CPU)(g, x)
    weight, value = terms["perceptual"]
    assert weight == 0.5
    assert terms["frequency"][0] == 2.0
    torch.testing.assert_close(value, load_lpips(trunk)((g + 1) / 2, (x + 1) / 2).mean())
    value.backward()
    assert g.grad is not None
    assert float(g.grad.abs().max()) > 0
    assert float(PredictorLoss(config, CPU)(x, x)["perceptual"][1]) == 0


def test_the_perceptual_term_needs_its_weights(tmp_path):
    with pytest.raises(ConfigError, match="perceptual_trunk"):
        TrainConfig(perceptual_weight=0.5)
    config = TrainConfig(perceptual_weight=0.5, perceptual_trunk=str(tmp_path / "none.pth"))
    with pytest.raises(ModelError, match=r"none\.pth"):
        PredictorLoss(config, CPU)
