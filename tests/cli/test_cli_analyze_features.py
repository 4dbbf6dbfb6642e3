"""`resharp analyze features`: figure, table, JSON, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

from resharp.diffusion.schedule import NoiseSchedule
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model
from tiny import TINY


def test_figure_and_table(resharp, model, photo, tmp_path):
    place = tmp_path / "new" / "a.png"
    ran = resharp("analyze", "features", photo("p.png", width=60, height=50), "--model", model, "--out", place)
    assert ran.code == 0, ran.err
    assert place.stat().st_size > 1000
    lines = [line for line in ran.out.splitlines() if line.startswith("| 1 |")]
    assert len(lines) == 1 + 4  # phi_1(y), and all channels of a model that has no 12
    assert f"written: {place}" in ran.err


def test_json_names_the_choice(resharp, model, photo, tmp_path):
    words = ("analyze", "features", photo("p.png", width=60, height=50), "--model", model, "--json")
    chosen = json.loads(resharp(*words, "--channels", 2, "--out", tmp_path / "a.pdf").out)
    assert "largest standard deviation" in chosen["chosen"]
    numbers = [each["channel"] for each in chosen["scales"][0]["channels"]]
    deviations = [each["deviation"] for each in chosen["scales"][0]["channels"]]
    assert deviations == sorted(deviations, reverse=True)
    named = json.loads(
        resharp(*words, "--channel", numbers[1], "--channel", numbers[0], "--out", tmp_path / "b.pdf").out
    )
    assert named["chosen"] == "named"
    assert [each["channel"] for each in named["scales"][0]["channels"]] == numbers[::-1]
    assert named["scales"][0]["width_px"] == 30


def test_noise_follows_its_seed(resharp, model, photo, tmp_path):
    words = ("analyze", "features", photo("p.png", width=60, height=50), "--model", model, "--json", "--overwrite")
    runs = [json.loads(resharp(*words, "--noise", "--seed", s, "--out", tmp_path / "a.png").out) for s in (0, 0, 1)]
    assert runs[0]["scales"] == runs[1]["scales"] != runs[2]["scales"]
    assert runs[2]["noise_seed"] == 1


def test_crop_takes_the_middle(resharp, model, photo, tmp_path):
    words = ("analyze", "features", photo("p.png", width=60, height=50), "--model", model, "--json")
    found = json.loads(resharp(*words, "--crop", 40, "--out", tmp_path / "a.png").out)
    assert (found["scales"][0]["width_px"], found["scales"][0]["height_px"]) == (20, 20)


def test_refusals_name_the_remedy_and_leave_nothing(resharp, model, photo, tmp_path, files):
    plain = tmp_path / "plain"
    save_model(plain, ICDPM(dataclasses.replace(TINY, guidance=None)), NoiseSchedule(), Defaults())
    large, small = photo("large.png", width=60, height=50), photo("small.png", width=20, height=50)
    before = files()
    out = ("--out", tmp_path / "a.png")
    ran = resharp("analyze", "features", large, "--model", plain, *out)
    assert ran.code == 1
    assert "no guidance" in ran.line
    ran = resharp("analyze", "features", small, "--model", model, *out)
    assert "small.png: is 20x50" in ran.line
    assert "figure" in resharp("analyze", "features", large, "--model", model, "--out", tmp_path / "a.jpg").line
    assert "channels 0 to 3" in resharp("analyze", "features", large, "--model", model, "--channel", 9, *out).line
    assert "no such file" in resharp("analyze", "features", tmp_path / "b.png", "--model", model, *out).line
    kept = resharp("analyze", "features", large, "--model", model, "--out", large)
    assert "--overwrite" in kept.line
    assert files() == before
