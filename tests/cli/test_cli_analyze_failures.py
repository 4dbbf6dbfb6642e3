"""`resharp analyze failures`: sheet, tables, files, and what it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path):
    """Eleven photos, of which the fifth is restored badly."""
    for i in range(11):
        rng = np.random.default_rng(i)
        sharp = rng.integers(40, 200, size=(32, 40, 3))
        for name, error in (("sharp", 0), ("blurry", 10), ("restored", 40 if i == 4 else 3)):
            (tmp_path / name).mkdir(exist_ok=True)
            pixels = np.clip(sharp + error * rng.choice([-1, 1], size=sharp.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"p{i:02}.png")
    return tmp_path / "restored", tmp_path / "sharp", "--blurry", tmp_path / "blurry"


def test_sheet_tables_and_files(resharp, folders, tmp_path):
    ran = resharp("analyze", "failures", *folders, "--worst", 1, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == (tmp_path / "out" / "failures.md").read_text().strip()
    (row,) = [line for line in ran.out.splitlines() if line.startswith("| p")][:1]
    assert row.startswith("| p04 | psnr 1, ssim 1, psnr_gain 1, ssim_gain 1 |")
    assert "| worse by | darkness |" in ran.out
    with Image.open(tmp_path / "out" / "failures.png") as image:
        assert image.width > 4 * 320
    with (tmp_path / "out" / "failures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows if row["worst_by"]] == ["p04"]
    assert len(rows) == 11
    assert "--overwrite" in resharp("analyze", "failures", *folders, "--out", tmp_path / "out").line


def test_json_repeats_itself(resharp, folders, tmp_path):
    words = ("analyze", "failures", *folders, "--out", tmp_path / "out", "--overwrite", "--json", "--crop", 16)
    runs = [json.loads(resharp(*words, "--seed", seed).out) for seed in (0, 0, 1)]
    sheet = (tmp_path / "out" / "failures.png").read_bytes()
    assert runs[0]["correlations"] == runs[1]["correlations"] != runs[2]["correlations"]
    assert runs[0]["worst"]["psnr"][0] == "p04"
    resharp(*words)
    assert (tmp_path / "out" / "failures.png").read_bytes() == sheet


def test_scores_may_come_from_a_file(resharp, folders, tmp_path):
    table = tmp_path / "evaluate.csv"
    table.write_text("name,dists\n" + "".join(f"p{i:02}.png,{i / 100}\n" for i in range(11)))
    ran = resharp("analyze", "failures", *folders, "--csv", table, "--worst", 2, "--json", "--out", tmp_path / "out")
    assert json.loads(ran.out)["worst"] == {"dists": ["p10", "p09"]}


def test_refusals_leave_nothing(resharp, folders, tmp_path, files):
    table = tmp_path / "evaluate.csv"
    table.write_text("name,psnr\np00,30\n")
    before = files()
    words = ("analyze", "failures", *folders, "--out", tmp_path / "out")
    assert "has no scores of p01" in resharp(*words, "--csv", table).line
    assert "--lpips-weights" in resharp(*words, "--csv", table, "--lpips-weights", table).line
    assert "cannot list" in resharp(*words[:2], tmp_path / "none", *words[3:]).line
    assert "cannot be a folder" in resharp(*words[:-1], table).line
    assert files() == before
