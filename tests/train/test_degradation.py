"""From a run's tables to damages and task."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from resharp.data.compression import CompressionConfig
from resharp.data.inpainting import InpaintingConfig
from resharp.data.noise import NoiseConfig
from resharp.data.super_resolution import LowResolution, SuperResolutionConfig
from resharp.data.synthetic import BlurSynthesiser
from resharp.pipeline import DeblurPipeline
from resharp.task import Task
from resharp.train.config_file import load_config
from resharp.train.degradation import degradation_of, task_of
from runs import CONFIG, trainer


def test_without_a_table_it_is_motion_blur():
    assert isinstance(degradation_of(CONFIG), BlurSynthesiser)
    assert task_of(CONFIG) == Task()


def test_several_tables_are_one_damage_after_the_other():
    config = replace(
        CONFIG,
        super_resolution=SuperResolutionConfig(scale=2),
        noise=NoiseConfig(),
        jpeg=CompressionConfig(),
        inpainting=InpaintingConfig(),
    )
    assert task_of(config) == Task(("noise", "JPEG artefacts", "low resolution", "holes"), 2)
    small, holes = degradation_of(config).damages
    assert isinstance(small, LowResolution)
    assert [type(damage).__name__ for damage in small.small] == ["GaussianNoise", "Compression"]
    assert type(holes).__name__ == "Holes"


def test_a_table_in_a_file_chooses_the_damage(tmp_path):
    (tmp_path / "a.toml").write_text("[super_resolution]\nscale = 3\n")
    config = load_config(tmp_path / "a.toml")
    assert task_of(config) == Task(("low resolution",), 3)
    assert config.noise is None


@pytest.mark.parametrize(
    "table",
    [
        {"noise": NoiseConfig()},
        {"jpeg": CompressionConfig()},
        {"super_resolution": SuperResolutionConfig(scale=2)},
        {"inpainting": InpaintingConfig()},
    ],
    ids=lambda table: next(iter(table)),
)
def test_a_run_saves_what_its_model_restores(tmp_path, table):
    config = replace(CONFIG, **table)
    trainer(config, tmp_path / "run").run()
    pipeline = DeblurPipeline.from_pretrained(tmp_path / "run" / "model")
    assert pipeline.task == task_of(config) != Task()
    picture = torch.zeros(1, 3, 16, 16)
    picture[:, 0::2, :8] = 1.0  # magenta above black
    assert pipeline.restore(picture).image.shape[-1] == 16 * pipeline.task.scale
