"""Depth: what is near moves further than what lies behind it when the camera moves."""

from __future__ import annotations

import torch
from torch import Tensor

from resharp.data.exposure import Motion
from resharp.data.trajectories import Paths


def with_parallax(camera: Motion, part: Motion, near: Tensor, ratio: Tensor) -> tuple[Motion, Motion]:
    """The motions of background and part, where the part is a nearer layer in some of B pictures.

    There, the part moves as the camera makes it, and the background by `ratio` (B,) of that; near: (B,) bool.
    Shift and zoom depend on depth, rotation does not. Elsewhere both stay as they are.
    """
    less = torch.where(near, ratio, torch.ones_like(ratio))
    behind = Motion(camera.shift_px.scaled(less), camera.rotation, camera.zoom.scaled(less), camera.centre_px)
    front = Motion(
        _chosen(near, camera.shift_px, part.shift_px),
        _chosen(near, camera.rotation, part.rotation),
        _chosen(near, camera.zoom, part.zoom),
        torch.where(near[:, None], camera.centre_px, part.centre_px),
    )
    return behind, front


def _chosen(which: Tensor, these: Paths, others: Paths) -> Paths:
    drift = torch.where(which[:, None], these.drift, others.drift)
    return Paths(drift, torch.where(which[:, None, None], these.waves, others.waves))
