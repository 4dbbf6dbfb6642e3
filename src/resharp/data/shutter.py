"""Rolling shutter: each row of the sensor is exposed a little after the one above it.

While a picture moves at a changing speed, each row gets another section of the path, so that the blur of a row is
longer, shorter or turned against that of its neighbours. The sharp picture is what the same shutter would have
taken in no time: rows are placed by where they are at the middle of their own exposure, so blurry and sharp lie
over each other in every row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resharp.data.exposure import Motion
from resharp.data.trajectories import MEASURE_POINTS, Paths

_FINE_TIMES = 257  # a path is read between so many of its points


@dataclass(frozen=True)
class RollingMotion:
    """The motion of B pictures behind a rolling shutter; takes the place of a `Motion` where pictures are exposed.

    readout: (B,) time between the middles of the first and the last row's exposure, in exposures. Exposure and
        readout together take the whole of the path, so that a row collects a section of it.
    """

    motion: Motion
    readout: Tensor

    def __getitem__(self, index: Tensor) -> RollingMotion:
        return RollingMotion(self.motion[index], self.readout[index])

    def to(self, device: torch.device) -> RollingMotion:
        return RollingMotion(self.motion.to(device), self.readout.to(device))

    def sampling_grid(self, times: Tensor, out_size: tuple[int, int], in_size: tuple[int, int]) -> Tensor:
        """As `Motion.sampling_grid`: (B, N, H, W, 2) for times (N,) of each row's own exposure."""
        height, width = out_size
        middle = row_middles(self.readout, height)  # (B, H)
        exposure = 1 / (1 + self.readout)
        at = middle[:, None] + exposure[:, None, None] * (times - 0.5)[None, :, None]  # (B, N, H)
        shift, angle, zoom = (
            _read(path, at) - _read(path, middle[:, None])
            for path in (self.motion.shift_px, self.motion.rotation, self.motion.zoom)
        )  # (B, N, H, D)
        zoom = 1 + zoom
        cos, sin = angle.cos() / zoom, angle.sin() / zoom  # (B, N, H, 1)
        centre = self.motion.centre_px[:, None, None]
        moved = centre + shift
        x = torch.arange(width, device=at.device) - (width - 1) / 2
        y = torch.arange(height, device=at.device) - (height - 1) / 2
        dx, dy = x - moved[..., :1], (y - moved[..., 1])[..., None]  # (B, N, H, W), (B, N, H, 1)
        grid = dx.new_empty(*dx.shape, 2)
        grid[..., 0] = (cos * dx + centre[..., :1] + sin * dy) * (2 / (in_size[1] - 1))
        grid[..., 1] = (cos * dy + centre[..., 1:] - sin * dx) * (2 / (in_size[0] - 1))
        return grid


def within_reach(motion: Motion, readout: Tensor, max_reach_px: float) -> Motion:
    """The motion with smaller shifts where some row would get further than that from its own middle.

    A path that keeps within reach of its middle can go further from its other points. readout: (B,), as above;
    where it is 0 the motion stays as it is.
    """
    times = torch.linspace(0, 1, MEASURE_POINTS, device=readout.device)
    points = motion.shift_px.points()
    exposure = (1 / (1 + readout))[:, None, None]
    # Which points are the middle of a row, and which belong to the exposure around each.
    middle = (times - 0.5).abs() <= (readout[:, None, None] * exposure + 2 / MEASURE_POINTS) / 2
    exposed = (times[:, None] - times).abs() <= (exposure + 2 / MEASURE_POINTS) / 2
    farthest = (torch.cdist(points, points) * (middle & exposed)).amax(dim=(1, 2))
    factor = (max_reach_px / farthest.clamp(min=1e-6)).clamp(max=1)
    shift = motion.shift_px.scaled(torch.where(readout > 0, factor, 1.0))
    return Motion(shift, motion.rotation, motion.zoom, motion.centre_px)


def row_middles(readout: Tensor, rows: int) -> Tensor:
    """When each row is at the middle of its exposure, on the path's clock of 0 to 1: (B, rows) for readouts (B,)."""
    row = torch.linspace(-0.5, 0.5, rows, device=readout.device) if rows > 1 else readout.new_zeros(1)
    return 0.5 + (readout / (1 + readout))[:, None] * row


def _read(path: Paths, times: Tensor) -> Tensor:
    """Positions (B, N, H, D) at times (B, N, H) in [0, 1], straight between points of a fine grid."""
    points = path.at(torch.linspace(0, 1, _FINE_TIMES, device=times.device))  # (B, 257, D)
    position = times.clamp(0, 1) * (_FINE_TIMES - 1)
    below = position.floor().clamp(max=_FINE_TIMES - 2)
    dims = points.shape[-1]
    index = below.to(torch.int64).flatten(1)[..., None].expand(-1, -1, dims)
    left, right = points.gather(1, index), points.gather(1, index + 1)
    part = (position - below).flatten(1)[..., None]
    return (left + part * (right - left)).view(*times.shape, dims)
