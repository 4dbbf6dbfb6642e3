"""`resharp analyze ablations` on what `resharp evaluate` writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resharp.analysis.paper_ablations import TABLES
from resharp.train.config_file import load_config


@pytest.fixture
def root(resharp, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        for folder in ("sharp", "icdpm", "msgd"):
            (tmp_path / folder).mkdir(exist_ok=True)
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    for row, folder in (("icdpm-l", "icdpm"), ("msgd-l", "msgd")):
        place = tmp_path / "runs" / row / "in"
        call = ("evaluate", tmp_path / folder, tmp_path / "sharp", "--metrics", "psnr", "--out", place)
        assert resharp(*call).code == 0
    return tmp_path / "runs"


def test_runs_stand_beside_the_papers_and_missing_ones_are_marked(resharp, root):
    done = resharp("analyze", "ablations", root, "--out", root / "tables.md")
    assert done.code == 0
    ours = json.loads((root / "msgd-l" / "in" / "evaluate.json").read_text())["results"]["msgd"][0]
    (row,) = [line for line in done.out.splitlines() if line.startswith("| msgd-l | large, guidance")]
    assert f"{ours['mean']:.2f} [{ours['low']:.2f}, {ours['high']:.2f}] (paper 32.22)" in row
    assert row.count("not run") == 3
    assert "not run (paper 0.128)" in row
    (row,) = [line for line in done.out.splitlines() if line.startswith("| msgd-l-rgb")]
    assert row.count("not run") == 4
    assert "configs/msgd-l-rgb.toml" in done.out.splitlines()[-1]
    assert "configs/icdpm-l.toml" not in done.out.splitlines()[-1]
    assert (root / "tables.md").read_text().rstrip() == done.out.rstrip()
    content = json.loads(resharp("analyze", "ablations", root, "--json").out)
    (row,) = [row for row in content["regression loss"] if row["run"] == "msgd-l"]
    assert row["psnr in"]["ours"]["mean"] == ours["mean"]
    assert row["psnr in"]["paper"] == 31.19
    assert row["psnr out"] == {"ours": None, "paper": None}


def test_every_row_can_be_trained():
    here = Path(__file__).parents[2]
    for table in TABLES.values():
        for row in table:
            assert row.name == Path(row.config).stem
            load_config(here / row.config)


def test_bad_input_is_one_line(resharp, root, tmp_path):
    assert "no such folder" in resharp("analyze", "ablations", tmp_path / "none").line
    assert "make them with resharp evaluate" in resharp("analyze", "ablations", tmp_path / "sharp").line
    path = root / "msgd-l" / "in" / "evaluate.json"
    good = path.read_text()
    path.write_text("[]")
    assert "not what resharp evaluate --out writes" in resharp("analyze", "ablations", root).line
    path.write_text(good.replace('"images": 3', '"images": 2'))
    assert "different numbers of images 'in' (icdpm-l 3, msgd-l 2)" in resharp("analyze", "ablations", root).line
    path.write_text(good)
    (root / "msgd-l").rename(root / "mine")
    assert "not ROW/in or ROW/out of a row" in resharp("analyze", "ablations", root).line
