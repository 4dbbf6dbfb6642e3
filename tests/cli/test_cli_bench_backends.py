"""`resharp bench backends`: the shipped model, a library that is missing, an int8 folder, and what is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

SHORT = ("bench", "backends", "--size", "64x64", "--repeats", 1, "--threads", 1)


@pytest.fixture
def without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # what an import takes for "not there"


def test_every_way_has_a_row_and_what_is_missing_says_why(resharp, tmp_path, without_openvino):
    pytest.importorskip("onnxruntime")
    done = resharp(*SHORT, "--out", tmp_path / "made.json", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "made.json").read_text())
    eager, channels_last, onnx, openvino = found["rows"]
    assert [row["way"] for row in found["rows"]] == [
        *("torch, eager", "torch, channels_last", "ONNX Runtime", "OpenVINO, free sizes")
    ]
    assert eager["difference"] is None
    assert 0 <= channels_last["difference"] < 1e-5
    assert 0 < onnx["difference"] < 1e-5
    assert all(row["seconds"] > 0 and row["start_s"] > row["seconds"] for row in (eager, channels_last, onnx))
    assert "pip install 'resharp[openvino]'" in openvino["why"]
    assert openvino["seconds"] is openvino["peak_bytes"] is openvino["difference"] is None
    assert found["threads"] == 1
    again = resharp(*SHORT, "--out", tmp_path / "made.json")
    assert "exists already and is kept" in again.line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "64"], "expected WIDTHxHEIGHT"),
        (["--model", "none"], "none: no such folder"),
        (["--exported", "nowhere"], "not a folder made by resharp export"),
        (["--steps", "0"], "steps"),
        (["--steps", "20000"], "steps is 20000"),
    ],
)
def test_bad_input_is_one_line(resharp, options, says):
    done = resharp(*SHORT, *options)
    assert done.code != 0
    assert says in done.line


def test_a_model_without_predictor_needs_steps(resharp, models):
    done = resharp(*SHORT, "--model", models["plain"])
    assert done.code == 1
    assert "give --steps" in done.line


def test_an_int8_folder_is_measured_against_its_model_alone(resharp, models, int8, without_openvino, tmp_path):
    refused = resharp(*SHORT, "--exported", int8)
    assert "was made from another model" in refused.line
    twice = resharp(*SHORT, "--model", models["predictor"], "--exported", int8, "--exported", int8)
    assert "give one of them" in twice.line
    done = resharp(*SHORT, "--model", models["predictor"], "--exported", int8, "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out)["rows"][-1]
    assert (row["way"], row["why"]) == ("ONNX Runtime, int8", None)
    assert row["versions"].endswith("int8")

    from resharp.bench.photographs import write_photograph
    from resharp.bench.timed_calls import read_array
    from resharp.pipeline import DeblurPipeline
    from resharp.runtime.opening import open_graphs

    write_photograph(tmp_path / "picture.png", 64, 64)
    picture = read_array(tmp_path / "picture.png")
    ours = open_graphs(int8, "onnx").restore(picture, output="predictor").image
    theirs = DeblurPipeline.from_pretrained(models["predictor"]).restore(picture, output="predictor").image.numpy()
    assert row["difference"] == pytest.approx(float(np.abs(ours - theirs).max()), abs=1e-5)
    assert row["difference"] > 1e-4
