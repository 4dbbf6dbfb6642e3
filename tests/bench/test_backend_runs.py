"""Ways to run one model's networks, each in a process of its own: differences, missing libraries, the table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from resharp.bench import timed_calls
from resharp.bench.backend_runs import EAGER, Way, in_turns
from resharp.bench.backend_table import markdown, rows_of
from resharp.bench.limited_process import Limits
from resharp.bench.photographs import write_photograph
from resharp.bench.turns import Run
from resharp.diffusion.schedule import NoiseSchedule
from resharp.hub import locate_model
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults, save_model
from tiny import TINY, awake

SIZE = (70, 64)  # no multiple of what the networks want
LIMITS = Limits(threads=1, seconds=120, memory_bytes=None)
ABOUT = {"processor": "a processor", "threads": 2, "model": "default", "repeats": 3}


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    write_photograph(path, *SIZE)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Path]:
    """Two models that differ in their weights alone."""
    folders = [tmp_path_factory.mktemp("models") / name for name in ("one", "other")]
    for seed, folder in enumerate(folders):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            save_model(folder, awake(ICDPM(TINY), seed), NoiseSchedule(), Defaults(steps=2))
    return folders


def measured(ways, picture, repeats=1) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in in_turns(ways, {SIZE: picture}, LIMITS, repeats, 60.0):
        found.setdefault(run.method, []).append(run)
    return found


@pytest.mark.parametrize("steps", [None, 2])
def test_the_difference_is_that_of_the_pictures(models, picture, steps):
    """A way that gives another picture, and by how much is computed here too."""
    one, other = models
    ways = [Way(EAGER, "torch", one, steps), Way("other", "torch channels_last", other, steps)]
    runs = measured(ways, picture, repeats=2)
    asked = {"output": "predictor"} if steps is None else {"steps": steps}
    blurry = timed_calls.read_picture(picture)
    ours, theirs = (DeblurPipeline.from_pretrained(each).restore(blurry, **asked).image for each in models)
    expected = float((ours - theirs).abs().max())
    assert expected > 0.01
    (eager, again), others = runs[ways[0].name], runs[ways[1].name]
    assert "difference" not in eager.figures
    assert again.figures["difference"] == 0
    for run in others:
        assert run.figures["difference"] == pytest.approx(expected, abs=1e-5)
        assert run.figures["start_s"] > max(run.seconds)
        assert run.figures["peak_bytes"] > 50_000_000


def test_onnx_runtime_runs_the_shipped_model_without_torch_and_gives_the_same(picture):
    pytest.importorskip("onnxruntime")
    model = locate_model(None)
    runs = measured([Way(EAGER, "torch", model), Way("ONNX Runtime", "onnx", model)], picture)
    (eager,), (onnx,) = runs.values()
    assert 0 < onnx.figures["difference"] < 1e-5
    assert onnx.figures["versions"].startswith("onnx ")
    # The libraries of torch are hundreds of MB, and the start of a process that imports them is slower.
    assert onnx.figures["peak_bytes"] < eager.figures["peak_bytes"]


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Other processes cannot import ONNX Runtime."""
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError('none', name='onnxruntime')")
    there = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *([there] if there else [])]))


def test_a_missing_library_is_a_row_with_a_reason_and_the_others_go_on(models, picture, broken):
    ways = [
        Way("ONNX Runtime", "onnx", locate_model(None)),
        Way("OpenVINO", "openvino", None, why="was not exported"),
        Way("torch", "torch channels_last", models[0]),
    ]
    runs = measured(ways, picture)
    assert "pip install 'resharp[onnx]'" in runs["ONNX Runtime"][0].failed
    assert runs["OpenVINO"][0].failed == "was not exported"
    # What the others would be compared with is missing, and nothing takes its place.
    assert runs["torch"][0].failed is None
    assert "difference" not in runs["torch"][0].figures
    rows = rows_of(ways, [run for of in runs.values() for run in of])
    assert [(row.way, row.seconds is None, row.times_eager) for row in rows] == [
        ("ONNX Runtime", True, None),
        ("OpenVINO", True, None),
        ("torch", False, None),
    ]


def test_without_a_compiler_the_compiled_row_says_so(models, picture, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    (run,) = measured([Way("torch, compiled", "torch compiled", models[0])], picture)["torch, compiled"]
    assert run.failed.startswith("torch.compile needs a C++ compiler, and there is no no-such-compiler here")


@pytest.mark.slow
def test_compiled_networks_give_the_same_up_to_rounding(models, picture):
    ways = [Way(EAGER, "torch", models[0]), Way("torch, compiled", "torch compiled", models[0])]
    _, (run,) = measured(ways, picture).values()
    assert run.failed is None
    assert run.figures["difference"] < 1e-5


WAYS = [Way(EAGER, "torch", Path()), Way("fast", "onnx", Path()), Way("fast", "onnx", Path(), 2)]
WAYS += [Way(EAGER, "torch", Path(), 2), Way("none", "openvino", None)]
RUNS = [
    Run(EAGER, (64, 48), (2.0, 1.0, 3.0), {"peak_bytes": 10**9, "start_s": 5.0}),
    Run("fast", (64, 48), (0.5,), {"peak_bytes": 3 * 10**8, "difference": 1e-7, "start_s": 1.0}),
    Run("fast; 2 steps", (64, 48), (1.5,), {"difference": 1e-6}),
    Run("torch, eager; 2 steps", (64, 48), (3.0,), {}),
    Run("none", (64, 48), (), {}, "needs OpenVINO"),
    Run(EAGER, (64, 48), (4.0,), {"peak_bytes": 2 * 10**9, "difference": 0.0, "start_s": 7.0}),
    Run("fast", (64, 48), (), {}, "took more than 9 s"),
    Run("fast", (1280, 720), (5.0,), {"difference": 2e-7}),
]


def test_the_table_compares_like_with_like():
    rows = rows_of(WAYS, RUNS)
    eager, fast, stepped, eager_stepped, none, large = rows
    assert (eager.seconds, eager.least_s, eager.most_s, eager.runs, eager.times_eager) == (3.0, 2.0, 4.0, 2, 1.0)
    assert (eager.peak_bytes, eager.start_s, eager.difference) == (2 * 10**9, 6.0, 0.0)
    assert (fast.times_eager, fast.difference, fast.why) == (6.0, 1e-7, "took more than 9 s")
    assert (stepped.times_eager, eager_stepped.difference) == (2.0, None)
    assert (none.seconds, none.why) == (None, "needs OpenVINO")
    assert (large.size, large.times_eager, large.peak_bytes) == ("1280x720", None, None)
    text = markdown(rows, ABOUT)
    assert "| 64x48 | fast | 0.5 | 0.5 to 0.5 | 6 | 0.30 | 1.0e-07 | 1 |" in text
    assert "| 64x48 | fast; 2 steps | 1.5 | 1.5 to 1.5 | 2 | - | 1.0e-06 | - |" in text
    assert "| 64x48 | none | not measured: needs OpenVINO |" in text
    assert "fast, 64x48: a later run failed (took more than 9 s)" in text
    assert "nan" not in text
    assert np.isfinite([row.times_eager for row in (eager, fast)]).all()
