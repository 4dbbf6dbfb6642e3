"""LPIPS as a loss of the denoiser."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from resharp.errors import ConfigError
from resharp.metrics.lpips import load_lpips
from resharp.models.icdpm import ICDPM
from resharp.train.config import TrainConfig
from resharp.train.objective import Objective
from resharp.train.perceptual import PerceptualLoss
from runs import CONFIG, trainer
from tiny import TINY, awake
from trunks import made_trunk

CPU = torch.device("cpu")


@pytest.fixture
def trunk(tmp_path):
    return made_trunk(tmp_path)


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def config(trunk, **settings: object) -> TrainConfig:
    return replace(CONFIG, denoising_perceptual_weight=0.5, perceptual_trunk=str(trunk), **settings)


def test_it_is_lpips_and_shares_weigh_it(trunk):
    loss = PerceptualLoss(config(trunk), CPU)
    distances = load_lpips(trunk)((images(0) + 1) / 2, (images(1) + 1) / 2)
    assert distances.shape == (2,)
    torch.testing.assert_close(loss(images(0), images(1)), distances.mean())
    shares = torch.tensor([0.25, 0.0], dtype=torch.float64)
    torch.testing.assert_close(loss(images(0), images(1), shares), distances[0] / 8)
    assert float(loss(images(0), images(0))) == 0


@pytest.mark.parametrize("predictor", [True, False], ids=["residual", "image"])
def test_the_denoiser_is_trained_on_the_image_that_x0_hat_stands_for(trunk, predictor):
    shape = TINY if predictor else replace(TINY, predictor=None, residual_scale=1.0)
    run = config(trunk, model=shape, stage="joint", regression_weight=0.0 if predictor else 1.0)
    model = awake(ICDPM(shape)).train()
    x, y = images(0), images(1)
    plain = Objective(model, replace(run, denoising_perceptual_weight=0.0))
    losses = Objective(model, run)(x, y, 1.0, torch.Generator().manual_seed(0))
    without = plain(x, y, 1.0, torch.Generator().manual_seed(0))
    assert "denoising_perceptual" not in without
    expected = without["total"] + 0.5 * losses["denoising_perceptual"]
    torch.testing.assert_close(losses["total"], expected)

    seen = {}
    h = model.guide(y)
    g = model.predict(y, h) if predictor else None

    def guess(x_t, y, alpha_bar, *conditions):
        seen["alpha_bar"] = alpha_bar
        seen["x0_hat"] = ICDPM.forward(model, x_t, y, alpha_bar, *conditions)
        return seen["x0_hat"]

    model.forward = guess  # the tiny model predicts x0
    Objective(model, run)(x, y, 1.0, torch.Generator().manual_seed(0))
    image = seen["x0_hat"] if g is None else model.predict(y, model.guide(y)) + seen["x0_hat"] / shape.residual_scale
    distances = load_lpips(trunk)((image + 1) / 2, (x + 1) / 2)
    mean = (distances * seen["alpha_bar"].float()).mean()
    torch.testing.assert_close(losses["denoising_perceptual"], mean, atol=2e-3, rtol=0.02)


def test_its_gradient_reaches_the_denoiser_and_not_the_predictor(trunk):
    model = awake(ICDPM(TINY)).train()
    losses = Objective(model, config(trunk))(images(0), images(1), 1.0, torch.Generator().manual_seed(0))
    losses["denoising_perceptual"].backward()
    assert any(float(p.grad.abs().max()) > 0 for p in model.denoiser.parameters() if p.grad is not None)
    assert all(p.grad is None for p in model.predictor.parameters())


def test_in_the_warm_start_there_is_none(trunk):
    losses = Objective(ICDPM(TINY), config(trunk))(images(0), images(1), 0.0, torch.Generator().manual_seed(0))
    assert "denoising_perceptual" not in losses


def test_a_run_trains_with_it(trunk, tmp_path):
    run = config(trunk, crop_px=64, steps=3, warm_start_steps=0, ramp_steps=0, log_every=1)
    trainer(run, tmp_path / "run").run()
    assert '"denoising_perceptual"' in (tmp_path / "run" / "log.jsonl").read_text()


def test_it_needs_its_weights():
    with pytest.raises(ConfigError, match="denoising_perceptual_weight needs perceptual_trunk"):
        TrainConfig(denoising_perceptual_weight=0.5)
