"""Training as the program runs it: several processes, stops, and kills at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from resharp.errors import ConfigError
from resharp.train.checkpoint import checkpoint_paths, load_checkpoint
from resharp.train.processes import check_world_size
from runs import rectangles, save, weights

SETTINGS = """
size = "{size}"
stage = "joint"
steps = {steps}
batch_size = 4
micro_batch_size = {micro}
crop_px = 32
lr = 1e-3
lr_warmup_steps = 2
warm_start_steps = 2
ramp_steps = 2
tracker = "none"
log_every = 1
checkpoint_every = {every}
validate_every = 10000
validation_photos = 1
{model}
[blur]
extent_max_px = 8.0
turn_max_px = 1.0
max_frames = 4
"""
TINY = """
[model]
guidance = { features = 4, width = 4, blocks = 1, scales = [1] }
denoiser = { widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1, dropout = 0.1 }
predictor = { widths = [8, 8], encoder_blocks = 1, decoder_blocks = 2, middle_blocks = 1 }
"""


@pytest.fixture
def start(tmp_path):
    """Start `resharp train` on made-up photographs; `out` names the run folder."""
    for i, photo in enumerate(rectangles(4, 96)):
        save(photo, tmp_path / "photos" / f"{i}.png")

    def run(out, *words, steps=6, micro=2, every=3, size="msgd-fast", model=TINY):
        config = tmp_path / f"{out}.toml"
        config.write_text(SETTINGS.format(size=size, steps=steps, micro=micro, every=every, model=model))
        command = [sys.executable, "-m", "resharp", "train", config, "--data", tmp_path / "photos"]
        command += ["--out", tmp_path / out, "--device", "cpu", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([str(word) for word in command], env=environment, **pipes)

    return run


@pytest.fixture
def finish(start):
    """Run `resharp train` to its end, which must be a good one."""

    def run(*words, **options):
        process = start(*words, **options)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    return run


def test_two_processes_resume_exactly_and_do_the_work_of_one(finish, tmp_path):
    told = finish("whole", "--processes", 2)
    assert "2 processes" in told
    assert told.count("step 6/6") == 2, "each line once, and not once a process"
    finish("parts", "--processes", 2, "--steps", 4)
    assert "resumed at step 4" in finish("parts", "--processes", 2)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    finish("alone")
    # Two addends have one sum, whatever their order: here even the bytes are the same.
    assert weights(tmp_path / "alone") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_three_processes_resume_exactly(finish, tmp_path):
    words = ("--processes", 3, "--set", "batch_size=6")
    finish("whole", *words)
    finish("parts", *words, "--steps", 4)
    finish("parts", *words)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_a_batch_that_cannot_be_shared_is_refused(start):
    output, _ = (process := start("run", "--set", "micro_batch_size=4", "--processes", 2)).communicate(timeout=120)
    assert process.returncode != 0
    assert "cannot be shared equally by 2 processes" in output


def test_a_launcher_that_starts_too_few_processes_is_found_out(start, monkeypatch):
    """`accelerate launch --cpu --num_processes 2` starts one."""
    train = start("run")
    train.kill()
    train.communicate()
    words = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--cpu", "--num_processes", "2"]
    ran = subprocess.run([*words, *train.args[1:]], capture_output=True, text=True, timeout=120)
    assert ran.returncode != 0
    assert "asks for 2 processes, but 1 is running" in ran.stderr
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_world_size(4)
    check_world_size(None)
    with pytest.raises(ConfigError, match="--processes asks for 2 processes, but 4 is running"):
        check_world_size(2)


def wait_for_step(process, more=3) -> int:
    """Read the process's output until it has taken a few steps; returns the last one seen."""
    seen = 0
    for line in process.stdout:
        if line.startswith("step "):
            seen, more = int(line.split()[1].split("/")[0]), more - 1
            if not more:
                return seen
    raise AssertionError("the run ended before it was to be stopped")


def steps_logged(folder) -> int:
    lines = (folder / "log.jsonl").read_text().splitlines() if (folder / "log.jsonl").exists() else []
    steps = [0]
    for line in lines:
        try:
            steps.append(json.loads(line)["step"])
        except ValueError:
            assert line == lines[-1], "only the last line may be cut short"
    return max(steps)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_run_that_is_told_to_stop_saves_first(start, finish, tmp_path, number, code):
    process = start("run", "--workers", 1, steps=5000, every=10000)
    wait_for_step(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "the same command goes on" in output
    step = load_checkpoint(checkpoint_paths(tmp_path / "run")[0])["step"]
    assert step == steps_logged(tmp_path / "run")
    told = finish("run", "--workers", 1, steps=step + 2, every=10000)
    assert f"resumed at step {step}" in told
    finish("whole", steps=step + 2)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_that_are_told_to_stop_save_first(start, finish, tmp_path):
    process = start("run", "--processes", 2, steps=5000, every=10000)
    wait_for_step(process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    step = load_checkpoint(checkpoint_paths(tmp_path / "run")[0])["step"]
    assert step >= steps_logged(tmp_path / "run")
    finish("run", "--processes", 2, steps=step + 2, every=10000)
    finish("whole", steps=step + 2)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_loses_nothing_it_has_saved(start, finish, tmp_path, kills):
    """Every step saves 33 MB, so that many kills fall into the writing of a checkpoint."""
    options = {"steps": 12 * kills, "every": 1, "model": "", "micro": 4}
    chance = random.Random(kills)
    halves = 0
    for _ in range(kills):
        process = start("run", "--set", "keep_checkpoints=3", **options)
        wait_for_step(process, 1)
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.communicate()
        halves += len(list((tmp_path / "run").rglob(".resharp-*")))
        saved = [load_checkpoint(path)["step"] for path in checkpoint_paths(tmp_path / "run")]
        # A step is logged before it is saved, and a process is gone before its last line is.
        assert saved[0] >= steps_logged(tmp_path / "run") - 1
    assert saved[0] < options["steps"], "killed too late for this test to mean anything"
    if kills > 10:
        assert halves, "no kill fell into the writing of a checkpoint"
    finish("run", "--set", "keep_checkpoints=3", **options)
    assert not list((tmp_path / "run").rglob(".resharp-*"))
    finish("whole", **{**options, "every": 1000})
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
