"""Uniform blur, noise and JPEG: a way to make blurry photos that has little in common with training's.

The training synthesiser averages warped frames in linear light along shaken paths, different in each corner of
the picture. Here one kernel is convolved with the whole gamma-encoded picture, the noise does not depend on
the signal, and the JPEG is Pillow's own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from resharp.evaluate.kernels import RANDOM_KERNELS, Kernel


@dataclass(frozen=True)
class BlurPipeline:
    """What may happen to a sharp photo; each draw is uniform within its range.

    kernels: names in `RANDOM_KERNELS`, each equally likely.
    noise_sigma: least and greatest standard deviation of the Gaussian noise, on [0, 1].
    jpeg_quality: least and greatest quality of Pillow's JPEG (4:2:0 chroma), both included.
    """

    kernels: tuple[str, ...]
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]

    def __call__(self, sharp: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Blurry and sharp from one photo, as `degrade`; sharp is returned as it is."""
        return degrade(sharp, self, rng), sharp


def degrade(sharp: Tensor, pipeline: BlurPipeline, rng: Generator) -> Tensor:
    """Blur, add noise, round to 8 bits and compress one photo.

    Args:
        sharp: (1, 3, H, W), [0, 1], gamma-encoded.
        rng: decides everything that is random.

    Returns:
        (1, 3, H, W) float32 in 8-bit steps of [0, 1].

    Raises:
        ValueError: the photo is too small for the kernel that was drawn.
    """
    kernel = RANDOM_KERNELS[pipeline.kernels[rng.integers(len(pipeline.kernels))]](rng)
    sigma = rng.uniform(*pipeline.noise_sigma)
    quality = int(rng.integers(pipeline.jpeg_quality[0], pipeline.jpeg_quality[1] + 1))
    noise = torch.from_numpy(rng.normal(scale=sigma, size=tuple(sharp.shape))).float()
    return pillow_jpeg((convolve(sharp, kernel) + noise).clamp(0, 1), quality)


def convolve(image: Tensor, kernel: Kernel) -> Tensor:
    """Convolve each channel of (B, C, H, W) with a (K, K) kernel, K odd; the picture is reflected at borders.

    Raises:
        ValueError: H or W is not above K // 2, so there is nothing left to reflect.
    """
    half = kernel.shape[0] // 2
    if min(image.shape[-2:]) <= half:
        height, width = image.shape[-2:]
        raise ValueError(f"a photo of {width}x{height} is too small for a blur of {kernel.shape[0]} px")
    channels = image.shape[1]
    # conv2d correlates; turning the kernel by half a turn makes it a convolution.
    weight = torch.from_numpy(kernel[::-1, ::-1].copy()).to(image).expand(channels, 1, -1, -1)
    padded = F.pad(image, (half, half, half, half), mode="reflect")
    return F.conv2d(padded, weight, groups=channels)


def pillow_jpeg(image: Tensor, quality: int) -> Tensor:
    """(1, 3, H, W) in [0, 1] through an 8-bit JPEG file in memory and back, float32."""
    pixels = image[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
    with Image.open(file) as decoded:
        values = np.asarray(decoded, dtype=np.float32) / np.float32(255)
    return torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0).contiguous()
