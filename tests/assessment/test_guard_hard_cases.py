"""What the guard promises for any model, on pictures that tempt models to do harm."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resharp.assessment import assess_input, guard, reblur_consistency
from resharp.assessment.flat import flat_weights
from resharp.pipeline import DeblurPipeline

sys.path.insert(0, str(Path(__file__).parent))
from hard_cases import CASES, HARMFUL, blurry_shapes, coloured_noise, sharp_shapes

LEVEL = 1 / 255
# Standard deviation of what may be added to an area that is flat for 16 px around, over the photo's own.
ADDED_GRAIN = 1.5 * LEVEL
UNSURE_DB = 40.0


@cache
def shipped() -> DeblurPipeline:
    return DeblurPipeline.from_pretrained()


MODELS = {**HARMFUL, "shipped": lambda blurry: shipped().restore(blurry).image}


def psnr(first, second):
    return float(-10 * (first - second).square().mean().double().log10())


def held(blurry, restored, report):
    """What the guard makes of a result, as a tensor."""
    return torch.from_numpy(guard(blurry, restored, report).image)


def wholly_flat(blurry, report):
    """Pixels of cells that are flat, and whose neighbours are."""
    weights = torch.from_numpy(flat_weights(blurry, report.noise_sigma) >= 1).float()
    inner = 1 - F.max_pool2d(1 - weights, 5, 1, 2)
    return inner.repeat_interleave(4, 2).repeat_interleave(4, 3)[..., : blurry.shape[-2], : blurry.shape[-1]]


def deviation(image, mask):
    """Of what a 21 px mean leaves of each channel, where `mask` is set."""
    rest = image - F.avg_pool2d(image, 21, 1, 10, count_include_pad=False)
    return float(((rest.square() * mask).sum() / (3 * mask.sum())).sqrt())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_no_model_gets_past_the_guard(case, model):
    blurry = CASES[case]()
    report = assess_input(blurry)
    guarded = guard(blurry, MODELS[model](blurry), report)
    image = torch.from_numpy(guarded.image)
    assert image.shape == blurry.shape
    assert bool(torch.isfinite(image).all())
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    assert 0 <= guarded.kept_share <= 1
    if report.motion_blur == "none":
        assert torch.equal(image, blurry)
    if report.motion_blur == "unsure":
        assert psnr(image, blurry) >= UNSURE_DB
    if blurry.amax(dim=1).sub(blurry.amin(dim=1)).max() == 0:
        assert float((image.amax(dim=1) - image.amin(dim=1)).max()) <= 2 * LEVEL
    mask = wholly_flat(blurry, report)
    if mask.sum() > 400:
        change = ((image - blurry) * mask).sum(dim=(2, 3)) / mask.sum()
        assert float(change.abs().max()) <= LEVEL
        assert deviation(image, mask) <= (deviation(blurry, mask) ** 2 + ADDED_GRAIN**2) ** 0.5


@pytest.mark.parametrize("case", ["drawing", "text", "screenshot", "checkerboard"])
def test_sharp_graphics_come_back_untouched(case):
    blurry = CASES[case]()
    report = assess_input(blurry)
    assert report.motion_blur == "none"
    assert torch.equal(held(blurry, coloured_noise(blurry), report), blurry)


@pytest.mark.parametrize("case", ["black", "white", "teal"])
@pytest.mark.parametrize("model", MODELS)
def test_a_flat_colour_keeps_its_mean(case, model):
    blurry = CASES[case]()
    image = held(blurry, MODELS[model](blurry), assess_input(blurry))
    assert float((image.mean(dim=(2, 3)) - blurry.mean(dim=(2, 3))).abs().max()) <= LEVEL


def test_flat_areas_of_a_blurry_photo_stay_clean_and_the_rest_keeps_its_gain():
    """The masks must bite on this picture, and the true restoration must pass."""
    blurry, sharp = blurry_shapes(), sharp_shapes()
    report = assess_input(blurry)
    assert report.motion_blur == "some"
    mask = wholly_flat(blurry, report)
    assert float(mask.mean()) > 0.15
    for harm in HARMFUL.values():
        assert deviation(harm(blurry).nan_to_num(), mask) > 0.02 or harm.__name__ == "colour_cast"
        assert deviation(held(blurry, harm(blurry), report), mask) < 2 * LEVEL
    good = guard(blurry, sharp, report)
    assert psnr(torch.from_numpy(good.image), sharp) > psnr(blurry, sharp) + 15
    assert good.kept_share > 0.97


def test_strips_leave_no_trace(monkeypatch):
    """Guarding in strips of rows gives what guarding the photo in one piece gives."""
    blurry = blurry_shapes()
    harmed, report = coloured_noise(blurry), assess_input(blurry)
    whole = held(blurry, harmed, report)
    monkeypatch.setattr("resharp.assessment.guarding.STRIP_PX", 64)
    assert float((held(blurry, harmed, report) - whole).abs().max()) < 1e-6
    assert not torch.equal(whole, harmed)


def test_an_input_is_not_written_to():
    blurry = blurry_shapes()
    harmed = coloured_noise(blurry)
    before = blurry.clone(), harmed.clone()
    guard(blurry, harmed, assess_input(blurry))
    assert torch.equal(blurry, before[0])
    assert torch.equal(harmed, before[1])


@pytest.mark.parametrize("verdict", ["some", "unsure"])
def test_in_place_and_from_samples_it_is_the_same(monkeypatch, verdict):
    """Strips look back at rows that have been written over; photos come as their 8-bit samples."""
    monkeypatch.setattr("resharp.assessment.guarding.STRIP_PX", 64)
    samples = (blurry_shapes() * 255).round().byte()
    blurry = samples / 255
    harmed, report = coloured_noise(blurry), replace(assess_input(blurry), motion_blur=verdict)
    assert assess_input(samples) == assess_input(blurry)
    expected = guard(blurry, harmed, report)
    seen = reblur_consistency(blurry, expected.image)
    again = guard(samples, harmed, report, out=harmed.numpy())
    assert again.image.ctypes.data == harmed.data_ptr()
    assert np.array_equal(again.image, expected.image)
    assert (again.kept_share, again.notes) == (expected.kept_share, expected.notes)
    assert reblur_consistency(samples, harmed).explained == seen.explained


def test_shapes_that_differ_are_refused():
    blurry = blurry_shapes()
    with pytest.raises(ValueError, match="of one shape"):
        guard(blurry, blurry[..., 1:], assess_input(blurry))
