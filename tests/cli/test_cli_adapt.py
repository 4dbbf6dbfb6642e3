"""`resharp adapt` from photos to a model or a refusal, and what it says about bad input."""

from __future__ import annotations

import json
import shutil

import pytest

from resharp.pipeline import DeblurPipeline
from shaken_scenes import blurry_folder, sharp_folder

QUICK = ("--steps", 2, "--batch-size", 2, "--window", 224, "--device", "cpu", "--seed", 3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Blurry photos and sharp ones."""
    place = tmp_path_factory.mktemp("adapt")
    return blurry_folder(place / "blurry", 9), sharp_folder(place / "sharp", 8)


@pytest.fixture
def known_blur(monkeypatch):
    """The tiny model restores nothing, so that no kernel could be found: take the photos' true blur."""
    import resharp.adapt.run as run
    from resharp.adapt.blurs import Blurs, extents_px
    from resharp.evaluate.kernels import line_kernel

    def found(photos, restored, on_photo=None, where=""):
        import numpy as np
        import torch

        assert len(photos) == len(restored)
        kernel = line_kernel(9, 0.4)
        kernels = torch.from_numpy(np.pad(kernel, (31 - kernel.shape[0]) // 2)).float()[None].repeat(len(photos), 1, 1)
        zero = torch.zeros(len(photos))
        return Blurs(kernels, extents_px(kernels), zero, zero, zero.bool(), len(photos), {})

    monkeypatch.setattr(run, "find_blurs", found)


def test_a_model_that_is_not_better_is_refused(resharp, models, folders, known_blur, tmp_path):
    blurry, sharp = folders
    ran = resharp("adapt", models["predictor"], blurry, "--sharp", sharp, "--out", tmp_path / "out", *QUICK)
    assert ran.code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["adapt.json", "adapt.md"]
    last = ran.err.splitlines()[-1]
    assert last.startswith("resharp: refused: ")
    assert "must be better" in last
    assert "no model is written" in last
    report = json.loads((tmp_path / "out" / "adapt.json").read_text())
    assert report["decision"] == "refused"
    assert report["photos"]["held_out"] == [f"{i:02d}.png" for i in range(5, 9)]
    assert report["settings"]["seed"] == 3
    asked = [(row["part"], row["metric"], row["rule"]) for row in report["requirements"]]
    assert asked == [
        ("predictor", "deblurred", "better"),
        ("predictor", "psnr", "better"),
        ("predictor", "ssim", "not below"),
        ("diffusion", "psnr", "not clearly worse"),
        ("diffusion", "ssim", "not clearly worse"),
    ]
    assert "| made pairs | predictor | psnr |" in ran.out
    assert not list(tmp_path.glob(".resharp-*"))


def test_a_better_one_is_written_and_works(resharp, models, folders, known_blur, tmp_path, monkeypatch):
    """The verdict itself is tested in tests/adapt; here it is what follows from it."""
    monkeypatch.setattr("resharp.adapt.run.accepted", lambda requirements: True)
    blurry, _ = folders
    words = ("adapt", models["predictor"], blurry, *QUICK, "--set", "crop_px=32", "--set", "blur.extent_max_px=8")
    config = tmp_path / "small.toml"
    config.write_text('size = "msgd-fast"\nprediction_loss = "charbonnier"\n')
    (tmp_path / "out").mkdir()  # an empty folder is as good as none
    ran = resharp(*words, "--config", config, "--out", tmp_path / "out", "--work", tmp_path / "work", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["decision"] == "accepted"
    assert json.loads(ran.out)["sharp"]["origin"] == "restored photos at half their size"
    old, new = (DeblurPipeline.from_pretrained(place) for place in (models["predictor"], tmp_path / "out"))
    assert (new.defaults, new.schedule) == (old.defaults, old.schedule)
    changed = {n.split(".")[0] for n, v in new.model.state_dict().items() if not v.equal(old.model.state_dict()[n])}
    assert changed == {"guidance", "predictor"}
    assert list((tmp_path / "work" / "checkpoints").iterdir())
    again = resharp(*words, "--config", config, "--out", tmp_path / "out")
    assert again.code == 1
    assert "exists already and is kept" in again.line


def test_adversarial_needs_source_data_and_guidance(resharp, models, folders, known_blur, tmp_path):
    blurry, sharp = folders
    words = ("adapt", models["predictor"], blurry, "--method", "adversarial", "--sharp", sharp, *QUICK)
    ran = resharp(*words, "--out", tmp_path / "a")
    assert ran.code == 1
    assert "needs --data" in ran.err.splitlines()[-1]
    ran = resharp(*words, "--out", tmp_path / "a", "--data", sharp)
    assert ran.code == 1
    assert "refused" in ran.err
    assert "the paper found adversarial adaptation to make results worse" in ran.err
    losses = json.loads((tmp_path / "a" / "adapt.json").read_text())["losses"]
    assert "domain" in losses[0]
    bare = tmp_path / "bare"
    shutil.copytree(models["predictor"], bare)
    _without_guidance(bare)
    ran = resharp("adapt", bare, *words[2:], "--out", tmp_path / "b", "--data", sharp)
    assert ran.code == 1
    assert "has no guidance" in ran.err.splitlines()[-1]
    assert not (tmp_path / "b").exists()


def _without_guidance(folder):
    from dataclasses import replace

    from resharp.models.icdpm import ICDPM
    from resharp.serialization import load_model, save_model

    model, schedule, defaults = load_model(folder)
    save_model(folder, ICDPM(replace(model.config, guidance=None)), schedule, defaults)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--steps", 0), "--steps is 0; it must be above 0"),
        (("--method", "magic"), "unknown method 'magic'"),
        (("--data", "x"), "--data is for --method adversarial"),
        (("--set", "lr=1"), "--set replaces settings of --config"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        (("--sharp", "missing"), "missing: cannot list this folder"),
        (("--lpips-weights", "missing.pth"), "missing.pth: no AlexNet weights"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(resharp, models, folders, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    ran = resharp("adapt", models["predictor"], folders[0], "--out", tmp_path / "out", "--device", "cpu", *words)
    assert ran.code == 1
    assert line in ran.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_photos_that_cannot_be_used(resharp, models, folders, tmp_path):
    blurry, sharp = folders
    cases = {
        sharp: "no motion blur found in any of its 8 photos",
        blurry_folder(tmp_path / "few", 2): "2 usable blurry photos; at least 8 are needed",
        tmp_path / "missing": "no such file",
    }
    for folder, line in cases.items():
        ran = resharp("adapt", models["predictor"], folder, "--sharp", sharp, "--out", tmp_path / "out", *QUICK)
        assert ran.code == 1
        assert line in ran.err.splitlines()[-1]
    ran = resharp("adapt", "no-such-model", blurry, "--out", tmp_path / "out")
    assert ran.code == 1
    assert "no such folder" in ran.line
    (tmp_path / "file").write_text("")
    ran = resharp("adapt", models["predictor"], blurry, "--out", tmp_path / "file")
    assert ran.code == 1
    assert "cannot be a folder" in ran.line
    # A model that restores nothing tells no blur.
    ran = resharp("adapt", models["predictor"], blurry, "--sharp", sharp, "--out", tmp_path / "out", *QUICK)
    assert ran.code == 1
    assert "tiles could be told" in ran.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
