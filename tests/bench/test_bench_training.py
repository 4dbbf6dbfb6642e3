"""Measurements of training: operations against closed forms, figures from made-up times, processes that fail."""

from __future__ import annotations

import itertools
import os
import signal
import sys

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from resharp.bench import launch, matrix_rate, training
from resharp.bench.figures import block_lengths, compared, data_ratios, median_step_s, share_of_rate, slowest, speeds
from resharp.bench.launch import MeasurementError, launched
from resharp.bench.photographs import MadePhotographs
from resharp.bench.spec import Spec
from resharp.data.source import Batching
from resharp.errors import ConfigError, ResharpError, TrainingError
from resharp.models.sizes import SIZES
from runs import CONFIG, trainer

TINY_SPEC = Spec("msgd-fast", batch_size=1, crop_px=32, steps=2)


# Operations


def test_operations_of_a_small_network_are_those_of_the_closed_form():
    batch, side, widths = 3, 10, (3, 8, 5)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 5, 1))
    optimizer = torch.optim.Adam(network.parameters())

    def step():
        network(torch.randn(batch, widths[0], side, side)).square().mean().backward()
        optimizer.step()

    first = 2 * batch * side**2 * widths[0] * widths[1] * 9
    second = 2 * batch * side**2 * widths[1] * widths[2]
    # Forward and the gradient of the weights; the gradient of the input is needed of the second layer only.
    assert training.flops_of(step) == 2 * first + 3 * second


def test_operations_of_a_training_step_are_the_sum_over_its_layers(tmp_path):
    run = trainer(CONFIG, tmp_path / "run")
    counted = []

    def count(layer, inputs, output):
        (x,) = inputs
        products = output.numel() * layer.weight[0].numel() * 2
        counted.append(products * (3 if x.requires_grad else 2))

    layers = [layer for layer in run.engine.model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    parts = next(run.parts(0, 1))
    # After the warm start, so that the denoiser is trained too.
    step = CONFIG.warm_start_steps + CONFIG.ramp_steps
    run.engine.step(step, parts)
    for hook in hooks:
        hook.remove()
    assert len(counted) >= len(layers)
    assert training.flops_of(lambda: run.engine.step(step + 1, parts)) == sum(counted)


# Matrix products


def test_rate_of_matrix_products_is_positive():
    accelerator = Accelerator(cpu=True)
    assert matrix_rate.matrix_rate(accelerator, torch.float32, sides=(64,), rounds=1, round_s=0.01) > 1e6


def test_best_rate_is_operations_by_time(monkeypatch):
    # Times of: a first product, one to choose how many, and two rounds; for each of two sizes.
    seconds = iter([9.0, 0.05, 1.0, 0.5, 9.0, 0.2, 2.0, 4.0])
    counts = []

    def timed(a, b, result, count):
        counts.append(count)
        return next(seconds)

    monkeypatch.setattr(matrix_rate, "_timed", timed)
    rate = matrix_rate.matrix_rate(Accelerator(cpu=True), torch.float32, sides=(10, 20), rounds=2, round_s=0.2)
    assert counts == [1, 1, 4, 4, 1, 1, 1, 1]
    assert rate == pytest.approx(max(4 * 2 * 10**3 / 0.5, 2 * 20**3 / 2.0))


# Figures


def test_share_of_the_rate():
    assert share_of_rate(crops_per_s=10.0, flops_per_crop=3e9, matrix_rate=120e9) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("steps", "lengths"), [(1, [1]), (2, [1, 1]), (7, [3, 4]), (10, [5, 5]), (11, [3, 4, 4]), (30, [5] * 6)]
)
def test_steps_are_divided_into_blocks(steps, lengths):
    assert block_lengths(steps) == lengths


def test_data_ratio_sees_every_wait_and_forgives_one_bad_block():
    held = [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]
    data = [[1.0, 1.0, 1.6], [2.2, 2.2, 2.8], [9.0, 9.0, 9.0]]
    assert data_ratios(held, data) == pytest.approx([1.2, 1.2, 9.0])
    assert speeds(1, held, data, 1, 1.0)["data_ratio"] == pytest.approx(1.2)


def test_a_step_takes_as_long_as_its_slowest_process():
    assert slowest([[[1.0, 5.0], [2.0]], [[3.0, 4.0], [1.0]]]) == [[3.0, 5.0], [2.0]]


def test_figures_follow_from_times():
    held, data = [[0.5, 0.5], [0.5, 4.0]], [[0.5, 0.6], [4.0, 0.95]]
    found = speeds(16, held, data, 6 * 10**9, 960e9)
    assert median_step_s(held) == 0.5
    assert found["crops_per_s"] == pytest.approx(32)
    assert found["crops_per_s_with_data"] == pytest.approx(32 / 1.1)
    assert found["multiply_adds_per_crop"] == 3 * 10**9
    assert found["share_of_matrix_rate"] == pytest.approx(0.2)


def test_rows_are_compared_with_one_process_of_their_size():
    rows = [
        {"size": "a", "processes": 1, "crops_per_s": 4.0, "crops_per_s_with_data": 2.0},
        {"size": "a", "processes": 2, "crops_per_s": 6.0, "crops_per_s_with_data": 4.0},
        {"size": "b", "processes": 2, "crops_per_s": 9.0, "crops_per_s_with_data": 9.0},
    ]
    found = compared(rows)
    assert [row["times_one_process"] for row in found] == [1.0, 1.5, None]
    assert [row["times_one_process_with_data"] for row in found] == [1.0, 2.0, None]


# Photographs


def test_made_photographs_are_the_same_each_time_and_not_flat():
    first, again = MadePhotographs(3, 64), MadePhotographs(3, 64)
    for one, other in zip(first.samples, again.samples, strict=True):
        assert torch.equal(one.sharp, other.sharp)
        assert (one.sharp.shape, one.sharp.dtype, one.blurry) == ((3, 64, 64), torch.uint8, None)
        assert one.sharp.float().std() > 20
    assert not torch.equal(first.samples[0].sharp, first.samples[1].sharp)
    assert first.fingerprint() != MadePhotographs(3, 64, seed=1).fingerprint()


def test_parts_together_draw_what_one_process_draws():
    source = MadePhotographs(5, 40)
    whole = source.draw(Batching(4, 1, 0), 3, 0).samples
    halves = [source.draw(Batching(4, 2, 0), 3, part).samples for part in range(2)]
    assert [sample.name for sample in whole] == [sample.name for half in halves for sample in half]


# Measuring


def test_blocks_with_data_take_new_batches_and_the_others_one_batch(tmp_path, monkeypatch):
    steps = training.Steps(trainer(CONFIG, tmp_path / "run"))
    engine_step, seen = steps.trainer.engine.step, []

    def step(number, parts, stop=""):
        seen.append((number, parts[0].step))
        return engine_step(number, parts, stop)

    monkeypatch.setattr(steps.trainer.engine, "step", step)
    held, with_data = steps.alternating(4)
    # Blocks of two after two that do not count: held, data, data, held.
    assert [number for number, _ in seen] == list(range(16))
    assert [drawn for _, drawn in seen] == [0] * 4 + list(range(4, 12)) + [0] * 4
    assert [len(block) for block in held + with_data] == [2] * 4
    assert min(time for block in held + with_data for time in block) > 0


def test_a_step_without_a_finite_loss_is_no_measurement(tmp_path):
    steps = training.Steps(trainer(CONFIG, tmp_path / "run"))
    broken = [part._replace(y=part.y * float("nan")) for part in steps.held]
    with pytest.raises(TrainingError, match="not finite"):
        steps.take(itertools.repeat(broken))


def test_all_of_the_network_is_trained_from_the_first_step_on(tmp_path):
    config = TINY_SPEC.train_config()
    run = trainer(config, tmp_path / "run")
    losses = run.engine.step(0, next(run.parts(0, 1))).losses
    assert set(losses) == {"regression", "prediction", "denoising", "total"}
    assert float(losses["total"]) == pytest.approx(sum(float(losses[name]) for name in losses if name != "total"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": "msgd-xxl"}, f"unknown model size 'msgd-xxl'; allowed: {', '.join(SIZES)}"),
        ({"crop_px": 100}, "crop_px is 100; allowed: multiples of 32"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"workers": -1}, "workers is -1; it must not be negative"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_process_starts(change, says):
    with pytest.raises(ConfigError, match=says):
        Spec(**{"size": "msgd-fast", **change})


# Processes


def test_processes_that_die_are_told_from_bad_data(monkeypatch):
    code = "import sys; print('MemoryError: all gone\\nother words', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(launch, "_launcher", lambda processes, module: [sys.executable, "-c", code])
    with pytest.raises(MeasurementError) as caught:
        launched(TINY_SPEC)
    assert str(caught.value).startswith("msgd-fast with 1 process: ended with code 3")
    assert "MemoryError: all gone" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_for_users_is_passed_on(monkeypatch, tmp_path):
    spec = Spec("msgd-fast", batch_size=1, crop_px=32, places=(str(tmp_path / "missing"),))
    # As in a process of its own, but for the time that one takes to start.
    code = "import sys; from pathlib import Path; Path(sys.argv[2]).write_text(Path(sys.argv[1]).read_text())"
    monkeypatch.setattr(launch, "_launcher", lambda processes, module: [sys.executable, "-c", code])
    assert tuple(launched(spec)["places"]) == spec.places
    monkeypatch.undo()

    def in_this_process(command, threads, words):
        training.main(*command[-2:])
        return 0

    monkeypatch.setattr(launch, "_run", in_this_process)
    with pytest.raises(ResharpError, match="missing"):
        launched(spec)


@pytest.fixture
def heeding_ctrl_c():
    """A shell starts what it puts into the background with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_being_told_to_end_ends_the_processes(monkeypatch, number, raised):
    started, before = [], signal.getsignal(signal.SIGTERM)

    class Popen(launch.subprocess.Popen):
        def wait(self, timeout=None):
            if not started:
                started.append(self)
                os.kill(os.getpid(), number)
            return super().wait(timeout)

    monkeypatch.setattr(launch.subprocess, "Popen", Popen)
    monkeypatch.setattr(
        launch, "_launcher", lambda processes, module: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    with pytest.raises(raised):
        launched(TINY_SPEC)
    assert started[0].returncode not in (None, 0)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_two_processes_take_twice_the_crops_and_the_same_operations():
    one, two = (launched(Spec("msgd-fast", count, 1, 32, 2, workers=0)) for count in (1, 2))
    assert two["processes"] == 2
    assert two["flops_per_crop"] == one["flops_per_crop"]
    assert two["crops_per_s"] == pytest.approx(2 / two["step_s"])
    assert one["crops_per_s"] == pytest.approx(1 / one["step_s"])
    assert two["share_of_matrix_rate"] == pytest.approx(
        two["crops_per_s"] * two["flops_per_crop"] / two["matrix_rate_flops"]
    )
    assert two["peak_memory_bytes"] > 1e8
