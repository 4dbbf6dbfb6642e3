"""`resharp info`."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil

import torch

from resharp import __version__
from resharp.serialization import load_model


def test_info_describes_the_installation_and_the_model(resharp, model):
    ran = resharp("info", model, "--json")
    assert (ran.code, ran.err) == (0, "")
    facts = json.loads(ran.out)
    assert facts["resharp"] == __version__
    assert facts["python"] == platform.python_version()
    assert facts["torch"] == torch.__version__
    assert facts["devices"][-1] == "cpu"
    assert facts["licence"] == "Apache-2.0"
    assert facts["model"] == str(model.resolve())
    assert facts["weights_sha256"] == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert facts["parameters"]["all"] == load_model(model)[0].parameter_count()
    assert facts["parameters"].keys() == {"guidance", "predictor", "denoiser", "all"}
    assert (facts["prediction_type"], facts["patch_size"]) == ("x0", 2)
    unset = {"fidelity": None, "final_variance": None, "start": None}
    default = {"output": "diffusion", "steps": 2, "samples": 1, "sampler": "dpm++", "ensemble": 1, "spacing": "time"}
    assert facts["defaults"] == default | unset
    assert facts["noise_schedule"]["train_steps"] == 2000


def test_info_for_people_has_the_same_facts(resharp, models):
    ran = resharp("info", models["plain"])
    assert (ran.code, ran.err) == (0, "")
    assert "output diffusion, steps 2, samples 1, sampler dpm++" in ran.out
    assert "predictor " not in ran.out  # this model has none


def test_the_models_licence_comes_from_its_card(resharp, model, tmp_path):
    own = shutil.copytree(model, tmp_path / "model")
    assert "not stated" in json.loads(resharp("info", own, "--json").out)["model_licence"]
    (own / "README.md").write_text("---\ntags: [deblurring]\nlicense: cc-by-4.0\n---\nlicense: no\n")
    assert json.loads(resharp("info", own, "--json").out)["model_licence"] == "cc-by-4.0"


def test_a_missing_model_is_one_line(resharp):
    ran = resharp("info", "/no/such/folder")
    assert ran.code == 1
    assert ran.out == ""
    assert "no such folder" in ran.line


def test_presets_and_shipped_models_are_listed(resharp, models):
    facts = json.loads(resharp("info", models["predictor"], "--json").out)
    assert "default" in facts["shipped_models"]
    assert list(facts["quality"]) == ["draft", "standard", "best"]
    assert facts["quality"]["standard"] == facts["defaults"]
    assert facts["quality"]["best"] == {**facts["defaults"], "ensemble": 8}
    ran = resharp("info", models["diffusion"])
    assert "quality draft     predictor\n" in ran.out
    assert "quality best      diffusion, 2 steps of dpm++, 4 samples\n" in ran.out


def test_shipped_models_go_by_name(resharp):
    facts = json.loads(resharp("info", "default", "--json").out)
    assert facts["model"].endswith("weights/default")
