"""`resharp bench growth` and `resharp bench deblur` as users call them."""

from __future__ import annotations

import csv
import json

import pytest

from resharp.bench.growth import GRIDS


def test_growth_is_measured_drawn_and_written(resharp, tmp_path, monkeypatch):
    monkeypatch.setitem(GRIDS, "megapixels", ((0.01, 0.04), (1,)))
    pytest.importorskip("matplotlib")
    done = resharp("bench", "growth", "-o", tmp_path / "made", "--axis", "megapixels", "--threads", "1", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert [row["value"] for row in found["rows"]] == [0.01, 0.04]
    assert found["exponents"]["megapixels"]["seconds"] is not None
    with (tmp_path / "made" / "growth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == [row["seconds"] for row in found["rows"]]
    assert (tmp_path / "made" / "growth.png").read_bytes().startswith(b"\x89PNG")
    again = resharp("bench", "growth", "-o", tmp_path / "made", "--axis", "megapixels")
    assert again.code == 1
    assert "exists already" in again.err


def test_bench_deblur_prints_a_table_and_an_object(resharp, tmp_path):
    common = ("bench", "deblur", "--size", "msgd-fast", "--steps", 1, "--width", 96, "--height", 64, "--repeats", 1)
    done = resharp(*common, "--threads", 1, "--out", tmp_path / "made.json")
    assert done.code == 0
    rows = json.loads((tmp_path / "made.json").read_text())["rows"]
    assert [row["output"] for row in rows] == ["predictor", "diffusion"]
    assert [row["sampler"] for row in rows] == [None, "dpm++"]
    for words in ("msgd-fast", "predictor", "1 of dpm++", "96x64"):
        assert words in done.out
    assert resharp(*common, "--sampler", "euler").code == 1
