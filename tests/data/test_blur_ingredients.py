"""What makes blur vary beyond motion: depth, shutter, night, focus and camera software, against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import resharp.data.synthetic as synthetic
from resharp.data.blur_config import EXTRA_SHARES, BlurConfig
from resharp.data.distributions import between, chance, forked, log_between
from resharp.data.exposure import Motion, expose
from resharp.data.lights import random_lights
from resharp.data.optics import defocused, disc_kernels, enlarged, filtered, gaussian_kernels, sharpened
from resharp.data.parallax import with_parallax
from resharp.data.shutter import RollingMotion, row_middles, within_reach
from resharp.data.synthetic import BlurSynthesiser
from resharp.data.trajectories import TERMS, Paths, random_paths, reach, resized
from resharp.errors import ConfigError

NONE = dict.fromkeys(EXTRA_SHARES, 0.0)
SMALL = BlurConfig(extent_median_px=6.0, extent_max_px=12.0, turn_max_px=1.0, **NONE)
# Without motion, noise and JPEG nothing is left but the ingredient of a test.
STILL = replace(SMALL, still_share=1, noise_free_share=1, jpeg_share=0, highlight_share=0, object_share=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(config: BlurConfig, count: int = 3, size: int = 32) -> torch.Tensor:
    """Soft random pictures in 8-bit steps, margins included."""
    side = size + 2 * BlurSynthesiser(config).margin_px
    coarse = torch.rand(count, 3, 12, 12, generator=seeded(7))
    return F.interpolate(coarse, size=(side, side), mode="bilinear").mul(255).round() / 255


def inner(pictures: torch.Tensor, config: BlurConfig) -> torch.Tensor:
    m = BlurSynthesiser(config).margin_px
    return pictures[..., m:-m, m:-m]


def line(*speeds: tuple[float, ...]) -> Paths:
    """Straight paths at constant speed, one a picture."""
    drift = torch.tensor(speeds)
    return Paths(drift, torch.zeros(*drift.shape, TERMS))


def motion(*speeds: tuple[float, float], rotation: float = 0.0, zoom: float = 0.0) -> Motion:
    count = len(speeds)
    return Motion(line(*speeds), line(*[(rotation,)] * count), line(*[(zoom,)] * count), torch.zeros(count, 2))


def shaken(count: int, extent_px: float, max_reach_px: float = math.inf) -> Motion:
    paths = random_paths(2, torch.full((count,), 1.0), seeded(1))
    shift = resized(paths, torch.full((count,), extent_px), max_reach_px)
    still = line(*[(0.0,)] * count)
    return Motion(shift, still, still, torch.zeros(count, 2))


# As a whole


def test_at_share_0_an_ingredient_touches_nothing(monkeypatch):
    """Neither its settings nor its code matter: everything else draws the same numbers."""

    def never(*words: object) -> None:
        raise AssertionError("share 0")

    busy = replace(SMALL, object_share=0.5, jpeg_share=1)
    pictures = photo(busy, 6)
    expected = BlurSynthesiser(busy)(pictures, seeded())
    for name in ("forked", "random_lights", "with_parallax", "RollingMotion", "defocused", "enlarged", "sharpened"):
        monkeypatch.setattr(synthetic, name, never)
    settings = {"parallax_ratio": (0.1, 0.2), "shutter_readout": (2, 3), "night_lights": (5, 6)}
    settings |= {"defocus_radius_px": (1, 3), "enlarge_factor": (2, 2), "sharpen_amount": (2, 2)}
    found = BlurSynthesiser(replace(busy, **settings))(pictures, seeded())
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("share", EXTRA_SHARES)
def test_pictures_without_an_ingredient_are_the_same_bytes(share):
    """Some of many pictures have it, and the others do not notice."""
    base = replace(SMALL, still_share=0, noise_free_share=0.5, object_share=0.5, enlarge_factor=(1.3, 1.5))
    pictures = photo(base, 16)
    without = BlurSynthesiser(base)(pictures, seeded())
    with_it = BlurSynthesiser(replace(base, **{share: 0.5}))(pictures, seeded())
    same = (with_it[0] == without[0]).flatten(1).all(dim=1) & (with_it[1] == without[1]).flatten(1).all(dim=1)
    assert 2 <= same.sum() <= 14


@pytest.mark.parametrize("share", EXTRA_SHARES)
def test_at_share_1_every_picture_changes_as_the_seed_says(share):
    base = replace(SMALL, still_share=0, noise_free_share=1, object_share=0, enlarge_factor=(1.3, 1.5))
    changed = BlurSynthesiser(replace(base, **{share: 1.0}))
    pictures = photo(base, 6)
    before = pictures.clone()
    first, again, other = (changed(pictures, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(pictures, before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    without = BlurSynthesiser(base)(pictures, seeded(3))
    assert (first[0] != without[0]).flatten(1).any(dim=1).all()
    # What belongs to the blurry picture alone leaves the sharp one as it is.
    if share not in ("night_share", "enlarge_share"):
        assert torch.equal(first[1], without[1])
    assert first[0].min() >= 0
    assert first[0].max() <= 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((share, 1.1) for share in EXTRA_SHARES),
        ("parallax_ratio", (0.5, 1.5)),
        ("shutter_readout", (-0.1, 1)),
        ("night_light_gain", (0.0, 5.0)),
        ("night_lights", (5, 2)),
        ("defocus_radius_px", (0.0, 2.0)),
        ("enlarge_factor", (0.9, 1.2)),
        ("sharpen_radius_px", 1.0),
    ],
)
def test_wrong_settings_are_named(key, value):
    with pytest.raises(ConfigError, match=key):
        BlurConfig(**{key: value})


# Random numbers


def test_forked_generators_leave_their_own_state_alone():
    generator = seeded(5)
    before = generator.get_state()
    draws = [torch.rand(4, generator=forked(generator, purpose)) for purpose in (0, 0, 1)]
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.rand(1, generator=generator)
    assert not torch.equal(torch.rand(4, generator=forked(generator, 0)), draws[0])


def test_distributions():
    drawn = log_between((2.0, 32.0), 4000, seeded())
    assert (drawn.min() >= 2, drawn.max() <= 32) == (True, True)
    assert (drawn < 8).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert between((1.0, 3.0), 4000, seeded()).mean().item() == pytest.approx(2, abs=0.03)
    assert chance(0.3, 4000, seeded()).float().mean().item() == pytest.approx(0.3, abs=0.03)


# Depth


def test_what_is_near_moves_as_the_camera_and_the_rest_by_the_ratio():
    camera = motion((8.0, 0.0), (8.0, 0.0), rotation=0.1, zoom=0.02)
    part = motion((0.0, 5.0), (0.0, 5.0))
    near, ratio = torch.tensor([True, False]), torch.tensor([0.25, 0.25])
    behind, front = with_parallax(camera, part, near, ratio)
    assert behind.shift_px.drift.tolist() == [[2, 0], [8, 0]]
    assert behind.zoom.drift[:, 0].tolist() == pytest.approx([0.005, 0.02])
    assert behind.rotation.drift[:, 0].tolist() == pytest.approx([0.1, 0.1])
    assert front.shift_px.drift.tolist() == [[8, 0], [0, 5]]
    assert front.rotation.drift[:, 0].tolist() == pytest.approx([0.1, 0])


def test_trails_of_both_layers_are_as_long_as_their_depth_says():
    """A point in front, another behind; the part covers the left half."""
    light = torch.zeros(1, 3, 60, 100)
    light[..., 30, 30] = light[..., 30, 75] = 1
    mask = torch.zeros(1, 1, 60, 100)
    mask[..., :50] = 1
    behind, front = with_parallax(motion((12.0, 0.0)), motion((0.0, 0.0)), torch.tensor([True]), torch.tensor([0.5]))
    seen = expose(light, behind, 48, 10, front, mask)[0, 0, 20]
    lengths = [int((half > 0.25 * half.max()).sum()) for half in (seen[:40], seen[45:])]
    assert lengths[0] == pytest.approx(12, abs=1.5)
    assert lengths[1] == pytest.approx(6, abs=1.5)
    # The same light over twice the length.
    assert seen[:40].sum().item() == pytest.approx(seen[45:].sum().item(), rel=0.03)
    assert seen[45:].max().item() == pytest.approx(2 * seen[:40].max().item(), rel=0.2)


# Rolling shutter

IN_SIZE, OUT_SIZE = (56, 60), (36, 40)
TIMES = (torch.arange(8) + 0.5) / 8


def test_a_readout_of_no_time_is_no_shutter():
    moving = Motion(
        shaken(2, 9.0).shift_px,
        line((0.05,), (0.05,)),
        line((0.02,), (0.01,)),
        torch.tensor([[3.0, -2], [0, 1]]),
    )
    plain = moving.sampling_grid(TIMES, OUT_SIZE, IN_SIZE)
    rolling = RollingMotion(moving, torch.zeros(2)).sampling_grid(TIMES, OUT_SIZE, IN_SIZE)
    # In units of half the picture: 1e-3 of a pixel, as paths are read between points.
    torch.testing.assert_close(rolling, plain, atol=1e-3 / 30, rtol=0)
    light = torch.rand(2, 3, *IN_SIZE, generator=seeded())
    exposed = [expose(light, m, 8, 10) for m in (moving, RollingMotion(moving, torch.zeros(2)))]
    torch.testing.assert_close(exposed[1], exposed[0], atol=1e-3, rtol=0)


def test_rows_are_exposed_one_after_the_other_within_the_path():
    middles = row_middles(torch.tensor([0.0, 1.0, 3.0]), 5)
    assert middles[0].tolist() == [0.5] * 5
    assert middles[1].tolist() == pytest.approx([0.25, 0.375, 0.5, 0.625, 0.75])
    for readout, rows in zip((0.0, 1.0, 3.0), middles, strict=True):
        half = 0.5 / (1 + readout)
        assert rows[0].item() - half == pytest.approx(0, abs=1e-6)
        assert rows[-1].item() + half == pytest.approx(1)
        assert (rows[-1] - rows[0]).item() == pytest.approx(readout * 2 * half)  # in exposures


def test_at_the_middle_of_its_exposure_every_row_is_in_its_place():
    """So the sharp picture lies over the blurry one."""
    rolling = RollingMotion(shaken(3, 9.0), torch.tensor([0.5, 1.0, 2.0]))
    grid = rolling.sampling_grid(torch.tensor([0.5]), OUT_SIZE, IN_SIZE)[:, 0]
    x = (torch.arange(OUT_SIZE[1]) - (OUT_SIZE[1] - 1) / 2) * 2 / (IN_SIZE[1] - 1)
    y = (torch.arange(OUT_SIZE[0]) - (OUT_SIZE[0] - 1) / 2) * 2 / (IN_SIZE[0] - 1)
    torch.testing.assert_close(grid[..., 0], x.expand(3, *OUT_SIZE), atol=1e-6, rtol=0)
    torch.testing.assert_close(grid[..., 1], y[:, None].expand(3, *OUT_SIZE), atol=1e-6, rtol=0)


def test_a_constant_speed_blurs_all_rows_alike_over_the_exposure_alone():
    light = torch.zeros(1, 3, *IN_SIZE)
    light[..., 30] = 1
    rolling = RollingMotion(motion((12.0, 0.0)), torch.tensor([1.0]))
    seen = expose(light, rolling, 48, 10)[0, 0]
    torch.testing.assert_close(seen, seen[:1].expand_as(seen), atol=1e-4, rtol=0)
    # Exposure is half of the path at a readout of one exposure.
    assert int((seen[0] > 0.5 * seen.max()).sum()) == pytest.approx(6, abs=1)


def test_a_changing_speed_blurs_rows_differently():
    """Speed 24 cos(pi t), so the path turns round half-way: rows there move least."""
    waves = torch.zeros(1, 2, TERMS)
    waves[0, 0, 0] = 24
    moving = replace(motion((0.0, 0.0)), shift_px=Paths(torch.zeros(1, 2), waves))
    grid = RollingMotion(moving, torch.tensor([3.0])).sampling_grid(torch.tensor([0.0, 1.0]), OUT_SIZE, IN_SIZE)
    moved = (grid[0, 1, :, 0, 0] - grid[0, 0, :, 0, 0]) * (IN_SIZE[1] - 1) / 2
    middle = row_middles(torch.tensor([3.0]), OUT_SIZE[0])[0]
    # The picture is read where it came from, against the motion.
    expected = -24 / math.pi * ((math.pi * (middle + 0.125)).sin() - (math.pi * (middle - 0.125)).sin())
    torch.testing.assert_close(moved, expected, atol=0.01, rtol=0)
    assert moved[0] < -5 < 5 < moved[-1]


def test_no_row_gets_further_than_the_margin_allows():
    moving, limit = shaken(400, 20.0, 12.5), 12.5
    readout = between((0.1, 1.5), 400, seeded(2))

    def farthest(motion: Motion) -> torch.Tensor:
        times = torch.linspace(0, 1, 129)
        points = motion.shift_px.at(times)
        found = torch.zeros(400)
        for row in row_middles(readout, 9).T:
            inside = (times - row[:, None]).abs() <= 0.5 / (1 + readout[:, None])
            at = torch.stack([motion.shift_px[i : i + 1].at(row[i : i + 1])[0, 0] for i in range(400)])
            found = torch.maximum(found, ((points - at[:, None]).norm(dim=2) * inside).amax(dim=1))
        return found

    assert farthest(moving).max() > limit + 0.5
    held = within_reach(moving, readout, limit)
    assert farthest(held).max() < limit + 0.2
    assert reach(held.shift_px.points()).max() <= limit + 1e-4
    # Most need no change, and without a shutter none does.
    assert (held.shift_px.drift == moving.shift_px.drift).all(dim=1).float().mean() > 0.8
    assert torch.equal(within_reach(moving, torch.zeros(400), limit).shift_px.waves, moving.shift_px.waves)


def test_no_border_shows_behind_a_shutter():
    config = replace(SMALL, still_share=0, noise_free_share=1, jpeg_share=0, highlight_share=0, linear_share=0)
    config = replace(config, extent_median_px=100.0, shutter_share=1, shutter_readout=(0.1, 0.5), parallax_share=0.5)
    pictures = torch.zeros_like(photo(config, 100, 16))
    pictures[..., 0] = pictures[..., -1] = pictures[..., 0, :] = pictures[..., -1, :] = 1
    assert BlurSynthesiser(config)(pictures, seeded())[0].max() == 0


# Night


def test_a_light_has_its_area_brightness_and_colour():
    light = random_lights(torch.tensor([0, 1]), (400, 400), (20.0, 20.0), (5.0, 5.0), seeded(0))
    assert light.shape == (2, 3, 400, 400)
    assert light[0].max() == 0
    red, green, blue = light[1].sum(dim=(1, 2)).tolist()
    assert light[1].amax() == pytest.approx(20, rel=0.16)
    area = (light[1].sum(dim=0) / light[1].sum(dim=0).max()).sum().item()
    assert area == pytest.approx(math.pi * 25, rel=0.05)
    # Between a sodium lamp and a white LED.
    assert 0.55 - 1e-3 <= green / red <= 0.95 / 0.85 + 1e-3
    assert 0.2 - 1e-3 <= blue / red <= 1 / 0.85 + 1e-3


def test_a_light_leaves_a_streak_as_bright_as_its_time_allows():
    """Over L px its light is 1 / L in each column."""
    light = random_lights(torch.tensor([1]), (80, 80), (30.0, 30.0), (2.0, 2.0), seeded(5))
    peak = light.sum(dim=1)[0]
    y, x = divmod(int(peak.argmax()), 80)
    light = light.roll((40 - y, 40 - x), dims=(2, 3))
    still, moved = light[..., 20:60, 20:60], expose(light, motion((16.0, 0.0)), 64, 20)
    torch.testing.assert_close(moved.sum(dim=(2, 3)), still.sum(dim=(2, 3)), rtol=0.02, atol=0)
    column = moved[..., 20].sum(dim=2)  # across the streak
    torch.testing.assert_close(column, still.sum(dim=(2, 3)) / 16, rtol=0.03, atol=0)
    # It was 30 times white, so it is still clipped over its length.
    assert moved[0].amax() > 1


def test_night_darkens_and_clips_the_lights_in_both_pictures():
    config = replace(STILL, night_share=1, night_exposure=(0.1, 0.1), night_lights=(3, 3), srgb_share=0)
    pictures = photo(config, 4, 64)
    blurry, sharp = BlurSynthesiser(config)(pictures, seeded())
    dark = 0.1 ** (1 / 2.2) * inner(pictures, config)
    same = (sharp - dark).abs().amax(dim=1) < 1e-4
    assert 0.8 < same.float().mean() < 1
    assert (sharp >= dark - 1e-4).all()
    assert sharp.max() == 1
    torch.testing.assert_close(blurry, sharp, atol=0.5 / 255 + 1e-6, rtol=0)


# Focus and camera software


@pytest.mark.parametrize("radius_px", [1.0, 2.0, 3.3])
def test_discs_are_uniform_and_as_large_as_they_say(radius_px):
    kernels = disc_kernels(torch.tensor([radius_px, 3.3]))
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2))
    torch.testing.assert_close(kernels, kernels.flip(1, 2).transpose(1, 2))
    kernel = kernels[0]
    assert 1 / kernel.max().item() == pytest.approx(math.pi * radius_px**2, rel=0.3)
    at = torch.arange(len(kernel)) - len(kernel) // 2
    # The mean square distance in a disc is r^2 / 2, and that in a pixel, 1 / 6, comes to it.
    spread = (kernel * (at[:, None].square() + at.square())).sum().item()
    assert spread == pytest.approx(radius_px**2 / 2 + 1 / 6, abs=0.15)


def test_a_disc_within_a_pixel_is_that_pixel():
    assert disc_kernels(torch.tensor([0.5])).flatten().tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_each_picture_has_its_own_kernel():
    images = torch.rand(2, 3, 20, 24, generator=seeded())
    kernels = gaussian_kernels(torch.tensor([0.8, 2.0]))
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2))
    found = filtered(images, kernels)
    half = kernels.shape[-1] // 2
    for i in range(2):
        padded = F.pad(images[i : i + 1], (half,) * 4, mode="replicate").transpose(0, 1)
        torch.testing.assert_close(found[i], F.conv2d(padded, kernels[i][None, None])[:, 0], atol=1e-6, rtol=1e-5)
    # Ratio of neighbours in a Gaussian of deviation 2: exp(-1 / 8).
    line = kernels[1][half]
    assert (line[half + 1] / line[half]).item() == pytest.approx(math.exp(-1 / 8))


def test_defocus_blurs_light_and_leaves_the_sharp_picture():
    config = replace(STILL, defocus_share=1, defocus_radius_px=(2.0, 2.0), srgb_share=0)
    pictures = photo(config)
    blurry, sharp = BlurSynthesiser(config)(pictures, seeded())
    assert torch.equal(sharp, inner(pictures, config))
    expected = defocused(sharp.pow(2.2), torch.full((3,), 2.0)).clamp(0, 1).pow(1 / 2.2)
    torch.testing.assert_close(blurry, expected, atol=0.51 / 255, rtol=0)


def test_sharpening_by_hand():
    step = torch.full((1, 3, 16, 32), 0.3)
    step[..., 16:] = 0.6
    sharp = sharpened(step, torch.tensor([0.5]), torch.tensor([1.0]))
    torch.testing.assert_close(sharp[..., :10], step[..., :10], atol=1e-5, rtol=0)
    # Beside the edge the Gaussian's mean is off by its tail's share of the step.
    weights = torch.exp(-0.5 * torch.arange(-3, 4.0).square())
    tail = (weights[4:].sum() / weights.sum()).item()
    assert sharp[0, 0, 8, 15].item() == pytest.approx(0.3 - 0.5 * 0.3 * tail, abs=1e-5)
    assert sharp[0, 0, 8, 16].item() == pytest.approx(0.6 + 0.5 * 0.3 * tail, abs=1e-5)
    assert torch.equal(sharpened(step, torch.tensor([0.0]), torch.tensor([1.0])), step)
    assert sharpened(step * 1.6, torch.tensor([5.0]), torch.tensor([1.0])).max() == 1


def test_sharpening_leaves_the_sharp_picture():
    config = replace(STILL, sharpen_share=1, sharpen_amount=(0.8, 0.8), sharpen_radius_px=(1.0, 1.0))
    pictures = photo(config)
    blurry, sharp = BlurSynthesiser(config)(pictures, seeded())
    assert torch.equal(sharp, inner(pictures, config))
    expected = sharpened(sharp, torch.full((3,), 0.8), torch.full((3,), 1.0))
    torch.testing.assert_close(blurry, expected, atol=0.51 / 255, rtol=0)


def test_enlarging_keeps_size_and_middle():
    across = torch.linspace(0.2, 0.8, 64).expand(1, 3, 48, 64)
    assert torch.equal(enlarged(across, 1.0), across)
    larger = enlarged(across, 2.0)
    assert larger.shape == across.shape
    # A slope becomes half as steep about the same middle.
    slope = (larger[0, 0, 24, 40] - larger[0, 0, 24, 24]).item() / 16
    assert slope == pytest.approx(0.6 / 63 / 2, rel=0.01)
    assert larger[0, 0, 24, 31:33].mean().item() == pytest.approx(0.5, abs=1e-4)


def test_enlarged_pairs_stay_aligned():
    config = replace(STILL, enlarge_share=1, enlarge_factor=(1.2, 1.5))
    pictures = photo(config)
    blurry, sharp = BlurSynthesiser(config)(pictures, seeded())
    torch.testing.assert_close(blurry, sharp, atol=0.51 / 255, rtol=0)
    assert (sharp != inner(pictures, config)).flatten(1).any(dim=1).all()
