"""Work cut into strips: the same, however it is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resharp.assessment import assess_input, guard, reblur_consistency
from resharp.assessment.arrays import enlarged


def photo_and_result(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples with a flat half, and a result that differs everywhere."""
    rng = np.random.default_rng(height)
    photo = np.full((height, width, 3), 120, dtype=np.uint8)
    photo[:, : width // 2] = rng.integers(0, 256, (height, width // 2, 3))
    photo = np.moveaxis(photo, 2, 0)[None]
    return photo, (photo / 255 + rng.normal(0, 0.05, photo.shape)).astype(np.float32)


def test_a_photo_wider_than_a_strip_is_guarded_as_a_narrow_one(monkeypatch):
    photo, result = photo_and_result(90, 2100)
    report = replace(assess_input(photo), motion_blur="some")
    low_strips = guard(photo, result, report).image
    monkeypatch.setattr("resharp.assessment.guarding.STRIP_PIXELS", 1 << 30)
    assert np.abs(guard(photo, result, report).image - low_strips).max() < 1e-6


@pytest.mark.parametrize("size", [(37, 50), (64, 33), (3, 2100)])
def test_rows_of_an_enlargement_are_those_of_the_whole(size):
    cells = np.random.default_rng(0).random((1, 2, -(-size[0] // 4), -(-size[1] // 4)), dtype=np.float32)
    whole = enlarged(cells, 4, size)
    for top in range(0, size[0], 16):
        height = min(16, size[0] - top)
        assert np.array_equal(enlarged(cells, 4, (height, size[1]), top), whole[..., top : top + height, :])


def test_tiles_fitted_together_are_as_if_fitted_alone(monkeypatch):
    photo, result = photo_and_result(420, 700)
    together = reblur_consistency(photo, result)
    monkeypatch.setattr("resharp.assessment.consistency.TILES_AT_ONCE", 1)
    alone = reblur_consistency(photo, result)
    assert len(alone.kernels) > 4
    assert np.array_equal(together.kernels, alone.kernels)
    assert together.explained == pytest.approx(alone.explained, abs=1e-7)
