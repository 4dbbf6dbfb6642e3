"""How cost grows: the grid and the exponent."""

from __future__ import annotations

import pytest

from resharp.bench.growth import AXES, GRIDS, exponent, specs


def test_the_grids_reach_what_they_promise():
    assert [max(grids[True]) for grids in GRIDS.values()] == [100, 64, 1000]
    for full in (False, True):
        made = specs(full=full, threads=1)
        assert {axis for axis, _, _ in made} == set(AXES)
        for axis, value, spec in made:
            seen = {"megapixels": spec.megapixels, "samples": spec.samples, "images": spec.images}
            assert seen[axis] == pytest.approx(value, rel=0.01)
            assert (spec.output == "diffusion") == (axis == "samples")


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power(power):
    rows = [{"value": value, "seconds": 3 * value**power} for value in (0.1, 1, 7, 50)]
    assert exponent(rows, "seconds") == pytest.approx(power, abs=1e-9)
    assert exponent(rows[:1], "seconds") is None
