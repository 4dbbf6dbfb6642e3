"""What those who look on while a picture is made are shown."""

from __future__ import annotations

import pytest
import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults


@pytest.fixture
def pipeline(tiny_model):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=3))


@pytest.fixture
def blurry(generator):
    return torch.rand(1, 3, 13, 22, generator=generator)


@pytest.mark.parametrize("sampler", ["dpm++", "ddim", "ddpm"])
def test_every_step_shows_the_picture_and_the_last_is_the_sample(pipeline, blurry, sampler):
    previews, samples = [], []
    restored = pipeline.restore(
        blurry,
        steps=3,
        samples=2,
        sampler=sampler,
        on_preview=previews.append,
        on_sample=lambda number, sample: samples.append((number, sample)),
    )
    assert len(previews) == 6
    assert all(each.shape == blurry.shape and each.min() >= 0 and each.max() <= 1 for each in previews)
    assert [number for number, _ in samples] == [0, 1]
    torch.testing.assert_close(torch.stack([sample for _, sample in samples]).mean(dim=0), restored.image)
    for last, (_, sample) in zip(previews[2::3], samples, strict=True):
        torch.testing.assert_close(last, sample, atol=1e-5, rtol=0)
    assert not torch.equal(previews[0], previews[2])


def test_an_ensemble_shows_its_mean_so_far(pipeline, blurry):
    previews = []
    restored = pipeline.restore(blurry, ensemble=4, on_preview=previews.append)
    assert len(previews) == 4
    torch.testing.assert_close(previews[0], pipeline.restore(blurry, output="predictor").image)
    torch.testing.assert_close(previews[-1], restored.image)


def test_looking_on_changes_nothing(pipeline, blurry):
    seen = pipeline.restore(blurry, steps=2, samples=2, on_preview=lambda image: image.zero_())
    unseen = pipeline.restore(blurry, steps=2, samples=2)
    assert torch.equal(seen.image, unseen.image)
