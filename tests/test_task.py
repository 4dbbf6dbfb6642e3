"""What a model restores: words, enlargement and holes, and that it travels with the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ImageError, ModelError
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults, load_task, save_model
from resharp.task import Task, enlarged, holes
from tiny import TINY, awake

HOLES = Task(("holes",))
X2 = Task(("low resolution",), scale=2)


def picture(height: int = 16, width: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def marked(seed: int = 0) -> torch.Tensor:
    image = picture(seed=seed)
    image[..., 4:8, 6:10] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    return image


def pipeline(task: Task, output: str = "predictor") -> DeblurPipeline:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ICDPM(TINY)
    return DeblurPipeline(awake(model), NoiseSchedule(), Defaults(output=output, steps=2), task)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlarging_is_pillows_bicubic(scale):
    ours = enlarged(picture(), scale)[0]
    for plane, ours_plane in zip(picture()[0], ours, strict=True):  # floats, which Pillow does not round
        pillows = Image.fromarray(plane.numpy()).resize((24 * scale, 16 * scale), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(ours_plane, np.asarray(pillows).clip(0, 1), atol=1e-5)


def test_holes_are_found_by_their_colour_alone():
    found = holes(marked())
    assert found.shape == (1, 1, 16, 24)
    assert found.sum() == 16
    assert found[..., 4:8, 6:10].all()
    almost = marked()
    almost[..., 4, 6] = torch.tensor([254 / 255, 1 / 255, 1.0])
    assert holes(almost).sum() == 16
    almost[..., 4, 6] = torch.tensor([250 / 255, 0.0, 1.0])
    assert holes(almost).sum() == 15


def test_words_name_the_damages():
    assert Task().words == "motion blur"
    assert Task(("JPEG artefacts", "low resolution"), 4).words == "JPEG artefacts and low resolution (x4)"
    assert Task(("noise", "JPEG artefacts", "holes")).words == "noise, JPEG artefacts and holes"


@pytest.mark.parametrize(("restores", "scale"), [((), 1), (("noise",), 2), (("low resolution",), 1)])
def test_impossible_tasks_are_refused(restores, scale):
    with pytest.raises(ConfigError):
        Task(restores, scale)


def test_a_model_of_another_task_is_refused_where_blur_is_meant():
    Task().require_deblurring("this")
    with pytest.raises(ConfigError, match="restores noise"):
        Task(("noise",)).require_deblurring("this")
    HOLES.require_same_size("this")
    with pytest.raises(ConfigError, match="enlarges by 2"):
        X2.require_same_size("this")


@pytest.mark.parametrize("output", ["predictor", "diffusion", "input"])
def test_results_are_larger_by_the_scale(output):
    result = pipeline(X2).restore(picture(), output=output).image
    assert result.shape == (1, 3, 32, 48)
    if output == "input":
        torch.testing.assert_close(result, enlarged(picture(), 2))


def test_an_enlarging_model_sees_the_bicubic_picture():
    plain = pipeline(Task()).restore(enlarged(picture(), 2)).image
    assert torch.equal(pipeline(X2).restore(picture()).image, plain)


def test_pil_transparency_is_enlarged_along():
    image = Image.fromarray(np.full((8, 12, 4), 128, dtype=np.uint8), "RGBA")
    result = pipeline(X2)(image, progress=False)
    assert result.size == (24, 16)
    assert result.getchannel("A").getextrema() == (128, 128)


@pytest.mark.parametrize("output", ["predictor", "diffusion"])
def test_known_pixels_around_holes_stay(output):
    image = marked()
    result = pipeline(HOLES).restore(image, output=output).image
    known = ~holes(image).expand_as(image)
    assert torch.equal(result[known], image[known])
    assert not torch.equal(result, image)


def test_a_picture_without_holes_is_refused_by_a_model_for_holes():
    with pytest.raises(ImageError, match="magenta"):
        pipeline(HOLES).restore(picture())


def test_the_task_is_saved_with_the_model(tmp_path):
    pipeline(X2).save_pretrained(tmp_path / "x2")
    assert load_task(tmp_path / "x2") == X2
    assert DeblurPipeline.from_pretrained(tmp_path / "x2").task == X2
    save_model(tmp_path / "plain", ICDPM(TINY), NoiseSchedule(), Defaults())
    assert load_task(tmp_path / "plain") == Task()


def test_a_model_from_before_there_were_tasks_deblurs(tmp_path):
    save_model(tmp_path, ICDPM(TINY), NoiseSchedule(), Defaults())
    text = (tmp_path / "config.json").read_text()
    start = text.index(',\n  "task"')
    (tmp_path / "config.json").write_text(text[:start] + "\n}\n")
    assert DeblurPipeline.from_pretrained(tmp_path).task == Task()


def test_an_unknown_task_is_one_error(tmp_path):
    save_model(tmp_path, ICDPM(TINY), NoiseSchedule(), Defaults())
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace("motion blur", "sadness"))
    with pytest.raises(ModelError, match="sadness"):
        load_task(tmp_path)
