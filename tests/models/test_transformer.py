"""Restormer's block with noise level and guidance."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from resharp.errors import ConfigError
from resharp.models.config import TransformerConfig, UNetConfig
from resharp.models.icdpm import ICDPM
from resharp.models.transformer import ChannelNorm, GatedFeedForward, TransformerBlock, TransposedAttention
from tiny import TINY, TINY_UNET, awake

CONFIG = TransformerConfig(head_channels=4)
UNET = replace(TINY_UNET, transformer=CONFIG)


def picture(channels: int = 8, height: int = 6, width: int = 10, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(seed))


def test_attention_is_the_papers_formula():
    """softmax(temperature * q k^T) v between channels, with q and k of unit length over the pixels, head by head."""
    attention = awake(TransposedAttention(8, 4))
    x = picture()
    queries, keys, values = attention.context(attention.project(x)).flatten(2).split(8, dim=1)  # (B, 8, H W)
    expected = torch.empty_like(values)
    for head in range(2):
        channels = slice(4 * head, 4 * head + 4)
        similar = F.cosine_similarity(queries[:, channels, None], keys[:, None, channels], dim=-1)
        expected[:, channels] = (similar * attention.temperature[head, 0, 0]).softmax(dim=-1) @ values[:, channels]
    assert torch.allclose(attention(x), attention.out(expected.view_as(x)), atol=1e-5)


def test_feed_forward_is_gated_by_gelu():
    layer = awake(GatedFeedForward(8, 2.66))
    gate, values = layer.context(layer.project(picture())).split(21, dim=1)
    assert torch.allclose(layer(picture()), layer.out(F.gelu(gate) * values))


def test_norm_is_of_each_pixels_channels():
    x = 3 + 5 * picture()
    normed = ChannelNorm(8)(x)
    assert torch.allclose(normed.mean(dim=1), torch.zeros(2, 6, 10), atol=1e-5)
    assert torch.allclose(normed.var(dim=1, unbiased=False), torch.ones(2, 6, 10), atol=1e-3)


def test_a_new_block_changes_nothing():
    block = TransformerBlock(8, 8, 5, 3, config=CONFIG)
    assert torch.equal(block(picture(), torch.ones(2, 5), picture(3)), picture())


def test_noise_level_and_guidance_matter():
    block = awake(TransformerBlock(12, 8, 5, 3, config=CONFIG))
    x, embedding, h_k = picture(12), torch.ones(2, 5), picture(3, seed=1)
    out = block(x, embedding, h_k)
    assert out.shape == (2, 8, 6, 10)
    assert not torch.allclose(out, block(x, 2 * embedding, h_k))
    assert not torch.allclose(out, block(x, embedding, 2 * h_k))


@pytest.mark.parametrize("part", ["denoiser", "predictor"])
@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_a_transformer_backed_model_works_in_any_size_with_guidance(part, size):
    model = awake(ICDPM(replace(TINY, **{part: UNET})))
    y, x_t = picture(3, *size), picture(3, *size, seed=1)
    h = model.guide(y)
    g, level = model.predict(y, h), torch.full((2,), 0.5)
    out = model(x_t, y, level, h, g)
    assert out.shape == x_t.shape
    for k in h:
        other = {**h, k: h[k] + 1}
        changed = model.predict(y, other) if part == "predictor" else model(x_t, y, level, other, g)
        assert not torch.allclose(changed, g if part == "predictor" else out), f"h_{k} reaches nothing"


def test_all_parameters_get_gradients():
    model = awake(ICDPM(replace(TINY, denoiser=UNET, predictor=UNET))).train()
    y = picture(3, 16, 16)
    h = model.guide(y)
    g = model.predict(y, h)
    loss = model(picture(3, 16, 16, 1), y, torch.full((2,), 0.5), h, g).square().mean() + g.square().mean()
    loss.backward()
    named = dict(model.named_parameters())
    assert [name for name, p in named.items() if p.grad is None and not name.startswith("guidance.heads")] == []


def test_a_mean_over_the_picture_reaches_all_pixels():
    """Attention is over the whole picture: a far corner changes, if little. ResBlocks do not have that."""
    block = awake(TransformerBlock(8, 8, config=CONFIG), deviation=0.5)
    x = picture(8, 32, 32)
    other = x.clone()
    other[:, ::2, :4, :4] += 3  # not all channels alike, which the normalisation would take away
    assert (block(x) - block(other))[..., -4:, -4:].abs().max() > 1e-5


@pytest.mark.parametrize(
    ("settings", "word"), [({"head_channels": 0}, "head_channels"), ({"expansion": 0.1}, "expansion")]
)
def test_impossible_settings_are_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        TransformerConfig(**settings)


def test_heads_must_divide_the_widths():
    with pytest.raises(ConfigError, match="head_channels"):
        UNetConfig(widths=(32, 48, 56), transformer=TransformerConfig())
