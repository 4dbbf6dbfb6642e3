"""The fine-tune: what learns, against what, and that it goes on to the same bytes."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from test_adapt_blurs import blurs_of, photo

from resharp.adapt.adversarial import Discriminator, DomainLoss, reversal_weight, reversed_gradient
from resharp.adapt.batches import ReblurBatches, margin_px
from resharp.adapt.settings import DEFAULTS, AdaptSettings, tuning_config
from resharp.adapt.sharp import sharp_folder, shrunk_photos
from resharp.adapt.tuning import Tuner
from resharp.data.blur_config import BlurConfig
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError, ModelError, TrainingError
from resharp.evaluate.kernels import line_kernel
from resharp.models.icdpm import ICDPM
from resharp.train.batches import Part
from shaken_scenes import scene, shaken
from shaken_scenes import sharp_folder as make_sharp
from tiny import TINY, awake

BASE = replace(DEFAULTS, crop_px=32, blur=BlurConfig(extent_max_px=8.0, turn_max_px=1.0))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return sharp_folder(make_sharp(tmp_path_factory.mktemp("sharp"), 9, 96), 62)


def run_of(model, pictures, steps=6, work=None, extra=None, identity="one", until=None, **changes):
    settings = AdaptSettings(steps=steps, batch_size=3, lr=1e-3, **changes)
    config = tuning_config(settings, model, NoiseSchedule(), BASE)
    batches = ReblurBatches(config, blurs_of(line_kernel(7, 0.3)), pictures.source, settings.ordinary_share, CPU)

    def stopping(step):
        if until is not None and step == until:
            raise KeyboardInterrupt
        return batches(step)

    return Tuner(copy.deepcopy(model), config, stopping, extra, work, identity)


def test_batches_mix_own_and_ordinary_blur_and_follow_from_the_step(tiny_model, pictures):
    config = tuning_config(AdaptSettings(batch_size=4, steps=5), tiny_model, NoiseSchedule(), BASE)
    assert margin_px(config) == 15
    blurs = blurs_of(line_kernel(11, 0.0))
    part, again = (ReblurBatches(config, blurs, pictures.source, 0.5, CPU)(3) for _ in range(2))
    assert torch.equal(part.y, again.y)
    assert torch.equal(part.x, again.x)
    assert part.y.shape == part.x.shape == (4, 3, 32, 32)
    assert not torch.equal(part.y, ReblurBatches(config, blurs, pictures.source, 0.5, CPU)(4).y)
    # Motion along x takes horizontal detail away and leaves vertical detail: in every own pair, turned or not.
    own = ReblurBatches(config, blurs, pictures.source, 0.0, CPU)
    for step in range(4):
        part = own(step)
        lost = [float(part.y.diff(dim=d).square().mean() / part.x.diff(dim=d).square().mean()) for d in (3, 2)]
        assert lost[0] < 0.6 * lost[1]


def test_loss_falls_and_only_the_stage_learns(tiny_model, pictures):
    tuner = run_of(tiny_model, pictures, steps=30, ordinary_share=0.0)
    average = tuner.run()
    assert tuner.log[-1]["total"] < tuner.log[0]["total"]
    old = tiny_model.state_dict()
    changed = {name.split(".")[0] for name, value in average.items() if not torch.equal(value, old[name])}
    assert changed == {"guidance", "predictor"}


def test_a_model_without_predictor_learns_jointly(pictures):
    model = awake(ICDPM(replace(TINY, predictor=None, residual_scale=1.0, prediction_type="eps")))
    tuner = run_of(model, pictures, steps=2)
    assert tuner.config.stage == "joint"
    tuner.run()
    assert {"regression", "denoising"} <= tuner.log[0].keys()


def test_stopped_and_resumed_ends_with_the_same_bytes(tiny_model, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("resharp.adapt.tuning.CHECKPOINT_EVERY", 2)
    whole = run_of(tiny_model, pictures).run()
    with pytest.raises(KeyboardInterrupt):
        run_of(tiny_model, pictures, work=tmp_path, until=5).run()
    resumed = run_of(tiny_model, pictures, work=tmp_path)
    assert resumed.step == 4
    average = resumed.run()
    assert all(torch.equal(whole[name], average[name]) for name in whole)
    with pytest.raises(ConfigError, match="made with another model, other photos or settings"):
        run_of(tiny_model, pictures, work=tmp_path, identity="two")


def test_no_finite_loss_ends_the_run(tiny_model):
    config = tuning_config(AdaptSettings(steps=50), tiny_model, NoiseSchedule(), BASE)
    bad = torch.full((1, 3, 32, 32), torch.nan)
    tuner = Tuner(tiny_model, config, lambda step: Part(step, 0, bad, bad, [], []))
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    with pytest.raises(TrainingError, match="no finite loss in 21 steps"):
        tuner.run()
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


def test_gradient_is_reversed():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = reversed_gradient(x, 0.25)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, -4.0])).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-0.75, 1.0]))
    assert reversal_weight(0, 101, 0.1) == 0
    assert reversal_weight(50, 101, 0.1) == pytest.approx(0.1 * 0.98661, rel=1e-4)
    assert reversal_weight(100, 101, 0.1) == pytest.approx(0.1 * 0.99991, rel=1e-4)


def test_discriminator_learns_to_tell_and_guidance_to_hide(tiny_model):
    """With the guidance held the domain loss falls; with the discriminator held the guidance makes it rise."""
    config = tuning_config(AdaptSettings(steps=2, batch_size=4), tiny_model, NoiseSchedule(), BASE)
    dark = [torch.zeros(1, 3, 40, 40)]
    loss = DomainLoss(tiny_model, config, dark, weight=1.0)
    part = Part(1, 0, torch.full((4, 3, 32, 32), -0.5), torch.zeros(4, 3, 32, 32), [], [])

    def train(parameters, steps):
        optimizer = torch.optim.Adam(parameters, lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            value = loss(tiny_model, part, 1)["domain"]
            value.backward()
            optimizer.step()
        return float(loss(tiny_model, part, 1)["domain"].detach())

    first = float(loss(tiny_model, part, 1)["domain"].detach())
    told = train(list(loss.parameters()), 8)
    assert told < 0.9 * first
    assert train(list(tiny_model.guidance.parameters()), 8) > 1.1 * told


def test_adversarial_run_changes_guidance_and_keeps_its_own_losses(tiny_model, pictures):
    config = tuning_config(AdaptSettings(steps=4, batch_size=3), tiny_model, NoiseSchedule(), BASE)
    extra = DomainLoss(tiny_model, config, [scene(0, 64), scene(1, 64)], 0.1)
    assert torch.equal(extra.target_crops(2, 3), extra.target_crops(2, 3))
    tuner = run_of(tiny_model, pictures, steps=4, extra=extra)
    before = copy.deepcopy(extra.state_dict())
    tuner.run()
    assert {"domain", "prediction", "regression"} <= tuner.log[0].keys()
    assert any(not torch.equal(value, before[name]) for name, value in extra.state_dict().items())
    logits = Discriminator(4, (1, 2))({1: torch.zeros(2, 4, 16, 16), 2: torch.zeros(2, 4, 8, 8)})
    assert {k: tuple(value.shape) for k, value in logits.items()} == {1: (2, 1, 8, 8), 2: (2, 1, 4, 4)}
    with pytest.raises(ModelError, match="no guidance"):
        DomainLoss(ICDPM(replace(TINY, guidance=None)), config, [scene(0, 64)], 0.1)


def test_sharp_pictures_are_split_and_too_few_refused(tmp_path, pictures):
    assert (len(pictures.source), len(pictures.held_out)) == (5, 4)
    names = {name for name, _ in pictures.held_out}
    assert not names & {entry.sharp.name for entry in pictures.source.entries}
    with pytest.raises(DataError, match="7 usable sharp photos of 62 px a side; at least 8 are needed"):
        sharp_folder(make_sharp(tmp_path / "few", 7, 96), 62)


def test_without_sharp_ones_restored_photos_are_halved():
    photos = [photo(shaken(scene(i, 160)), f"{i}.png") for i in range(8)]
    restored = [scene(i, 160) for i in range(8)]
    found = shrunk_photos(photos[:4], restored[:4], photos[4:], restored[4:], 80)
    assert [name for name, _ in found.held_out] == ["4.png", "5.png", "6.png", "7.png"]
    assert found.held_out[0][1].shape == (1, 3, 80, 80)
    assert {sample.name for sample in found.source.samples} == {f"{i}.png" for i in range(4)}
    with pytest.raises(DataError, match="give sharp photos with --sharp"):
        shrunk_photos(photos[:4], restored[:4], photos[4:], restored[4:], 81)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "magic"}, "allowed: reblur, adversarial"),
        ({"steps": 0}, "--steps is 0"),
        ({"lr": -1.0}, "--lr is -1"),
        ({"ordinary_share": 1.5}, "--ordinary-share is 1.5"),
        ({"held_out_share": 0.6}, "--hold-out is 0.6"),
        ({"window_px": 100}, "--window is 100"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_settings_that_are_not_allowed(changes, words):
    with pytest.raises(ConfigError, match=words):
        AdaptSettings(**changes)
