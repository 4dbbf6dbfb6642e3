"""The averaged exposure against closed forms of box blur, linear-light averages and geometry."""

from __future__ import annotations

import math

import pytest
import torch

from resharp.data.exposure import Motion, expose, frame_counts, random_blobs, twice_as_fine
from resharp.data.sensor import ToneCurve
from resharp.data.trajectories import Paths, random_paths


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fixed_motion(dx_px: float, dy_px: float = 0.0, turn: float = 0.0, zoom: float = 0.0) -> Motion:
    """One picture that moves at constant speed by these amounts over the exposure."""

    def straight(*drift: float) -> Paths:
        return Paths(torch.tensor([drift]), torch.zeros(1, len(drift), 3))

    return Motion(straight(dx_px, dy_px), straight(turn), straight(zoom), torch.tensor([[3.0, -2.0]]))


def test_a_moving_line_gets_the_box_blur():
    light = torch.zeros(1, 3, 32, 64)
    light[..., 32] = 1
    blurred = expose(light, fixed_motion(9.0), frames=9, margin_px=8)  # whole-pixel positions, -4 to 4
    expected = torch.zeros(48)
    expected[20:29] = 1 / 9
    torch.testing.assert_close(blurred, expected.expand(1, 3, 16, 48), atol=1e-4, rtol=0)


def test_a_moving_edge_becomes_a_ramp():
    light = torch.zeros(1, 3, 64, 32)
    light[:, :, 32:] = 1
    blurred = expose(light, fixed_motion(0.0, 15.0), frames=15, margin_px=10)[0, 0, :, 0]
    rows = torch.arange(44.0) + 10 - 32  # from the first bright row
    torch.testing.assert_close(blurred, ((rows + 8) / 15).clamp(0, 1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("period_px", [5.0, 8.0, 20.0])
def test_fractional_positions_do_not_soften(period_px):
    x = torch.arange(120.0)
    wave = 0.5 + 0.2 * torch.sin(2 * math.pi * x / period_px)
    blurred = expose(wave.expand(1, 3, 40, 120), fixed_motion(3.0), frames=24, margin_px=10)[0, 0, 5]
    contrast = torch.sinc(torch.tensor(3.0 / period_px))  # of a 3 px box
    expected = 0.5 + 0.2 * contrast * torch.sin(2 * math.pi * x[10:-10] / period_px)
    torch.testing.assert_close(blurred, expected, atol=0.2 * 0.05, rtol=0)


def test_stripes_average_in_linear_light():
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 40, 64)
    curve = ToneCurve(torch.tensor([False]))
    blurred = expose(curve.to_linear(stripes), fixed_motion(8.0), frames=8, margin_px=8)
    encoded = curve.to_encoded(blurred)
    torch.testing.assert_close(encoded, torch.full_like(encoded, 0.5 ** (1 / 2.2)), atol=1e-3, rtol=0)


def test_mid_exposure_is_the_picture_itself():
    light = torch.rand(1, 3, 48, 56, generator=seeded())
    mask = random_blobs(1, (48, 56), torch.tensor([0.4]), torch.tensor([3.0]), seeded(1))
    camera, part = fixed_motion(9.0, 4.0, 0.05, 0.02), fixed_motion(-7.0, 3.0, 0.1)
    middle = expose(light, camera, frames=1, margin_px=8, part=part, part_mask=mask)
    torch.testing.assert_close(middle, light[..., 8:-8, 8:-8], atol=2e-4, rtol=0)


def test_rotation_and_zoom_move_points_as_they_should():
    motion = fixed_motion(2.0, 1.0, turn=0.2, zoom=0.1)
    grid = motion.sampling_grid(torch.tensor([1.0]), (41, 41), (101, 121))[0, 0]
    centre, angle, zoom = torch.tensor([3.0, -2.0]), 0.1, 1.05  # half of the whole motion at the end
    source = grid * torch.tensor([60.0, 50.0])  # pixels from the middle
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    seen = centre + zoom * (source - centre) @ turn.T + torch.tensor([1.0, 0.5])
    x = torch.arange(41.0) - 20
    torch.testing.assert_close(seen, torch.stack(torch.meshgrid(x, x, indexing="xy"), dim=-1), atol=1e-3, rtol=0)


def test_only_the_part_moves_when_the_camera_stands():
    light = torch.rand(1, 3, 64, 96, generator=seeded())
    mask = torch.zeros(1, 1, 64, 96)
    mask[..., 32:64, 60:80] = 1
    arguments = {"frames": 12, "margin_px": 8, "part": fixed_motion(10.0), "part_mask": mask}
    blurred = expose(light, fixed_motion(0.0), **arguments)
    difference = (blurred - light[..., 8:-8, 8:-8]).abs().amax(dim=(0, 1))
    assert difference[:, :44].max() < 1e-4  # more than the 5 px it reaches away
    assert difference[30:40, 56:68].mean() > 0.1


def test_frame_counts_grow_with_the_travel():
    counts = frame_counts(torch.tensor([0.0, 0.1, 5.0, 12.0, 500.0]), spacing_px=1.0, max_frames=30)
    assert counts.tolist() == [1, 4, 8, 12, 30]


def test_finer_grid_keeps_the_samples():
    images = torch.rand(2, 3, 12, 9, generator=seeded())
    fine = twice_as_fine(images)
    assert fine.shape == (2, 3, 23, 17)
    assert torch.equal(fine[..., ::2, ::2], images)
    assert fine.min() >= 0


def test_blobs_cover_what_they_should():
    cover = torch.tensor([0.1, 0.3, 0.5])
    blobs = random_blobs(3, (128, 160), cover, torch.full((3,), 2.0), seeded())
    assert blobs.shape == (3, 1, 128, 160)
    torch.testing.assert_close(blobs.mean(dim=(1, 2, 3)), cover, atol=0.05, rtol=0)
    assert ((blobs > 0.02) & (blobs < 0.98)).float().mean() < 0.3


def test_rotation_travel_counts_at_the_corner():
    generator = seeded()
    still = Paths(torch.zeros(1, 2), torch.zeros(1, 2, 3))
    turn = random_paths(1, torch.zeros(1), generator)
    motion = Motion(still, turn, Paths(torch.zeros(1, 1), torch.zeros(1, 1, 3)), torch.zeros(1, 2))
    assert motion.travel_px(50.0).item() == pytest.approx(50 * turn.drift.abs().item(), rel=1e-4)
