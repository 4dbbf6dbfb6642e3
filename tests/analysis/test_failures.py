"""Failures: the damaged image is the worst one, conditions that cause damage correlate with it, and pictures match."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from resharp.analysis.failure_sheet import CELL_PX, GAP_PX, worst_window, write_failures
from resharp.analysis.failure_table import caption, failure_rows, failures_table, ranks_of
from resharp.analysis.failures import (
    Judged,
    conditions_of,
    correlations,
    higher_is_better,
    judge,
    read_scores,
    worst,
)
from resharp.errors import DataError, OutputError
from resharp.evaluate.trios import find_trios


def save(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8)).save(path)


def scene(seed: int, light: float = 1.0) -> np.ndarray:
    down, across = np.mgrid[0:40, 0:56]
    waves = 128 + 60 * np.sin((across + 2 * seed) / 5)[..., None] * np.cos(down / 7)[..., None]
    return light * waves.repeat(3, axis=2)


def folders(tmp_path, damage: dict[int, float], photos: int = 4, light=lambda i: 1.0) -> None:
    """sharp/N.png, blurry/N.png with an error of 12, restored/N.deblurred.png with one of 4, or of `damage`."""
    for i in range(photos):
        noise = np.random.default_rng(i).choice([-1.0, 1.0], size=(40, 56, 1))
        save(tmp_path / "sharp" / f"{i:02}.png", scene(i, light(i)))
        save(tmp_path / "blurry" / f"{i:02}.png", scene(i, light(i)) + 12 * noise)
        save(tmp_path / "restored" / f"{i:02}.deblurred.png", scene(i, light(i)) + damage.get(i, 4.0) * noise)


def trios_of(tmp_path):
    return find_trios(tmp_path / "restored", tmp_path / "sharp", tmp_path / "blurry")


def test_the_worst_image_is_the_damaged_one(tmp_path):
    folders(tmp_path, {2: 30.0})
    images = judge(trios_of(tmp_path))
    found = worst(images, 2)
    assert list(found) == ["psnr", "ssim", "psnr_gain", "ssim_gain"]
    assert all(names[0] == "02" for names in found.values())
    by = {image.name: image.scores for image in images}
    # Errors of 30 and 12 levels everywhere: 20 log10(255 / e) dB.
    assert by["02"]["psnr"] == pytest.approx(20 * np.log10(255 / 30), abs=0.05)
    assert by["02"]["psnr_gain"] == pytest.approx(20 * np.log10(12 / 30), abs=0.05)
    assert by["01"]["psnr_gain"] == pytest.approx(20 * np.log10(12 / 4), abs=0.2)


def test_less_is_worse_where_higher_is_better():
    assert [higher_is_better(metric) for metric in ("psnr-y", "ssim", "lpips_gain")] == [True] * 3
    assert not any(higher_is_better(metric) for metric in ("lpips", "lpips-alex", "niqe", "dists"))
    images = [Judged(str(i), {"lpips": value}, {}) for i, value in enumerate((0.1, 0.4, 0.2))]
    assert worst(images, 2) == {"lpips": ["1", "2"]}


def test_conditions_of_a_made_photo():
    photo = torch.full((1, 3, 64, 64), 0.5)
    photo[..., :16, :] = 1.0
    photo[..., 16:48, :] = 0.0
    found = conditions_of(None, photo)
    assert found["darkness"] == pytest.approx(1 - (0.25 * 1 + 0.25 * 0.5), abs=1e-6)
    assert found["dark_share"] == pytest.approx(0.5)
    assert found["saturated_share"] == pytest.approx(0.25)
    assert "blur_extent_px" not in found
    assert {"blur_extent_px", "noise_sigma"} < set(conditions_of(photo, photo))


def test_damage_in_the_dark_correlates_with_darkness(tmp_path):
    folders(tmp_path, {i: 2.0 + i for i in range(12)}, photos=12, light=lambda i: 1 - i / 20)
    images = judge(trios_of(tmp_path))
    by = {(each.metric, each.condition): each for each in correlations(images)}
    # Errors of 2, 3, ... levels in ever darker photos, whatever their content.
    assert by["psnr", "darkness"].rho == pytest.approx(1)
    assert by["psnr", "darkness"].low > 0.99
    assert by["psnr", "saturated_share"].rho is None  # none is
    assert by["psnr", "darkness"].images == 12


def made(count: int) -> list[Judged]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, size=count).astype(float)  # with ties
    y = x + 4 * rng.normal(size=count)
    return [Judged(str(i), {"lpips": y[i]}, {"darkness": x[i]}) for i in range(count)]


def test_rank_correlation_is_scipys_and_follows_its_seed():
    images = made(60)
    (found,) = correlations(images)
    x, y = (
        [each[key] for each in values]
        for values, key in (
            ([image.conditions for image in images], "darkness"),
            ([image.scores for image in images], "lpips"),
        )
    )
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.low < found.rho < found.high
    # Fisher's interval, roughly: the bootstrap's has about its width.
    width = np.tanh(np.arctanh(found.rho) + 1.96 / 57**0.5) - np.tanh(np.arctanh(found.rho) - 1.96 / 57**0.5)
    assert found.high - found.low == pytest.approx(width, rel=0.25)
    assert correlations(images) == [found]
    assert correlations(images, seed=1) != [found]


def test_few_images_have_no_correlation():
    assert correlations(made(9)) == []
    images = made(9)
    assert "at least 10 images, there are 9" in failures_table(images, worst(images, 1), [])


def test_names_match_whatever_marks_they_carry(tmp_path):
    for name in ("a_blur", "a_sharp", "b_blur", "b_sharp"):
        save(tmp_path / "pairs" / f"{name}.png", scene(0))
    for name in ("a_blur.deblurred.jpg", "b.png"):
        save(tmp_path / "restored" / name, scene(0))
    trios = find_trios(tmp_path / "restored", tmp_path / "pairs", tmp_path / "pairs")
    assert [(t.name, t.restored.name, t.sharp.name, t.blurry.name) for t in trios] == [
        ("a", "a_blur.deblurred.jpg", "a_sharp.png", "a_blur.png"),
        ("b", "b.png", "b_sharp.png", "b_blur.png"),
    ]


def test_what_does_not_belong_together_is_refused(tmp_path):
    folders(tmp_path, {})
    (tmp_path / "blurry" / "03.png").unlink()
    with pytest.raises(DataError, match="03.deblurred.png: has no blurry partner"):
        trios_of(tmp_path)
    (tmp_path / "restored" / "03.deblurred.png").unlink()
    with pytest.raises(DataError, match=r"sharp.03\.png: has no restored partner"):
        trios_of(tmp_path)
    (tmp_path / "sharp" / "03.png").unlink()
    assert len(trios_of(tmp_path)) == 3
    save(tmp_path / "blurry" / "02.png", scene(0)[:20])
    with pytest.raises(DataError, match=r"is 56x40, but .*02\.png is 56x20"):
        trios_of(tmp_path)
    save(tmp_path / "restored" / "02.png", scene(0))
    with pytest.raises(DataError, match="same name as"):
        trios_of(tmp_path)
    with pytest.raises(DataError, match="cannot list"):
        find_trios(tmp_path / "none", tmp_path / "sharp", None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photos"):
        find_trios(tmp_path / "empty", tmp_path / "sharp", None)


def write_scores(path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_scores_from_a_file_replace_measuring(tmp_path):
    folders(tmp_path, {2: 30.0})
    path = tmp_path / "evaluate.csv"
    header = ["name", "psnr", "note", "lpips-alex"]
    write_scores(
        path, [header, ["00.png", "inf", "-", 0.1], ["01", 30, "-", 0.5], ["02", 29, "", 0.2], ["03", 31, "", 0]]
    )
    given = read_scores(path, ["00", "01"])
    assert given["00"] == {"psnr": 100.0, "lpips-alex": 0.1}
    found = worst(judge(trios_of(tmp_path), given=given), 1)
    assert found == {"psnr": ["02"], "lpips-alex": ["01"]}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["picture", "psnr"], ["a", 1]], "expected a column 'name'"),
        ([["name", "size"], ["a", 1]], "such as psnr"),
        ([["name", "psnr"], ["a", 1], ["a", 2]], "there twice"),
        ([["name", "psnr"], ["b", 1]], "no scores of a"),
        ([["name", "psnr"], ["a", ""]], "needs a number"),
        ([["name", "lpips-alex"], ["a", "inf"]], "needs a number"),
        ([], "expected a column 'name'"),
    ],
)
def test_scores_that_cannot_be_used_are_refused(tmp_path, rows, words):
    write_scores(tmp_path / "a.csv", rows)
    with pytest.raises(DataError, match=words):
        read_scores(tmp_path / "a.csv", ["a"])


def test_sheet_shows_the_error_where_it_is(tmp_path):
    save(tmp_path / "sharp" / "a.png", np.full((160, 320, 3), 128.0))
    spoiled = np.full((160, 320, 3), 128.0)
    spoiled[:, 240:] = 228
    save(tmp_path / "restored" / "a.png", spoiled)
    trios = find_trios(tmp_path / "restored", tmp_path / "sharp", None)
    write_failures(tmp_path / "a.png", trios, [["a", "b"]])
    with Image.open(tmp_path / "a.png") as image:
        sheet = np.asarray(image.convert("L"))
    assert sheet.shape[1] == 3 * CELL_PX + 2 * GAP_PX  # no blurry column
    map_ = sheet[-160 - GAP_PX : -GAP_PX, -CELL_PX:]
    assert map_[:, :230].min() == 255
    assert map_[:, 250:].max() == 0
    write_failures(tmp_path / "b.png", trios, [["a", "b"]], crop_px=64)
    with Image.open(tmp_path / "b.png") as image:
        window = np.asarray(image.convert("L"))[-CELL_PX - GAP_PX : -GAP_PX, :CELL_PX]
    assert window.min() == 228  # the spoiled part alone
    with pytest.raises(OutputError):
        write_failures(tmp_path / "none" / "a.png", trios, [["a"]])


def test_worst_window_is_found():
    error = torch.zeros(100, 200)
    error[70:90, 130:150] = 1
    top, left = worst_window(error, 40)
    assert 50 <= top <= 70
    assert 110 <= left <= 130
    assert worst_window(error, 500) == (0, 0)


def test_table_and_rows_say_the_same():
    images = [
        Judged("a|b", {"psnr": 20.123, "lpips_gain": -0.1}, {"darkness": 0.5, "blur_extent_px": None}),
        Judged("c", {"psnr": 30.0, "lpips_gain": 0.2}, {"darkness": 0.25, "blur_extent_px": 7.0}),
    ]
    ranked = worst(images, 1)
    table = failures_table(images, ranked, [])
    assert "| a\\|b | psnr 1, lpips_gain 1 | 20.12 | -0.1000 | 0.500 | - |" in table
    assert "| median of all 2 | | 25.06 | +0.0500 | 0.375 | 7.0 px |" in table
    rows = failure_rows(images, ranked)
    assert rows[0]["worst_by"] == "psnr 1, lpips_gain 1"
    assert rows[1]["worst_by"] == ""
    assert caption(images[0], ranks_of(ranked)["a|b"])[0] == "a|b; worst by: psnr 1, lpips_gain 1"
