"""What does not change from step to step is made once, and nothing else comes out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.models.config import TransformerConfig
from resharp.models.footprint import footprint
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults
from tiny import TINY, TINY_UNET, awake

BLOCKS = replace(TINY_UNET, encoder_blocks=2, decoder_blocks=3, transformer=TransformerConfig(head_channels=8))
CONFIGS = {
    "predictor": TINY,
    "folded by 4, h to one level": replace(TINY, patch_size=4),
    "not folded": replace(TINY, patch_size=1, guidance=replace(TINY.guidance, scales=(1,))),
    "no predictor": replace(TINY, predictor=None, residual_scale=1.0),
    "no guidance": replace(TINY, guidance=None),
    "Restormer's blocks": replace(TINY, denoiser=BLOCKS),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def inputs(model: ICDPM, batch: int = 2):
    y, x_t = torch.randn(2, batch, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    h = model.guide(y)
    return x_t, y, h, None if model.predictor is None else model.predict(y, h)


@torch.no_grad()
def test_the_answer_is_the_same(config):
    model = awake(ICDPM(config), deviation=0.2)
    x_t, y, h, g = inputs(model)
    alpha_bar = torch.tensor([0.3, 0.8])
    whole = model(x_t, y, alpha_bar, h, g)
    split = model(x_t, y, alpha_bar, h, g, model.prepare(y, h, g))
    torch.testing.assert_close(split, whole, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_y_h_and_g_are_not_looked_at_again(config):
    """And they count: with those of another picture the answer is another."""
    model = awake(ICDPM(config), deviation=0.2)
    x_t, y, h, g = inputs(model, 1)
    alpha_bar, prepared = torch.tensor([0.3]), model.prepare(y, h, g)
    nothing = model(x_t, y * torch.nan, alpha_bar, {k: h_k * torch.nan for k, h_k in h.items()}, None, prepared)
    torch.testing.assert_close(nothing, model(x_t, y, alpha_bar, h, g), atol=1e-6, rtol=1e-6)
    other = model.prepare(y.flip(-1), {k: h_k.flip(-1) for k, h_k in h.items()}, None if g is None else g.flip(-1))
    assert float((model(x_t, y, alpha_bar, h, g, other) - nothing).abs().mean()) > 1e-3


@torch.no_grad()
def test_what_is_held_is_what_the_footprint_says(config):
    model = awake(ICDPM(config))
    _, y, h, g = inputs(model, 1)
    prepared = model.prepare(y, h, g)
    tensors = [prepared.images, *(each for level in prepared.guides.values() for each in level)]
    held = sum(each.numel() * each.element_size() for each in tensors)
    assert held / (y.shape[2] * y.shape[3]) == pytest.approx(footprint(config).prepared)


def test_it_is_made_once_a_batch_and_in_tiles_by_each_step(config, monkeypatch):
    pipeline = DeblurPipeline(awake(ICDPM(config)), NoiseSchedule(), Defaults(output="diffusion", steps=3))
    counts, prepare = [], ICDPM.prepare

    def counted(self, *given):
        counts.append(1)
        return prepare(self, *given)

    monkeypatch.setattr(ICDPM, "prepare", counted)
    photo = torch.rand(1, 3, 13, 22, generator=torch.Generator().manual_seed(1))
    whole = pipeline.restore(photo, samples=3, batch=2).image
    assert len(counts) == 2
    tiled = pipeline.restore(photo, samples=3, batch=2, tile=(1, 1)).image
    assert len(counts) == 2
    torch.testing.assert_close(tiled, whole, atol=1e-6, rtol=0)


def test_a_regression_has_nothing_to_prepare():
    model = ICDPM(replace(TINY, denoiser=None))
    with pytest.raises(ValueError, match="has no denoiser"):
        model.prepare(torch.zeros(1, 3, 32, 32), {})
