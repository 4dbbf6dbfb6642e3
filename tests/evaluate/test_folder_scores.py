"""Scores of folders against scikit-image, what is kept of a stopped evaluation, and the tables."""

from __future__ import annotations

import csv
import io
import os

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from resharp.errors import DataError
from resharp.evaluate.folder_scores import evaluate_folder
from resharp.evaluate.folder_table import image_rows, latex, markdown
from resharp.evaluate.published_figures import ROWS, SETS, published_on
from resharp.evaluate.score_store import ScoreStore
from resharp.evaluate.trios import find_trios
from resharp.metrics.catalogue import choose_metrics
from resharp.metrics.kinds import Absent, PairMetric, SetMetric


def write(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / name)


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        sharp = rng.integers(60, 190, (40, 50, 3), dtype=np.uint8)
        write(tmp_path / "sharp", f"{i}.png", sharp)
        noise = rng.integers(-5 * (i + 1), 5 * (i + 1) + 1, sharp.shape)
        write(tmp_path / "ours", f"{i}.png", (sharp + noise).astype(np.uint8))
    return tmp_path


def fake(name="count", value=lambda restored, sharp: 1.0, protocol="v1", **other):
    return PairMetric(name, name.title(), protocol, True, 2, 1, value, **other)


def test_psnr_is_scikit_images(folders):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    (column,) = evaluate_folder("ours", trios, choose_metrics(["psnr"]), ScoreStore(None))
    for i in range(4):
        a, b = (np.asarray(Image.open(folders / side / f"{i}.png")) for side in ("ours", "sharp"))
        assert column.per_image[str(i)] == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-4)
    assert column.mean == pytest.approx(np.mean(list(column.per_image.values())))
    assert column.low < column.mean < column.high


def test_equal_pictures_are_cut_off_at_100_db(folders):
    trios = find_trios(folders / "sharp", folders / "sharp", None)
    psnr, ssim = evaluate_folder("same", trios, choose_metrics(["psnr", "ssim"]), ScoreStore(None))
    assert psnr.mean == 100
    assert ssim.mean == pytest.approx(1)


def test_a_stopped_evaluation_goes_on(folders, tmp_path):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    path, calls = tmp_path / "scores.jsonl", []

    def breaks(restored, sharp):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return float(restored.mean())

    with pytest.raises(KeyboardInterrupt):
        evaluate_folder("ours", trios, [fake(value=breaks)], ScoreStore(path))
    with path.open("a") as file:
        file.write('\n{"key": "cut o')
    later = []

    def mean(restored, sharp):
        later.append(1)
        return float(restored.mean())

    (column,) = evaluate_folder("ours", trios, [fake(value=mean)], ScoreStore(path))
    assert len(later) == 2
    assert column.per_image["0"] == float(trios[0].load()[0].mean())
    evaluate_folder("ours", trios, [fake(value=mean)], ScoreStore(path))
    assert len(later) == 2
    # Another protocol, and a picture that has changed, are measured anew.
    evaluate_folder("ours", trios, [fake(value=mean, protocol="v2")], ScoreStore(path))
    assert len(later) == 6
    os.utime(trios[0].restored, ns=(1, 1))
    evaluate_folder("ours", trios, [fake(value=mean)], ScoreStore(path))
    assert len(later) == 7


def pooled(patches):
    return patches.mean(dim=(2, 3))


def set_metric(least):
    def distance(a, b):
        return float(np.square(a.mean(0) - b.mean(0)).sum())

    return SetMetric("gap", "Gap", "mean colour", False, 6, 16, pooled, distance, least)


def test_a_set_has_one_figure_of_its_patches(folders):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    (column,) = evaluate_folder("ours", trios, [set_metric(24)], ScoreStore(None))
    means = []
    for side in (0, 1):  # 2 x 3 patches of 16 px in each of 4 pictures
        images = torch.cat([trio.load()[side] for trio in trios])[:, :, :32, :48]
        means.append(images.mean(dim=(0, 2, 3)))
    assert column.mean == pytest.approx(float((means[0] - means[1]).square().sum()), rel=1e-3)
    assert column.low is None


def test_too_few_patches_leave_the_column_empty(folders):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    metrics = [fake(), set_metric(25)]
    results = {"ours": evaluate_folder("ours", trios, metrics, ScoreStore(None))}
    assert results["ours"][1].mean is None
    text = markdown(metrics, results, 4)
    assert "| ours | 1.00 [1.00, 1.00] | - |" in text
    assert "Gap, ours: not computed, 24 patches of 16 px; 25 are needed." in text


def test_what_is_missing_is_told_with_its_remedy(folders):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    metrics = [Absent("fid", "FID", "no weights", "fetch")]
    results = {"ours": evaluate_folder("ours", trios, metrics, ScoreStore(None))}
    assert "FID, ours: not computed, no weights; run: fetch." in markdown(metrics, results, 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_none_is_no_figure(folders, value):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    with pytest.raises(DataError, match=r"0\.png: Count is not a finite number"):
        evaluate_folder("ours", trios, [fake(value=lambda *_: value)], ScoreStore(None))


def test_a_picture_too_small_is_named(folders):
    write(folders / "ours", "0.png", np.zeros((8, 8, 3), np.uint8))
    write(folders / "sharp", "0.png", np.zeros((8, 8, 3), np.uint8))
    trios = find_trios(folders / "ours", folders / "sharp", None)
    with pytest.raises(DataError, match=r"0\.png: SSIM"):
        evaluate_folder("ours", trios, choose_metrics(["ssim"]), ScoreStore(None))


def test_tables_escape_and_round(folders):
    trios = find_trios(folders / "ours", folders / "sharp", None)
    metrics = [fake(value=lambda restored, sharp: 2.345)]
    results = {"our_net & co": evaluate_folder("x", trios, metrics, ScoreStore(None))}
    tex = latex(metrics, results, 4, published_on("hide"))
    assert r"our\_net \& co & 2.35 [2.35, 2.35] \\" in tex or r"our\_net \& co & 2.34 [2.34, 2.34] \\" in tex
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 1
    assert tex.count(r"\midrule") == 2
    heading, rows = image_rows(metrics, results)
    text = io.StringIO()
    csv.writer(text).writerows([heading, *rows])
    assert text.getvalue().splitlines()[:2] == ["method,name,count", "our_net & co,0,2.345"]


def test_published_rows_name_their_source():
    assert SETS == ("gopro", "hide", "realblur-j", "reds")
    assert len({(row.set, row.method) for row in ROWS}) == len(ROWS) == 15
    assert all("arXiv" in row.source for row in ROWS)
    # The remark is about these four.
    four = [row.figures["lpips-alex"] for row in ROWS if row.method == "MSGD"]
    assert len(four) == 4
    assert round(sum(four) / 4, 3) != 0.104
    metrics = choose_metrics(["psnr"])
    text = markdown(metrics, {}, 0, published_on("gopro"))
    assert "| DvSR | 31.66 | arXiv 2112.02475 |" in text
    assert "0.104" in text
    assert "0.104" not in markdown(metrics, {}, 0, [row for row in published_on("hide") if row.method != "MSGD"])
