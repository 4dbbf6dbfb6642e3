"""Photos as tensors, and a property of the whole part: what is written is what is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resharp.images.photo import Photo, PhotoMeta
from resharp.images.reading import read_photo
from resharp.images.tensors import as_unit, photo_to_tensor, samples_tensor, tensor_to_pixels
from resharp.images.writing import write_photo


def test_layout():
    pixels = np.zeros((2, 3, 3), np.float32)
    pixels[1, 2] = (0.25, 0.5, 1)
    tensor = photo_to_tensor(Photo(pixels))
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert tensor[0, :, 1, 2].tolist() == [0.25, 0.5, 1]
    assert np.array_equal(tensor_to_pixels(tensor), pixels)


def test_the_photo_is_not_shared_with_the_tensor():
    photo = Photo(np.zeros((1, 1, 3), np.float32))
    photo_to_tensor(photo).fill_(1)
    assert photo.pixels.max() == 0
    tensor = torch.zeros(1, 3, 1, 1)
    tensor_to_pixels(tensor)[:] = 1
    assert tensor.max() == 0


def test_values_are_cut_and_other_types_accepted():
    tensor = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.bfloat16, requires_grad=True).reshape(1, 3, 1, 1)
    pixels = tensor_to_pixels(tensor)
    assert pixels.dtype == np.float32
    assert pixels.ravel().tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_become_the_same_floats_in_numpy_and_in_torch(dtype):
    top = np.iinfo(dtype).max
    every = np.resize(np.arange(top + 1), (-(-(top + 1) // 48), 16, 3)).astype(dtype)
    photo = Photo(every)
    floats = as_unit(samples_tensor(photo))
    assert samples_tensor(photo).data_ptr() == every.ctypes.data
    assert floats.is_contiguous()
    assert torch.equal(floats, photo_to_tensor(photo))
    assert np.array_equal(tensor_to_pixels(floats), every.astype(np.float32) / np.float32(top))
    assert np.array_equal(photo.pixels, every.astype(np.float32) / np.float32(top))


def test_a_photo_read_keeps_its_samples_and_lets_them_be_shared(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    write_photo(Photo(levels), tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.samples.dtype == np.uint8
    assert np.array_equal(photo.samples, levels)
    assert samples_tensor(photo).data_ptr() == photo.samples.ctypes.data


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 4, 4), (1, 1, 4, 4)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match="shape"):
        tensor_to_pixels(torch.zeros(shape))


def test_with_pixels():
    photo = Photo(np.zeros((2, 3, 3), np.float32), np.ones((2, 3), np.float32), PhotoMeta(dpi=(72, 72)))
    other = photo.with_pixels(np.ones((2, 3, 3)))
    assert other.pixels.dtype == np.float32
    assert other.pixels.min() == 1
    assert other.alpha is photo.alpha
    assert other.meta is photo.meta
    with pytest.raises(ValueError, match="shape"):
        photo.with_pixels(np.ones((3, 2, 3)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 2, 3, 4]),
    depth=st.sampled_from([8, 16]),
    suffix=st.sampled_from([".png", ".tif"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lossless_round_trip(tmp_path, height, width, channels, depth, suffix, seed):
    if (channels, depth, suffix) == (2, 16, ".tif"):
        return  # written, but Pillow cannot read it back
    full = 2**depth - 1
    levels = np.random.default_rng(seed).integers(0, full + 1, (height, width, channels))
    scaled = levels.astype(np.float32) / np.float32(full)
    colours = scaled[:, :, :3] if channels >= 3 else np.repeat(scaled[:, :, :1], 3, axis=2)
    kind = {1: "gray", 2: "gray", 3: "rgb", 4: "rgba"}[channels]
    alpha = scaled[:, :, -1] if channels in (2, 4) else None
    photo = Photo(colours, alpha, PhotoMeta(kind=kind, bit_depth=depth))

    write_photo(photo, tmp_path / f"out{suffix}")
    back = read_photo(tmp_path / f"out{suffix}")

    assert (back.meta.kind, back.meta.bit_depth) == (kind, depth)
    assert np.array_equal(tensor_to_pixels(photo_to_tensor(back)), photo.pixels)
    assert (back.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(back.alpha, alpha)


def test_enlarged():
    photo = Photo(np.zeros((2, 4, 3), dtype=np.float32), alpha=np.full((2, 4), 0.5, dtype=np.float32))
    large = photo.enlarged(np.ones((4, 8, 3)))
    assert large.pixels.shape == (4, 8, 3)
    assert large.pixels.dtype == large.alpha.dtype == np.float32
    np.testing.assert_allclose(large.alpha, np.full((4, 8), 0.5), atol=1e-6)
    assert photo.enlarged(np.ones((2, 4, 3))).alpha is photo.alpha
