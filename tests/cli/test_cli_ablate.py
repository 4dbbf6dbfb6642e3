"""`resharp ablate`: two tiny variants with two seeds each, from configurations to the table, and what is refused."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.cli.main import run
from resharp.evaluate.tables import read_csv
from resharp.train.config_file import load_config
from resharp.train.data import open_data
from resharp.train.loop import Trainer
from runs import rectangles, save

CONFIG = """
stage = "joint"
steps = 2
batch_size = 1
crop_px = 32
lr = 0.05
lr_warmup_steps = 0
warm_start_steps = 0
ramp_steps = 0
validation_photos = 1
tracker = "none"
[model]
prediction_type = "x0"
patch_size = 2
guidance = {guidance}
denoiser = {{ widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1 }}
predictor = {{ widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1 }}
[blur]
extent_median_px = 3.0
extent_max_px = 4.0
turn_max_px = 1.0
"""
GUIDED, UNGUIDED = "{ features = 4, width = 4, blocks = 1, scales = [1] }", "false"
SETS = ("in-domain", "real", "kodak-motion", "kodak-mixed")


class Place:
    """Configurations, photographs and pairs below one folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "out"
        self.config("unguided", UNGUIDED)
        self.config("guided", GUIDED)
        photos = rectangles(8, 52)
        for i, pixels in enumerate(photos[:4]):
            save(pixels, root / "data" / f"{i}.png")
        for name, pixels in zip("ab", photos[4:6], strict=True):
            save(pixels, root / "sharp" / f"{name}.png")
        for name, pixels in zip("xy", (photos[6], photos[7]), strict=True):
            save(pixels, root / "pairs" / f"{name}_sharp.png")
            smeared = torch.stack([pixels.roll(shift, 2).float() for shift in (-2, -1, 0, 1, 2)]).mean(0)
            save(smeared.byte(), root / "pairs" / f"{name}_blur.png")

    def config(self, name: str, guidance: str = GUIDED, **settings: object) -> Path:
        """Write a configuration with some settings replaced."""
        lines = CONFIG.format(guidance=guidance).splitlines()
        for key, value in settings.items():
            lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
        path = self.root / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines))
        return path

    def words(self, **options: object) -> list[str]:
        """The command's words; an option of None is left out."""
        given = {"data": self.root / "data", "pairs": self.root / "pairs", "sharp": self.root / "sharp"}
        given |= {"out": self.out, "seeds": 2, "sampling_steps": 1, "device": "cpu", **options}
        words = ["ablate", *given.pop("configs", [self.root / "unguided.toml", self.root / "guided.toml"])]
        for key, value in given.items():
            words += [] if value is None else [f"--{key.replace('_', '-')}", value]
        return [str(word) for word in words]

    def mtimes(self) -> dict[str, int]:
        """When each file of the runs was last written."""
        files = [file for file in self.out.rglob("*") if file.is_file() and file.parent != self.out]
        return {str(file.relative_to(self.out)): file.stat().st_mtime_ns for file in files}


def call(words: list[str]) -> tuple[int, str, str]:
    """Call the program; pytest's own capture serves single tests only."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(words)
    return code, out.getvalue(), err.getvalue()


def train_here(place: Place, name: str, seed: int, until: int = 2) -> None:
    """What `resharp train` would do, without the seconds that starting it takes."""
    config = load_config(place.root / f"{name}.toml", seed=seed)
    source, validation = open_data(config, [str(place.root / "data")])
    folder = place.out / name / f"seed-{seed}"
    Trainer(config, source, validation, folder, device=torch.device("cpu"), report=lambda line: None).run(until=until)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """An ablation that was out of time at first and found two runs trained and one interrupted; what was said."""
    place = Place(tmp_path_factory.mktemp("ablation"))
    early = call([*place.words(minutes=1e-9), "--json"])
    train_here(place, "unguided", 0, until=1)
    train_here(place, "guided", 0)
    train_here(place, "unguided", 1)
    later = call(place.words(jobs=2))
    assert later[0] == 0, later[2]
    return place, early, later


def test_out_of_time_nothing_is_lost(done):
    _, (code, out, _), _ = done
    assert code == 0
    content = json.loads(out)
    assert (content["complete"], content["stopped"]) == (False, "time")
    assert content["runs"]["guided, seed 1"] == {"steps_done": 0, "steps": 2}


def test_what_is_not_finished_is_trained(done):
    place, _, (_, _, err) = done
    logs = {f"{log.parent.parent.name} {log.parent.name}": log.read_text() for log in place.out.rglob("train.log")}
    assert set(logs) == {"unguided seed-0", "guided seed-1"}
    assert "resumed at step 1" in logs["unguided seed-0"]
    assert "resumed" not in logs["guided seed-1"]
    assert err.splitlines()[1:3] == [
        "unguided, seed 0: training from step 1, 1 of 2 runs",
        "guided, seed 1: training from step 0, 2 of 2 runs",
    ]
    saved = json.loads((place.out / "guided" / "seed-1" / "config.json").read_text())
    assert (saved["seed"], saved["model"]["guidance"]["width"]) == (1, 4)


def test_the_table_holds_what_was_scored(done):
    place, _, (_, out, err) = done
    assert out.startswith((place.out / "table.md").read_text())
    with open(place.out / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # The input, and two parts of two variants, on each set.
    assert len(rows) == 5 * len(SETS)
    assert [row["part"] for row in rows[:5]] == ["input", "predictor", "predictor", "diffusion", "diffusion"]
    row = next(row for row in rows if row["set"] == "real" and (row["part"], row["variant"]) == ("diffusion", "guided"))
    scored = [read_csv(place.out / "guided" / f"seed-{seed}" / "scores" / "diffusion_real.csv") for seed in (0, 1)]
    means = [np.mean([each.restored for each in rows if each.metric == "psnr"]) for rows in scored]
    assert float(row["psnr"]) == pytest.approx(np.mean(means))
    assert float(row["psnr_spread"]) == pytest.approx(np.std(means, ddof=1))
    assert float(row["psnr_spread"]) > 0
    assert (row["seeds"], row["images"], row["crops"]) == ("2", "2", "2")
    unlike = "not of equal size: predictor: unguided "
    assert unlike in err
    assert f"- Note: {unlike}" in out
    content = json.loads((place.out / "table.json").read_text())
    assert len(content["comparisons"]) == len(SETS) * 2 * 2  # parts, metrics
    found = next(each for each in content["comparisons"] if each["set"] == "in domain")
    assert (found["variant"], found["reference"], found["seeds"], len(found["by_seed"])) == ("guided", "unguided", 2, 2)
    assert 0 < found["p"] <= 1
    assert "sharp" in content["sets"]["in domain"]["about"]


def test_all_models_meet_the_same_pairs(done):
    place, _, _ = done
    for name in SETS:
        files = sorted(place.out.rglob(f"*_{name}.csv"))
        assert len(files) == 8
        inputs = {tuple((row.name, row.metric, row.blurry) for row in read_csv(file)) for file in files}
        assert len(inputs) == 1


def test_a_second_call_makes_nothing_again(done):
    place, _, (_, first, _) = done
    before = place.mtimes()
    code, out, err = call([*place.words(), "--json"])
    assert code == 0
    assert place.mtimes() == before
    content = json.loads(out)
    assert content.pop("complete")
    assert content == json.loads((place.out / "table.json").read_text())
    assert first.startswith((place.out / "table.md").read_text())
    assert not [line for line in err.splitlines() if "training" in line or "scoring" in line]


def test_more_sampling_steps_score_the_diffusion_again(done, tmp_path):
    place, _, _ = done
    shutil.copytree(place.out, tmp_path / "out", copy_function=shutil.copy2)
    code, _, err = call(place.words(out=tmp_path / "out", sampling_steps=2, score_crop_px=48))
    assert code == 0
    scored = [line for line in err.splitlines() if "scoring" in line]
    # Cut pictures are other pictures; in domain they were small already.
    assert sum("scoring predictor, in domain" in line for line in scored) == 0
    assert sum("scoring predictor" in line for line in scored) == 4 * 3
    assert sum("scoring diffusion" in line for line in scored) == 4 * 4
    assert not any("training" in line for line in err.splitlines())


def test_a_failing_run_is_one_line(done, tmp_path):
    place, _, _ = done
    shutil.copytree(place.out, tmp_path / "out", copy_function=shutil.copy2)
    broken = tmp_path / "out" / "guided" / "seed-1"
    shutil.rmtree(broken / "checkpoints")
    (broken / "checkpoints").mkdir()
    (broken / "checkpoints" / "step-00000001.pt").write_text("no checkpoint")
    code, out, err = call(place.words(out=tmp_path / "out"))
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("resharp: guided, seed 1: training failed (")
    assert "step-00000001.pt: not a checkpoint" in last
    assert f"see {broken / 'train.log'}" in last


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_what_is_refused_before_anything_is_written(resharp, place):
    root = place.root
    guided, more = root / "guided.toml", root / "more"
    more.mkdir()
    (root / "none").mkdir()
    same = shutil.copy(guided, more / "guided.toml")
    crops = place.config("crops", batch_size=3)
    size = place.config("size", crop_px=64)
    blur = place.config("blur", extent_max_px=3.5)
    photos = place.config("photos", validation_photos=2)
    Image.open(root / "sharp" / "a.png").crop((0, 0, 45, 50)).save(more / "small.png")
    shutil.copy(root / "data" / "1.png", root / "none" / "other.png")
    files = set(root.rglob("*"))
    for options, says in (
        ({"configs": [guided, same]}, "has the same name"),
        ({"configs": [guided]}, "at least two configurations"),
        ({"configs": [guided, crops]}, "crops.toml: sees 6 crops (steps * batch_size)"),
        ({"configs": [guided, size]}, "size.toml: crop_px is 64"),
        ({"configs": [guided, blur]}, "blur.toml: blur.extent_max_px is 3.5"),
        ({"configs": [guided, photos]}, "photos.toml: validation_photos is 2"),
        ({"configs": [guided, root / "gone.toml"]}, "gone.toml: cannot read"),
        ({"data": root / "gone"}, "gone: no such folder"),
        ({"pairs": root / "gone"}, "gone: cannot list this folder"),
        ({"sharp": root / "gone"}, "gone: cannot list this folder"),
        ({"sharp": more}, "small.png: 45 px on its shorter side; this blur needs 46"),
        ({"sharp": root / "none"}, "other.png: is trained on too"),
        ({"out": guided / "out"}, "cannot be a folder"),
        ({"lpips_weights": root / "gone.pth"}, "no AlexNet weights for LPIPS here"),
        ({"device": "abacus"}, "unknown device"),
        ({"minutes": 0}, "--minutes is 0.0"),
        ({"score_crop_px": 8}, "crop_px is 8"),
        ({"sampling_steps": 10**6}, "steps"),
        ({"steps": 0}, "steps is 0"),
    ):
        ran = resharp(*place.words(**options))
        assert ran.code == 1, options
        assert says in ran.line, options
        assert ran.out == ""
    ran = resharp(*place.words(), "--strict")
    assert ran.code == 1
    assert "not of equal size: predictor: unguided" in ran.line
    assert set(root.rglob("*")) == files


def test_a_finished_run_of_other_settings_is_refused(resharp, place):
    folder = place.out / "guided" / "seed-1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"lr": 0.5}))
    ran = resharp(*place.words())
    assert ran.code == 1
    assert f"{folder}: trained with other settings (" in ran.line
