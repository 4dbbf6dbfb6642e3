"""Between a photo and the tensor a network works on."""

from __future__ import annotations

import numpy as np
import torch

from resharp.images.photo import Photo


def photo_to_tensor(photo: Photo) -> torch.Tensor:
    """The photo's pixels as a new (1, 3, H, W) float32 tensor in [0, 1], on the CPU."""
    tensor = samples_tensor(photo)
    floats = as_unit(tensor)
    # clone: writing into the tensor must never change the photo.
    return floats.clone(memory_format=torch.contiguous_format) if floats is tensor else floats


def samples_tensor(photo: Photo) -> torch.Tensor:
    """The photo's samples as a (1, 3, H, W) tensor of their own type that shares their memory: not to be written to."""
    samples = photo.samples
    return torch.from_numpy(samples if samples.flags.writeable else samples.copy()).permute(2, 0, 1).unsqueeze(0)


def as_tensor(samples: torch.Tensor | np.ndarray) -> torch.Tensor:
    """An array as a tensor of its own type that shares its memory where it may; a tensor as it is."""
    if isinstance(samples, torch.Tensor):
        return samples
    return torch.from_numpy(np.require(samples, requirements="W"))


def as_unit(samples: torch.Tensor) -> torch.Tensor:
    """uint8 or uint16 samples as float32 in [0, 1], contiguous; floats as they are."""
    if samples.is_floating_point():
        return samples
    top = torch.iinfo(samples.dtype).max
    return samples.to(torch.float32, memory_format=torch.contiguous_format).div_(top)


def tensor_to_pixels(tensor: torch.Tensor) -> np.ndarray:
    """A (1, 3, H, W) tensor of any float type and device as (H, W, 3) float32 pixels, cut to [0, 1].

    Raises:
        ValueError: the shape is not (1, 3, H, W).
    """
    if tensor.ndim != 4 or tensor.shape[:2] != (1, 3):
        raise ValueError(f"expected a tensor of shape (1, 3, H, W), got {tuple(tensor.shape)}")
    pixels = tensor.detach()[0].permute(1, 2, 0).float().clamp(0, 1)  # (H, W, 3)
    return np.array(pixels.cpu().numpy(), order="C")
