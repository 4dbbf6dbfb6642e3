"""`resharp train`: a run of two steps, what it leaves out, and what it refuses."""

from __future__ import annotations

import json

import pytest

CONFIG = """
stage = "joint"
steps = 2
batch_size = 1
crop_px = 32
lr_warmup_steps = 0
warm_start_steps = 0
ramp_steps = 0
validation_photos = 1
log_every = 1
{more}
[model]
prediction_type = "x0"
patch_size = 2
guidance = {{ features = 4, width = 4, blocks = 1, scales = [1] }}
denoiser = {{ widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1 }}
predictor = {{ widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1 }}
[blur]
extent_median_px = 3.0
extent_max_px = 4.0
turn_max_px = 1.0
"""


@pytest.fixture
def config(tmp_path):
    """Write a configuration with these lines more."""

    def write(more=""):
        path = tmp_path / "tiny.toml"
        path.write_text(CONFIG.format(more=more))
        return path

    return write


@pytest.fixture
def data(photo, tmp_path):
    """A folder of three usable photographs."""
    for i in range(3):
        photo(f"data/{i}.png", width=64, height=60)
    return tmp_path / "data"


def test_broken_files_are_named_and_training_goes_on(resharp, config, data, photo, tmp_path, files):
    (data / "broken.jpg").write_text("no picture, though its name says so")
    (data / "empty.png").touch()
    photo("data/small.png", width=20, height=20)
    run_folder = tmp_path / "run"
    ran = resharp("train", config(), "--data", data, "--out", run_folder, "--device", "cpu")
    assert ran.code == 0, ran.err
    named = ran.err.splitlines()
    assert named[0] == "left out 3 of 6 files:"
    assert [any(name in line for line in named[1:]) for name in ("broken.jpg", "empty.png", "small.png")] == [True] * 3
    assert len(named) == 4
    assert f"resharp deblur photo.jpg --model {run_folder / 'model'}" in ran.out
    assert not [name for name in files() if ".resharp-" in name]

    deblurred = resharp("deblur", data / "0.png", "-o", tmp_path, "--steps", 2, "--model", run_folder / "model")
    assert deblurred.code == 0, deblurred.err
    again = resharp("train", config(), "--data", data, "--out", run_folder, "--device", "cpu")
    assert "resumed at step 2" in again.out


def test_many_left_out_files_are_counted_and_ten_named(resharp, config, data, tmp_path):
    for i in range(12):
        (data / f"broken{i}.jpg").touch()
    ran = resharp("train", config(), "--data", data, "--out", tmp_path / "run", "--steps", 1, "--device", "cpu")
    lines = ran.err.splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  and 2 more"


def test_options_replace_the_configurations(resharp, config, data, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    words = ["--steps", 1, "--seed", 7, "--minutes", 5, "--device", "cpu", "--init", model]
    ran = resharp("train", config(), "--data", data, *words)
    assert ran.code == 0, ran.err
    saved = json.loads((tmp_path / "runs" / "tiny" / "config.json").read_text())
    assert (saved["steps"], saved["seed"], saved["init"]) == (1, 7, str(model))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("stpes = 3", "unknown key 'stpes'; did you mean 'steps'?"),
        ("lr = -1.0", "lr is -1.0; it must be above 0"),
        ("seed = [", "not valid TOML"),
    ],
)
def test_configurations_that_cannot_be(resharp, config, data, tmp_path, files, more, says):
    path, before = config(more), files() | {"tiny.toml"}
    ran = resharp("train", path, "--data", data, "--out", tmp_path / "run")
    assert ran.code == 1
    assert says in ran.line
    assert str(path) in ran.line
    assert files() == before


def test_what_training_refuses(resharp, config, data, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "file").touch()
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.jpg").touch()
    for words, says in (
        ([config(), "--data", tmp_path / "none"], "no photos in this folder"),
        ([config(), "--data", tmp_path / "missing"], "no such file"),
        ([config(), "--data", bad], "no usable photograph to train on"),
        ([config("validation_photos = 3").parent / "gone.toml", "--data", data], "gone.toml: cannot read"),
        ([config(), "--data", data, "--steps", 0], "steps is 0; it must be above 0"),
        ([config(), "--data", data, "--minutes", 0], "--minutes is 0.0; it must be above 0"),
        ([config(), "--data", data, "--init", "/no/such/model"], "no such folder"),
        ([config(), "--data", data, "--device", "abacus"], "unknown device"),
    ):
        ran = resharp("train", *words, "--out", tmp_path / "run")
        assert ran.code == 1
        assert says in ran.line
    ran = resharp("train", config(), "--data", data, "--out", tmp_path / "file" / "run")
    assert ran.code == 1
    assert "cannot be a folder" in ran.line
    assert not (tmp_path / "run").exists()
