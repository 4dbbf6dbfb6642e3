"""`resharp score` on two tiny real pairs and two tiny sharp photos."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image, ImageFilter


@pytest.fixture
def places(photo, tmp_path):
    """The options that name the two folders."""
    for name in "ab":
        sharp = photo(f"pairs/{name}_sharp.png", width=48, height=40)
        Image.open(sharp).filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "pairs" / f"{name}_blur.png")
        photo(f"sharp/{name}.png", width=44, height=40)
    return ["--pairs", tmp_path / "pairs", "--sharp", tmp_path / "sharp"]


def test_a_model_and_a_peer_are_scored_beside_the_input(resharp, places, model, tmp_path, monkeypatch):
    inputs, out = tmp_path / "inputs", tmp_path / "out" / "deep"
    options = [*places, "--crop", 36, "--seeds", 2]
    ran = resharp("score", *options, "--export-inputs", inputs)
    assert ran.code == 0, ran.err
    sets = ["real", *(f"{name}-{seed}" for name in ("kernels", "shake", "night") for seed in (0, 1))]
    assert {str(path.relative_to(inputs)) for path in inputs.rglob("*.png")} == {
        f"{name}/{picture}.png" for name in sets for picture in "ab"
    }
    assert ran.out == f"{inputs}: 14 blurry pictures in {', '.join(sets)}\n"

    # A peer that darkens what it was given, by one step of 255.
    for path in inputs.rglob("*.png"):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (36, 36, 3)
        target = tmp_path / "peer" / path.relative_to(inputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels - (pixels > 0)).save(target)
    monkeypatch.setattr(sys, "argv", ["resharp", "score", "a model"])
    words = ["--part", "predictor", "--part", "diffusion", "--steps", 1, "--peer", f"dark={tmp_path / 'peer'}"]
    ran = resharp("score", model, *options, *words, "--note", "one scene", "--out", out)
    assert ran.code == 0, ran.err
    assert ran.out == (out / "score.md").read_text()
    assert ran.out.splitlines()[-1] == "- one scene"
    assert "night-1: 2/2 b" in ran.err.splitlines()

    with open(out / "score.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    methods = ["input", "resharp predictor", "resharp diffusion", "dark"]
    seen = {(row["method"], row["set"], row["seed"], row["image"]) for row in rows}
    drawn = {(method, kind, str(seed), image) for method in methods for kind in ("kernels", "shake", "night")
             for seed in range(2) for image in "ab"}  # fmt: skip
    real = {(method, "real", "0", image) for method in methods for image in "ab"}
    assert seen == drawn | real | {("resharp diffusion", "real", "1", image) for image in "ab"}
    dark = [float(row["psnr_gain"]) for row in rows if row["method"] == "dark"]
    assert len(dark) == 14
    assert 0 < max(map(abs, dark)) < 3

    report = json.loads((out / "score.json").read_text())
    assert report["command"] == "resharp score 'a model'"
    assert report["weights_sha256"] == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert (report["crop_px"], report["seeds"], report["lpips"]) == (36, 2, False)
    assert list(report["methods"]) == ["resharp predictor", "resharp diffusion"]
    assert report["methods"]["resharp diffusion"].startswith("diffusion, 1 step of dpm++")
    assert report["peers"] == {"dark": str(tmp_path / "peer")}
    (summary,) = [each for each in report["summary"] if (each["set"], each["method"]) == ("shake", "dark")]
    gains = [float(row["psnr_gain"]) for row in rows if (row["method"], row["set"]) == ("dark", "shake")]
    assert summary["gains"]["psnr"]["mean"] == pytest.approx(np.mean(gains))
    assert summary["worse"]["psnr"] == np.mean(np.array(gains) < 0)
    assert (summary["images"], summary["seeds"]) == (2, 2)


def test_the_shipped_model_and_classical_methods_as_json(resharp, places, models, monkeypatch):
    monkeypatch.setattr("resharp.cli.score_methods.locate_model", {None: models["input"]}.get)
    ran = resharp("score", *places, "--pipeline", "night", "--seeds", 1, "--classical", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert [each["method"] for each in report["summary"]] == 2 * ["input", "resharp", "wiener", "richardson-lucy"]
    assert [each["set"] for each in report["summary"]] == ["real"] * 4 + ["night"] * 4
    passed = report["summary"][1]  # this model passes its input through
    assert passed["gains"]["psnr"] == {"mean": 0, "low": 0, "high": 0}
    assert passed["worse"] == {"psnr": 0, "ssim": 0}


def test_qualities_are_presets_of_the_model(resharp, places, models):
    ran = resharp("score", models["predictor"], *places[:2], "--quality", "draft", "--quality", "best", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["methods"] == {
        "resharp draft": "predictor",
        "resharp best": "predictor, ensemble of 8",
    }


def test_what_score_refuses(resharp, places, models, photo, tmp_path):
    model = models["diffusion"]
    photo("one/a.png")
    photo("peer/real/a.png", width=48, height=40)
    photo("turned/real/a.png", width=40, height=48)
    photo("turned/real/b.png", width=40, height=48)
    (tmp_path / "file").touch()
    real = [model, *places[:2]]
    for words, says in (
        ([model], "nothing to score on; give --pairs, --sharp, or both"),
        ([*real, "--seeds", 0], "--seeds is 0; allowed: 1 or more"),
        ([*real, "--crop", 8], "--crop is 8; allowed: 32 or more"),
        ([model, *places, "--pipeline", "fog"], "no blur pipeline 'fog'; known: kernels, shake, night"),
        ([*real, "--part", "guidance"], "unknown part 'guidance'"),
        ([*real, "--quality", "superb"], "unknown quality 'superb'"),
        ([models["plain"], *places, "--part", "predictor"], "this model has no initial predictor"),
        ([*real, "--peer", "maxim"], "--peer maxim: expected NAME=FOLDER"),
        ([*real, "--peer", "input=x"], "the name 'input' is taken"),
        ([*real, "--peer", "resharp draft=x"], "the name 'resharp draft' is taken"),
        ([*real, "--peer", "a=x", "--peer", "a=y"], "the name 'a' is taken"),
        ([*real, "--peer", f"maxim={tmp_path / 'none'}"], "cannot list this folder"),
        ([*real, "--peer", f"maxim={tmp_path / 'peer'}"], "no such picture of maxim; run it on what --export-inputs"),
        ([*real, "--peer", f"maxim={tmp_path / 'turned'}"], "a.png: is 40x48, the input is 48x40"),
        ([*real, "--out", tmp_path / "file" / "out"], "cannot be a folder"),
        ([*places, "--export-inputs", tmp_path / "file"], "cannot be a folder"),
        ([*real, "--lpips-weights", tmp_path / "none.pth"], "no AlexNet weights for LPIPS here"),
        ([model, "--sharp", tmp_path / "one"], "a single picture has no interval; give two"),
        (["/no/such/model", *places], "no such folder"),
    ):
        ran = resharp("score", *words)
        assert ran.code == 1, words
        assert ran.out == ""
        assert says in ran.line


def test_without_scikit_image_the_extra_is_named_before_any_work(resharp, places, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    ran = resharp("score", model, *places, "--classical")
    assert ran.code == 1
    assert "pip install 'resharp[evaluate]'" in ran.line


def test_a_name_that_is_in_the_table_cannot_break_it(resharp, places, model, tmp_path):
    shutil.copytree(tmp_path / "pairs", tmp_path / "peer" / "real")
    for name in "ab":
        (tmp_path / "peer" / "real" / f"{name}_sharp.png").rename(tmp_path / "peer" / "real" / f"{name}.png")
    ran = resharp("score", model, *places[:2], "--part", "predictor", "--peer", f"a|b={tmp_path / 'peer'}")
    assert ran.code == 0, ran.err
    assert "| real | a\\|b | 100.00 [100.00, 100.00] |" in ran.out
