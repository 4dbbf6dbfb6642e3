"""The pipeline as a user of Python meets it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ImageError
from resharp.models.padding import pad_to_multiple
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults


@pytest.fixture
def pipeline(tiny_model) -> DeblurPipeline:
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="diffusion", steps=3))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(97, 131), (1, 1), (3, 2000), (2, 5), (64, 64)])
@pytest.mark.parametrize("output", ["predictor", "diffusion"])
def test_output_size_is_the_input_size(pipeline, size, output):
    assert pipeline(picture(*size), output=output, steps=2).shape == (*size, 3)


def test_padding_is_a_reflection_and_works_on_one_pixel(generator):
    image = torch.rand(1, 1, 5, 6, generator=generator)
    expected = torch.nn.functional.pad(image, (0, 2, 0, 3), mode="reflect")
    assert torch.equal(pad_to_multiple(image, 8), expected)
    assert torch.equal(pad_to_multiple(image[..., :1, :1], 4), image[..., :1, :1].expand(1, 1, 4, 4))
    # Two pixels reflected back and forth: a b a b a b a b.
    two = image[..., :1, :2]
    assert torch.equal(pad_to_multiple(two, 8)[0, 0, 0], two.flatten().repeat(4))


def test_guidance_and_prediction_are_computed_once_whatever_the_steps_and_samples(pipeline, monkeypatch):
    calls = {"guide": 0, "predict": 0, "forward": 0}
    for name in calls:
        original = getattr(type(pipeline.model), name)

        def counted(self, *args, _name=name, _original=original, **options):
            calls[_name] += 1
            return _original(self, *args, **options)

        monkeypatch.setattr(type(pipeline.model), name, counted)
    pipeline(picture(16, 16), steps=5, samples=3)
    assert calls == {"guide": 1, "predict": 1, "forward": 15}


def test_same_seed_same_bytes_other_seed_other_bytes(pipeline):
    image = picture(24, 24)
    for sampler in ("dpm++", "ddpm"):
        first, again = (pipeline(image, steps=4, seed=7, sampler=sampler) for _ in range(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, pipeline(image, steps=4, seed=8, sampler=sampler))


def test_samples_are_averaged_and_their_spread_is_the_standard_deviation(pipeline):
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    mean, spread = pipeline(image, steps=3, samples=3, return_spread=True)
    # Sample i of a seed is the same however many are drawn: undo the running means.
    means = [pipeline(image, steps=3, samples=n) for n in (1, 2, 3)]
    samples = torch.stack([means[0], 2 * means[1] - means[0], 3 * means[2] - 2 * means[1]])
    assert torch.allclose(mean, samples.mean(0), atol=1e-6)
    assert np.allclose(spread, samples.std(0).mean(1)[0].numpy(), atol=1e-5)
    assert spread.shape == (16, 16)


def test_input_kinds_come_back_as_they_were(pipeline, tmp_path):
    image = picture(20, 30)
    assert pipeline(image).dtype == np.uint8
    assert pipeline(image.astype(np.uint16) * 257).dtype == np.uint16
    assert pipeline(image[..., 0]).shape == (20, 30)
    assert pipeline(image / 255).dtype == np.float64
    assert pipeline(torch.rand(3, 8, 8)).shape == (3, 8, 8)
    assert pipeline(torch.rand(2, 3, 8, 8)).shape == (2, 3, 8, 8)
    assert pipeline(Image.fromarray(image)).size == (30, 20)
    assert pipeline(Image.fromarray(image).convert("L")).mode == "L"
    with_alpha = Image.fromarray(image).convert("RGBA")
    with_alpha.putalpha(Image.fromarray(image[..., 1]))
    assert np.array_equal(np.asarray(pipeline(with_alpha))[..., 3], image[..., 1])
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(pipeline(tmp_path / "a.png")), pipeline(image))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_passing_through_changes_nothing(pipeline, dtype):
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    image = (np.random.default_rng(0).random((9, 7, 3)) * top).astype(dtype)
    assert np.array_equal(pipeline(image, output="input"), image)


def test_output_stays_in_range_for_any_network(pipeline):
    with torch.no_grad():
        for parameter in pipeline.model.parameters():
            parameter.mul_(20)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for output in ("predictor", "diffusion"):
        restored = pipeline(image, output=output)
        assert restored.min() >= 0
        assert restored.max() <= 1


def test_save_and_load_give_the_same_pictures(pipeline, tmp_path):
    image = picture(19, 21)
    pipeline.save_pretrained(tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["config.json", "model.safetensors", "scheduler_config.json"]
    loaded = DeblurPipeline.from_pretrained(tmp_path / "model")
    assert loaded.defaults == pipeline.defaults
    assert np.array_equal(loaded(image, seed=1), pipeline(image, seed=1))


def test_asking_for_steps_asks_for_the_diffusion(tiny_model):
    pipeline = DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=3))
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert pipeline.restore(image).output == "predictor"
    assert pipeline.restore(image, steps=2).output == "diffusion"
    assert pipeline.restore(image, samples=1).output == "diffusion"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "1 to 10000"),
        ({"steps": 10_001}, "1 to 10000"),
        ({"samples": 0}, "samples is 0"),
        ({"sampler": "euler"}, "allowed: dpm"),
        ({"seed": -1}, "seed is -1"),
        ({"output": "magic"}, "allowed: diffusion"),
        ({"return_spread": True}, "at least two"),
        ({"final_variance": 2.0}, "final_variance"),
    ],
)
def test_settings_outside_their_range_are_refused(pipeline, options, words):
    with pytest.raises(ConfigError, match=words):
        pipeline(picture(8, 8), **options)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.full((4, 4, 3), np.nan),
        np.full((4, 4, 3), 255.0),
        torch.zeros(1, 1, 4, 4),
        torch.zeros(3, 4, 4, dtype=torch.uint8),
        {"a": 1},
        "no-such-file.jpg",
    ],
)
def test_things_that_are_no_picture_are_refused(pipeline, image):
    with pytest.raises(ImageError):
        pipeline(image)
