"""Blur found in photos against the blur they were given, and its use against scipy's convolution."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import convolve2d

from resharp.adapt.blurs import KERNEL_PX, MARGIN_PX, Blurs, centred, extents_px, find_blurs, without_haze
from resharp.adapt.photos import UserPhoto
from resharp.assessment import assess_input
from resharp.errors import DataError
from resharp.evaluate.kernels import line_kernel
from shaken_scenes import scene, shaken


def padded(kernel: np.ndarray) -> torch.Tensor:
    missing = (KERNEL_PX - kernel.shape[0]) // 2
    return torch.from_numpy(np.pad(kernel, missing)).float()


def blurs_of(*kernels: np.ndarray, noise: float = 0.0, quality: float = 0.0, subsampled: bool = False) -> Blurs:
    every = torch.stack([padded(kernel) for kernel in kernels])
    count = len(every)
    levels = torch.full((count,), noise), torch.full((count,), quality), torch.full((count,), subsampled)
    return Blurs(every, extents_px(every), *levels, count, {})


def photo(image: torch.Tensor, name: str = "a.png") -> UserPhoto:
    return UserPhoto(name, image, assess_input(image), None, False)


def test_blur_is_found_where_the_sharp_picture_is_known():
    sharp = [scene(i, 480) for i in range(2)]
    lengths = (8, 14)
    photos = [photo(shaken(image, length, 0.5)) for image, length in zip(sharp, lengths, strict=True)]
    found = find_blurs(photos, sharp)
    assert found.tiles == 18
    assert len(found) + sum(found.dropped.values()) == 18
    assert len(found) >= 12
    for length in lengths:
        true = padded(line_kernel(length, 0.5))
        distances = (found.kernels - true).abs().sum(dim=(1, 2))
        near = distances < 0.6  # of at most 2; the other motion is farther than 1 away
        assert near.sum() >= 6
        assert found.extents_px[near].median() == pytest.approx(float(extents_px(true[None])), abs=1.0)


def test_photos_that_explain_nothing_or_have_not_moved_give_no_blur():
    sharp = scene(0, 480)
    with pytest.raises(DataError, match=r"the blur of 0 of 9 tiles .*no motion.* 8 are needed"):
        find_blurs([photo(sharp)], [sharp], where="mine")
    with pytest.raises(DataError, match="not explained by one kernel"):
        find_blurs([photo(shaken(sharp))], [scene(7, 480)])


def test_blurring_is_a_convolution_in_linear_light():
    kernel = line_kernel(9, 0.7)
    kernel = kernel * np.linspace(0.5, 1.5, len(kernel))  # not its own mirror image
    kernel /= kernel.sum()
    sharp = torch.cat([scene(1, 80), scene(2, 80)])
    blurry, target = blurs_of(line_kernel(5, 0), kernel).apply(sharp, torch.tensor([1, 1]), torch.Generator())
    whole = padded(kernel).double().numpy()
    for b in range(2):
        for c in range(3):
            light = convolve2d(sharp[b, c].double().numpy() ** 2.2, whole, mode="valid")
            expected = np.clip(light, 0, 1) ** (1 / 2.2)
            assert np.abs(blurry[b, c].numpy() - expected).max() <= 0.5 / 255 + 1e-5
    assert torch.equal(target, sharp[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])


def test_noise_and_jpeg_are_those_asked_for():
    gray = torch.full((1, 3, 230, 230), 0.5)
    index = torch.tensor([0])
    noisy, _ = blurs_of(line_kernel(5, 0), noise=0.02).apply(gray, index, torch.Generator().manual_seed(0))
    assert float(noisy.std()) == pytest.approx(0.02, rel=0.02)
    again, _ = blurs_of(line_kernel(5, 0), noise=0.02).apply(gray, index, torch.Generator().manual_seed(0))
    assert torch.equal(noisy, again)
    sharp = scene(4, 190)
    plain, _ = blurs_of(line_kernel(5, 0)).apply(sharp, index, torch.Generator())
    stored, _ = blurs_of(line_kernel(5, 0), quality=60, subsampled=True).apply(sharp, index, torch.Generator())
    file = io.BytesIO()
    pixels = plain[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=60, subsampling=2)
    expected = np.asarray(Image.open(file)).transpose(2, 0, 1) / 255
    assert np.abs(stored[0].numpy() - expected).mean() < 0.5 / 255
    assert not torch.equal(plain, stored)


def test_centring_moves_the_centre_of_mass_and_keeps_the_sum():
    kernel = padded(line_kernel(9, 0.4)).roll((3, -2), dims=(0, 1))
    kernel = 0.6 * kernel + 0.4 * kernel.roll(1, dims=0)
    moved = centred(kernel[None])[0]
    at = torch.arange(KERNEL_PX) - KERNEL_PX // 2
    assert float(moved.sum()) == pytest.approx(1, abs=1e-5)
    assert float(moved.sum(0) @ at.float()) == pytest.approx(0, abs=1e-3)
    assert float(moved.sum(1) @ at.float()) == pytest.approx(0, abs=1e-3)


def test_haze_is_removed_and_extents_are_lengths():
    kernel = padded(line_kernel(12, 0.0))
    hazy = kernel + 0.03 * kernel.max()
    hazy = without_haze((hazy / hazy.sum())[None])
    assert float(extents_px(hazy)) == pytest.approx(float(extents_px(kernel[None])), abs=0.1)
    assert float(extents_px(kernel[None])) == pytest.approx(12, abs=0.3)
