"""The shaken camera and the night against closed forms: moments, energy, variances, seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from resharp.errors import DataError
from resharp.evaluate.night import NightPipeline, disc, guided_smoothing, photon_noise
from resharp.evaluate.protocols import SCORED, out_of_domain_pairs
from resharp.evaluate.shake import SRGB, ShakePipeline, bayer_noise, homographies, smooth_walks, warp_average
from resharp.images.photo import Photo
from resharp.images.writing import write_photo


def moments(image: torch.Tensor) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum, centre (x, y) and 2x2 covariance of one channel of (1, C, H, W)."""
    weights = image[0, 0].double().numpy()
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    total = weights.sum()
    centre = (weights.ravel()[:, None] * points).sum(axis=0) / total
    away = points - centre
    return float(total), centre, (away * weights.ravel()[:, None]).T @ away / total


def point(size: int = 61, place: tuple[int, int] = (30, 30)) -> torch.Tensor:
    image = torch.zeros(1, 3, size, size)
    image[..., place[1], place[0]] = 1
    return image


def photo(height: int = 96, width: int = 128) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(3))


# Shake


def test_walks_have_mean_0_deviation_1_and_are_smoother_the_more_they_are_smoothed():
    rough, smooth = (smooth_walks(200, 64, smoothing, np.random.default_rng(0)) for smoothing in (0.02, 0.2))
    for walks in (rough, smooth):
        assert walks.shape == (64, 200)
        np.testing.assert_allclose(walks.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(walks.std(axis=0), 1)
    bends = [np.abs(np.diff(walks, n=2, axis=0)).mean() for walks in (rough, smooth)]
    assert bends[1] < 0.5 * bends[0]
    correlation = np.corrcoef(rough.T) - np.eye(200)
    assert abs(correlation.mean()) < 0.05  # one walk says nothing of another


def test_sideways_motion_shifts_every_pixel_alike():
    motion = homographies(np.zeros((2, 3)), np.array([[0, 0, 0], [0.01, -0.02, 0]]), 500.0, (12.0, 30.0))
    for place in ((0, 0), (100, 7)):
        seen = motion @ [*place, 1]
        np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], [place, (place[0] + 5, place[1] - 10)], atol=1e-9)


def test_roll_turns_about_the_centre_and_moving_closer_enlarges_about_it():
    centre = np.array([20.0, 10.0])
    turned, closer = homographies(
        np.array([[0, 0, np.pi / 2], [0, 0, 0]]), np.array([[0, 0, 0], [0, 0, -0.5]]), 80.0, tuple(centre)
    )
    for matrix, expected in ((turned, (-4, 3)), (closer, (6, 8))):
        seen = matrix @ [*(centre + (3, 4)), 1]
        np.testing.assert_allclose(seen[:2] / seen[2] - centre, expected, atol=1e-9)


def test_pan_and_tilt_follow_the_tangent():
    motion = homographies(np.array([[0, 0.2, 0], [0.2, 0, 0]]), np.zeros((2, 3)), 100.0, (5.0, 6.0))
    seen = motion @ [5, 6, 1]
    reach = 100 * math.tan(0.2)
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:] - (5, 6), [[reach, 0], [0, -reach]], atol=1e-9)


def test_a_point_keeps_its_energy_and_place_and_spreads_as_its_path_does():
    walks = smooth_walks(2, 64, 0.1, np.random.default_rng(1)) * [3.0, 2.0]
    path = walks - walks.mean(axis=0)
    motion = homographies(np.zeros((64, 3)), np.pad(path, ((0, 0), (0, 1))) / 100, 100.0, (30.0, 30.0))
    total, centre, covariance = moments(warp_average(point(), motion))
    # A bilinear read at a fraction f spreads a point by f (1 - f) on top of the path's own variance.
    fraction = path - np.floor(path)
    expected = np.cov(path.T, bias=True) + np.diag((fraction * (1 - fraction)).mean(axis=0))
    assert total == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(centre, 30, atol=1e-3)
    np.testing.assert_allclose(covariance, expected, atol=2e-3)


def test_a_roll_leaves_its_centre_sharp_and_keeps_the_energy_of_what_it_blurs():
    angles = np.zeros((41, 3))
    angles[:, 2] = np.linspace(-0.1, 0.1, 41)
    motion = homographies(angles, np.zeros((41, 3)), 60.0, (30.0, 30.0))
    torch.testing.assert_close(warp_average(point(), motion)[0, 0, 30, 30], torch.tensor(1.0), atol=1e-4, rtol=0)
    broad = torch.exp(-0.5 * ((torch.arange(61) - 50) / 2.0) ** 2)
    blob = broad[None, None, None, :] * torch.exp(-0.5 * ((torch.arange(61) - 30) / 2.0) ** 2)[:, None]
    total, _, covariance = moments(warp_average(blob, motion))
    assert total == pytest.approx(float(blob.sum()), rel=2e-3)
    # 20 px from the centre, over 0.2 radians: an arc of 4 px, so variance 16 / 12 along it.
    assert covariance[1, 1] - covariance[0, 0] == pytest.approx(16 / 12 * 41 / 39, rel=0.08)


def test_a_flat_picture_stays_flat():
    flat = torch.full((1, 3, 40, 50), 0.3)
    motion = ShakePipeline(spread_px=(6, 6), roll_deg=(2, 2)).draw_motion(40, 50, np.random.default_rng(0))
    torch.testing.assert_close(warp_average(flat, motion), flat, atol=1e-5, rtol=0)


def test_noise_of_the_mosaic_has_the_variance_that_demosaicing_leaves():
    noise = bayer_noise(torch.full((1, 3, 400, 400), 0.5), 2e-3, 1e-4, (2.0, 1.0, 1.5), np.random.default_rng(0))
    # Of 4 pixels red has 1 measured, 2 that are means of two, 1 of four; green 2 measured and 2 means of four.
    share = {0: (1 + 2 / 2 + 1 / 4) / 4, 1: (2 + 2 / 4) / 4, 2: (1 + 2 / 2 + 1 / 4) / 4}
    for channel, gain in enumerate((2.0, 1.0, 1.5)):
        raw = (2e-3 * 0.5 / gain + 1e-4) * gain**2
        assert noise[0, channel].var().item() == pytest.approx(raw * share[channel], rel=0.05)
    assert noise[0, 0, 1, :-1:2].var() < 0.6 * noise[0, 0, 0, ::2].var()


# Night


def test_a_disc_has_the_area_of_a_circle():
    for radius in (1.0, 2.5, 6.0):
        assert disc((31, 31), (15.3, 14.8), radius).sum().item() == pytest.approx(math.pi * radius**2, rel=0.1)


def test_the_scene_is_darker_by_the_stops_and_has_lamps_beyond_white():
    pipeline = NightPipeline(stops=(2, 2), lamps=(3, 3), lamp_light=(50, 50))
    light = torch.full((1, 3, 64, 64), 0.8)
    scene = pipeline.draw_scene(light, np.random.default_rng(0))
    assert scene.median().item() == pytest.approx(0.2)
    assert scene[:, 0].max().item() >= 50
    assert (scene[:, 0] > 1).float().mean() < 3 * math.pi * 3.5**2 / 64**2


def test_lamps_stand_where_the_scene_is_bright():
    light = torch.zeros(1, 3, 64, 64)
    light[..., 32:] = 0.9
    scene = NightPipeline(lamps=(40, 40)).draw_scene(light, np.random.default_rng(0))
    assert (scene[0, 0, :, 36:] > 1).sum() > 0
    assert (scene[0, 0, :, :28] > 1).sum() == 0


def test_motion_keeps_the_energy_of_lamps_and_makes_streaks_of_them(monkeypatch):
    """Seen before noise and clipping: what reaches the sensor."""
    arrived = {}

    def note(light, *rest):
        arrived["light"] = light
        return light

    monkeypatch.setattr("resharp.evaluate.night.photon_noise", note)
    monkeypatch.setattr(NightPipeline, "draw_scene", lambda self, light, rng: 40 * point(101, (50, 50)))
    blurry, sharp = NightPipeline(extent_px=(16, 16))(photo(101, 101), np.random.default_rng(0))
    total, centre, covariance = moments(arrived["light"])
    assert total == pytest.approx(40, rel=1e-5)
    np.testing.assert_allclose(centre, 50, atol=1e-3)
    assert np.linalg.eigvalsh(covariance).max() > 4
    assert sharp.max().item() == pytest.approx(1)  # clipped
    assert (blurry[:, 0] > 0.3).sum() > 10 * (sharp[:, 0] > 0.3).sum()


def test_photons_have_the_variance_of_counts():
    light = torch.full((1, 3, 200, 200), 0.25)
    counted = photon_noise(light, 400.0, 3.0, np.random.default_rng(0))
    assert counted.mean().item() == pytest.approx(0.25, rel=2e-3)
    assert counted.var().item() == pytest.approx(0.25 / 400 + (3 / 400) ** 2, rel=0.02)


def test_smoothing_flattens_small_variation_and_keeps_large_edges():
    noise = 0.01 * torch.randn(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    edge = torch.zeros(1, 1, 60, 60)
    edge[..., 30:] = 1
    smooth = guided_smoothing(0.5 + noise, 0.05)
    assert smooth.std() < 0.35 * noise.std()
    torch.testing.assert_close(guided_smoothing(edge, 0.05), edge, atol=0.02, rtol=0)
    torch.testing.assert_close(guided_smoothing(edge + noise, 1e-6), edge + noise, atol=1e-3, rtol=0)
    flat = torch.full((1, 1, 9, 9), 0.7)
    torch.testing.assert_close(guided_smoothing(flat, 0.1), flat)
    # All variation is noise to it: each pixel becomes the mean of means of 5x5 windows.
    spread = moments(guided_smoothing(point()[:, :1], 1e3))[2]
    np.testing.assert_allclose(spread, np.diag([4, 4]), atol=1e-2)


# Both


@pytest.mark.parametrize("name", SCORED)
def test_a_pipeline_is_seeded_and_gives_8_bit_steps(name):
    sharp = photo()
    before = sharp.clone()
    first, again, other = (SCORED[name](sharp, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(sharp, before)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    for image in first:
        assert image.shape == sharp.shape
        assert image.dtype == torch.float32
        assert 0 <= image.min() <= image.max() <= 1
    torch.testing.assert_close(first[0] * 255, (first[0] * 255).round(), atol=1e-4, rtol=0)


def test_the_curve_is_that_of_srgb():
    values = torch.tensor([0.0, 0.02, 0.5, 1.0]).view(1, 1, 1, 4)
    expected = torch.tensor([0.0, 0.02 / 12.92, ((0.5 + 0.055) / 1.055) ** 2.4, 1.0]).view(1, 1, 1, 4)
    torch.testing.assert_close(SRGB.to_linear(values), expected)
    torch.testing.assert_close(SRGB.to_encoded(expected), values)


def test_pairs_of_the_night_have_a_dark_sharp_picture_and_small_photos_are_refused(tmp_path):
    write_photo(Photo(photo()[0].permute(1, 2, 0).contiguous().numpy()), tmp_path / "a.png")
    (pair,) = out_of_domain_pairs(tmp_path, 0, SCORED["night"])
    blurry, sharp = pair.load()
    assert blurry.shape == sharp.shape == (1, 3, 96, 128)
    assert sharp.median() < 0.4
    write_photo(Photo(np.zeros((6, 6, 3), np.float32)), tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: a photo of 6x6 is too small"):
        pair.load()
