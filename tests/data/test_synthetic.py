"""The blur synthesiser as a whole: identity, target, range, noise level, seeds and settings."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch

from resharp.data.blur_config import EXTRA_SHARES
from resharp.data.synthetic import BlurConfig, BlurSynthesiser
from resharp.errors import ConfigError

MOTION_ONLY = BlurConfig(
    still_share=0,
    noise_free_share=1,
    jpeg_share=0,
    highlight_share=0,
    object_share=0,
    srgb_share=0,
    **dict.fromkeys(EXTRA_SHARES, 0.0),
)
LIGHT_ONLY = replace(MOTION_ONLY, still_share=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(config: BlurConfig, count: int = 4, size: int = 48, seed: int = 7) -> torch.Tensor:
    """Smooth random pictures in 8-bit steps, margins included."""
    side = size + 2 * BlurSynthesiser(config).margin_px
    coarse = torch.rand(count, 3, 12, 12, generator=seeded(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side)).mul(255).round() / 255


def test_without_motion_nothing_changes():
    synthesiser = BlurSynthesiser(LIGHT_ONLY)
    pictures, m = photo(LIGHT_ONLY), synthesiser.margin_px
    blurry, sharp = synthesiser(pictures, seeded())
    assert torch.equal(sharp, pictures[..., m:-m, m:-m])
    assert torch.equal(blurry, sharp)


def test_target_is_the_input_and_blurry_is_not():
    synthesiser = BlurSynthesiser(MOTION_ONLY)
    pictures, m = photo(MOTION_ONLY), synthesiser.margin_px
    blurry, sharp = synthesiser(pictures, seeded())
    assert torch.equal(sharp, pictures[..., m:-m, m:-m])
    assert ((blurry - sharp).abs().amax(dim=(1, 2, 3)) > 0.02).all()


def test_a_point_leaves_a_trail_of_the_extent_through_itself():
    config = replace(MOTION_ONLY, extent_spread=0, extent_median_px=20.0, linear_share=1, rotation_deg=0, zoom=0)
    synthesiser = BlurSynthesiser(config)
    side = 64 + 2 * synthesiser.margin_px
    points = torch.zeros(6, 3, side, side)
    points[..., side // 2, side // 2] = 1
    blurry, _ = synthesiser(points, seeded())
    for trail in blurry[:, 0]:
        rows, columns = (trail > 0.05).nonzero().T
        diagonal = math.hypot(rows.max() - rows.min(), columns.max() - columns.min())
        assert diagonal == pytest.approx(20, abs=2.5)
        assert trail[31:34, 31:34].max() > 0.1


def test_no_border_shows():
    config = replace(MOTION_ONLY, extent_median_px=100.0, rotation_deg=20.0, zoom=0.1, object_share=1)
    synthesiser = BlurSynthesiser(config)
    pictures = torch.zeros_like(photo(config, count=24, size=32))
    pictures[..., 0] = pictures[..., -1] = pictures[..., 0, :] = pictures[..., -1, :] = 1
    assert synthesiser(pictures, seeded())[0].max() == 0


def test_default_output_range_steps_and_shape():
    pictures = photo(BlurConfig(), count=16)
    blurry, sharp = BlurSynthesiser()(pictures, seeded())
    for images in (blurry, sharp):
        assert images.shape == (16, 3, 48, 48)
        assert images.dtype == torch.float32
        assert images.min() >= 0
        assert images.max() <= 1
    torch.testing.assert_close(blurry * 255, (blurry * 255).round(), atol=1e-4, rtol=0)


def test_seed_decides_every_byte():
    pictures, synthesiser = photo(BlurConfig()), BlurSynthesiser()
    first, again, other = (synthesiser(pictures, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_neither_the_input_nor_the_global_generator_is_touched():
    pictures = photo(BlurConfig())
    before, state = pictures.clone(), torch.get_rng_state()
    BlurSynthesiser()(pictures, seeded())
    assert torch.equal(pictures, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cpu_generator_gives_the_same_pictures_on_a_gpu():
    pictures = photo(MOTION_ONLY)
    on_cpu, _ = BlurSynthesiser(MOTION_ONLY)(pictures, seeded())
    on_gpu, _ = BlurSynthesiser(MOTION_ONLY)(pictures.cuda(), seeded())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1.5 / 255, rtol=0)


def test_highlights_outshine_white_but_are_clipped_in_the_target():
    config = replace(MOTION_ONLY, highlight_share=1, highlight_gain=(6.0, 6.0))
    pictures = photo(config) * 0.5
    pictures[..., ::16, :] = 1
    with_boost, target = BlurSynthesiser(config)(pictures, seeded())
    without, _ = BlurSynthesiser(MOTION_ONLY)(pictures, seeded())
    assert target.max() == 1
    assert with_boost.mean() > without.mean() + 0.01


def test_noise_deviation_is_stated_in_pixel_values_at_mid_grey():
    config = replace(LIGHT_ONLY, noise_free_share=0, noise_median=0.01, noise_spread=0)
    grey = torch.full_like(photo(config, size=96), 0.18 ** (1 / 2.2))
    blurry, sharp = BlurSynthesiser(config)(grey, seeded())
    assert blurry.std().item() == pytest.approx(0.01, rel=0.04)
    assert blurry.mean().item() == pytest.approx(sharp.mean().item(), abs=1e-3)


def test_shares_of_one_and_zero_are_obeyed():
    pictures = photo(LIGHT_ONLY, count=8)
    compressed, sharp = BlurSynthesiser(replace(LIGHT_ONLY, jpeg_share=1, jpeg_quality=(30.0, 30.0)))(
        pictures, seeded()
    )
    assert ((compressed - sharp).abs().amax(dim=(1, 2, 3)) > 0).all()
    noisy, sharp = BlurSynthesiser(replace(LIGHT_ONLY, noise_free_share=0))(pictures, seeded())
    assert ((noisy - sharp).abs().amax(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("still_share", 1.2),
        ("object_share", -0.1),
        ("extent_median_px", 0.0),
        ("extent_spread", float("nan")),
        ("max_frames", 2.5),
        ("noise_median", "low"),
        ("noise_max", 2.0),
        ("jpeg_quality", (0.0, 80.0)),
        ("jpeg_quality", 80.0),
        ("object_cover", (0.5, 0.2)),
        ("highlight_gain", (1.0, 2.0, 3.0)),
        ("highlight_threshold", 1.0),
    ],
)
def test_wrong_settings_are_named(key, value):
    with pytest.raises(ConfigError, match=key):
        BlurConfig(**{key: value})


def test_lists_from_toml_become_tuples():
    values = {field.name: getattr(BlurConfig(), field.name) for field in fields(BlurConfig)}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    assert BlurConfig(**listed) == BlurConfig()


def test_too_small_an_input_is_refused():
    synthesiser = BlurSynthesiser()
    with pytest.raises(ValueError, match="sharp"):
        synthesiser(torch.zeros(1, 3, 2 * synthesiser.margin_px, 200), seeded())
