"""`resharp analyze cost`: tables, files, and what it refuses."""

from __future__ import annotations

import csv
import json
import sys

import pytest
from PIL import Image

from resharp.analysis import cost as module
from resharp.analysis.cost_time import NotMeasured, Timing


@pytest.fixture
def measured(monkeypatch):
    """Nothing is run: pictures up to 300 px take a second, larger ones fail."""
    jobs = []

    def timed(job):
        jobs.append(job)
        if job.width > 300:
            raise NotMeasured(f"took more than {job.limit_s:g} s")
        parts = ("guidance", "predictor", "step")
        return Timing(
            dict.fromkeys(parts, 1.0), dict.fromkeys(parts, 2), 0.5, dict.fromkeys(parts, 10**9), 10**8, 10**9
        )

    monkeypatch.setattr(module, "timed", timed)
    return jobs


def test_counting_prints_a_row_for_each_size_and_picture(resharp, model):
    ran = resharp("analyze", "cost", "--no-time", "--sizes", f"icdpm-s,{model}", "--size", "64x48")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[2].startswith("| icdpm-s | 64x48 | - | - | 6.727 | 6.727 | - | - |")
    assert lines[2].endswith("| diffusion, 50 steps of dpm++, 1 sample |")
    assert lines[3].endswith("| diffusion, 2 steps of dpm++, 1 sample |")
    # 64x48 is 3/64 of 256x256, whose 39 GMAC are known.
    assert float(lines[2].split(" | ")[8]) == pytest.approx(39 * 3 / 64, abs=0.06)
    assert "not run" not in ran.out
    assert "FLOP," not in ran.out.split("MAC:")[0]
    assert "| icdpm-s | parameters | any | 6.73 M | 6.73 M | -0.0% |" in ran.out


def test_all_sizes_and_the_shipped_default_are_counted(resharp):
    ran = resharp("analyze", "cost", "--no-time", "--json")
    found = json.loads(ran.out)
    names = {row["size"] for row in found["rows"]}
    assert {"icdpm-s", "icdpm-l", "msgd-s", "msgd-l", "msgd-fast", "msgd-wide", "default"} == names
    assert len(found["rows"]) == 2 * len(names)
    assert len(found["references"]) == 9
    assert found["about"]["timed"] is False
    by = {(row["size"], row["width_px"]): row for row in found["rows"]}
    assert by["msgd-l", 1280]["guidance_mac"] + by["msgd-l", 1280]["step_mac"] == pytest.approx(9394e9, rel=1e-3)
    assert by["icdpm-l", 256]["guidance_mac"] is None
    assert by["icdpm-l", 256]["image_mac"] == 50 * by["icdpm-l", 256]["step_mac"]


def test_files_hold_what_was_run_and_say_what_was_not(resharp, model, tmp_path, measured):
    out = tmp_path / "new" / "cost"
    words = ("--sizes", model, "--size", "64x48", "--size", "640x480", "--threads", 1, "--device", "cpu")
    ran = resharp("analyze", "cost", *words, "--limit", 60, "--out", out)
    assert ran.code == 0, ran.err
    assert {path.name for path in out.iterdir()} == {
        f"cost.{kind}" for kind in ("csv", "json", "md", "tex", "png", "pdf")
    }
    assert [(job.width, job.threads, job.limit_s) for job in measured] == [(64, 1, 60.0), (640, 1, 60.0)]
    text = (out / "cost.md").read_text()
    assert ran.out == text + "\n"
    assert "| 64x48 | 1 | 1 | 1 | 4 | 1.00 | 1.00 | 1.00 | 1.00 |" in text
    assert "| 640x480 | not run: took more than 60 s | - |" in text
    assert "1 of 2 rows were not run" in text
    assert "Other programs were running: rows had 50% to 50% of their core." in text
    small, large = csv.DictReader((out / "cost.csv").open())
    assert (small["image_s"], small["image_peak_bytes"], small["not_run"]) == ("4.0", "1000000000", "")
    assert (large["image_s"], large["not_run"]) == ("", "took more than 60 s")
    assert int(large["step_mac"]) == 100 * int(small["step_mac"]) - 99 * dense(model)
    tex = (out / "cost.tex").read_text().splitlines()
    body = [line for line in tex if line.endswith(r"\\")]
    columns = tex[0].removeprefix(r"\begin{tabular}{").removesuffix("}")
    assert set(columns) == {"l", "r"}
    assert {line.count("&") for line in body} == {len(columns) - 1}
    assert Image.open(out / "cost.png").width > 1000


def dense(model) -> int:
    """MACs of the dense layers, which do not grow with the picture: perceptron and shifts."""
    from resharp.serialization import load_model

    denoiser = load_model(model)[0].denoiser
    return sum(layer.weight.numel() for layer in denoiser.modules() if type(layer).__name__ == "Linear")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "256"], "--size 256: expected WIDTHxHEIGHT"),
        (["--size", "0x10"], "size 0x10: sides from 1"),
        (["--sizes", "msgd-xl"], "named sizes: icdpm-s"),
        (["--steps", "0"], "steps is 0"),
        (["--limit", "0"], "--limit is 0"),
        (["--device", "tpu"], "unknown device"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(resharp, tmp_path, words, says):
    ran = resharp("analyze", "cost", *words, "--out", tmp_path / "out")
    assert ran.code != 0
    assert says in ran.line
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_the_remedy_is_named_before_any_work(resharp, tmp_path, monkeypatch, measured):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = resharp("analyze", "cost", "--sizes", "msgd-fast", "--out", tmp_path / "out")
    assert "pip install 'resharp[plot]'" in ran.line
    assert measured == []
    # Without a figure there is no need of it.
    assert resharp("analyze", "cost", "--sizes", "msgd-fast", "--size", "64x64", "--no-time").code == 0
