"""A student of one step: it learns what its teacher does in many, and its runs are as safe as others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.models.config import ModelConfig
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.restoration import Conditions, condition, diffused
from resharp.serialization import Defaults, load_model, save_model
from resharp.train.checkpoint import checkpoint_paths, load_checkpoint
from resharp.train.distillation import SAMPLER, Teacher, distillation_loss
from runs import CONFIG, trainer, weights
from tiny import TINY, TINY_UNET, awake

IMAGE = ModelConfig(guidance=None, denoiser=TINY_UNET, prediction_type="x0")
DEVIATION = 0.2


class Exact(nn.Module):
    """E[x0 | x_t] where x0 is white noise of a known deviation: the best denoiser there is for it."""

    config = IMAGE

    def forward(self, x_t, y, alpha_bar, h, g=None, prepared=None):
        alpha_bar = alpha_bar.view(-1, 1, 1, 1)
        variance = DEVIATION**2
        return alpha_bar.sqrt() * variance / (alpha_bar * variance + 1 - alpha_bar) * x_t


def exact_teacher(steps):
    config = replace(CONFIG, model=IMAGE, stage="distil", warm_start_steps=0, teacher_steps=steps)
    return Teacher(Exact(), config)


def noise(seed, count=4, side_px=16):
    return torch.randn(count, 3, side_px, side_px, generator=torch.Generator().manual_seed(seed))


def plain(y):
    return Conditions(y, {}, None, (y.shape[2], y.shape[3]))


def test_the_teacher_walks_the_probability_flow():
    """For white noise the flow is known: it scales x_T by the deviation, whatever the way."""
    x_T = noise(0)  # noqa: N806
    reached = exact_teacher(200)(plain(torch.zeros_like(x_T)), x_T)
    # What is clamped lies beyond five deviations.
    assert torch.allclose(reached, DEVIATION * x_T, atol=0.01 * DEVIATION * float(x_T.abs().max()))


@pytest.mark.parametrize("kind", ["l1", "charbonnier"])
def test_a_student_learns_what_many_steps_lead_to(kind):
    torch.manual_seed(0)
    student, teacher = ICDPM(IMAGE), exact_teacher(16)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    y = noise(1)
    generator = torch.Generator().manual_seed(0)

    def l1(seed):
        with torch.no_grad():
            same = torch.Generator().manual_seed(seed)
            return float(distillation_loss(student, teacher, plain(y), "l1", same))

    before = l1(9)
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 150)
        distillation_loss(student, teacher, plain(y), kind, generator).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert l1(9) < 0.1 * before


def distil(tmp_path, **changes):
    """A run's configuration, with a teacher that a joint run has begun."""
    model = awake(ICDPM(TINY), seed=3)
    folder = tmp_path / "teacher"
    if not folder.exists():
        save_model(folder, model, NoiseSchedule(), Defaults())
    options = {"stage": "distil", "init": str(folder), "teacher_steps": 3, "warm_start_steps": 0, "ramp_steps": 0}
    return replace(CONFIG, **{**options, **changes})


def test_only_the_denoiser_learns_and_one_step_is_what_the_model_does(tmp_path):
    run = trainer(distil(tmp_path), tmp_path / "run")
    kept = {name: value.clone() for name, value in run.engine.teacher.model.state_dict().items()}
    assert run.run() == ""
    assert all(torch.equal(value, kept[name]) for name, value in run.engine.teacher.model.state_dict().items())
    before = load_model(tmp_path / "teacher")[0].state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in before.items())
    model, _, defaults = load_model(tmp_path / "run" / "model")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("denoiser.") or not value.any(), name
    assert (defaults.output, defaults.steps) == ("diffusion", 1)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-2]["distillation"] == pytest.approx(lines[-2]["total"])
    assert not {"denoising", "prediction", "regression"} & lines[-2].keys()
    pipeline = DeblurPipeline.from_pretrained(tmp_path / "run" / "model")
    blurry = run.validation.blurry
    calls = []
    restored = pipeline.restore(blurry, on_step=lambda done, total: calls.append(total))
    assert calls == [1]
    assert restored.image.shape == blurry.shape


def test_validation_has_the_student_beside_the_teacher(tmp_path):
    run = trainer(distil(tmp_path), tmp_path / "run")
    teacher = run.engine.teacher
    scores = run.validation(run.engine.average_model(), tmp_path / "sheet.jpg", teacher)
    assert {"psnr_blurry", "psnr_predictor", "psnr_teacher", "psnr_diffusion"} <= scores.keys()
    from resharp.metrics.full_reference import psnr

    conditions = condition(teacher.model, run.validation.blurry)
    for name, steps in (("teacher", 3), ("diffusion", 1)):
        generator = torch.Generator().manual_seed(run.config.seed)
        restored = diffused(teacher.model, conditions, NoiseSchedule().grid(steps), SAMPLER, [generator])
        assert scores[f"psnr_{name}"] == pytest.approx(float(psnr(restored, run.validation.sharp).mean()), abs=1e-4)


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path):
    config = distil(tmp_path)
    trainer(config, tmp_path / "whole").run()
    trainer(config, tmp_path / "parts").run(until=4)
    resumed = trainer(config, tmp_path / "parts")
    assert resumed.step == 4
    resumed.run()
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_a_run_goes_on_with_its_own_teacher_only(tmp_path):
    config = distil(tmp_path)
    trainer(config, tmp_path / "run").run(until=2)
    shutil.move(tmp_path / "teacher", tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="teacher.*no such file.*needs its teacher to go on, too"):
        trainer(config, tmp_path / "run")
    save_model(tmp_path / "teacher", awake(ICDPM(TINY), seed=4), NoiseSchedule(), Defaults())
    with pytest.raises(ConfigError, match="made with another teacher than .*bring the old one back"):
        trainer(config, tmp_path / "run")
    shutil.rmtree(tmp_path / "teacher")
    shutil.move(tmp_path / "elsewhere", tmp_path / "teacher")
    assert trainer(config, tmp_path / "run").step == 2


def test_a_checkpoint_without_a_teacher_is_that_of_another_stage(tmp_path):
    """Runs of earlier versions go on."""
    trainer(CONFIG, tmp_path / "run").run(until=3)
    path = checkpoint_paths(tmp_path / "run")[0]
    state = load_checkpoint(path)
    assert state.pop("teacher") is None
    torch.save(state, path)
    assert trainer(CONFIG, tmp_path / "run").step == 3


def test_settings_that_cannot_work_are_refused(tmp_path):
    for change, words in [
        ({"teacher_steps": 0}, "teacher_steps is 0; it must be above 0"),
        ({"teacher_steps": 2001}, "teacher_steps is 2001; the noise schedule has 2000"),
        ({"warm_start_steps": 2}, "nothing to train in these steps"),
        ({"model": replace(TINY, prediction_type="eps")}, "prediction_type is 'eps'"),
        ({"model": replace(TINY, denoiser=None, residual_scale=1.0)}, "no denoiser"),
    ]:
        with pytest.raises(ConfigError, match=words):
            distil(tmp_path, **change)
    with pytest.raises(ConfigError, match="stage is 'distil': give init"):
        trainer(distil(tmp_path, init=None), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"another noise schedule .*set \[schedule\]"):
        trainer(distil(tmp_path, schedule=NoiseSchedule(beta_last=0.02)), tmp_path / "run")


def test_a_model_of_the_image_can_be_a_teacher(tmp_path):
    folder = tmp_path / "image"
    config = replace(IMAGE, prediction_type="v")
    save_model(folder, awake(ICDPM(config)), NoiseSchedule(), Defaults())
    trainer(distil(tmp_path, model=config, init=str(folder)), tmp_path / "run").run()
    assert load_model(tmp_path / "run" / "model")[2].steps == 1
