"""The network as a whole: what reaches what, at which size, and what the settings switch off."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from resharp.errors import ConfigError
from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig, guidance_levels
from resharp.models.icdpm import ICDPM
from tiny import TINY, awake


def run(model: ICDPM, seed: int = 0, size: tuple[int, int] = (16, 24), level: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x_t, y = (torch.randn(2, 3, *size, generator=generator) for _ in range(2))
    h = model.guide(y)
    g = None if model.predictor is None else model.predict(y, h)
    return model(x_t, y, torch.full((2,), level), h, g)


@pytest.mark.parametrize("patch_size", [1, 2, 4])
@pytest.mark.parametrize("scales", [None, (3,), (1, 2, 3)])
@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_every_setting_gives_an_image_of_the_input_size(patch_size, scales, color):
    guidance = None if scales is None else GuidanceConfig(scales=scales, color=color, features=4, width=4, blocks=1)
    unet = UNetConfig(widths=(4, 6, 6, 8), encoder_blocks=1, decoder_blocks=2, middle_blocks=1)
    model = ICDPM(ModelConfig(guidance=guidance, denoiser=unet, patch_size=patch_size))
    side = model.size_multiple
    assert run(model, size=(side, 2 * side)).shape == (2, 3, side, 2 * side)


def test_an_untrained_predictor_is_the_identity():
    model = ICDPM(TINY)
    y = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    assert torch.equal(model.predict(y, model.guide(y)), y)


def test_guidance_changes_the_output_and_only_through_h(tiny_model):
    generator = torch.Generator().manual_seed(0)
    x_t, y = (torch.randn(1, 3, 16, 16, generator=generator) for _ in range(2))
    h, level = tiny_model.guide(y), torch.tensor([0.5])
    with_h = tiny_model(x_t, y, level, h, y)
    for k in h:
        other = {**h, k: h[k] + 1}
        assert not torch.allclose(with_h, tiny_model(x_t, y, level, other, y)), f"h_{k} reaches nothing"


def test_guidance_enters_the_encoder_only():
    model = ICDPM(TINY)
    guided = {name.split(".")[0] for name, module in model.denoiser.named_modules() if name.endswith(".guide")}
    assert guided == {"encoder"}


def test_levels_of_guidance_follow_the_sizes():
    config = GuidanceConfig()
    assert guidance_levels(config, 1) == {1: 1, 2: 2, 3: 3}
    assert guidance_levels(config, 2) == {1: 0, 2: 1, 3: 2}
    assert guidance_levels(config, 4) == {1: 0, 2: 0, 3: 1}


def test_noise_level_matters_over_its_whole_range(tiny_model):
    levels = [1e-5, 0.1, 0.5, 0.9, 0.999, 0.999999]
    outputs = [run(tiny_model, level=level) for level in levels]
    for lower, higher in zip(outputs, outputs[1:], strict=False):
        assert (lower - higher).abs().max() > 1e-4


def test_all_parameters_of_all_parts_get_gradients():
    model = awake(ICDPM(TINY)).train()
    y = torch.randn(1, 3, 16, 16)
    h = model.guide(y)
    g = model.predict(y, h)
    regressed = model.guidance.regress(h)
    (run(model).mean() + g.mean() + sum(value.mean() for value in regressed.values())).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_fully_convolutional_far_from_the_border(tiny_model):
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(1, 3, 160, 160, generator=generator)
    whole = tiny_model.predict(y, tiny_model.guide(y))
    part = y[..., 32:128, 32:128]
    alone = tiny_model.predict(part, tiny_model.guide(part))
    assert torch.allclose(whole[..., 72:88, 72:88], alone[..., 40:56, 40:56], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"residual_scale": 0.0}, "residual_scale"),
        ({"predictor": None}, "residual_scale"),
        ({"guidance": GuidanceConfig(scales=(5,))}, "guidance scale 5"),
    ],
)
def test_impossible_configurations_are_refused(change, word):
    with pytest.raises(ConfigError, match=word):
        replace(TINY, **change)


@pytest.mark.parametrize("change", [{"widths": ()}, {"widths": (7,)}, {"decoder_blocks": 3}, {"dropout": 1.0}])
def test_impossible_unets_are_refused(change):
    with pytest.raises(ConfigError):
        replace(UNetConfig(), **change)
