"""What a film collects while the picture moves: the average of warped copies.

One soft-edged part may move its own way over the rest. The picture at mid-exposure is the picture itself,
for the background and for the moving part alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from resharp.data.trajectories import Paths, length

_CHUNK_FRAMES = 32  # warped frames held at once: small enough for a CPU's cache
_HALF_SAMPLE_FILTER = (1 / 32, -5 / 32, 20 / 32, 20 / 32, -5 / 32, 1 / 32)


@dataclass(frozen=True)
class Motion:
    """How B pictures move: shift (px), rotation (radians) and zoom (relative) paths about a centre (B, 2) px.

    The centre is (x, y) from the middle of the picture; shift is D = 2, rotation and zoom D = 1.
    """

    shift_px: Paths
    rotation: Paths
    zoom: Paths
    centre_px: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> Motion:
        return Motion(self.shift_px[index], self.rotation[index], self.zoom[index], self.centre_px[index])

    def to(self, device: torch.device) -> Motion:
        parts = (self.shift_px, self.rotation, self.zoom, self.centre_px)
        return Motion(*(part.to(device) for part in parts))

    def travel_px(self, radius_px: float) -> torch.Tensor:
        """Bound (B,) on the length travelled by points within `radius_px` of the middle of the picture."""
        turn = length(self.rotation.points()) + length(self.zoom.points())
        return length(self.shift_px.points()) + turn * (radius_px + self.centre_px.norm(dim=1))

    def sampling_grid(self, times: torch.Tensor, out_size: tuple[int, int], in_size: tuple[int, int]) -> torch.Tensor:
        """Where the centred output window looks at `times` (N,): (B, N, H, W, 2) for align_corners=True.

        out_size, in_size: (height, width) of the window and of the picture.
        """
        angle, zoom = self.rotation.at(times)[..., 0], 1 + self.zoom.at(times)[..., 0]  # (B, N)
        # A picture point p is seen at q = centre + zoom R (p - centre) + shift; the grid holds p for each q.
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        centre = self.centre_px[:, None]
        moved = centre + self.shift_px.at(times)  # (B, N, 2)
        height, width = out_size
        x = torch.arange(width, device=angle.device) - (width - 1) / 2
        y = (torch.arange(height, device=angle.device) - (height - 1) / 2)[:, None]
        dx, dy = x - moved[..., 0, None, None], y - moved[..., 1, None, None]  # (B, N, 1, W), (B, N, H, 1)
        cos, sin = cos[..., None, None], sin[..., None, None]
        grid = torch.empty(*angle.shape, height, width, 2, device=angle.device)
        grid[..., 0] = (cos * dx + centre[..., 0, None, None] + sin * dy) * (2 / (in_size[1] - 1))
        grid[..., 1] = (cos * dy + centre[..., 1, None, None] - sin * dx) * (2 / (in_size[0] - 1))
        return grid


def twice_as_fine(images: torch.Tensor) -> torch.Tensor:
    """Images (B, C, H, W), at least 0, with samples put between the samples: (B, C, 2 H - 1, 2 W - 1).

    Even indices are the input's. Bilinear reads of the result soften far less than bilinear reads of the
    input, and those at whole pixels not at all.
    """
    for dim in (-1, -2):
        size = images.shape[dim]
        pad = (2, 2, 0, 0) if dim == -1 else (0, 0, 2, 2)
        padded = F.pad(images, pad, mode="replicate")
        between = sum(weight * padded.narrow(dim, tap, size - 1) for tap, weight in enumerate(_HALF_SAMPLE_FILTER))
        # Beside a highlight the filter would ring below black: hold it near its two neighbours.
        left, right = images.narrow(dim, 0, size - 1), images.narrow(dim, 1, size - 1)
        between = between.clamp(torch.minimum(left, right) * 0.8, torch.maximum(left, right) * 1.25)
        shape = list(images.shape)
        shape[dim] = 2 * size - 1
        fine = images.new_empty(shape)
        even, odd = ([slice(None)] * 4 for _ in range(2))
        even[dim], odd[dim] = slice(0, None, 2), slice(1, None, 2)
        fine[tuple(even)], fine[tuple(odd)] = images, between
        images = fine
    return images


def frame_counts(travel_px: torch.Tensor, spacing_px: float, max_frames: int) -> torch.Tensor:
    """Warped frames (B,) for each travel (B,): 1 without motion, else a multiple of 4 up to `max_frames`.

    Few distinct counts let samples of like counts go through together.
    """
    frames = (travel_px / spacing_px / 4).ceil().clamp(min=1) * 4
    return torch.where(travel_px > 0, frames.clamp(max=max_frames), 1).to(torch.int64)


def expose(
    light: torch.Tensor,
    camera: Motion,
    frames: int,
    margin_px: int,
    part: Motion | None = None,
    part_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of `frames` warped copies of linear light (B, 3, H + 2 m, W + 2 m): (B, 3, H, W).

    camera: motion of the picture; part, part_mask (B, 1, H + 2 m, W + 2 m) in [0, 1]: an object that moves
    its own way over it. Frames lie at the middles of equal parts of the exposure.
    """
    batch, _, in_height, in_width = light.shape
    in_size, out_size = (in_height, in_width), (in_height - 2 * margin_px, in_width - 2 * margin_px)
    times = (torch.arange(frames, device=light.device) + 0.5) / frames
    fine = twice_as_fine(light if part_mask is None else torch.cat((light, part_mask), dim=1))
    total = light.new_zeros(batch, 3, *out_size)
    for some in times.split(max(1, _CHUNK_FRAMES // batch)):
        view = _warped(fine[:, :3], camera.sampling_grid(some, out_size, in_size))  # (B, 3, n, H, W)
        if part is not None:
            front = _warped(fine, part.sampling_grid(some, out_size, in_size))
            view = view + front[:, 3:].clamp(0, 1) * (front[:, :3] - view)
        total += view.sum(dim=2)
    return total / frames


def _warped(fine: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """The frames of a grid (B, N, H, W, 2), read in one call as one tall picture: (B, C, N, H, W)."""
    batch, frames, height, width, _ = grid.shape
    tall = F.grid_sample(
        fine,
        grid.view(batch, frames * height, width, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return tall.view(batch, -1, frames, height, width)


def random_blobs(
    count: int, size: tuple[int, int], cover: torch.Tensor, edge_px: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Soft-edged random shapes: (B, 1, height, width) in [0, 1], on the generator's device.

    cover: (B,) share of the picture that each covers; edge_px: (B,) about the width of its edge.
    """
    cells = int(torch.randint(3, 7, (), generator=generator, device=generator.device))
    coarse = torch.randn(count, 1, cells, cells, generator=generator, device=generator.device)
    field = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    samples = field[..., ::8, ::8].flatten(1).sort(dim=1).values
    rank = ((1 - cover) * (samples.shape[1] - 1)).round().to(torch.int64)
    threshold = samples.gather(1, rank[:, None])[..., None, None]
    # The field changes by about one deviation a cell, which turns a width in pixels into one in field units.
    softness = edge_px[:, None, None, None] * (cells - 1) / min(size) / 4
    return torch.sigmoid((field - threshold) / softness)
