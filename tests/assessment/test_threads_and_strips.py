"""Work cut into strips and given to threads: the same bytes, however it is cut and by how many it is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resharp.assessment import assess_input, guard
from resharp.assessment.arrays import enlarged
from resharp.assessment.threads import for_each


def photo_and_result(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples with a flat half, and a result that differs everywhere."""
    rng = np.random.default_rng(height)
    photo = np.full((height, width, 3), 120, dtype=np.uint8)
    photo[:, : width // 2] = rng.integers(0, 256, (height, width // 2, 3))
    photo = np.moveaxis(photo, 2, 0)[None]
    return photo, (photo / 255 + rng.normal(0, 0.05, photo.shape)).astype(np.float32)


@pytest.mark.parametrize("verdict", ["some", "unsure"])
def test_the_guard_gives_the_same_bytes_with_any_number_of_threads(monkeypatch, verdict):
    monkeypatch.setattr("resharp.assessment.guarding.STRIP_PX", 32)
    photo, result = photo_and_result(203, 310)
    report = replace(assess_input(photo), motion_blur=verdict)
    alone = guard(photo, result, report)
    assert not np.array_equal(alone.image, np.clip(result, 0, 1))
    for threads in (2, 3):
        shared = guard(photo, result, report, threads=threads)
        assert np.array_equal(shared.image, alone.image)
        assert (shared.kept_share, shared.notes) == (alone.kept_share, alone.notes)
        written_over = result.copy()
        assert guard(photo, written_over, report, out=written_over, threads=threads).image is written_over
        assert np.array_equal(written_over, alone.image)


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


def test_what_is_found_comes_in_the_order_of_the_parts_and_errors_come_through():
    assert for_each(lambda n: n * n, range(50), 3) == [n * n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        for_each(lambda n: 1 // n, [2, 1, 0], 2)
