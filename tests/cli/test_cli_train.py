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
residual_scale = 1.0
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
    assert named[0] == "left out 3 photos:"
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
        ([config(), "--data", tmp_path / "missing"], "no such folder"),
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


def test_settings_from_the_command_line(resharp, config, data, tmp_path):
    words = ["--set", "lr=0.5e-4", "--set", "model.guidance.features=8", "--device", "cpu"]
    ran = resharp("train", config(), "--data", data, "--out", tmp_path / "run", *words)
    assert ran.code == 0, ran.err
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["lr"] == 0.5e-4
    assert saved["model"]["guidance"]["features"] == 8
    bad = resharp("train", config(), "--data", data, "--out", tmp_path / "bad", "--set", "lr")
    assert "--set 'lr': expected key=value" in bad.line


def test_pairs_and_photographs_to_validate_on(resharp, config, photo, tmp_path):
    for kind in ("blurry", "sharp"):
        for i in range(2):
            photo(f"pairs/{kind}/{i}.png", width=140, height=150)
    photo("other/blurry/a.png", width=140, height=140)
    photo("other/sharp/a.png", width=140, height=140)
    words = ["--data", tmp_path / "pairs", "--device", "cpu", "--validate-on", tmp_path / "other"]
    ran = resharp("train", config(), *words, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    assert facts["photographs"] == 2, "none is kept out where there are others to validate on"
    assert "psnr_blurry" in json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])


def test_packed_shards_train_as_a_data_set(resharp, config, data, tmp_path):
    assert resharp("data", "pack", data, "-o", tmp_path / "shards").code == 0
    ran = resharp("train", config(), "--data", tmp_path / "shards", "--out", tmp_path / "run", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    both = resharp("train", config(), "--data", tmp_path / "shards", "--data", data, "--out", tmp_path / "two")
    assert "can only be the one and only --data" in both.line


def test_a_changed_data_set_is_refused_unless_told(resharp, config, data, photo, tmp_path):
    words = [config(), "--data", data, "--out", tmp_path / "run", "--device", "cpu"]
    assert resharp("train", *words, "--steps", 1).code == 0
    photo("data/9.png", width=64, height=60)
    longer = [*words, "--steps", 2, "--set", "lr_decay=none"]
    assert "the data set has changed" in resharp("train", *longer).line
    assert resharp("train", *longer, "--accept-changed-data").code == 0


def test_json_tells_what_became_of_it_and_lines_go_elsewhere(resharp, config, data, tmp_path):
    words = ("train", config(), "--data", data, "--out", tmp_path / "run", "--device", "cpu", "--json")
    ran = resharp(*words)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert found == {
        "run": str(tmp_path / "run"),
        "model": str(tmp_path / "run" / "model"),
        "step": 2,
        "steps": 2,
        "stopped": None,
        "skipped_steps": 0,
        "validation": last,
    }
    assert "psnr_predictor" in last
    assert "step 2/2" in ran.err
    again = json.loads(resharp(*words).out)  # nothing is left to do
    assert (again["step"], again["validation"]) == (2, None)
