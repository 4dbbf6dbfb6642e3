"""Photos turned into hand-held night shots: dark, with lamps far brighter than white that draw streaks.

The scene is lit by little, lamps of up to a hundred times white stand where it is brightest, motion is uniform and in
linear light, photons are counted, and the picture goes through the edge-keeping smoothing that cameras use against
noise. The sharp picture is the same dark scene with its lamps, clipped at white, without motion, noise and smoothing.

The synthesiser of training has nights with lights too (`night_share`). Lamps, paths, noise and what comes after it are
made otherwise here, but only a model trained with `night_share = 0` has never seen the like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from resharp.evaluate.degrade import convolve, pillow_jpeg
from resharp.evaluate.kernels import walk_kernel
from resharp.evaluate.shake import SRGB

# Lamps stand where the scene is bright: the chance of a place goes with this power of its linear light.
BRIGHT_POWER = 2.0


@dataclass(frozen=True)
class NightPipeline:
    """What may happen to a sharp photo; each draw is uniform within its range, brightness within its logarithm.

    stops: how much darker the scene becomes, in powers of two.
    lamps: how many light sources, both ends included.
    lamp_radius_px: of a lamp's disc.
    lamp_light: linear light of a lamp, in whites.
    extent_px: greatest distance between two points of the path of motion.
    electrons: that a white pixel collects; their number is Poisson-distributed.
    read_electrons: standard deviation of the Gaussian noise of reading a pixel, in electrons.
    denoise: what the smoothing takes for noise: its standard deviation in the encoded picture.
    jpeg_quality: of Pillow's JPEG (4:2:0 chroma), both ends included.
    """

    stops: tuple[float, float] = (1.0, 2.5)
    lamps: tuple[int, int] = (4, 16)
    lamp_radius_px: tuple[float, float] = (0.8, 2.5)
    lamp_light: tuple[float, float] = (4.0, 100.0)
    extent_px: tuple[float, float] = (6.0, 24.0)
    electrons: tuple[float, float] = (300.0, 2000.0)
    read_electrons: tuple[float, float] = (1.0, 4.0)
    denoise: tuple[float, float] = (0.02, 0.05)
    jpeg_quality: tuple[int, int] = (75, 92)

    def __call__(self, sharp: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Blurry and sharp from one photo (1, 3, H, W) in [0, 1], sRGB-encoded; both are (1, 3, H, W) in [0, 1].

        Blurry is float32 in 8-bit steps. Raises ValueError where the photo is too small for the motion.
        """
        light = self.draw_scene(SRGB.to_linear(sharp), rng)
        moved = convolve(light, walk_kernel(rng.uniform(*self.extent_px), rng))
        counted = photon_noise(moved, rng.uniform(*self.electrons), rng.uniform(*self.read_electrons), rng)
        smooth = guided_smoothing(SRGB.to_encoded(counted.clamp(0, 1)), rng.uniform(*self.denoise))
        quality = int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1))
        return pillow_jpeg(smooth.clamp(0, 1), quality), SRGB.to_encoded(light.clamp(0, 1))

    def draw_scene(self, light: Tensor, rng: Generator) -> Tensor:
        """Daylight (1, 3, H, W), linear, made dark and given lamps; not clipped."""
        height, width = light.shape[-2:]
        chance = light.mean(dim=1).double().flatten().numpy() ** BRIGHT_POWER + 1e-6
        count = int(rng.integers(self.lamps[0], self.lamps[1] + 1))
        places = rng.choice(height * width, size=count, p=chance / chance.sum())
        scene = light * 2 ** -rng.uniform(*self.stops)
        for place in places.tolist():
            centre = (place % width + rng.uniform(-0.5, 0.5), place // width + rng.uniform(-0.5, 0.5))
            brightness = np.exp(rng.uniform(*np.log(self.lamp_light)))
            # From sodium's orange to a cold white.
            colour = torch.tensor([1.0, rng.uniform(0.6, 1.0), rng.uniform(0.2, 1.1)])
            lamp = disc((height, width), centre, rng.uniform(*self.lamp_radius_px))
            scene = scene + lamp * (brightness * colour)[None, :, None, None]
        return scene


def disc(size: tuple[int, int], centre: tuple[float, float], radius_px: float) -> Tensor:
    """A disc of value 1 with an edge one pixel wide, (1, 1, H, W); `centre` is x, y in px."""
    y = torch.arange(size[0], dtype=torch.float32)[:, None] - centre[1]
    x = torch.arange(size[1], dtype=torch.float32) - centre[0]
    return (radius_px + 0.5 - (x.square() + y.square()).sqrt()).clamp(0, 1)[None, None]


def photon_noise(light: Tensor, electrons: float, read_electrons: float, rng: Generator) -> Tensor:
    """Linear light (1, 3, H, W), at least 0, as counted: mean `light`, variance light / electrons + read^2.

    electrons: collected at light 1; read_electrons: standard deviation of reading. Not clipped.
    """
    counts = rng.poisson(light.clamp(min=0).double().numpy() * electrons)
    counts = counts + rng.normal(scale=read_electrons, size=counts.shape)
    return torch.from_numpy(counts / electrons).float()


def guided_smoothing(image: Tensor, sigma: float, radius_px: int = 2) -> Tensor:
    """Smooth what varies by less than `sigma` and keep what varies by more: the guided filter of a picture by itself.

    In each window of (2 radius_px + 1)^2 pixels of mean m and variance v the picture is a * picture + (1 - a) * m with
    a = v / (v + sigma^2); a pixel is the mean over the windows that it is in. He, Sun and Tang, "Guided image
    filtering". (B, C, H, W) -> the same shape.
    """
    mean = _box(image, radius_px)
    # Differences of nearly equal numbers: a flat part must not get a negative variance.
    variance = (_box(image.square(), radius_px) - mean.square()).clamp(min=0)
    keep = variance / (variance + sigma**2)
    return _box(keep, radius_px) * image + _box((1 - keep) * mean, radius_px)


def _box(image: Tensor, radius_px: int) -> Tensor:
    padded = F.pad(image, (radius_px,) * 4, mode="reflect")
    return F.avg_pool2d(padded, 2 * radius_px + 1, stride=1)
