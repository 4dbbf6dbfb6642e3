"""Training configurations: read strictly, changed from the command line, complete for every row of the paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resharp.errors import ConfigError
from resharp.models.sizes import size
from resharp.train.config import OPERATIONAL, TrainConfig
from resharp.train.config_file import load_config, resolved

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "a.toml"
        path.write_text(text)
        return path

    return write


def test_files_are_read_strictly(toml, tmp_path):
    config = load_config(toml('size = "msgd-fast"\nsteps = 5\n[blur]\nstill_share = 0.5\n'), seed=3, steps=None)
    assert (config.steps, config.seed, config.blur.still_share) == (5, 3, 0.5)
    for text, words in [
        ("stepz = 5", "a.toml: unknown key 'stepz'; did you mean 'steps'"),
        ("[blur]\nstill = 1", "a.toml: blur: unknown key 'still'"),
        ("steps = 0", "steps is 0"),
        ('size = "huge"\nstage = "predictor"', "unknown model size 'huge'"),
        ('size = "msgd-s"\nstage = "predictor"', "this model has none"),
        ("steps = ", "not valid TOML"),
        ("model = 5", "expected a table"),
        ("size = 5\n[model]\npatch_size = 1", "expected str"),
        ('tracker = "paper"', "tracker is 'paper'; allowed: 'tensorboard', 'trackio', 'wandb', 'none'"),
        ("batch_size = 8\nmicro_batch_size = 3", "micro_batch_size is 3; allowed: divisors of batch_size, 8"),
        ('size = "icdpm-s"', "warm_start_steps is 60000, but without a regression loss"),
        ('size = "msgd-s"\n[model]\ndenoiser = false', "denoiser and predictor are both absent"),
    ]:
        with pytest.raises(ConfigError, match=words):
            load_config(toml(text))
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml")


def test_a_model_table_changes_the_named_size(toml):
    config = load_config(toml('size = "msgd-l"\n[model]\nguidance = { scales = [3] }'))
    assert config.model.guidance.scales == (3,)
    assert config.model.guidance.width == size("msgd-l").guidance.width
    assert config.model.denoiser == size("msgd-l").denoiser
    unguided = load_config(toml('size = "msgd-fast"\nwarm_start_steps = 0\n[model]\nguidance = false'))
    assert unguided.model.guidance is None
    guided = load_config(toml('size = "icdpm-s"\n[model.guidance]\nfeatures = 8'))
    assert guided.model.guidance.features == 8


def test_settings_of_the_command_line(toml):
    path = toml('size = "msgd-s"\nsteps = 5\n[model]\nguidance = { scales = [1, 2] }')
    words = ["steps=7", "model.guidance.scales=[3]", "blur.jpeg_share = 0.25", "tracker=none", 'lr_decay="cosine"']
    config = load_config(path, words, seed=2)
    assert (config.steps, config.seed, config.tracker, config.lr_decay) == (7, 2, "none", "cosine")
    assert config.model.guidance.scales == (3,)
    assert config.blur.jpeg_share == 0.25
    for setting, says in [
        ("steps", "--set 'steps': expected key=value"),
        ("stepz=3", "unknown key 'stepz'; did you mean 'steps'"),
        ("steps=many", "steps is 'many'; expected int"),
        ("a b=3", "--set 'a b=3': 'a b' is no key"),
    ]:
        with pytest.raises(ConfigError, match=says):
            load_config(path, [setting])


def test_a_run_can_be_repeated_from_what_it_wrote_down(toml, tmp_path):
    config = load_config(toml('size = "icdpm-s"\nwarm_start_steps = 0\n[model]\npatch_size = 2'))
    written = tmp_path / "config.json"
    written.write_text(json.dumps(resolved(config)))
    assert resolved(load_config(written)) == resolved(config)
    assert load_config(written).model.guidance is None
    written.write_text("[1]")
    with pytest.raises(ConfigError, match="expected a table"):
        load_config(written)


def test_operational_settings_exist():
    assert set(TrainConfig.__dataclass_fields__) >= OPERATIONAL


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.toml")), ids=lambda path: path.stem)
def test_every_configuration_can_be_trained(path):
    load_config(path)


PAPER = ("icdpm-s", "icdpm-l", "msgd-s", "msgd-l", "msgd-l-scale-1", "msgd-l-scale-2", "msgd-l-scale-3")
PAPER += ("msgd-l-no-regression", "msgd-l-rgb", "msgd-l-no-noise", "regression-l")


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_rows_have_the_papers_recipe(name):
    """Adam 0.5 / 0.999, batch 256, crops of 128, 20,000 steps up to 1e-4, 60,000 of regression alone."""
    config = load_config(CONFIGS / f"{name}.toml")
    assert (config.beta_1, config.beta_2, config.lr, config.lr_warmup_steps) == (0.5, 0.999, 1e-4, 20_000)
    assert (config.batch_size, config.crop_px, config.lr_decay) == (256, 128, "none")
    regresses = name.startswith("msgd") and name != "msgd-l-no-regression"
    assert config.warm_start_steps == (60_000 if regresses else 0)
    assert config.model_config().patch_size == 1


def test_the_papers_ablations_differ_in_what_they_are_named_after():
    base = load_config(CONFIGS / "msgd-l.toml").model_config()

    def guidance(name):
        return load_config(CONFIGS / f"msgd-l-{name}.toml").model_config().guidance

    assert [guidance(f"scale-{k}").scales for k in (1, 2, 3)] == [(1,), (2,), (3,)]
    assert not guidance("no-regression").regression
    assert guidance("rgb").color == "rgb"
    assert guidance("no-noise").sigma_k == 0.0
    regression = load_config(CONFIGS / "regression-l.toml")
    assert regression.stage == "predictor"
    assert regression.model_config().denoiser is None
    assert regression.model_config().guidance == base.guidance
    assert regression.model_config().predictor.widths == base.denoiser.widths


def test_the_ablation_at_small_scale_compares_like_with_like():
    import torch

    from resharp.models.icdpm import ICDPM

    guided, unguided = (load_config(CONFIGS / "ablation" / f"{name}.toml") for name in ("guided", "unguided"))
    with torch.device("meta"):
        counts = [ICDPM(config.model_config()).parameter_count() for config in (guided, unguided)]
    assert counts[1] == pytest.approx(counts[0], rel=0.005)
    assert unguided.model_config().guidance is None
    same = ("steps", "batch_size", "crop_px", "lr", "blur", "stage")
    assert [getattr(guided, name) for name in same] == [getattr(unguided, name) for name in same]
