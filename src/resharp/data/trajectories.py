"""Random camera paths over one exposure, as smooth curves that can be evaluated at any time.

The speed of a path is a constant plus a cosine series whose standard deviation falls as 1/k, so its power
spectrum falls as f^-2, as in recordings of hand-held cameras: smooth, with a tremor-like tail. The ratio of
the series to the constant is the path's `wobble`: near 0 a straight line at constant speed (a few frames of a
240 fps film), near 1 the curl of a shaking hand.

Against 100 recorded hand-shake paths, paths of wobble 0.85 with a spread of 0.4 have (recorded values in
brackets): median length over chord 1.2 (1.23), its 95th percentile 2.7 (2.9), median length over extent 1.17
(1.15), median deviation of the speed over its mean 0.39 (0.36), median reach from the middle over extent 0.66
(0.67), slope of the speed's power over 1 to 6 cycles an exposure -2.1 (-2.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

TERMS = 24  # cosines in the speed; the last one makes twelve cycles an exposure
MEASURE_POINTS = 65  # points at which extents and lengths are measured


@dataclass(frozen=True)
class Paths:
    """B paths in D dimensions over the exposure, time 0 to 1; every path is at the origin at time 1/2.

    drift: (B, D) constant part of the speed; waves: (B, D, K) amplitudes of cos(pi k t), k = 1..K, in it.
    The unit is the caller's, per exposure.
    """

    drift: torch.Tensor
    waves: torch.Tensor

    def at(self, times: torch.Tensor) -> torch.Tensor:
        """Positions at `times` (N,), each in [0, 1]: (B, N, D), relative to the middle of the exposure."""
        k = torch.arange(1, self.waves.shape[-1] + 1, device=times.device, dtype=times.dtype) * math.pi
        basis = (torch.sin(k * times[:, None]) - torch.sin(k * 0.5)) / k  # (N, K): integral of cos(pi k t)
        return torch.einsum("bdk,nk->bnd", self.waves, basis) + self.drift[:, None] * (times - 0.5)[:, None]

    def points(self) -> torch.Tensor:
        """Positions on a regular grid of times over the whole exposure: (B, 65, D)."""
        return self.at(torch.linspace(0, 1, MEASURE_POINTS, device=self.drift.device))

    def scaled(self, factor: torch.Tensor) -> Paths:
        """The same shapes, `factor` (B,) times as large."""
        return Paths(self.drift * factor[:, None], self.waves * factor[:, None, None])

    def __getitem__(self, index: torch.Tensor) -> Paths:
        return Paths(self.drift[index], self.waves[index])

    def to(self, device: torch.device) -> Paths:
        return Paths(self.drift.to(device), self.waves.to(device))


def random_paths(dims: int, wobble: torch.Tensor, generator: torch.Generator) -> Paths:
    """Paths with random directions and shapes, of no particular size.

    wobble: (B,) at least 0, on the generator's device; strength of the first cosine against the drift.
    """
    count, device = wobble.shape[0], generator.device
    drift = torch.randn(count, dims, generator=generator, device=device)
    waves = torch.randn(count, dims, TERMS, generator=generator, device=device)
    # Paths are scaled to an extent later, so a drift near zero would make a straight path a curly one.
    norm = drift.norm(dim=1, keepdim=True)
    drift = drift / norm * norm.clamp(min=0.5)
    order = torch.arange(1, TERMS + 1, device=device)
    return Paths(drift, waves * wobble[:, None, None] / order)


def extent(points: torch.Tensor) -> torch.Tensor:
    """Diagonal of the bounding box of paths (B, N, D): (B,), in the unit of the points."""
    return (points.amax(dim=1) - points.amin(dim=1)).norm(dim=1)


def length(points: torch.Tensor) -> torch.Tensor:
    """Length travelled along paths (B, N, D): (B,), in the unit of the points."""
    return (points[:, 1:] - points[:, :-1]).norm(dim=2).sum(dim=1)


def reach(points: torch.Tensor) -> torch.Tensor:
    """Largest distance from the origin along paths (B, N, D): (B,), in the unit of the points."""
    return points.norm(dim=2).amax(dim=1)


def resized(paths: Paths, wanted_extent: torch.Tensor, max_reach: float) -> Paths:
    """Paths scaled to the wanted extents (B,), or less where they would go further than `max_reach`."""
    points = paths.points()
    factor = wanted_extent / extent(points).clamp(min=1e-6)
    return paths.scaled(torch.minimum(factor, max_reach / reach(points).clamp(min=1e-6)))
