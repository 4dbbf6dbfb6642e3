"""JPEG on tensors against Pillow's, and properties of its quantisation tables."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.data.jpeg import jpeg, quantisation_tables


def textured_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth colours with edges and fine noise, in 8-bit steps: (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")[0]
    smooth[:, height // 3 : height // 2, width // 4 :] = torch.rand(3, 1, 1, generator=generator)
    noisy = smooth + 0.02 * torch.randn(3, height, width, generator=generator)
    return noisy.clamp(0, 1).mul(255).round() / 255


def pillow_jpeg(picture: torch.Tensor, quality: int, subsample_chroma: bool) -> torch.Tensor:
    pixels = picture.mul(255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2 if subsample_chroma else 0)
    decoded = np.asarray(Image.open(buffer), dtype=np.float32) / 255
    return torch.from_numpy(decoded).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [30, 60, 85, 95, 100])
@pytest.mark.parametrize("subsample_chroma", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_agrees_with_pillow(quality, subsample_chroma, size):
    picture = textured_picture(*size)
    ours = jpeg(picture[None], torch.tensor([float(quality)]), subsample_chroma)[0]
    difference = (ours - pillow_jpeg(picture, quality, subsample_chroma)).abs() * 255
    # Where libjpeg's integer DCT rounds a tie the other way, one coefficient moves by a step: rare, but not small.
    assert difference.mean() < 0.4
    assert (difference > 2).float().mean() < 0.03


def test_each_sample_has_its_own_quality():
    pictures = torch.stack([textured_picture(32, 32, seed) for seed in range(3)])
    quality = torch.tensor([40.0, 75.0, 95.0])
    together = jpeg(pictures, quality, True)
    for i in range(3):
        assert torch.equal(together[i], jpeg(pictures[i : i + 1], quality[i : i + 1], True)[0])
    error = (together - pictures).square().mean((1, 2, 3))
    assert error[0] > error[1] > error[2]


def test_flat_grey_survives():
    grey = torch.full((1, 3, 24, 40), 90 / 255)
    assert torch.equal(jpeg(grey, torch.tensor([100.0]), True), grey)


def test_tables_follow_libjpeg():
    tables = quantisation_tables(torch.tensor([50.0, 100.0, 25.0, 1.0]))
    assert tables.shape == (4, 2, 8, 8)
    assert tables[0, 0, 0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]  # quality 50 is Annex K itself
    assert (tables[1] == 1).all()
    assert tables[2, 1, 0, 0] == 34
    assert tables[3].max() == 255
