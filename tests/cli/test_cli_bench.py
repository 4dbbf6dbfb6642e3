"""`resharp bench train`: a short measurement, its table, and what it refuses."""

from __future__ import annotations

import json

import pytest

from resharp.bench import launch
from resharp.cli.bench import LARGE
from resharp.errors import ResharpError
from resharp.models.sizes import SIZES

SHORT = ("bench", "train", "--device", "cpu", "--threads", 1, "--crop-px", 32, "--batch-size", 1, "--steps", 2)
ROW = {
    *("size", "processes", "parameters", "step_s", "crops_per_s", "crops_per_s_with_data", "data_ratio", "data_ratios"),
    *("flops_per_crop", "multiply_adds_per_crop", "matrix_rate_flops", "share_of_matrix_rate", "peak_memory_bytes"),
    *("precision", "data", "times_s", "seconds", "times_one_process", "times_one_process_with_data"),
}


def made_row(spec):
    """Figures as a measurement gives them."""
    return {
        "size": spec.size,
        "processes": spec.processes,
        "step_s": 2.0 / spec.processes,
        "crops_per_s": 4.0 * spec.processes,
        "crops_per_s_with_data": 3.0 * spec.processes,
        "data_ratio": 4 / 3,
        "flops_per_crop": 7.5e9,
        "matrix_rate_flops": 60e9,
        "share_of_matrix_rate": 0.5,
        "peak_memory_bytes": 1.25e9,
        "data": "photographs",
        "environment": {"device": "abacus", "torch": "2.x", "resharp": "0.x", "processes": 1, "command": []},
    }


@pytest.fixture
def measured(monkeypatch):
    """Let measurements give made-up figures; the specifications that were asked for."""
    asked = []

    def measure(spec):
        asked.append(spec)
        return made_row(spec)

    monkeypatch.setattr(launch, "launched", measure)
    return asked


def test_a_short_measurement_has_all_figures(resharp, tmp_path):
    out = tmp_path / "bench.json"
    ran = resharp(*SHORT, "--size", "msgd-fast", "--processes", 1, "--workers", 0, "--json", "--out", out)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert json.loads(out.read_text()) == found
    (row,) = found["rows"]
    assert set(row) == ROW
    assert (row["size"], row["processes"], row["precision"], row["times_one_process"]) == ("msgd-fast", 1, "float32", 1)
    assert row["crops_per_s"] == pytest.approx(1 / row["step_s"])
    share = row["crops_per_s"] * row["flops_per_crop"] / row["matrix_rate_flops"]
    assert row["share_of_matrix_rate"] == pytest.approx(share)
    assert row["crops_per_s_with_data"] == pytest.approx(row["crops_per_s"] / row["data_ratio"])
    assert [len(block) for block in row["times_s"]["held"] + row["times_s"]["with_data"]] == [1] * 4
    assert 5e7 < row["peak_memory_bytes"] < 4e9
    assert {"torch", "device", "threads", "cores", "python", "resharp"} <= set(found["environment"])
    assert found["environment"]["threads"] == 1
    assert found["settings"]["crop_px"] == 32
    assert "made-up photographs" in found["settings"]["data"]
    assert found["failed"] == []


def test_the_table_has_a_row_for_each_size_and_number_of_processes(resharp, measured):
    ran = resharp(*SHORT, "--size", "msgd-s", "--size", "icdpm-s", "--processes", 2, "--processes", 1)
    assert ran.code == 0, ran.err
    assert [(spec.size, spec.processes) for spec in measured] == [
        *(("msgd-s", 1), ("msgd-s", 2), ("icdpm-s", 1), ("icdpm-s", 2))
    ]
    rows = [line.split() for line in ran.out.splitlines() if line.split()[:1] in (["msgd-s"], ["icdpm-s"])]
    assert [row[:2] for row in rows] == [["msgd-s", "1"], ["msgd-s", "2"], ["icdpm-s", "1"], ["icdpm-s", "2"]]
    assert rows[1][2:] == ["1", "8", "2.00", "6", "1.33", "7.5", "60", "50", "%", "1.25"]
    assert "abacus" in ran.out


def test_without_names_the_large_sizes_are_left_out_on_a_cpu(resharp, measured):
    assert resharp("bench", "train", "--device", "cpu").code == 0
    assert {spec.size for spec in measured} == set(SIZES) - set(LARGE)
    assert set(LARGE) < set(SIZES)
    assert {spec.processes for spec in measured} == {1, 2}
    assert len({spec.threads for spec in measured}) == 1


def test_a_row_that_dies_leaves_the_others(resharp, monkeypatch, tmp_path):
    def measure(spec):
        if spec.processes == 2:
            raise launch.MeasurementError("two are too many")
        return made_row(spec)

    monkeypatch.setattr(launch, "launched", measure)
    out = tmp_path / "bench.json"
    ran = resharp(*SHORT, "--size", "msgd-fast", "--out", out)
    assert ran.code == 1
    assert ran.line == "resharp: two are too many"
    found = json.loads(out.read_text())
    assert [row["processes"] for row in found["rows"]] == [1]
    assert found["failed"] == [{"size": "msgd-fast", "processes": 2, "reason": "two are too many"}]


def test_what_cannot_be_measured_is_one_line(resharp, measured, tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    kept.write_text("kept")
    for words, says in (
        (["--size", "msgd-xxl"], f"unknown model size 'msgd-xxl'; allowed: {', '.join(SIZES)}"),
        (["--crop-px", 40], "crop_px is 40; allowed: multiples of 32"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--out", kept], "exists already and is kept"),
        (["--out", kept / "a.json"], "cannot be a folder"),
    ):
        ran = resharp(*SHORT, "--size", "msgd-fast", *words)
        assert ran.code == 1
        assert says in ran.line
    assert measured == []
    assert kept.read_text() == "kept"

    def refuse(spec):
        raise ResharpError("no photos here")

    monkeypatch.setattr(launch, "launched", refuse)
    assert resharp(*SHORT, "--size", "msgd-fast").line == "resharp: no photos here"
    assert resharp(*SHORT, "--size", "msgd-fast", "--out", kept, "--overwrite").code == 1
    assert kept.read_text() == "kept"
