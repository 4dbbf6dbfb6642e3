"""The laptop model's stages in sequence: each from the one before, none before the other is finished."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import train_stages

from runs import rectangles, save

SMALL = [
    "model.guidance={ scales = [1, 2], features = 4, width = 4, blocks = 1 }",
    "model.denoiser={ widths = [8, 8] }",
    "model.predictor={ widths = [8, 8] }",
    *("batch_size=2", "crop_px=32", "validation_photos=0", "tracker=none", "lr_warmup_steps=1", "teacher_steps=2"),
]


def finish(folder, steps, of):
    """What a run leaves that has taken `steps` of its steps."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"steps": of}))
    (folder / "checkpoints" / f"step-{steps:08d}.pt").touch()


@pytest.fixture
def commands(monkeypatch):
    """The commands that would run; each leaves what a run does that has taken `steps`."""
    seen = []

    def run(command):
        words = command[command.index("train") + 1 :]
        seen.append(words)
        finish(Path(words[words.index("--out") + 1]), *run.steps)
        return run.code

    run.steps, run.code = (5, 5), 0
    monkeypatch.setattr(train_stages, "train", run)
    return seen, run


def test_each_stage_begins_with_the_model_of_the_one_before(tmp_path, commands):
    seen, _ = commands
    assert train_stages.main(["--data", "a", "--data", "b", "--runs", str(tmp_path), "--", "--threads", "1"]) == 0
    assert [Path(words[0]).stem for words in seen] == ["fast", "fast_denoiser", "one_step"]
    assert "--init" not in seen[0]
    for words, earlier in zip(seen[1:], ["fast", "fast_denoiser"], strict=True):
        assert words[words.index("--init") + 1] == str(tmp_path / earlier / "model")
    for words in seen:
        assert Path(words[0]).is_file()
        assert [words[i + 1] for i, word in enumerate(words) if word == "--data"] == ["a", "b"]
        assert words[-2:] == ["--threads", "1"]
        assert "--minutes" not in words


def test_with_a_trunk_the_predictor_goes_on_with_lpips(tmp_path, commands):
    seen, _ = commands
    assert train_stages.main(["--data", "a", "--runs", str(tmp_path), "--trunk", "alex.pth"]) == 0
    assert [Path(words[0]).stem for words in seen] == ["fast", "fast_perceptual", "fast_denoiser", "one_step"]
    assert seen[1][-2:] == ["--set", "perceptual_trunk=alex.pth"]
    assert seen[2][seen[2].index("--init") + 1] == str(tmp_path / "fast_perceptual" / "model")
    assert "--set" not in seen[2]


def test_nothing_follows_a_stage_that_is_not_finished(tmp_path, commands):
    seen, run = commands
    run.steps = (3, 5)
    words = ["--data", "a", "--runs", str(tmp_path), "--minutes", "2"]
    assert train_stages.main(words) == 0
    assert len(seen) == 1
    assert 1.5 < float(seen[0][seen[0].index("--minutes") + 1]) <= 2
    run.steps = (5, 5)
    train_stages.main(words)
    assert [Path(words[0]).stem for words in seen[1:]] == ["fast", "fast_denoiser", "one_step"]
    assert train_stages.main(words) == 0
    assert len(seen) == 4


def test_a_stage_that_fails_ends_all(tmp_path, commands):
    seen, run = commands
    run.steps, run.code = (0, 5), 143
    assert train_stages.main(["--data", "a", "--runs", str(tmp_path)]) == 143
    assert len(seen) == 1


def test_three_tiny_stages(tmp_path):
    """With `resharp train` itself."""
    for i, photo in enumerate(rectangles(3, 200)):
        save(photo, tmp_path / "photos" / f"{i}.png")
    words = ["--data", str(tmp_path / "photos"), "--runs", str(tmp_path / "runs"), "--", "--steps", "2"]
    for setting in SMALL:
        words += ["--set", setting]
    assert train_stages.main([*words, "--device", "cpu", "--threads", "1"]) == 0
    model = json.loads((tmp_path / "runs" / "one_step" / "model" / "config.json").read_text())
    assert (model["defaults"]["output"], model["defaults"]["steps"]) == ("diffusion", 1)
