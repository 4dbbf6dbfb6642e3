"""Verdicts on pictures whose blur, noise and kind are known, because they were made here."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from resharp.assessment import assess_input
from resharp.assessment.edges import find_edges
from resharp.assessment.measures import measure

sys.path.insert(0, str(Path(__file__).parent))
from hard_cases import CASES, blurry_shapes, random, sharp_shapes


@pytest.mark.parametrize("length", [5, 9, 15, 25])
def test_width_of_an_edge_is_the_length_of_uniform_motion_across_it(length):
    row = np.clip((np.arange(200) - 90) / length, 0, 1).astype(np.float32)
    horizontal = np.tile(row, (80, 1))
    for image, direction in ((horizontal, 0), (horizontal.T.copy(), 1)):
        widths = find_edges(image).widths
        assert np.median(widths[direction]) == pytest.approx(length, rel=0.1)
        assert len(widths[1 - direction]) == 0  # nothing changes along the edge


def test_diagonal_edges_are_measured_along_the_diagonal():
    y, x = np.mgrid[0:120, 0:120]
    image = np.clip((x + y - 110) / (10 * np.sqrt(2)), 0, 1).astype(np.float32)
    widths = find_edges(image).widths
    assert np.median(widths[2]) == pytest.approx(10, rel=0.1)
    assert len(widths[3]) == 0
    assert np.median(widths[0]) == pytest.approx(10 * np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.05])
def test_noise_is_estimated_whatever_lies_below_it(sigma):
    for below in (torch.full((1, 1, 256, 256), 0.5), sharp_shapes().mean(1, keepdim=True) * 0.5 + 0.25):
        noisy = below.expand(1, 3, -1, -1) + sigma * random((1, 1, 256, 256))
        assert measure(noisy).noise_sigma == pytest.approx(sigma, rel=0.2)


def test_blur_is_seen_and_its_absence_too():
    assert assess_input(sharp_shapes()).motion_blur == "none"
    extents = [0.0]
    for length in (7, 13, 21):
        report = assess_input(blurry_shapes(length))
        assert report.motion_blur == "some"
        # Less than the length: some of these shapes are narrower than it, and their edges run into each other.
        assert extents[-1] < report.blur_extent_px < 1.1 * length
        extents.append(report.blur_extent_px)
    noisy = assess_input(sharp_shapes() + 0.03 * random((1, 3, 256, 256)))
    assert noisy.motion_blur == "none"


def test_blur_is_seen_in_every_direction():
    blurry = blurry_shapes(13)
    extents = [assess_input(each).blur_extent_px for each in (blurry, blurry.transpose(2, 3), blurry.flip(3))]
    assert max(extents) < 1.2 * min(extents)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("dark noise", "too dark"),
        ("lights", "night with bright lights"),
        ("scan", "strong noise or grain"),
        ("drawing", "drawn, text or a screenshot"),
        ("text", "drawn, text or a screenshot"),
        ("screenshot", "drawn, text or a screenshot"),
        ("one pixel", "smaller than 32 px"),
        ("thin", "smaller than 32 px"),
    ],
)
def test_pictures_unlike_photos_are_named(case, reason):
    assert reason in assess_input(CASES[case]()).outside


def test_clipped_areas_are_named_and_ordinary_pictures_are_not():
    blurry = blurry_shapes()
    assert assess_input(blurry).outside == ()
    bright = (blurry + 0.03 * random((1, 3, 256, 256))).clamp(0, 1)
    bright[..., :90] = 1
    assert any("clipped" in reason for reason in assess_input(bright).outside)


def test_snow_before_a_dark_wood_is_not_night():
    picture = 0.05 + 0.02 * random((1, 3, 200, 200))
    picture[..., 130:, :] = 1
    outside = assess_input(picture.clamp(0, 1)).outside
    assert "large areas clipped to white or full colour" in outside
    assert "night with bright lights" not in outside


def test_without_edges_nothing_is_claimed():
    for case in ("teal", "gradient", "one pixel"):
        report = assess_input(CASES[case]())
        assert (report.motion_blur, report.blur_extent_px) == ("unsure", None)


def test_time_does_not_grow_with_the_photo():
    large = torch.nn.functional.interpolate(blurry_shapes(), size=(3000, 4000), mode="bilinear")
    assess_input(blurry_shapes())  # what is set up once
    started = time.process_time()
    assess_input(large)
    assert time.process_time() - started < 2.0  # 0.3 s on one core; room for slow machines


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (2, 3, 8, 8), (1, 3, 0, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected a picture"):
        assess_input(torch.zeros(shape))
