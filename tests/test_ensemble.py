"""Averaging the predictor over flips and quarter turns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resharp import restoration
from resharp.diffusion.presets import ENSEMBLES
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.pipeline import DeblurPipeline
from resharp.restoration import self_ensemble, turned, turned_back
from resharp.serialization import Defaults


@pytest.fixture
def pipeline(tiny_model) -> DeblurPipeline:
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=2))


@pytest.fixture
def image(generator) -> torch.Tensor:
    return torch.rand(1, 3, 19, 26, generator=generator)


def test_orientations_are_eight_different_ones_and_are_undone(image):
    seen = [turned(image, orientation) for orientation in range(8)]
    for i, picture in enumerate(seen):
        assert torch.equal(turned_back(picture, i), image)
        assert not any(picture.shape == other.shape and torch.equal(picture, other) for other in seen[:i])


@pytest.mark.parametrize("count", ENSEMBLES)
def test_the_first_ones_form_a_group(count, image):
    members = [turned(image, i) for i in range(count)]
    for i in range(count):
        for j in range(count):
            product = turned(turned(image, i), j)
            assert any(product.shape == member.shape and torch.equal(product, member) for member in members)


def test_one_is_the_predictor_itself(pipeline, image):
    assert torch.equal(pipeline.restore(image, ensemble=1).image, pipeline.restore(image).image)


@pytest.mark.parametrize("count", ENSEMBLES)
def test_it_is_the_mean_over_the_orientations(pipeline, image, count):
    alone = [turned_back(pipeline.restore(turned(image, i)).image, i) for i in range(count)]
    restored = pipeline.restore(image, ensemble=count)
    assert (restored.output, restored.spread) == ("predictor", None)
    assert torch.allclose(restored.image, torch.stack(alone).mean(0), atol=1e-6)


@pytest.mark.parametrize("count", ENSEMBLES)
def test_the_result_turns_with_the_picture(pipeline, image, count):
    restored = pipeline.restore(image, ensemble=count).image
    for i in range(count):
        other = pipeline.restore(turned(image, i), ensemble=count).image
        assert (other - turned(restored, i)).abs().max() < 1e-6
    # The network alone does not: the tests above would see an ensemble that is none.
    plain = pipeline.restore(image).image
    assert (pipeline.restore(image.flip(-1)).image - plain.flip(-1)).abs().max() > 1e-3


def test_an_equivariant_network_gives_the_same_as_one(tiny_model, image, monkeypatch):
    """A predictor that works on each pixel by itself."""
    pixelwise = nn.Conv2d(3, 3, 1)
    monkeypatch.setattr(type(tiny_model), "predict", lambda self, y, h: y + 0.1 * torch.tanh(pixelwise(y)))
    with torch.no_grad():
        one, eight = (self_ensemble(tiny_model, image, count) for count in (1, 8))
    assert not torch.allclose(one, image, atol=1e-3)
    assert torch.allclose(one, eight, atol=1e-6)


def test_orientations_are_restored_one_at_a_time(pipeline, image, monkeypatch):
    batches = []

    def watched(model, blurry):
        batches.append(tuple(blurry.shape))
        return original(model, blurry)

    original = restoration.condition
    monkeypatch.setattr(restoration, "condition", watched)
    steps = []
    pipeline.restore(image, ensemble=8, on_step=lambda done, total: steps.append((done, total)))
    assert batches == [(1, 3, 19, 26)] * 4 + [(1, 3, 26, 19)] * 4
    assert steps == [(i, 8) for i in range(1, 9)]


def test_an_ensemble_asks_for_the_predictor(tiny_model, image):
    pipeline = DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="diffusion", steps=2))
    assert pipeline.restore(image, ensemble=2).output == "predictor"
    assert pipeline.restore(image, ensemble=1).output == "diffusion"


@pytest.mark.parametrize("count", [0, 3, 16])
def test_other_numbers_are_refused(pipeline, image, count):
    with pytest.raises(ConfigError, match=f"ensemble is {count}; allowed: 1, 2, 4, 8"):
        pipeline.restore(image, ensemble=count)


@pytest.mark.parametrize("asked", [{"steps": 2}, {"output": "diffusion"}, {"output": "input"}])
def test_an_ensemble_of_samples_is_refused(pipeline, image, asked):
    with pytest.raises(ConfigError, match="an ensemble is of the predictor"):
        pipeline.restore(image, ensemble=4, **asked)
