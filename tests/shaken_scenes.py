"""Made scenes with edges in all directions, sharp and shaken, as tensors and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from resharp.evaluate.degrade import convolve
from resharp.evaluate.kernels import line_kernel

GAMMA = 2.2


def scene(seed: int, side: int = 224) -> torch.Tensor:
    """Overlapping discs and boxes of random colours, (1, 3, side, side) in [0.1, 0.9]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side, 3), 0.5)
    for _ in range(60):
        cx, cy, size = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(5, side / 7)
        angle = rng.uniform(0, np.pi)
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        inside = u**2 + v**2 < size**2 if rng.random() < 0.5 else (abs(u) < size) & (abs(v) < size / 2)
        image[inside] = rng.uniform(0.1, 0.9, 3)
    return torch.from_numpy(image).float().permute(2, 0, 1)[None]


def shaken(sharp: torch.Tensor, length_px: float = 11, angle: float = 0.3) -> torch.Tensor:
    """Straight even motion, in linear light."""
    return convolve(sharp.pow(GAMMA), line_kernel(length_px, angle)).clamp(0, 1).pow(1 / GAMMA)


def write(path: Path, image: torch.Tensor, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image[0].permute(1, 2, 0).mul(255).round().byte().numpy()
    Image.fromarray(pixels).save(path, **options)
    return path


def blurry_folder(folder: Path, count: int = 8, side: int = 224, **options: object) -> Path:
    """Shaken scenes, PNG, as NAME.png."""
    for i in range(count):
        write(folder / f"{i:02d}.png", shaken(scene(i, side), 9 + i % 4, 0.4 * i), **options)
    return folder


def sharp_folder(folder: Path, count: int = 8, side: int = 224) -> Path:
    for i in range(count):
        write(folder / f"s{i:02d}.png", scene(100 + i, side))
    return folder
