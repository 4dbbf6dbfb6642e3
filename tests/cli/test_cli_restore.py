"""`resharp restore`, and `resharp deblur`, with models of other tasks than motion blur."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from resharp.serialization import load_model, save_model
from resharp.task import Task


@pytest.fixture
def of_task(models, tmp_path):
    """A model folder, whose default is the predictor, for another task."""

    def made(task: Task):
        folder = tmp_path / "model"
        save_model(folder, *load_model(models["predictor"]), task=task)
        return folder

    return made


def test_a_denoiser_is_not_asked_about_blur(resharp, photo, of_task):
    """The photo is sharp: a model of motion blur would pass it through."""
    model = of_task(Task(("noise",)))
    ran = resharp("restore", photo("a.png"), "--model", model)
    assert ran.code == 0
    assert "this model restores noise; motion blur is not looked for" in ran.err
    result = np.asarray(Image.open(photo("a.png").with_name("a.deblurred.png")))
    assert not np.array_equal(result, np.asarray(Image.open(photo("a.png"))))


def test_json_says_what_the_model_restores(resharp, photo, of_task):
    model = of_task(Task(("JPEG artefacts",)))
    (result,) = json.loads(resharp("deblur", photo("a.png"), "--json", "--model", model).out)["results"]
    assert result["restores"] == ["JPEG artefacts"]
    assert (result["assessment"], result["trust"], result["remark"]) == (None, None, None)
    assert result["receipt"]["guard"] is False


def test_super_resolution_enlarges_photo_and_transparency_and_verifies(resharp, photo, of_task, tmp_path):
    model = of_task(Task(("low resolution",), 2))
    source = photo("a.png")
    rgba = np.dstack([np.asarray(Image.open(source)), np.full((28, 40), 200, dtype=np.uint8)])
    Image.fromarray(rgba).save(source)
    ran = resharp("restore", source, "-o", tmp_path / "b.png", "--model", model)
    assert ran.code == 0, ran.err
    assert "80x56" in ran.out
    with Image.open(tmp_path / "b.png") as result:
        assert result.size == (80, 56)
        assert result.getchannel("A").getextrema() == (200, 200)
    ran = resharp("verify", tmp_path / "b.png", "--photo", source, "--model", model)
    assert ran.code == 0, ran.out + ran.err


def test_a_photo_passed_through_by_an_enlarging_model_is_enlarged(resharp, photo, models, tmp_path):
    folder = tmp_path / "model"
    save_model(folder, *load_model(models["input"]), task=Task(("low resolution",), 2))
    assert resharp("restore", photo("a.png"), "--model", folder).code == 0
    assert Image.open(tmp_path / "a.deblurred.png").size == (80, 56)


def test_only_holes_change(resharp, photo, of_task, tmp_path):
    model = of_task(Task(("holes",)))
    source = photo("a.png")
    ran = resharp("restore", source, "--model", model)
    assert ran.code == 1
    assert "paint what is missing in pure magenta" in ran.err
    pixels = np.asarray(Image.open(source)).copy()
    pixels[5:9, 10:20] = (255, 0, 255)
    Image.fromarray(pixels).save(source)
    assert resharp("restore", source, "--model", model).code == 0
    changed = (np.asarray(Image.open(tmp_path / "a.deblurred.png")) != pixels).any(axis=2)
    assert changed[5:9, 10:20].any()
    changed[5:9, 10:20] = False
    assert not changed.any()


def test_info_says_what_a_model_restores(resharp, of_task, models):
    assert json.loads(resharp("info", models["input"], "--json").out)["restores"] == "motion blur"
    model = of_task(Task(("low resolution",), 4))
    assert json.loads(resharp("info", model, "--json").out)["restores"] == "low resolution (x4)"


def test_commands_about_blur_refuse_other_models(resharp, of_task, photo, tmp_path):
    model = of_task(Task(("noise",)))
    photo("sharp/a.png")
    shutil.copytree(tmp_path / "sharp", tmp_path / "pairs")
    ran = resharp("gate", model, "--pairs", tmp_path / "pairs", "--sharp", tmp_path / "sharp")
    assert ran.code == 1
    assert "resharp gate is about motion blur alone, and this model restores noise" in ran.line
