"""Photos blurred by a hand-held camera that turns and moves in all six ways, then stored by a cheap phone.

Neither the synthesiser of training nor the uniform kernels of `degrade` do this: the paths are smoothed random
walks of rotation and translation, seen through a pinhole, so that blur differs over the picture with perspective;
a slight defocus always comes on top; noise is made on a Bayer mosaic before white balance, so that it is coloured and
blotchy; and JPEG is mostly stronger than training's by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from resharp.data.sensor import ToneCurve
from resharp.evaluate.degrade import convolve, pillow_jpeg
from resharp.evaluate.kernels import disk_kernel

SRGB = ToneCurve(torch.ones(1, dtype=torch.bool))
WALK_STEPS = 512


@dataclass(frozen=True)
class ShakePipeline:
    """What may happen to a sharp photo; each draw is uniform within its range.

    focal_length: of the pinhole, in longer sides of the picture.
    spread_px: standard deviation of a point's place over the exposure, along x and along y, near the centre of
        rotation; a straight path at constant speed is sqrt(12) = 3.5 times as long.
    turned: which share of that is made by turning (pan, tilt), which has perspective; the rest is sideways motion.
    roll_deg, zoom: standard deviation of the angle around the optical axis, and of the relative size.
    smoothing: length of the Gaussian that smooths the walks, its standard deviation in exposures.
    defocus_px: radius of the defocus disc.
    shot, read: noise variance at linear light v is shot * v + read, before white balance.
    balance: gains of red, green and blue.
    jpeg_quality: of Pillow's JPEG (4:2:0 chroma), both ends included.
    frames: warped copies that are averaged.
    """

    focal_length: tuple[float, float] = (0.8, 1.3)
    spread_px: tuple[float, float] = (0.8, 5.0)
    turned: tuple[float, float] = (0.3, 1.0)
    roll_deg: tuple[float, float] = (0.05, 0.5)
    zoom: tuple[float, float] = (0.0, 0.003)
    smoothing: tuple[float, float] = (0.05, 0.2)
    defocus_px: tuple[float, float] = (0.6, 1.6)
    shot: tuple[float, float] = (1e-4, 4e-4)
    read: tuple[float, float] = (1e-6, 1e-5)
    balance: tuple[float, float, float] = (2.0, 1.0, 1.6)
    jpeg_quality: tuple[int, int] = (35, 70)
    frames: int = 64

    def __call__(self, sharp: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Blurry and sharp from one photo (1, 3, H, W) in [0, 1], sRGB-encoded; sharp is returned as it is.

        Blurry is float32 in 8-bit steps of [0, 1]. Raises ValueError where the photo is too small for the disc.
        """
        light = warp_average(SRGB.to_linear(sharp), self.draw_motion(sharp.shape[-2], sharp.shape[-1], rng))
        light = convolve(light, disk_kernel(rng.uniform(*self.defocus_px)))
        noise = bayer_noise(light, rng.uniform(*self.shot), rng.uniform(*self.read), self.balance, rng)
        quality = int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1))
        return pillow_jpeg(SRGB.to_encoded((light + noise).clamp(0, 1)), quality), sharp

    def draw_motion(self, height: int, width: int, rng: Generator) -> np.ndarray:
        """Homographies (N, 3, 3) of one exposure, from pixels of the scene to pixels of the picture.

        The centre of rotation is anywhere in the picture, as in a crop of a larger one.
        """
        focal_px = rng.uniform(*self.focal_length) * max(height, width)
        centre = (rng.uniform(0, width - 1), rng.uniform(0, height - 1))
        walks = smooth_walks(6, self.frames, rng.uniform(*self.smoothing), rng)
        spread, turned = rng.uniform(*self.spread_px) / focal_px, rng.uniform(*self.turned)
        roll, zoom = np.deg2rad(rng.uniform(*self.roll_deg)), rng.uniform(*self.zoom)
        angles = walks[:, :3] * [turned * spread, turned * spread, roll]
        # Independent walks add their variances, so the rest of the spread is the other leg of a right triangle.
        aside = np.sqrt(1 - turned**2) * spread
        return homographies(angles, walks[:, 3:] * [aside, aside, zoom], focal_px, centre)


def smooth_walks(count: int, frames: int, smoothing: float, rng: Generator) -> np.ndarray:
    """Random walks over one exposure, smoothed by a Gaussian: (frames, count), each of mean 0 and deviation 1.

    smoothing: standard deviation of the Gaussian, in exposures. It reaches into walks that begin before the
    exposure and end after it, so that the ends are as smooth as the middle.
    """
    sigma = smoothing * WALK_STEPS
    half = int(np.ceil(3 * sigma))
    walk = np.cumsum(rng.normal(size=(WALK_STEPS + 2 * half, count)), axis=0)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2) if half else np.ones(1)
    weights /= weights.sum()
    smooth = np.stack([np.convolve(walk[:, i], weights, mode="valid") for i in range(count)], axis=1)
    times = np.linspace(0, len(smooth) - 1, frames)
    walks = np.stack([np.interp(times, np.arange(len(smooth)), smooth[:, i]) for i in range(count)], axis=1)
    # Of mean 0, a walk shifts no point on average (to first order): PSNR must measure blur, not a shift.
    walks -= walks.mean(axis=0)
    return walks / walks.std(axis=0)


def homographies(angles: np.ndarray, shifts: np.ndarray, focal_px: float, centre: tuple[float, float]) -> np.ndarray:
    """How a plane facing the camera at distance 1 moves in the picture: K (R + t n^T) K^-1, (N, 3, 3).

    Args:
        angles: (N, 3) in radians, small: a turn of a about x, then y, then z moves the centre by focal_px * (a_y,
            -a_x) px and turns the picture by a_z.
        shifts: (N, 3) the camera's frame moves by these, in distances; (t_x, t_y) moves the centre by focal_px
            times as many px.
        focal_px: focal length.
        centre: principal point, x and y in px.
    """
    x, y, z = angles.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    about_x = _matrices([[one, zero, zero], [zero, np.cos(x), -np.sin(x)], [zero, np.sin(x), np.cos(x)]])
    about_y = _matrices([[np.cos(y), zero, np.sin(y)], [zero, one, zero], [-np.sin(y), zero, np.cos(y)]])
    about_z = _matrices([[np.cos(z), -np.sin(z), zero], [np.sin(z), np.cos(z), zero], [zero, zero, one]])
    moved = about_z @ about_y @ about_x
    moved[:, :, 2] += shifts
    camera = np.array([[focal_px, 0, centre[0]], [0, focal_px, centre[1]], [0, 0, 1]])
    return camera @ moved @ np.linalg.inv(camera)


def warp_average(light: Tensor, motion: np.ndarray) -> Tensor:
    """Mean of linear light (1, C, H, W) seen through homographies (N, 3, 3), read bilinearly; borders reflect."""
    height, width = light.shape[-2:]
    x = torch.arange(width, dtype=torch.float32)
    y = torch.arange(height, dtype=torch.float32)[:, None]
    total = torch.zeros_like(light)
    for backward in np.linalg.inv(motion):
        (a, b, c), (d, e, f), (g, h, i) = backward.tolist()
        depth = g * x + h * y + i  # (H, W), as below
        column, row = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth
        grid = torch.stack([column * (2 / (width - 1)) - 1, row * (2 / (height - 1)) - 1], dim=-1)
        total += F.grid_sample(light, grid[None], mode="bilinear", padding_mode="reflection", align_corners=True)
    return total / len(motion)


def bayer_noise(light: Tensor, shot: float, read: float, balance: tuple[float, float, float], rng: Generator) -> Tensor:
    """Noise (1, 3, H, W) as it comes out of bilinear demosaicing of an RGGB sensor and white balance.

    Each pixel of the sensor sees one colour: linear light v of gain g arrives as v / g, with Gaussian noise of
    variance shot * v / g + read. The other two colours of a pixel are means of its neighbours.
    """
    height, width = light.shape[-2:]
    gains = torch.tensor(balance)[None, :, None, None]
    unit = torch.from_numpy(rng.standard_normal((1, 1, height, width))).float()
    noise = unit * (shot * light.clamp(min=0) / gains + read).sqrt() * _rggb(height, width)
    cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]) / 4
    square = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 4
    padded = F.pad(noise, (1, 1, 1, 1), mode="reflect")  # keeps each colour on its own sites
    return F.conv2d(padded, torch.stack([square, cross, square])[:, None], groups=3) * gains


def _rggb(height: int, width: int) -> Tensor:
    """Which colour each pixel of the sensor sees: (1, 3, H, W) of 0 and 1."""
    odd_row, odd_column = torch.arange(height)[:, None] % 2, torch.arange(width) % 2
    red, blue = (1 - odd_row) * (1 - odd_column), odd_row * odd_column
    return torch.stack([red, 1 - red - blue, blue])[None].float()


def _matrices(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Nine arrays (N,) as (N, 3, 3)."""
    return np.array(rows).transpose(2, 0, 1)
