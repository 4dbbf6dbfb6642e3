"""The blur gap: kernels, noise and distances against closed forms, and the command on small folders."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from resharp.analysis.blur_gap import QUANTILES, UNITS, Measured, Row, compare, scaled_distance, tiles_of, wasserstein
from resharp.analysis.blur_gap_table import BLUR_ROWS, blur_distance, gap_rows, gap_table
from resharp.analysis.blur_tiles import synthetic_tiles
from resharp.analysis.kernel_estimates import (
    cleaned,
    clear_kernels,
    estimate_kernels,
    kernel_shapes,
    textured,
    unexplained,
)
from resharp.analysis.tile_statistics import (
    band_power,
    blockiness,
    conserving_power,
    flat_noise,
    psnr,
    share_dark,
    share_white,
)
from resharp.cli.main import run
from resharp.data.blur_config import EXTRA_SHARES, BlurConfig
from resharp.data.synthetic import BlurSynthesiser
from resharp.evaluate.kernels import disk_kernel, line_kernel

SMALL_BLUR = BlurConfig(extent_median_px=4.0, extent_max_px=8.0, turn_max_px=1.0)


def shapes(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Pictures (N, 3, side, side) of discs and bars with edges in all directions."""
    generator = torch.Generator().manual_seed(seed)
    down, across = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pictures = torch.full((count, 3, side, side), 0.4)
    for picture in pictures:
        for _ in range(side * side // 150):
            x, y, size, *colour = torch.rand(6, generator=generator).tolist()
            inside = torch.hypot(down - y * side, across - x * side) < 2 + 6 * size
            picture[:, inside] = 0.15 + 0.6 * torch.tensor(colour)[:, None]
    return pictures


def blurred(sharp: torch.Tensor, kernel: torch.Tensor, power: float = 2.2) -> torch.Tensor:
    """Convolved in linear light; borders are repeated."""
    half = kernel.shape[-1] // 2
    light = F.pad(sharp.pow(power), (half,) * 4, mode="replicate").flatten(0, 1)[:, None]
    return F.conv2d(light, kernel.flip(-1, -2)[None, None]).view(sharp.shape).clamp(0, 1).pow(1 / power)


def as_tensor(kernel: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(kernel).float()


def middle(pictures: torch.Tensor, side: int = 128) -> torch.Tensor:
    start = (pictures.shape[-1] - side) // 2
    return pictures[..., start : start + side, start : start + side]


# Kernels

PICTURES = shapes(3, 192)


@pytest.mark.parametrize("angle", [0.0, 0.9])
@pytest.mark.parametrize("length_px", [6, 12, 24])
def test_lines_are_recovered(length_px, angle):
    blurry = middle(blurred(PICTURES, as_tensor(line_kernel(length_px, angle))))
    estimated = estimate_kernels(blurry, middle(PICTURES))
    assert clear_kernels(estimated).all()
    kernels = cleaned(estimated)
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(3))
    found = kernel_shapes(kernels)
    torch.testing.assert_close(found.major_px, torch.full((3,), float(length_px)), atol=1.5, rtol=0.1)
    assert found.minor_px.max() < 4
    assert found.offset_px.max() < 0.5
    assert unexplained(blurry, middle(PICTURES), kernels).max() < 0.35


def test_a_disc_is_as_wide_as_long():
    """A disc's deviation along any axis is half its radius."""
    blurry = middle(blurred(PICTURES, as_tensor(disk_kernel(5.0))))
    found = kernel_shapes(cleaned(estimate_kernels(blurry, middle(PICTURES))))
    torch.testing.assert_close(found.major_px, torch.full((3,), math.sqrt(12) * 2.5), atol=1.5, rtol=0)
    assert found.straightness.max() < 0.2


def test_a_shift_is_an_offset():
    moved = PICTURES.roll((4, -3), dims=(2, 3))
    found = kernel_shapes(cleaned(estimate_kernels(middle(moved), middle(PICTURES))))
    torch.testing.assert_close(found.offset_px, torch.full((3,), 5.0), atol=0.3, rtol=0)
    assert found.major_px.max() < 2.5


def test_the_same_picture_has_a_kernel_of_one_pixel():
    found = kernel_shapes(cleaned(estimate_kernels(middle(PICTURES), middle(PICTURES))))
    torch.testing.assert_close(found.major_px, torch.ones(3), atol=0.05, rtol=0)
    assert found.offset_px.max() < 0.01


@pytest.mark.parametrize("length_px", [3, 9])
def test_shape_of_a_row_of_pixels(length_px):
    """The variance of n pixels in a row, their own width included, is n^2 / 12."""
    kernel = torch.zeros(1, 15, 15)
    start = 7 - length_px // 2
    kernel[0, 7, start : start + length_px] = 1 / length_px
    found = kernel_shapes(kernel)
    assert found.major_px.item() == pytest.approx(length_px, rel=1e-5)
    assert found.minor_px.item() == pytest.approx(1, rel=1e-5)
    assert found.straightness.item() == pytest.approx(1 - 1 / length_px, rel=1e-5)


def test_unrelated_pictures_have_no_clear_kernel():
    assert not clear_kernels(estimate_kernels(middle(PICTURES), middle(shapes(3, 192, seed=9)))).any()


def test_two_motions_leave_more_unexplained_than_one():
    one, other = (blurred(PICTURES, as_tensor(line_kernel(16, angle))) for angle in (0.0, math.pi / 2))
    both = one.clone()
    both[..., 96:] = other[..., 96:]
    sharp = middle(PICTURES)
    left = [unexplained(b, sharp, cleaned(estimate_kernels(b, sharp))) for b in (middle(one), middle(both))]
    assert (left[1] > left[0] + 0.1).all()


def test_flat_and_striped_tiles_tell_no_kernel():
    striped = torch.zeros(1, 3, 64, 64)
    striped[..., ::8] = striped[..., 1::8] = striped[..., 2::8] = striped[..., 3::8] = 1
    tiles = torch.cat((torch.full((1, 3, 64, 64), 0.5), striped, middle(PICTURES, 64)[:1]))
    assert textured(tiles).tolist() == [False, False, True]


# Other statistics


@pytest.mark.parametrize("sigma", [0.005, 0.02])
def test_noise_is_measured_on_slopes_too(sigma):
    """Of independent colours the luma has sqrt(.299^2 + .587^2 + .114^2) of the deviation."""
    slope = torch.linspace(0.3, 0.7, 128).expand(4, 3, 128, 128)
    noise = sigma * torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = sigma * math.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    assert flat_noise(slope + noise, slope + noise).mean().item() == pytest.approx(expected, rel=0.06)
    assert flat_noise(slope, slope).max() < 1e-6


def test_a_wave_is_in_its_own_band():
    across = torch.arange(128) / 128
    for number, cycles in enumerate((3, 6, 12, 24, 48)):  # of 128 px: 1/64 to 1/2 cycles per pixel
        wave = 0.5 + 0.2 * torch.sin(2 * math.pi * cycles * across).expand(1, 3, 128, 128)
        power = band_power(wave)[0]
        assert power.argmax() == number
        # Hann's window spreads a wave over three frequencies, and three cycles have one of them in the next band.
        assert power[number].item() == pytest.approx(0.2**2 / 2 * (5 / 6 if cycles == 3 else 1), rel=0.02)


def test_jpeg_blocks_are_noticed():
    generator = torch.Generator().manual_seed(0)
    cells = torch.rand(2, 3, 16, 16, generator=generator)
    texture = torch.rand(2, 3, 128, 128, generator=generator)
    smooth = F.avg_pool2d(texture, 3, stride=1, padding=1)
    grid = 0.05 * F.interpolate(cells, scale_factor=8)
    assert blockiness(smooth).abs().max() < 0.2
    assert blockiness(smooth * 0.1 + grid).min() > 1
    # Off JPEG's grid, steps are no blocks.
    assert blockiness((smooth * 0.1 + grid).roll((3, 3), dims=(2, 3))).max() < 0.3


def test_light_and_psnr():
    tiles = torch.full((1, 3, 8, 8), 0.5)
    tiles[0, 1, 0, :4] = 1
    tiles[..., 7, :] = 0
    assert share_white(tiles).item() == 4 / 64
    assert share_dark(tiles).item() == 8 / 64
    assert psnr(tiles, tiles).item() == 60
    assert psnr(tiles + 0.1, tiles).item() == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize("power", [1.0, 2.2])
def test_the_conserved_power_is_that_of_the_averaging(power):
    pictures = shapes(4, 96)
    # On a torus nothing moves in or out.
    light = pictures.pow(power)
    blurry = (sum(light.roll(i, dims=3) for i in range(9)) / 9).pow(1 / power)
    assert conserving_power(blurry, pictures) == pytest.approx(power, abs=0.06)
    assert conserving_power(pictures, pictures) is None


# Distances


def test_wasserstein_by_hand():
    assert wasserstein([0, 1, 3], [5, 6, 8]) == pytest.approx(5)
    assert wasserstein([0], [0, 1]) == pytest.approx(0.5)
    assert wasserstein([0, 0, 1], [1, 1, 0]) == pytest.approx(1 / 3)
    assert wasserstein([2, 1], [1, 2]) == 0


def test_wasserstein_of_equal_numbers_is_the_mean_difference_of_the_sorted():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.exponential(size=50)
    assert wasserstein(a, b) == pytest.approx(np.abs(np.sort(a) - np.sort(b)).mean())
    # Each value three times is the same distribution.
    assert wasserstein(np.repeat(a, 3), b) == pytest.approx(wasserstein(a, b))


def test_distances_are_in_units_of_the_real_quartiles():
    real = list(range(101))
    assert scaled_distance(real, [v + 25 for v in real], 1.0) == pytest.approx(0.5)
    assert scaled_distance([3.0] * 5, [4.0] * 5, 0.25) == pytest.approx(4)


def measured(*groups: tuple[torch.Tensor, torch.Tensor]) -> Measured:
    found = Measured()
    for blurry, sharp in groups:
        found.add(blurry, sharp)
    return found


def test_equal_pairs_have_no_distance_and_other_blur_has_one():
    sharp = middle(PICTURES)
    short, long = (middle(blurred(PICTURES, as_tensor(line_kernel(length, 0.3)))) for length in (5, 20))
    once, twice = measured((short, sharp)), measured((short, sharp), (short, sharp))
    assert (once.tiles, once.kernels, twice.tiles) == (3, 3, 6)
    rows = {row.name: row for row in compare(once, twice)}
    assert list(rows) == list(UNITS)
    assert all(row.distance == pytest.approx(0, abs=1e-6) for row in rows.values() if row.distance is not None)
    assert blur_distance(list(rows.values())) == pytest.approx(0, abs=1e-6)
    apart = {row.name: row.distance for row in compare(once, measured((long, sharp)))}
    assert apart["major_px"] > 5
    assert apart["sharp_db 1/8-1/4"] == 0
    assert blur_distance(compare(once, measured((long, sharp)))) > 1


def test_what_could_not_be_measured_has_no_distance():
    flat = torch.full((2, 3, 64, 64), 0.5)
    rows = compare(measured((flat, flat)), measured((flat, flat)))
    assert {row.name for row in rows if row.distance is None} >= {"major_px", "ratio_db 1/8-1/4", "conserving power"}
    assert blur_distance(rows) is None
    assert "| major_px | - | - | - |" in gap_table(rows).splitlines()


def test_the_table_and_the_values_say_the_same():
    row = Row("major_px", (1.0, 2.0, 3.0, 4.0, 5.0), (2.0, 3.0, 4.0, 5.0, 6.04), 0.5)
    assert gap_table([row]).splitlines()[-1] == (
        "| major_px | 1.0 / 2.0 / 3.0 / 4.0 / 5.0 | 2.0 / 3.0 / 4.0 / 5.0 / 6.0 | 0.50 |"
    )
    (plain,) = gap_rows([row])
    assert plain["real"] == {"5": 1.0, "25": 2.0, "50": 3.0, "75": 4.0, "95": 5.0}
    assert (plain["unit"], plain["distance"], len(QUANTILES)) == ("px", 0.5, 5)
    assert set(BLUR_ROWS) <= set(UNITS)


# Tiles


def test_tiles_are_a_grid_from_the_corner():
    photo = torch.rand(1, 3, 70, 100)
    blurry, sharp = tiles_of(photo * 0.5, photo, 32)
    assert sharp.shape == (6, 3, 32, 32)
    assert torch.equal(sharp[4], photo[0, :, 32:64, 32:64])
    assert torch.equal(blurry, sharp * 0.5)
    assert tiles_of(photo, photo, 72)[0].shape == (0, 3, 72, 72)


def test_synthetic_tiles_lie_on_the_grid_of_the_photo():
    """Each pixel of the photo names its place on the grid of 8 px."""
    side = 96 + 2 * BlurSynthesiser(SMALL_BLUR).margin_px
    place = torch.arange(side) % 8
    photo = (place[:, None] * 8 + place).expand(1, 3, side, side) / 64
    still = BlurConfig(
        **{"still_share": 1, "noise_free_share": 1, "jpeg_share": 0, "highlight_share": 0},
        **{"extent_max_px": 8.0, "turn_max_px": 1.0},
        **dict.fromkeys(EXTRA_SHARES, 0.0),
    )
    told = []
    groups = list(synthetic_tiles([("a", lambda: photo)], still, 32, 0, lambda *words: told.append(words)))
    ((_, sharp),) = groups
    assert len(sharp) == (side // 32) ** 2
    assert torch.equal(sharp, photo[..., :32, :32].expand_as(sharp))
    assert told == [("synthetic", 1, 1, "a")]


def test_synthetic_tiles_follow_from_the_seed_and_not_from_what_comes_later():
    photos = [(str(seed), lambda seed=seed: shapes(1, 80, seed)) for seed in range(2)]

    def made(photos, seed):
        return list(synthetic_tiles(photos, SMALL_BLUR, 32, seed, lambda *words: None))

    all_of_them, first, other = made(photos, 3), made(photos[:1], 3), made(photos[:1], 4)
    assert torch.equal(all_of_them[0][0], first[0][0])
    assert not torch.equal(first[0][0], other[0][0])
    assert made([("small", lambda: torch.rand(1, 3, 40, 90))], 0) == []


# The command


def save(picture: torch.Tensor, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture.permute(1, 2, 0) * 255).round().byte().numpy()).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pairs of 112 px, blurred along a line of 6 px, and a configuration whose blur fits into them."""
    folder = tmp_path_factory.mktemp("pairs")
    sharp = shapes(3, 112, seed=5)
    for name, a, b in zip("abc", blurred(sharp, as_tensor(line_kernel(6, 0.5))), sharp, strict=True):
        save(a, folder / "pairs" / f"{name}_blur.png")
        save(b, folder / "pairs" / f"{name}_sharp.png")
        save(b, folder / "sharp" / f"{name}.png")
    (folder / "mild.toml").write_text("[blur]\nextent_median_px = 4\nextent_max_px = 8\nturn_max_px = 1\n")
    return folder


def call(capsys, *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["analyze", "blur-gap", *map(str, words)])
    return (code, *capsys.readouterr())


def test_the_command(folder, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    words = ["--pairs", folder / "pairs", "--blur", folder / "mild.toml", "--tile", 64, "--out", out]
    code, printed, _ = call(capsys, *words)
    assert code == 0
    assert printed == (out / "blur_gap.md").read_text()
    assert "3 of 3 real pairs" in printed
    report = json.loads((out / "blur_gap.json").read_text())
    assert [row["name"] for row in report["rows"]] == list(UNITS)
    assert report["real"] == {"pairs": 3, "tiles": 3, "kernels": 3}
    assert report["synthetic"]["tiles"] == 3
    assert report["blur"]["extent_max_px"] == 8
    assert report["rows"][0]["real"]["50"] == pytest.approx(6, abs=1.5)

    code, _, said = call(capsys, *words)
    assert (code, "--overwrite" in said, len(said.splitlines())) == (1, True, 1)
    # The pairs' own sharp photos are the same files, so the same numbers come out, and not with another seed.
    words = [*words[:-2], "--sharp", folder / "sharp", "--json"]
    code, printed, _ = call(capsys, *words)
    assert (code, json.loads(printed)["rows"]) == (0, report["rows"])
    code, printed, _ = call(capsys, *words, "--seed", 1, "--limit", 2)
    assert json.loads(printed)["rows"] != report["rows"]
    assert json.loads(printed)["synthetic"]["photos"] == json.loads(printed)["real"]["pairs"] == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tile", 60], "tile 60: allowed: multiples of 8"),
        (["--tile", 128], "no pair is as large as a tile of 128 px; choose a smaller --tile"),
        (["--tile", 64], "no photo has room for a tile of 64 px and the margins"),
        (["--tile", 64, "--blur", "gone.toml"], "gone.toml: cannot read this configuration"),
        (["--tile", 64, "--blur", "wrong.toml"], "unknown key 'extent'"),
        (["--tile", 64, "--sharp", "gone"], "gone: cannot list this folder"),
        (["--tile", 64, "--sharp", "empty"], "empty: no photos in this folder"),
        (["--pairs", "empty"], "empty: no pairs in this folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(folder, tmp_path, capsys, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.toml").write_text("[blur]\nextent = 3\n")
    (tmp_path / "empty").mkdir()
    code, printed, said = call(capsys, "--pairs", folder / "pairs", "--out", tmp_path / "out", *words)
    assert (code, printed) == (1, "")
    assert line in said.splitlines()[-1]
    assert all(each.startswith(("resharp: ", "real: ", "synthetic: ")) for each in said.splitlines())
    assert not (tmp_path / "out").exists()
