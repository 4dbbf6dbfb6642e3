"""`resharp export --int8`: a folder that `resharp deblur` runs, and refusals that leave nothing behind."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageFilter

from resharp.images.receipts import read_receipt
from resharp.receipt import Receipt


@pytest.fixture
def pairs(photo, tmp_path):
    """A folder with one pair."""
    sharp = photo("pairs/a_sharp.png", width=96, height=80)
    Image.open(sharp).filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "pairs" / "a_blur.png")
    return tmp_path / "pairs"


def test_the_int8_folder_runs_and_receipts_say_so(resharp, int8, models, photo, tmp_path):
    source, words = photo("a.png", width=70, height=50), ("--force", "--json")
    results = {}
    for name, model in (("int8", int8), ("float32", models["predictor"])):
        backend = "onnx" if name == "int8" else "torch"
        out = tmp_path / f"{name}.png"
        ran = resharp("deblur", source, "-o", out, "--model", model, "--backend", backend, *words)
        assert ran.code == 0, ran.err
        receipt = Receipt.from_text(read_receipt(out), str(out))
        assert (receipt.backend, receipt.precision, receipt.part) == (backend, name, "predictor")
        assert json.loads(ran.out)["results"][0]["receipt"]["precision"] == name
        results[name] = np.asarray(Image.open(out)).astype(int)
    # Near float32's result, and not it: int8 really ran.
    off = np.abs(results["int8"] - results["float32"])
    assert 0 < off.max() < 40
    assert off.mean() < 6
    assert resharp("verify", tmp_path / "int8.png", "--photo", source, "--model", int8).code == 0


def test_the_loss_is_printed_and_too_much_of_it_is_refused(resharp, models, calibration, pairs, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    words = ("export", "onnx", models["predictor"], tmp_path / "out")
    words += ("--int8", "--calibrate", calibration, "--pairs", pairs)
    refused = resharp(*words, "--max-loss", "-90")
    assert refused.code == 1
    assert refused.err.splitlines()[-1].startswith("resharp: int8 loses ")
    assert "nothing was written" in refused.err
    assert {path.name for path in tmp_path.iterdir()} == {"pairs"}
    done = resharp(*words, "--max-loss", "90", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["precision"] == "int8"
    float32, int8 = found["float32_and_int8"]
    assert float32.keys() == int8.keys() == {"psnr", "seconds"}
    assert 10 < int8["psnr"] != float32["psnr"]
    assert set(found["bytes"]) == {"guide.onnx", "predict.onnx", "denoise.onnx"}


def test_what_does_not_go_together_is_one_line(resharp, models, calibration, pairs, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, says in (
        (["onnx", "--int8"], "needs --calibrate PHOTOS"),
        (["torch", "--int8", "--calibrate", calibration], "--int8 is for onnx and openvino"),
        (["onnx", "--calibrate", calibration], "are for --int8"),
        (["onnx", "--pairs", pairs], "are for --int8"),
        (["onnx", "--int8", "--calibrate", calibration, "--lpips-weights", "a.pth"], "--lpips-weights needs --pairs"),
        (["onnx", "--int8", "--calibrate", tmp_path / "empty"], f"{tmp_path / 'empty'}: no photos in this folder"),
        (["onnx", "--int8", "--calibrate", tmp_path / "none"], "cannot list this folder"),
        (["onnx", "--int8", "--calibrate", calibration, "--pairs", tmp_path / "empty"], "no pairs in this folder"),
    ):
        backend, *options = words
        ran = resharp("export", backend, models["predictor"], tmp_path / "out", *options)
        assert ran.code == 1
        assert says in ran.line
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "pairs"}


def test_int8_for_openvino_without_nncf_names_the_extra(resharp, models, calibration, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)  # what an import takes for "not there"
    words = ("export", "openvino", models["predictor"], tmp_path / "out", "--int8", "--calibrate", calibration)
    assert "pip install 'resharp[openvino-int8]'" in resharp(*words).line
    assert list(tmp_path.iterdir()) == []
