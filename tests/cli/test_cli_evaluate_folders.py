"""`resharp evaluate`: files, several methods, and what it says about bad input."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

FILES = {f"evaluate.{suffix}" for suffix in ("csv", "md", "tex", "json")}


def picture(path, seed, size=(40, 48)):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folders(tmp_path):
    for i in range(3):
        picture(tmp_path / "sharp" / f"{i}.png", i)
        picture(tmp_path / "ours" / f"{i}_blur.deblurred.png", 10 + i)
        picture(tmp_path / "peer" / f"{i}.png", i)
    return tmp_path


def test_methods_stand_in_one_table(resharp, folders):
    out = folders / "out"
    call = ["evaluate", folders / "ours", folders / "sharp", "--metrics", "psnr,ssim,fid", "--published", "gopro"]
    assert resharp(*call, "--peer", f"MAXIM={folders / 'peer'}", "--out", out).code == 0
    assert {path.name for path in out.iterdir()} > FILES
    report = json.loads((out / "evaluate.json").read_text())
    assert list(report["results"]) == ["ours", "MAXIM"]
    assert report["results"]["MAXIM"][0]["mean"] == 100
    assert report["images"] == 3
    assert "scikit" not in report["protocols"]["psnr"]
    rows = list(csv.DictReader((out / "evaluate.csv").open()))
    assert [(row["method"], row["name"]) for row in rows] == [(m, n) for m in ("ours", "MAXIM") for n in "012"]
    mean = np.mean([float(row["psnr"]) for row in rows[:3]])
    assert mean == pytest.approx(report["results"]["ours"][0]["mean"])
    table = (out / "evaluate.md").read_text()
    assert "| DvSR | 31.66 | 0.948 | 4.04 | arXiv 2112.02475 |" in table
    assert "FID, ours, MAXIM: not computed" in table
    again = resharp("evaluate", folders / "ours", folders / "sharp", "--out", out)
    assert again.code != 0
    assert "exists already" in again.line


def test_json_is_alone_on_standard_output(resharp, folders):
    done = resharp("evaluate", folders / "ours", folders / "sharp", "--metrics", "psnr", "--json", "--name", "A")
    assert list(json.loads(done.out)["results"]) == ["A"]


def drop_sharp(folders):
    (folders / "sharp" / "1.png").unlink()


def drop_restored(folders):
    (folders / "ours" / "2_blur.deblurred.png").unlink()


def other_size(folders):
    picture(folders / "sharp" / "1.png", 0, (40, 50))


def empty(folders):
    for path in (folders / "ours").iterdir():
        path.unlink()


def unreadable(folders):
    path = folders / "ours" / "1_blur.deblurred.png"
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("spoil", "options", "says"),
    [
        (drop_sharp, [], "1_blur.deblurred.png: has no sharp partner"),
        (drop_restored, [], "2.png: has no restored partner"),
        (other_size, [], "must be of one size"),
        (empty, [], "no photos in this folder"),
        (unreadable, [], "1_blur.deblurred.png"),
        (None, ["--metrics", "psnr,vmaf"], "no metric 'vmaf'"),
        (None, ["--peer", "MAXIM"], "expected NAME=FOLDER"),
        (None, ["--peer", "ours=x"], "there is a method ours already"),
        (None, ["--published", "kodak"], "choose from gopro, hide, realblur-j, reds"),
    ],
)
def test_bad_input_is_one_line_and_no_table(resharp, folders, spoil, options, says):
    if spoil is not None:
        spoil(folders)
    metrics = [] if "--metrics" in options else ["--metrics", "psnr"]
    out = folders / "out"
    done = resharp("evaluate", folders / "ours", folders / "sharp", *metrics, *options, "--out", out)
    assert done.code != 0
    (line,) = [line for line in done.err.splitlines() if line.startswith("resharp: ")]
    assert says in line
    assert not out.exists() or not FILES & {path.name for path in out.iterdir()}
