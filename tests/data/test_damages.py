"""Damages other than motion blur: noise, JPEG, low resolution and holes, against outside references."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.data.compression import Compression, CompressionConfig
from resharp.data.degradation import Damaged
from resharp.data.inpainting import Holes, InpaintingConfig
from resharp.data.noise import GaussianNoise, NoiseConfig
from resharp.data.super_resolution import LowResolution, SuperResolutionConfig
from resharp.errors import ConfigError
from resharp.task import holes

ALL = [GaussianNoise(), Compression(), LowResolution(), Holes()]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(count: int = 2, side_px: int = 96) -> torch.Tensor:
    """Smooth pictures with some detail, in 8-bit steps."""
    coarse = torch.rand(count, 3, 7, 7, generator=generator(3))
    smooth = torch.nn.functional.interpolate(coarse, size=(side_px,) * 2, mode="bicubic", align_corners=True)
    return (smooth.clamp(0, 1) * 255).round() / 255


def as_pil(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy())


def as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize("damage", ALL, ids=lambda damage: type(damage).__name__)
def test_damages_keep_shape_range_and_input_and_follow_the_seed(damage):
    pictures = photos()
    before = pictures.clone()
    result = damage(pictures, generator(1))
    assert torch.equal(pictures, before)
    assert result.shape == pictures.shape
    assert 0 <= result.min() <= result.max() <= 1
    assert not torch.equal(result, pictures)
    assert torch.equal(result, damage(pictures, generator(1)))
    assert not torch.equal(result, damage(pictures, generator(2))) if damage.margin_px == 0 else True


def test_noise_has_its_deviation_in_levels_of_255():
    gray = torch.full((4, 3, 128, 128), 128 / 255)
    noisy = GaussianNoise(NoiseConfig(sigma=(25.0, 25.0)))(gray, generator())
    difference = (noisy - gray) * 255
    assert float(difference.std()) == pytest.approx(25.0, rel=0.02)
    assert abs(float(difference.mean())) < 0.3
    assert torch.equal(noisy, (noisy * 255).round() / 255)
    assert torch.equal(GaussianNoise(NoiseConfig(sigma=(0.0, 0.0)))(gray, generator()), gray)


@pytest.mark.parametrize("subsampled", [False, True])
def test_compression_is_pillows_jpeg(subsampled):
    config = CompressionConfig(quality=(20.0, 20.0), subsample_share=float(subsampled))
    ours = Compression(config)(photos(1), generator())[0]
    file = io.BytesIO()
    as_pil(photos(1)[0]).save(file, format="JPEG", quality=20, subsampling=2 if subsampled else 0)
    difference = (ours - as_tensor(Image.open(file))).abs() * 255
    assert float(difference.mean()) < 0.2
    assert float(difference.max()) <= 6


@pytest.mark.parametrize("scale", [2, 4])
def test_low_resolution_is_pillows_bicubic_down_and_up(scale):
    ours = LowResolution(SuperResolutionConfig(scale=scale))(photos(1), generator())[0]
    for plane, ours_plane in zip(photos(1)[0], ours, strict=True):  # floats, which Pillow does not round
        small = Image.fromarray(plane.numpy()).resize((96 // scale,) * 2, Image.Resampling.BICUBIC)
        stored = Image.fromarray((np.asarray(small).clip(0, 1) * 255).round() / np.float32(255))
        large = np.asarray(stored.resize((96, 96), Image.Resampling.BICUBIC)).clip(0, 1)
        difference = np.abs(ours_plane.numpy() - large)
        assert np.median(difference) < 1e-6
        assert difference.max() <= 1.01 / 255  # where rounding to 8 bits fell on the other side


def test_small_pictures_get_their_damages_before_they_are_enlarged():
    noise = GaussianNoise(NoiseConfig(sigma=(25.0, 25.0)))
    flat = torch.full((1, 3, 64, 64), 0.5)
    before = LowResolution(SuperResolutionConfig(scale=4), [noise])(flat, generator())
    # Noise on the small picture is smooth in the large one: neighbours hardly differ.
    assert float((before - 0.5).std()) > 0.05
    assert float((before[..., 1:] - before[..., :-1]).std()) < 0.5 * float((before - 0.5).std())


def test_sizes_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="3 times smaller"):
        LowResolution(SuperResolutionConfig(scale=3))(photos(1, 64), generator())


def test_margins_hide_the_border():
    """A crop made with margins equals the same place of a larger picture's result."""
    large = photos(1, 128)
    damage = LowResolution(SuperResolutionConfig(scale=4))
    m = damage.margin_px
    degraded, sharp = Damaged([damage])(large[..., 16:112, 16:112], generator())
    assert degraded.shape == sharp.shape == (1, 3, 96 - 2 * m, 96 - 2 * m)
    whole = damage(large, generator())
    inner = slice(16 + m, 112 - m)
    torch.testing.assert_close(degraded, whole[..., inner, inner], atol=1e-5, rtol=0)
    assert torch.equal(sharp, large[..., inner, inner])


def test_pairs_need_more_than_their_margins():
    with pytest.raises(ValueError, match="expected"):
        Damaged([LowResolution()])(photos(1, 32), generator())


def test_holes_are_marked_and_all_else_stays():
    pictures = photos(8)
    result = Holes()(pictures, generator())
    mask = holes(result)
    assert mask.flatten(1).any(dim=1).all()
    known = ~mask.expand_as(result)
    assert torch.equal(result[known], pictures[known])
    assert 0.005 < float(mask.float().mean()) < 0.6


def test_a_stroke_of_no_length_is_a_disc():
    config = InpaintingConfig(strokes=(1.0, 1.0), length_px=(0.0, 0.0), width_px=(20.0, 20.0))
    areas = Holes(config).masks(40, (96, 96), generator()).float().sum(dim=(1, 2, 3))
    assert float(areas.max()) == pytest.approx(np.pi * 100, rel=0.03)  # those not cut by the border


def test_a_long_stroke_covers_its_length_times_its_width():
    config = InpaintingConfig(strokes=(1.0, 1.0), length_px=(60.0, 60.0), width_px=(10.0, 10.0))
    areas = Holes(config).masks(40, (160, 160), generator()).float().sum(dim=(1, 2, 3))
    assert float(areas.median()) == pytest.approx(60 * 10 + np.pi * 25, rel=0.03)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (NoiseConfig, {"sigma": (5.0, 1.0)}),
        (NoiseConfig, {"sigma": (1.0,)}),
        (CompressionConfig, {"quality": (0.0, 50.0)}),
        (CompressionConfig, {"subsample_share": 1.5}),
        (SuperResolutionConfig, {"scale": 1}),
        (InpaintingConfig, {"width_px": (0.0, 4.0)}),
    ],
)
def test_impossible_settings_are_refused(kind, values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        kind(**values)
