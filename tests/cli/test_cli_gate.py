"""`resharp gate` on two tiny real pairs and two tiny sharp photos."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from resharp.evaluate.tables import read_csv
from resharp.pipeline import DeblurPipeline


@pytest.fixture
def places(photo, tmp_path):
    """The options that name the two folders."""
    for name in "ab":
        sharp = photo(f"pairs/{name}_sharp.png", width=48, height=40)
        Image.open(sharp).filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "pairs" / f"{name}_blur.png")
        photo(f"sharp/{name}.png", width=44, height=40)
    return ["--pairs", tmp_path / "pairs", "--sharp", tmp_path / "sharp"]


@pytest.fixture
def own_model(model, tmp_path):
    """A copy of the model to write to."""
    return shutil.copytree(model, tmp_path / "model")


def test_gate_scores_both_parts_writes_and_stores_the_decision(resharp, places, own_model, tmp_path):
    weights = (own_model / "model.safetensors").read_bytes()
    before = json.loads((own_model / "config.json").read_text())
    ran = resharp("gate", own_model, *places, "--steps", 1, "--out", tmp_path / "out" / "deep", "--write")
    assert ran.code == 0, ran.err
    # A random network only harms: nothing passes.
    assert ran.out.rstrip().endswith("decision: input")
    for what in ("predictor, real", "diffusion, out of domain"):
        assert f"| {what} | PSNR (higher is better)" in ran.out
    lines = ran.err.splitlines()
    assert lines[0] == "predictor, real: 1/2 a"  # one run serves all seeds
    assert "predictor, out of domain: 6/6 b" in lines
    assert "diffusion, real: 6/6 b" in lines
    assert lines[-1] == f"{own_model}: output input is the default now"

    after = json.loads((own_model / "config.json").read_text())
    assert before["defaults"]["output"] == "diffusion"
    assert after == {**before, "defaults": {**before["defaults"], "output": "input", "steps": 1}}
    assert (own_model / "model.safetensors").read_bytes() == weights
    assert DeblurPipeline.from_pretrained(own_model).defaults.output == "input"

    out = tmp_path / "out" / "deep"
    names = {f"{part}_{kind}" for part in ("predictor", "diffusion") for kind in ("real", "out_of_domain")}
    assert {file.stem for file in out.iterdir()} == names | {"gate"}
    report = json.loads((out / "gate.json").read_text())
    assert (report["decision"], report["perceptual_metric"], len(report["checks"])) == ("input", "ssim", 8)
    rows = read_csv(out / "predictor_out_of_domain.csv")
    assert len({row.blurry for row in rows if (row.name, row.metric) == ("a", "psnr")}) == 3  # a blur for each seed
    summary = json.loads((out / "predictor_out_of_domain.json").read_text())["summary"][0]
    psnr = [row for row in rows if row.metric == "psnr"]
    assert summary["blurry"] == pytest.approx(np.mean([row.blurry for row in psnr]))
    assert summary["gain"] == pytest.approx(np.mean([row.restored - row.blurry for row in psnr]))


def test_gate_prints_json_and_leaves_the_model_alone(resharp, places, own_model):
    config = (own_model / "config.json").read_bytes()
    ran = resharp("gate", own_model, *places, "--part", "predictor", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["decision"] == "input"
    assert {check["candidate"] for check in report["checks"]} == {"predictor"}
    assert (own_model / "config.json").read_bytes() == config


def test_a_part_that_helps_is_chosen(resharp, places, own_model, monkeypatch):
    """The rule has its own tests; here, that each part's scores reach it under their own name."""
    whole = DeblurPipeline.restore

    def restore(self, blurry, **options):
        restored = whole(self, blurry, **{**options, "output": "input"})
        if options["output"] != "diffusion":
            return restored
        # Sharpening a little undoes some of any blur.
        smooth = Image.fromarray((blurry[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
        smooth = np.asarray(smooth.filter(ImageFilter.GaussianBlur(1)), dtype=np.float32) / 255
        image = (blurry + 0.2 * (blurry - blurry.new_tensor(smooth).permute(2, 0, 1))).clamp(0, 1)
        return replace(restored, image=image, output="diffusion")

    monkeypatch.setattr(DeblurPipeline, "restore", restore)
    ran = resharp("gate", own_model, *places, "--json")
    assert ran.code == 0, ran.err
    checks = {(c["candidate"], c["pairs"], c["metric"]): c["gain"] for c in json.loads(ran.out)["checks"]}
    assert checks["predictor", "real", "psnr"] == 0
    assert checks["diffusion", "real", "psnr"] > 0


def test_what_the_gate_refuses(resharp, places, models, photo, tmp_path):
    model = models["diffusion"]
    photo("one/a.png")
    photo("alone/a_blur.png")
    (tmp_path / "file").touch()
    for words, says in (
        ([model, *places, "--seeds", 2], "--seeds is 2; the decision needs at least 3"),
        ([model, *places, "--steps", 0], "steps is 0; allowed: 1 to"),
        ([model, *places, "--part", "guidance"], "unknown part 'guidance'"),
        ([models["plain"], *places, "--part", "predictor"], "this model has no predictor part; score --part diffusion"),
        ([model, *places, "--out", tmp_path / "file" / "out"], "cannot be a folder"),
        ([model, *places, "--lpips-weights", tmp_path / "none.pth"], "no AlexNet weights for LPIPS here"),
        ([model, *places[:2], "--sharp", tmp_path / "one"], "a single picture has no standard error"),
        ([model, *places[:2], "--sharp", tmp_path / "none"], "cannot list this folder"),
        ([model, "--pairs", tmp_path / "alone", *places[2:]], "has no sharp partner"),
        (["/no/such/model", *places], "no such folder"),
        (["owner/name", *places, "--write"], "--write changes a model folder"),
    ):
        ran = resharp("gate", *words)
        assert ran.code == 1
        assert ran.out == ""
        assert says in ran.line
