"""The forward process and the prediction types."""

from __future__ import annotations

import pytest
import torch

from resharp.diffusion.loss import denoising_loss, denoising_weight, regression_loss
from resharp.diffusion.process import q_sample, target, to_x0
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError


def test_q_sample_is_the_closed_form():
    x0, eps = torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), -1.0)
    x_t = q_sample(x0, torch.tensor([0.64, 1.0]), eps)
    assert torch.allclose(x_t[0], torch.tensor(0.8 * 0.5 - 0.6))
    assert torch.equal(x_t[1], x0[1])


def test_q_sample_agrees_with_diffusers(generator):
    from diffusers import DDPMScheduler

    schedule = NoiseSchedule(train_steps=100)
    betas = 1 - schedule.alpha_bars()[1:] / schedule.alpha_bars()[:-1]
    scheduler = DDPMScheduler(num_train_timesteps=100, trained_betas=betas.numpy())
    x0, eps = (torch.randn(3, 3, 4, 4, generator=generator) for _ in range(2))
    t = torch.tensor([10, 50, 99])  # diffusers multiplies in float32: its first levels are known to 3 % only
    ours = q_sample(x0, schedule.alpha_bars()[t + 1], eps)
    assert torch.allclose(ours, scheduler.add_noise(x0, eps, t), atol=1e-4)


@pytest.mark.parametrize("prediction_type", ["eps", "v", "x0"])
def test_a_perfect_answer_gives_back_x0(prediction_type, generator):
    x0, eps = (torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    alpha_bar = torch.tensor([0.001, 0.3, 0.9, 0.999], dtype=torch.float64)
    x_t = q_sample(x0, alpha_bar, eps)
    answer = target(x0, eps, alpha_bar, prediction_type)
    assert torch.allclose(to_x0(answer, x_t, alpha_bar, prediction_type), x0, atol=1e-9)


def test_unknown_prediction_type_is_refused():
    zeros = torch.zeros(1, 3, 2, 2)
    for function in (target, to_x0):
        with pytest.raises(ConfigError, match="'eps', 'v', 'x0'"):
            function(zeros, zeros, torch.ones(1), "score")


def test_denoising_loss_of_an_all_knowing_model_is_zero_and_of_a_zero_model_the_mean_absolute_target():
    schedule, x0 = NoiseSchedule(), torch.zeros(16, 3, 16, 16)

    def knowing(x_t, y, alpha_bar, h, g):  # x0 is zero, so x_t is pure scaled noise
        return x_t / (1 - alpha_bar.double()).sqrt().view(-1, 1, 1, 1).float().clamp(min=1e-6)

    def loss(model):
        return denoising_loss(model, schedule, x0, x0, {}, None, "eps", torch.Generator().manual_seed(0)).loss.item()

    assert loss(knowing) < 1e-2
    # E|eps| of a standard normal is sqrt(2 / pi).
    assert loss(lambda x_t, *_: torch.zeros_like(x_t)) == pytest.approx((2 / torch.pi) ** 0.5, rel=0.02)


def test_the_loss_tells_what_the_network_took_for_x0():
    """A network that answers with the true eps, at any level, has found x0."""
    schedule = NoiseSchedule()
    x0 = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def knowing(x_t, y, alpha_bar, h, g):
        level = alpha_bar.double().view(-1, 1, 1, 1)
        return ((x_t - level.sqrt() * x0) / (1 - level).sqrt()).float()

    found = denoising_loss(knowing, schedule, x0, x0, {}, None, "eps", torch.Generator().manual_seed(0))
    assert torch.equal(found.alpha_bar.float(), schedule.draw(4, torch.Generator().manual_seed(0)).float())
    torch.testing.assert_close(found.x0_hat, x0, atol=2e-2, rtol=0)


def test_regression_loss_sums_the_scales():
    regressed = {1: torch.full((1, 1, 8, 8), 0.5), 2: torch.zeros(1, 1, 4, 4)}
    targets = {1: torch.zeros(1, 1, 8, 8), 2: torch.full((1, 1, 4, 4), 2.0)}
    assert regression_loss(regressed, targets).item() == pytest.approx(0.25 + 4.0)


def test_denoising_weight_waits_then_rises_to_one():
    weights = [denoising_weight(step, 10, 4) for step in (0, 9, 10, 11, 13, 14, 1000)]
    assert weights == [0, 0, 0.25, 0.5, 1, 1, 1]
    assert denoising_weight(0, 0, 0) == 1
