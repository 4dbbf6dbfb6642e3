"""The search for memorised crops, against planted copies, honest models and brute force."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from torch.nn.functional import avg_pool2d
from typer.testing import CliRunner

from resharp.analysis.memorisation import Distances, closest, draw_crops, judge, measure, write_closest
from resharp.analysis.patch_search import (
    Grid,
    Match,
    cut_patch,
    describe,
    luma,
    nearest_patches,
    turned,
    turned_back,
)
from resharp.cli.analyze_memorisation import memorisation
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, DataError
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model
from tiny import TINY, awake

CPU = torch.device("cpu")
GRID = Grid(64, 8)


def picture(seed: int, height: int = 200, width: int = 232) -> torch.Tensor:
    """(1, 3, H, W): random shapes of all sizes, as photos have them."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, height, width)
    for octave in range(6):
        small = torch.randn(1, 3, max(2, height >> octave), max(2, width >> octave), generator=generator)
        image += 2**octave * torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    image = (image - image.mean()) / (4 * image.std()) + 0.5
    return (image.clamp(0, 1) * 255).round() / 255


def save(image: torch.Tensor, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(path)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    for i in range(6):
        save(picture(100 + i), folder / f"{i}.png")
    return sorted(folder.iterdir())


class PicturePair:
    def __init__(self, seed: int) -> None:
        self.name = f"pair-{seed}"
        self.seed = seed

    def load(self):
        sharp = picture(self.seed)
        return avg_pool2d(sharp, (1, 15), stride=1, padding=(0, 7), count_include_pad=False), sharp


PAIRS = [PicturePair(seed) for seed in range(5)]


def noisy(image: torch.Tensor, deviation: float = 0.01) -> torch.Tensor:
    return (image + deviation * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def test_turns_have_inverses_and_are_eight():
    square = torch.arange(48.0).view(3, 4, 4)
    different = {turned(square, turn).numpy().tobytes() for turn in range(8)}
    assert len(different) == 8
    for turn in range(8):
        assert torch.equal(turned_back(turned(square, turn), turn), square)


def test_descriptors_know_neither_brightness_nor_contrast():
    crop = picture(1)[..., :64, :64]
    first, second = describe(crop, GRID), describe(0.3 + 0.5 * crop, GRID)
    assert torch.allclose(first, second, atol=1e-5)
    assert first.norm() == pytest.approx(1, abs=1e-5)
    plain = torch.full((1, 3, 64, 64), 0.5)
    assert describe(noisy(plain, 0.003), GRID).norm() < 0.1


def test_the_grid_search_is_exact(tmp_path):
    """Cells and stride of one pixel leave nothing to a finer search: brute force gives the same."""
    grid, photos = Grid(16, 1), [tmp_path / f"{i}.png" for i in range(2)]
    for i, path in enumerate(photos):
        save(picture(i, 50 + i, 61), path)
    crops = torch.cat([picture(seed)[..., 20:36, 30:46] for seed in (5, 6, 7)])
    found = nearest_patches(crops, photos, grid, CPU)
    for crop, match in zip(crops, found, strict=True):
        least = np.inf
        for path in photos:
            image = luma(torch.from_numpy(np.array(Image.open(path)) / 255.0).permute(2, 0, 1)[None])
            patches = image[0, 0].unfold(0, 16, 1).unfold(1, 16, 1).reshape(-1, 256).double()
            patches = patches - patches.mean(dim=1, keepdim=True)
            patches = patches / patches.norm(dim=1, keepdim=True).clamp(min=0.32)
            for turn in range(8):
                query = describe(turned(crop, turn)[None], grid).double()
                least = min(least, float((patches - query).norm(dim=1).min()))
        assert match.distance == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("turn", [0, 1, 3, 6])
def test_a_copy_off_the_grid_is_found_where_it_was_taken(training, turn):
    image = torch.from_numpy(np.array(Image.open(training[4])) / np.float32(255)).permute(2, 0, 1)
    crop = turned_back(image[:, 37:101, 83:147], turn)
    (match,) = nearest_patches(crop[None], training, GRID, CPU)
    assert (match.photo, match.top, match.left, match.turn) == (4, 37, 83, turn)
    assert match.distance < 0.01
    assert torch.equal(cut_patch(training, match, GRID), crop)


def test_small_photos_are_skipped_unless_there_is_no_other(training, tmp_path):
    save(picture(3, 63, 200), tmp_path / "small.png")
    small = tmp_path / "small.png"
    crop = picture(1)[..., :64, :64]
    alone = nearest_patches(crop, training[:1], GRID, CPU)[0]
    assert nearest_patches(crop, [small, training[0]], GRID, CPU)[0] == alone._replace(photo=1)
    with pytest.raises(DataError, match="none is 64 px"):
        nearest_patches(crop, [small], GRID, CPU)


def test_crops_are_the_same_for_one_seed_and_do_not_overlap():
    first, again, other = (draw_crops(lambda y: y, PAIRS, 12, 64, seed) for seed in (0, 0, 1))
    assert torch.equal(first.sharp, again.sharp)
    assert not torch.equal(first.sharp, other.sharp)
    assert len(first.names) == 12
    assert len(torch.unique(first.sharp.flatten(1), dim=0)) == 12
    assert torch.equal(first.restored, first.blurry)
    assert {*first.names} == {pair.name for pair in PAIRS}


def test_plain_pictures_give_no_crops():
    class Plain:
        name = "plain"

        def load(self):
            return (torch.full((1, 3, 130, 130), 0.5),) * 2

    with pytest.raises(DataError, match="not plain"):
        draw_crops(lambda y: y, [Plain()], 3, 64, 0)


HONEST = {
    "exact": lambda blurry, sharp: sharp,
    "noisy": lambda blurry, sharp: noisy(sharp, 0.05),
    "half way": lambda blurry, sharp: (blurry + sharp) / 2,
    "nothing": lambda blurry, sharp: blurry,
    "smooth": lambda blurry, sharp: avg_pool2d(sharp, 21, stride=1, padding=10, count_include_pad=False),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_models_are_not_accused(training, name):
    sharp_of = {pair.load()[0].numpy().tobytes(): pair.load()[1] for pair in PAIRS}
    crops = draw_crops(lambda y: HONEST[name](y, sharp_of[y.numpy().tobytes()]), PAIRS, 20, 64, 0)
    finding = judge(measure(crops, training, GRID, CPU))
    assert (finding.verdict, finding.copies, finding.seen, finding.crops) == ("not found", (), 0, 20)


@pytest.mark.parametrize("how_many", [1, 20])
def test_a_memoriser_is_found(training, tmp_path, how_many):
    """Some crops are a training crop, off the grid, mirrored, with noise and another brightness."""
    crops = draw_crops(lambda y: noisy(y, 0.02), PAIRS, 20, 64, 0)
    image = torch.from_numpy(np.array(Image.open(training[2])) / np.float32(255)).permute(2, 0, 1)
    for i in range(how_many):
        copied = turned(image[:, 13 + i : 77 + i, 21 + 3 * i : 85 + 3 * i], i % 8)
        crops.restored[i] = noisy(0.1 + 0.8 * copied)
    distances = measure(crops, training, GRID, CPU)
    finding = judge(distances)
    assert finding.verdict == "found"
    assert finding.copies == tuple(range(how_many))
    assert {distances.matches[i].photo for i in range(how_many)} == {2}
    write_closest(tmp_path / "sheet.png", crops, distances, training, GRID, rows=5)
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (16 + 5 * 64, 4 * 64, 3)
    worst = closest(distances, 1)[0]
    assert worst < how_many
    restored, match = sheet[16:80, :64].astype(float), sheet[16:80, 64:128].astype(float)
    assert np.corrcoef(restored.ravel(), match.ravel())[0, 1] > 0.97


def distances_of(restored, sharp, blurry, error) -> Distances:
    arrays = (np.array(each, dtype=float) for each in (restored, sharp, blurry, error))
    return Distances(*arrays, tuple(Match(0.0, 0, 0, 0, 0) for _ in restored))


def test_the_rule():
    honest = [[0.6] * 12, [0.7] * 12, [0.5] * 12, [0.3] * 12]
    assert judge(distances_of(*honest)).verdict == "not found"

    def changed(count, *values):
        return distances_of(*([v] * count + each[count:] for v, each in zip(values, honest, strict=True)))

    assert judge(changed(1, 0.05, 0.7, 0.5, 0.6)).verdict == "found"  # verbatim
    assert judge(changed(1, 0.2, 0.7, 0.5, 0.6)).verdict == "suspected"
    four, five = judge(changed(4, 0.2, 0.7, 0.5, 0.6)), judge(changed(5, 0.2, 0.7, 0.5, 0.6))
    assert (four.verdict, four.p_value) == ("suspected", 1 / 16)
    assert (five.verdict, five.p_value, five.copies) == ("found", 1 / 32, (0, 1, 2, 3, 4))
    assert judge(changed(5, 0.2, 0.7, 0.3, 0.6)).verdict == "not found"  # as near as the blurry one
    assert judge(changed(5, 0.2, 0.7, 0.5, 0.3)).verdict == "not found"  # nearer to its truth
    mirrored = judge(changed(5, 0.7, 0.2, 0.5, 0.6))
    assert (mirrored.verdict, mirrored.mirrored, mirrored.p_value) == ("not found", 5, 1)
    seen = judge(changed(3, 0.01, 0.05, 0.5, 0.6))
    assert (seen.verdict, seen.seen, seen.copies) == ("undecided", 3, ())


@pytest.mark.parametrize(("size", "stride"), [(60, 8), (0, 8), (64, 0), (64, 6)])
def test_sizes_that_do_not_divide_are_refused(size, stride):
    with pytest.raises(ConfigError, match="multiples of"):
        Grid(size, stride)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = awake(ICDPM(TINY))
    save_model(folder, network, NoiseSchedule(), Defaults(output="predictor"))
    return folder


app = typer.Typer()
app.command()(memorisation)


@pytest.mark.parametrize("kind", ["--pairs", "--sharp"])
def test_the_command(training, model, tmp_path, kind):
    for pair in PAIRS:
        blurry, sharp = pair.load()
        if kind == "--pairs":
            save(blurry, tmp_path / "test" / "blurry" / f"{pair.name}.png")
        save(sharp, tmp_path / "test" / ("sharp" if kind == "--pairs" else "") / f"{pair.name}.png")
    words = [str(model), "--training", str(training[0].parent), kind, str(tmp_path / "test"), "--crops", "10"]
    words += ["--out", str(tmp_path / "out"), "--device", "cpu", "--json"]
    ran = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ran.exit_code == 0
    report = json.loads((tmp_path / "out" / "memorisation.json").read_text())
    assert json.loads(ran.stdout[: ran.stdout.rindex("}") + 1][ran.stdout.index("{") :]) == report
    assert report["finding"]["verdict"] == "not found"
    assert report["finding"]["crops"] == 10
    assert report["settings"]["output"] == "predictor"
    ratio = report["distances"]["ratio of the first two"]
    assert ratio["minimum"] <= ratio["percent_1"] <= ratio["median"]
    assert report["closest"][0]["distances"]["ratio of the first two"] == pytest.approx(ratio["minimum"], abs=1e-4)
    assert Image.open(tmp_path / "out" / "memorisation.png").size[0] == 256


def test_the_command_accuses_a_memoriser(training, model, tmp_path, monkeypatch):
    """A model that answers every photo with a training photo."""
    from resharp.pipeline import DeblurPipeline, Restored

    known = torch.from_numpy(np.array(Image.open(training[1])) / np.float32(255)).permute(2, 0, 1)[None]

    def restore(self, blurry, *, seed=0, **asked):
        return Restored(known[..., : blurry.shape[-2], : blurry.shape[-1]], None, "predictor", self.choose(**asked))

    monkeypatch.setattr(DeblurPipeline, "restore", restore)
    for pair in PAIRS:
        blurry, sharp = pair.load()
        save(blurry, tmp_path / f"{pair.name}_blur.png")
        save(sharp, tmp_path / f"{pair.name}_sharp.png")
    words = [str(model), "--training", str(training[0].parent), "--pairs", str(tmp_path), "--crops", "12"]
    words += ["--out", str(tmp_path / "out"), "--device", "cpu"]
    ran = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ran.exit_code == 0
    assert "memorisation: found; 12 copies and 0 mirrored ones in 12 crops" in ran.stdout


def test_the_command_refuses_what_says_nothing(training, model, tmp_path):
    base = [str(model), "--training", str(training[0].parent), "--out", str(tmp_path / "out"), "--device", "cpu"]
    gone = [*base[:2], str(tmp_path / "gone"), *base[3:], "--sharp", str(tmp_path / "none")]
    with pytest.raises(ConfigError, match="either --pairs or --sharp"):
        CliRunner().invoke(app, base, catch_exceptions=False)
    with pytest.raises(DataError, match="no such folder"):
        CliRunner().invoke(app, gone, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
