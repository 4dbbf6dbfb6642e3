"""Blur kernels for out-of-domain scores, drawn from a seeded generator.

Every kernel is a (K, K) float64 array with odd K, not negative, sums to 1, and has its centre of mass on the
middle entry: a kernel off centre would shift the picture, and PSNR would then measure the shift.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

Kernel = np.ndarray
# Points a pixel along drawn curves: dense enough that the drawn line has no gaps or beads.
POINTS_PER_PX = 16


def line_kernel(length_px: float, angle: float) -> Kernel:
    """Straight motion at constant speed over `length_px` (end to end), at `angle` radians from the x axis.

    >>> line_kernel(3, 0).shape  # odd, the centre of mass in the middle, the sum 1
    (7, 7)
    >>> float(line_kernel(3, 0).sum().round(12))
    1.0
    """
    along = np.linspace(-0.5, 0.5, int(np.ceil(length_px * POINTS_PER_PX)) + 2) * length_px
    return splat(np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1))


def walk_kernel(extent_px: float, rng: Generator, steps: int = 64) -> Kernel:
    """A curved path: the velocity performs a random walk, and the path is its running sum.

    The path is scaled so that its two points farthest apart are `extent_px` apart.
    """
    start = rng.normal(size=2)
    # 0.25 a step: over 64 steps the velocity turns about once or twice, so curves and hooks but no scribbles.
    velocity = start + np.cumsum(0.25 * rng.normal(size=(steps, 2)), axis=0)
    path = np.cumsum(velocity, axis=0)
    distance = np.linalg.norm(path[:, None] - path[None], axis=-1).max()
    path = path * (extent_px / distance)
    return splat(_interpolate(path))


def disk_kernel(radius_px: float) -> Kernel:
    """Defocus: a disk of uniform weight, its edge anti-aliased by 8x8 samples a pixel."""
    half = int(np.ceil(radius_px))
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8 - (half + 0.5)
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= radius_px**2).astype(np.float64)
    kernel = inside.reshape(2 * half + 1, 8, 2 * half + 1, 8).sum(axis=(1, 3))
    return kernel / kernel.sum()


def gaussian_mix_kernel(sigmas_px: np.ndarray, angles: np.ndarray, weights: np.ndarray) -> Kernel:
    """A weighted sum of centred anisotropic Gaussians, cut at three times the widest sigma.

    Args:
        sigmas_px: (N, 2), the standard deviation along the two axes of each.
        angles: (N,), radians from the x axis to the first axis of each.
        weights: (N,), not negative; scaled to sum to 1.
    """
    half = int(np.ceil(3 * sigmas_px.max()))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    kernel = np.zeros_like(x)
    for (first, second), angle, weight in zip(sigmas_px, angles, weights, strict=True):
        u = x * np.cos(angle) + y * np.sin(angle)
        v = y * np.cos(angle) - x * np.sin(angle)
        lobe = np.exp(-0.5 * ((u / first) ** 2 + (v / second) ** 2))
        kernel += weight * lobe / lobe.sum()
    return kernel / kernel.sum()


def splat(points: np.ndarray) -> Kernel:
    """Draw (N, 2) points (x, y in px) with equal weight, bilinearly, after moving their mean to the centre.

    A bilinear share keeps a point's first moment, so the kernel's centre of mass is exactly the mean point.
    """
    points = points - points.mean(axis=0)
    half = int(np.ceil(np.abs(points).max())) + 1
    size = 2 * half + 1
    position = points + half
    corner = np.floor(position).astype(int)
    part = position - corner
    kernel = np.zeros((size, size))
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(kernel, (corner[:, 1] + dy, corner[:, 0] + dx), share)
    return kernel / kernel.sum()


def _interpolate(path: np.ndarray) -> np.ndarray:
    """Points at constant time steps along the polyline `path`, `POINTS_PER_PX` on its fastest segment."""
    longest = np.linalg.norm(np.diff(path, axis=0), axis=1).max()
    segments = len(path) - 1
    count = segments * max(1, int(np.ceil(longest * POINTS_PER_PX))) + 1
    time, wanted = np.arange(len(path)), np.linspace(0, segments, count)
    return np.stack([np.interp(wanted, time, path[:, axis]) for axis in (0, 1)], axis=1)


def _random_line(rng: Generator) -> Kernel:
    return line_kernel(rng.uniform(5, 25), rng.uniform(0, np.pi))


def _random_walk(rng: Generator) -> Kernel:
    return walk_kernel(rng.uniform(5, 25), rng)


def _random_disk(rng: Generator) -> Kernel:
    return disk_kernel(rng.uniform(1.5, 5))


def _random_gaussian_mix(rng: Generator) -> Kernel:
    lobes = int(rng.integers(2, 4))
    return gaussian_mix_kernel(
        rng.uniform(0.6, 3.5, size=(lobes, 2)), rng.uniform(0, np.pi, size=lobes), rng.uniform(0.2, 1, size=lobes)
    )


RANDOM_KERNELS: dict[str, Callable[[Generator], Kernel]] = {
    "line": _random_line,
    "walk": _random_walk,
    "disk": _random_disk,
    "gaussian-mix": _random_gaussian_mix,
}
