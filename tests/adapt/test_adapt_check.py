"""The check that decides: an oracle is accepted, and nothing that only looks better is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resharp.adapt.blurs import find_blurs
from resharp.adapt.check import HeldOutCheck, accepted, made_pairs, requirement, score_photo
from resharp.adapt.photos import UserPhoto
from resharp.assessment import assess_input
from shaken_scenes import scene, shaken


@pytest.fixture(scope="module")
def world():
    """Held-out photos and pairs, and for each blurry picture its sharp one."""
    sharp = [scene(i, 224) for i in range(4)]
    blurry = [shaken(image, 9 + i, 0.5 * i) for i, image in enumerate(sharp)]
    photos = [UserPhoto(f"{i}.png", image, assess_input(image), None, False) for i, image in enumerate(blurry)]
    pairs = made_pairs([(f"s{i}", scene(50 + i, 160)) for i in range(6)], find_blurs(photos, sharp), seed=0)
    known = [*zip(blurry, sharp, strict=True), *((pair.blurry, pair.sharp) for pair in pairs)]
    return photos, pairs, known


def mixed(known, share):
    """A restorer that knows the answer and goes a share of the way to it."""

    def restore(blurry, seed):
        truth = next(sharp for found, sharp in known if torch.equal(found, blurry))
        return (blurry + share * (truth - blurry)).clamp(0, 1)

    return restore


def identity(blurry, seed):
    return blurry


def overdone(blurry, seed):
    """Much unsharp masking: edges get steep, and wrong."""
    smooth = torch.nn.functional.avg_pool2d(blurry, 9, 1, 4, count_include_pad=False)
    return (blurry + 4 * (blurry - smooth)).clamp(0, 1)


def decide(world, before, after):
    photos, pairs, _ = world
    check = HeldOutCheck(photos, pairs, None, seed=0)
    found, _ = check.compare({"predictor": before}, {"predictor": after})
    return accepted(found), {(row.what, row.metric, row.rule): row for row in found}


def test_the_truth_is_accepted_over_half_of_it_and_over_nothing(world):
    known = world[2]
    assert decide(world, mixed(known, 0.5), mixed(known, 1.0))[0]
    assert decide(world, identity, mixed(known, 1.0))[0]


def test_returning_the_photo_never_wins(world):
    known = world[2]
    verdict, rows = decide(world, mixed(known, 0.7), identity)
    assert not verdict
    assert rows["held-out photos", "deblurred", "better"].after == 0
    assert not decide(world, identity, identity)[0]


def test_equal_models_and_overdone_ones_are_refused(world):
    known = world[2]
    verdict, rows = decide(world, mixed(known, 0.7), mixed(known, 0.7))
    assert not verdict
    assert all(row.gain == 0 for row in rows.values())
    verdict, rows = decide(world, mixed(known, 0.5), overdone)
    assert not verdict
    assert not rows["made pairs", "psnr", "better"].passed


def test_another_scene_has_no_score(world):
    photos = world[0]
    assert score_photo(photos[0], scene(77, 224)).deblurred < 0.05
    assert score_photo(photos[0], photos[0].window).explained == pytest.approx(1)


def test_a_part_that_gets_worse_refuses_the_model(world):
    photos, pairs, known = world
    check = HeldOutCheck(photos, pairs, None, seed=0)
    before = {"predictor": mixed(known, 0.5), "diffusion": mixed(known, 0.5)}
    found, rows = check.compare(before, {"predictor": mixed(known, 0.9), "diffusion": mixed(known, 0.3)})
    assert not accepted(found)
    assert {row.part for row in found if not row.passed} == {"diffusion"}
    assert [row["name"] for row in rows] == [photo.name for photo in photos]


def test_rules_by_hand():
    before = np.zeros(4)
    after = np.array([1.0, 2.0, 3.0, 2.0])  # mean 2, deviation 0.8165, standard error 0.4082
    found = requirement("made pairs", "predictor", "psnr", "better", before, after)
    assert (found.gain, found.count, found.passed) == (2.0, 4, True)
    assert found.standard_error == pytest.approx(np.sqrt(2 / 3) / 2)
    # The same figures are a loss for LPIPS.
    assert requirement("made pairs", "predictor", "lpips", "better", before, after).gain == -2
    small = np.array([1.0, -1.0, 1.0, -0.5])
    assert not requirement("made pairs", "predictor", "psnr", "better", before, small).passed
    assert requirement("made pairs", "predictor", "psnr", "not below", before, small).passed
    assert not requirement("made pairs", "predictor", "psnr", "not below", before, -small).passed
    assert requirement("made pairs", "predictor", "psnr", "not clearly worse", before, -small).passed
    assert not requirement("made pairs", "predictor", "psnr", "not clearly worse", before, -after).passed


def test_pairs_are_the_same_for_the_same_seed(world):
    photos = world[0]
    blurs = find_blurs(photos, [scene(i, 224) for i in range(4)])
    held = [(f"s{i}", scene(50 + i, 160)) for i in range(3)]
    first, again, other = (made_pairs(held, blurs, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a.blurry, b.blurry) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.blurry, b.blurry) for a, b in zip(first, other, strict=True))
    assert first[0].sharp.shape == (1, 3, 130, 130)


def test_psnr_must_rise_and_the_perceptual_metric_may_not_fall(world, monkeypatch):
    photos, pairs, known = world
    check = HeldOutCheck(photos, pairs, None, seed=0)
    zeros, up = np.zeros(6), np.array([1.0, 1.2, 0.8, 1.0, 1.1, 0.9])

    def verdict(psnr, ssim):
        scores = iter([{"psnr": zeros, "ssim": zeros}, {"psnr": psnr, "ssim": ssim}])
        monkeypatch.setattr(HeldOutCheck, "pair_scores", lambda self, restore: next(scores))
        found, _ = check.compare({"predictor": mixed(known, 0.5)}, {"predictor": mixed(known, 1.0)})
        assert found[0].passed
        return accepted(found)

    assert verdict(up, zeros)
    assert not verdict(zeros, up)
    assert not verdict(zeros, zeros)
    assert not verdict(up, -0.01 * up)
    assert not verdict(-0.01 * up, up)
