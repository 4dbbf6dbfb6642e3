"""A model between two: the ends are exact, the middle is the mean, and the denoiser is the one asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import mix_models

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults
from tiny import TINY


def pipeline(seed: int, config=TINY) -> DeblurPipeline:
    torch.manual_seed(seed)
    model = ICDPM(config)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return DeblurPipeline(model, NoiseSchedule(), Defaults())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_are_the_weighted_mean(share):
    first, second, third = pipeline(0), pipeline(1), pipeline(2)
    denoiser = {k: v.clone() for k, v in third.model.denoiser.state_dict().items()}
    state = mix_models.mix(first, second, share, third).model.state_dict()
    for name, value in first.model.state_dict().items():
        if name.startswith("denoiser."):
            torch.testing.assert_close(state[name], denoiser[name.removeprefix("denoiser.")], rtol=0, atol=0)
        else:
            torch.testing.assert_close(state[name], (1 - share) * value + share * second.model.state_dict()[name])


def test_the_denoiser_may_predict_something_else():
    third = pipeline(2, replace(TINY, prediction_type="v"))
    assert mix_models.mix(pipeline(0), pipeline(1), 0.5, third).model.config.prediction_type == "v"


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ConfigError, match="one shape"):
        mix_models.mix(pipeline(0), pipeline(1, replace(TINY, guidance=None)), 0.5, pipeline(2))
    with pytest.raises(ConfigError, match="--share is 2"):
        mix_models.mix(pipeline(0), pipeline(1), 2, pipeline(2))


def test_from_folders_to_a_folder(tmp_path, capsys):
    for name, seed in (("a", 0), ("b", 1)):
        pipeline(seed).save_pretrained(tmp_path / name)
    mix_models.main([*(str(tmp_path / name) for name in "ab"), "--share", "0.5", "--out", str(tmp_path / "c")])
    assert "0.5 of" in capsys.readouterr().out
    blurry = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    middle = DeblurPipeline.from_pretrained(tmp_path / "c").restore(blurry, output="predictor").image
    ends = [DeblurPipeline.from_pretrained(tmp_path / name).restore(blurry, output="predictor").image for name in "ab"]
    assert all((middle - end).abs().max() > 1e-4 for end in ends)
