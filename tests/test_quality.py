"""Presets by name, single settings on top of them, the mix of fidelity and realism, and models by name."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resharp import hub
from resharp.diffusion.presets import MAX_SAMPLES, QUALITIES, Defaults, Preset, Qualities
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.hub import locate_model, shipped_models
from resharp.models.icdpm import ICDPM
from resharp.moments import mix
from resharp.pipeline import DeblurPipeline
from resharp.serialization import load_model, save_model
from tiny import TINY, awake

TABLE = Qualities(
    draft=Preset(output="diffusion", steps=1, sampler="ddim", spacing="logsnr", start=0.3),
    best=Preset(output="diffusion", steps=3, samples=2, fidelity=0.5, ensemble=4),
)


def built(model: ICDPM, **defaults) -> DeblurPipeline:
    return DeblurPipeline(model, NoiseSchedule(), Defaults(**defaults))


@pytest.fixture
def direct_model() -> ICDPM:
    """A model of the image itself, without a predictor."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return awake(ICDPM(replace(TINY, predictor=None, residual_scale=1.0)))


@pytest.fixture
def regression() -> ICDPM:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return awake(ICDPM(replace(TINY, denoiser=None)))


@pytest.fixture
def image(generator) -> torch.Tensor:
    return torch.rand(1, 3, 16, 20, generator=generator)


# Which presets a model has


def test_presets_follow_from_a_default_of_the_predictor(tiny_model):
    presets = built(tiny_model, output="predictor", steps=4).presets()
    assert tuple(presets) == QUALITIES
    assert presets["draft"] == presets["standard"] == Preset(output="predictor", steps=4)
    assert presets["best"] == Preset(output="predictor", steps=4, ensemble=8)


def test_presets_follow_from_a_default_of_the_diffusion(tiny_model, direct_model):
    presets = built(tiny_model, steps=8, samples=3).presets()
    assert presets["draft"].output == "predictor"
    assert presets["standard"] == Preset(steps=8, samples=3)
    assert presets["best"] == Preset(steps=8, samples=12)
    assert built(direct_model, steps=8, samples=3).presets()["draft"] == Preset(steps=1, samples=1)
    assert built(tiny_model, samples=MAX_SAMPLES).presets()["best"].samples == MAX_SAMPLES


def test_what_has_not_been_shown_to_help_does_so_at_no_quality(tiny_model, image):
    pipeline = built(tiny_model, output="input", quality=TABLE)
    for name in QUALITIES:
        assert torch.equal(pipeline.restore(image, quality=name).image, image)


def test_a_table_goes_before_what_follows(tiny_model):
    presets = built(tiny_model, output="predictor", quality=TABLE).presets()
    assert presets["draft"] == TABLE.draft
    assert presets["standard"] == Preset(output="predictor")
    assert presets["best"] == TABLE.best


def test_presets_are_saved_with_the_model(tiny_model, tmp_path):
    defaults = Defaults(output="predictor", steps=7, quality=TABLE)
    save_model(tmp_path, tiny_model, NoiseSchedule(), defaults)
    assert load_model(tmp_path)[2] == defaults


def test_models_of_earlier_versions_load_and_false_is_none(tiny_model, tmp_path):
    save_model(tmp_path, tiny_model, NoiseSchedule(), Defaults())
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["defaults"] = {"output": "predictor", "steps": 4, "samples": 1, "sampler": "dpm++"}
    path.write_text(json.dumps(config))
    assert load_model(tmp_path)[2] == Defaults(output="predictor", steps=4)
    best = {"output": "diffusion", "steps": 3, "fidelity": False, "final_variance": False, "start": False}
    config["defaults"]["quality"] = {"draft": False, "best": best}
    path.write_text(json.dumps(config))
    assert load_model(tmp_path)[2].quality == Qualities(best=Preset(output="diffusion", steps=3))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"fast": {}}, "quality: unknown key 'fast'"),
        ({"draft": {"steps": 0}}, "draft: steps is 0"),
        ({"draft": {"fidelity": 1.5}}, "fidelity is 1.5; allowed: 0 to 1"),
        ({"draft": {"ensemble": True}}, "ensemble is True; expected int"),
        ({"draft": {"sampler": "euler"}}, "allowed: 'dpm"),
        ({"draft": {"start": 0.5}}, "needs spacing 'logsnr'"),
    ],
)
def test_impossible_presets_are_refused_on_loading(tiny_model, tmp_path, table, words):
    save_model(tmp_path, tiny_model, NoiseSchedule(), Defaults())
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["defaults"]["quality"] = table
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match=words):
        load_model(tmp_path)


def test_presets_that_a_model_cannot_do_are_refused_with_it(direct_model):
    for preset in (Preset(output="predictor"), Preset(fidelity=0.5), Preset(spacing="logsnr", start=0.5)):
        with pytest.raises(ConfigError, match="the model's preset 'best'"):
            built(direct_model, quality=Qualities(best=preset))


# What is chosen


def test_a_quality_is_its_settings(tiny_model, image):
    pipeline = built(tiny_model, output="predictor", quality=TABLE)
    settings = {"steps": 3, "samples": 2, "fidelity": 0.5, "ensemble": 4}
    by_name, by_settings = pipeline.restore(image, quality="best"), pipeline.restore(image, **settings)
    assert torch.equal(by_name.image, by_settings.image)
    assert by_name.settings == by_settings.settings == TABLE.best
    assert torch.equal(by_name.spread, by_settings.spread)


def test_single_settings_replace_those_of_the_quality(tiny_model):
    pipeline = built(tiny_model, output="predictor", quality=TABLE)
    assert pipeline.choose("best", samples=5) == replace(TABLE.best, samples=5)
    assert pipeline.choose("best", fidelity=1.0) == Preset(output="predictor", ensemble=4)
    assert pipeline.choose("best", output="predictor") == Preset(output="predictor", ensemble=4)
    assert pipeline.choose("draft", sampler="unipc") == replace(TABLE.draft, sampler="unipc")
    # A schedule of its own replaces the spacing, and the other way round.
    assert pipeline.choose("draft", final_variance=0.1) == Preset(steps=1, sampler="ddim", final_variance=0.1)
    assert pipeline.choose(steps=9) == Preset(steps=9)


def test_without_a_quality_the_default_is_chosen(tiny_model):
    pipeline = built(tiny_model, steps=6, samples=2, quality=Qualities(standard=Preset(output="predictor")))
    assert pipeline.choose() == Preset(steps=6, samples=2)
    assert pipeline.choose("standard") == Preset(output="predictor")


def test_unknown_qualities_and_settings_are_refused(tiny_model, image):
    pipeline = built(tiny_model)
    with pytest.raises(ConfigError, match=r"^unknown quality 'good'; allowed: draft, standard, best$"):
        pipeline(image, quality="good")
    with pytest.raises(TypeError, match="stpes"):
        pipeline.restore(image, stpes=3)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"fidelity": -0.1}, "fidelity is -0.1; allowed: 0 to 1"),
        ({"fidelity": math.nan}, "allowed: 0 to 1"),
        ({"fidelity": 0.5, "output": "predictor"}, "between predictor and diffusion"),
        ({"spacing": "logsnr", "final_variance": 0.1}, "a schedule of its own"),
        ({"spacing": "cosine"}, "unknown spacing 'cosine'; allowed: time, logsnr"),
        ({"spacing": "logsnr", "start": 1.0}, "noise levels from start"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tiny_model, image, asked, words):
    with pytest.raises(ConfigError, match=words) as caught:
        built(tiny_model).restore(image, **asked)
    assert "\n" not in str(caught.value)


# Fidelity


@pytest.mark.parametrize("fidelity", [0.0, 0.25, 0.8])
def test_fidelity_is_the_line_from_a_sample_to_the_predictor(tiny_model, image, fidelity):
    pipeline = built(tiny_model, steps=3)
    g, sample = pipeline.restore(image, output="predictor").image, pipeline.restore(image, seed=4).image
    restored = pipeline.restore(image, fidelity=fidelity, seed=4)
    assert torch.allclose(restored.image, fidelity * g + (1 - fidelity) * sample, atol=1e-6)
    assert restored.output == "diffusion"
    if fidelity == 0:
        assert torch.equal(restored.image, sample)


def test_fidelity_may_mix_an_ensemble(tiny_model, image):
    pipeline = built(tiny_model, steps=3)
    g, sample = pipeline.restore(image, ensemble=8).image, pipeline.restore(image).image
    restored = pipeline.restore(image, fidelity=0.5, ensemble=8).image
    assert torch.allclose(restored, (g + sample) / 2, atol=1e-6)


def test_the_predictor_runs_once_for_a_mix(tiny_model, image, monkeypatch):
    calls = []
    original = ICDPM.predict
    monkeypatch.setattr(ICDPM, "predict", lambda *args: calls.append(1) or original(*args))
    built(tiny_model).restore(image, fidelity=0.5, steps=2, samples=3)
    assert len(calls) == 1


def test_full_fidelity_does_not_run_the_diffusion(tiny_model, regression, image, monkeypatch):
    monkeypatch.setattr(ICDPM, "forward", lambda *args: pytest.fail("the denoiser ran"))
    pipeline = built(tiny_model, steps=3)
    restored = pipeline.restore(image, fidelity=1, steps=3, samples=4)
    assert restored.output == "predictor"
    assert torch.equal(restored.image, pipeline.restore(image, output="predictor").image)
    assert built(regression, output="predictor").restore(image, fidelity=1).output == "predictor"
    with pytest.raises(ConfigError, match="cannot draw samples"):
        built(regression, output="predictor").restore(image, fidelity=0.9)


def test_without_a_predictor_the_mean_side_is_the_mean_of_the_samples(direct_model, image):
    pipeline = built(direct_model, steps=3)
    mean, sample = pipeline.restore(image, samples=4), pipeline.restore(image).image
    for fidelity in (0.0, 0.3, 1.0):
        restored = pipeline.restore(image, samples=4, fidelity=fidelity)
        assert torch.allclose(restored.image, fidelity * mean.image + (1 - fidelity) * sample, atol=1e-6)
        assert torch.equal(restored.spread, mean.spread)
    assert torch.equal(pipeline.restore(image, fidelity=0.0).image, sample)
    with pytest.raises(ConfigError, match="samples=2 or more"):
        pipeline.restore(image, fidelity=0.5)


def test_spread_is_that_of_the_samples_whatever_the_fidelity(tiny_model, image):
    pipeline = built(tiny_model, steps=3)
    spread = pipeline.restore(image, samples=3).spread
    assert torch.equal(pipeline.restore(image, samples=3, fidelity=0.5).spread, spread)
    _, shown = pipeline(image, samples=3, fidelity=0.5, return_spread=True)
    assert torch.equal(torch.from_numpy(shown), spread[0, 0])
    with pytest.raises(ConfigError, match="at least two"):
        pipeline(image, samples=3, fidelity=1.0, return_spread=True)


@pytest.mark.parametrize("fidelity", [0.0, 0.3, 0.7, 1.0])
def test_what_the_documentation_says_of_the_line_holds_for_a_gaussian(generator, fidelity):
    """x ~ N(0, 1) and y = x + noise of variance s2: all that docs/quality.md states has a closed form."""
    s2, count = 0.8, 400_000
    x, noise, fresh = torch.randn(3, count, generator=generator, dtype=torch.float64)
    y = x + math.sqrt(s2) * noise
    share = 1 / (1 + s2)
    mean, least_error = share * y, s2 * share  # the posterior's mean and variance
    gap = 1 - math.sqrt(share)  # Wasserstein-2 distance of N(0, share), how the mean is distributed, from N(0, 1)

    # The end of the theorem: distributed as x, with the least error; a scaled mean.
    restored = mix(mean, mean / math.sqrt(share), fidelity)
    distance = 1 - restored.std().item()
    assert distance == pytest.approx(fidelity * gap, abs=0.005)
    assert (restored - x).square().mean().item() == pytest.approx(least_error + (gap - distance) ** 2, abs=0.005)

    # A posterior sample in its place has twice the least error, and more than the least for its distance.
    restored = mix(mean, mean + math.sqrt(least_error) * fresh, fidelity)
    error = (restored - x).square().mean().item()
    assert error == pytest.approx(least_error * (1 + (1 - fidelity) ** 2), abs=0.005)
    assert error >= least_error + max(0.0, gap - (1 - restored.std().item())) ** 2 - 0.005


# Fewer steps from less noise


def test_sampling_may_start_below_full_noise(tiny_model, direct_model, image):
    pipeline = built(tiny_model, steps=2, spacing="logsnr", start=0.5)
    seen = []
    original = ICDPM.forward

    def watched(self, x_t, y, alpha_bar, h, g=None, prepared=None):
        seen.append((float(alpha_bar[0]), float(x_t.std())))
        return original(self, x_t, y, alpha_bar, h, g, prepared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ICDPM, "forward", watched)
        restored = pipeline.restore(image)
    assert restored.image.shape == image.shape
    assert [level for level, _ in seen] == pytest.approx(pipeline.schedule.grid(2, spacing="logsnr", start=0.5)[[1, 0]])
    assert seen[0][1] == pytest.approx(math.sqrt(0.5), rel=0.1)  # 960 draws
    with pytest.raises(ConfigError, match="start is for models of a residual"):
        built(direct_model).restore(image, spacing="logsnr", start=0.5)


# Models by name


def test_the_default_model_has_a_name(tmp_path, monkeypatch):
    assert locate_model("default") == locate_model(None) == shipped_models()["default"]
    # A name means the same everywhere; a folder of that name is asked for as one.
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate_model("default") == locate_model(None)
    assert locate_model("./default") == Path("default")
    assert locate_model(Path("default")) == Path("default")


def test_a_named_model_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_SHIPPED_FOLDER", tmp_path)
    (tmp_path / "default").mkdir()
    assert list(shipped_models()) == ["default"]
    with pytest.raises(ModelError, match=r"^one-step: this installation does not ship this model \(it has: default\)$"):
        locate_model("one-step")
    (tmp_path / "one-step").mkdir()
    assert locate_model("one-step") == tmp_path / "one-step"
    (tmp_path / "here" / "one-step").mkdir(parents=True)
    (tmp_path / "one-step").rmdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelError, match="the folder here is ./one-step"):
        locate_model("one-step")
