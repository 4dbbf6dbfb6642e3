"""The figures of docs/trust.md: counted and printed for folders whose contents are known."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parents[1] / "assessment"))
import measure_guard
from hard_cases import blurry_shapes, sharp_shapes
from torch import Tensor


def save(picture: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((picture[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(path)


@pytest.fixture
def said(tmp_path, capsys):
    """The lines of a run, by what stands before their colon."""
    for seed in (0, 1):
        save(sharp_shapes(seed), tmp_path / "sharp" / f"{seed}.png")
    save(blurry_shapes(), tmp_path / "pairs" / "a_blur.png")
    save(sharp_shapes(), tmp_path / "pairs" / "a_sharp.png")

    def run(*words: str) -> dict[str, str]:
        measure_guard.main(["--pairs", str(tmp_path / "pairs"), "--sharp", str(tmp_path / "sharp"), *words])
        return dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())

    return run


def test_verdicts_are_counted(said):
    lines = said("--photos", "1")
    assert lines["pairs, blurry side"].startswith("none 0  unsure 0  some 1;")
    assert lines["pairs, sharp side"].startswith("none 1  unsure 0  some 0;")
    assert lines["sharp photos"].startswith("none 1  unsure 0  some 0;")
    assert lines["motion of 20 px"].startswith("none 0  unsure 0  some 1;")
    # One pair only: its values are their own median.
    explained = {
        what: float(lines[what].split(" ")[0]) for what in ("sharp side explains", "sharp side, mirrored explains")
    }
    assert explained["sharp side explains"] > 0.9
    assert explained["sharp side, mirrored explains"] < 0.5
    assert {"motion of 3 px", "kernels", "shake", "night"} <= lines.keys()
    assert not any("guard" in what for what in lines)


def test_the_guard_is_weighed_against_none(said):
    lines = said("--photos", "2", "--model", "default", "--crop", "128")
    guarded = lines["sharp photos to themselves, with the guard"]
    assert guarded == "mean 100.00 dB, least 100.00 dB"
    least = re.search(r"least ([\d.]+) dB", lines["sharp photos to themselves, without the guard"])
    assert least is not None
    assert 25 < float(least[1]) < 60
    gains = {}
    for name in ("with", "without"):
        gain = re.search(r"gain ([+-][\d.]+) dB", lines[f"pairs, middle, {name} the guard"])
        assert gain is not None
        gains[name] = float(gain[1])
    # Its flat areas are what the guard knows the answer to.
    assert gains["with"] > gains["without"] - 0.05
