"""Scoring a callable on pairs held in memory, and what is written of it."""

from __future__ import annotations

import json
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from resharp.errors import DataError, OutputError
from resharp.evaluate.score import PSNR_LIMIT_DB, Row, paired_scores, score_restorer, summarise
from resharp.evaluate.tables import markdown_table, read_csv, write_csv, write_json


class MemoryPair(NamedTuple):
    name: str
    blurry: torch.Tensor
    sharp: torch.Tensor

    def load(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.blurry, self.sharp


def offset_pairs(steps: tuple[int, ...] = (10, 20)) -> list[MemoryPair]:
    """Flat photos that are too bright by a known number of 8-bit steps: PSNR is 20 log10(255 / steps)."""
    sharp = torch.full((1, 3, 16, 20), 100 / 255)
    return [MemoryPair(f"p{step}", sharp + step / 255, sharp) for step in steps]


def darken(blurry: torch.Tensor, seed: int) -> torch.Tensor:
    """Takes off five steps, and one more per seed."""
    return blurry - (5 + seed) / 255


def db(steps: float) -> float:
    return 20 * math.log10(255 / steps)


def test_rows_hold_known_scores_in_order():
    rows = score_restorer(darken, offset_pairs(), seeds=(0, 1))
    assert [row[:3] for row in rows] == [
        (name, seed, metric) for name in ("p10", "p20") for seed in (0, 1) for metric in ("psnr", "ssim")
    ]
    found = [(row.blurry, row.restored) for row in rows if row.metric == "psnr"]
    expected = [(db(10), db(5)), (db(10), db(4)), (db(20), db(15)), (db(20), db(14))]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_input_is_scored_once_per_image():
    calls = []

    def lpips(image, sharp):
        calls.append(float(image.mean()))
        return (image - sharp).abs().mean().reshape(1)

    seen = []
    rows = score_restorer(darken, offset_pairs(), (0, 1, 2), lpips, lambda done, name: seen.append((done, name)))
    assert len(calls) == 2 * (1 + 3)
    assert seen == [(1, "p10"), (2, "p10"), (3, "p10"), (4, "p20"), (5, "p20"), (6, "p20")]
    assert [row.metric for row in rows[:3]] == ["psnr", "ssim", "lpips"]
    assert rows[2].blurry == pytest.approx(10 / 255, abs=1e-6)
    assert rows[2].restored == pytest.approx(5 / 255, abs=1e-6)


def test_a_deterministic_restorer_runs_once_per_image():
    seeds = []

    def restore(blurry, seed):
        seeds.append(seed)
        return blurry

    rows = score_restorer(restore, offset_pairs(), (3, 4, 5), deterministic=True)
    assert seeds == [3, 3]
    assert paired_scores(rows)["psnr"].restored.shape == (2, 3)


def test_a_perfect_restoration_gets_the_limit_and_half_types_are_taken():
    sharp = offset_pairs()[0].sharp
    rows = score_restorer(lambda blurry, seed: sharp.to(torch.bfloat16), offset_pairs((10,)), (0,))
    assert rows[0].restored == PSNR_LIMIT_DB
    assert rows[1].restored == pytest.approx(1)


def test_a_restorer_that_writes_into_its_input_spoils_nothing():
    pairs = offset_pairs()
    rows = score_restorer(lambda blurry, seed: blurry.zero_(), pairs, (0, 1))
    assert rows[0].restored == rows[2].restored == pytest.approx(db(100), abs=1e-4)
    assert pairs[0].blurry.mean() > 0.4


@pytest.mark.parametrize(
    ("restore", "message"),
    [
        (lambda blurry, seed: blurry[..., 1:], "p10: restored to"),
        (lambda blurry, seed: blurry * float("nan"), "p10: .*not finite"),
    ],
)
def test_bad_restorations_are_refused(restore, message):
    with pytest.raises(ValueError, match=message):
        score_restorer(restore, offset_pairs(), (0,))


def test_bad_seeds_and_tiny_photos_are_refused():
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="seeds"):
            score_restorer(darken, offset_pairs(), seeds)
    tiny = torch.zeros(1, 3, 9, 30)
    with pytest.raises(DataError, match="small: SSIM needs"):
        score_restorer(darken, [MemoryPair("small", tiny, tiny)], (0,))


def test_summary_by_hand():
    rows = [
        Row("a", 0, "lpips", 0.4, 0.3),
        Row("a", 1, "lpips", 0.4, 0.1),
        Row("b", 1, "lpips", 0.2, 0.2),
        Row("b", 0, "lpips", 0.2, 0.2),
    ]
    (summary,) = summarise(rows)
    assert (summary.metric, summary.images, summary.seeds) == ("lpips", 2, 2)
    assert summary.blurry == pytest.approx(0.3)
    assert summary.restored == pytest.approx(0.2)
    assert summary.gain == pytest.approx(0.1)
    assert summary.gain_error == pytest.approx(0.1)
    assert summary.gain_low == pytest.approx(0.0)
    assert summary.gain_high == pytest.approx(0.2)


def test_incomplete_and_doubled_rows_are_refused():
    whole = [Row(name, seed, "psnr", 30.0, 31.0) for name in "ab" for seed in (0, 1)]
    with pytest.raises(ValueError, match="b: psnr for seeds"):
        paired_scores(whole[:-1])
    with pytest.raises(ValueError, match="two rows"):
        paired_scores([*whole, whole[0]])
    with pytest.raises(ValueError, match="no rows"):
        summarise([])


def test_csv_comes_back_as_it_was(tmp_path):
    rows = [Row('a, "b"', 0, "psnr", 30.123456789012345, 1 / 3), Row("ü", 2, "ssim", 0.5, 1.0)]
    write_csv(tmp_path / "rows.csv", rows)
    assert read_csv(tmp_path / "rows.csv") == rows
    assert (tmp_path / "rows.csv").read_bytes().startswith(b"name,seed,metric,blurry,restored\n")
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"]


def test_json_is_strict_and_whole(tmp_path):
    rows = score_restorer(darken, offset_pairs((10,)), (0,))
    write_json(tmp_path / "scores.json", rows, summarise(rows), {"model": "x"})
    content = json.loads((tmp_path / "scores.json").read_text(), parse_constant=pytest.fail)
    assert content["about"] == {"model": "x"}
    assert content["rows"][0]["name"] == "p10"
    assert content["summary"][0]["gain"] == pytest.approx(db(5) - db(10), abs=1e-4)
    assert content["summary"][0]["gain_error"] is None  # one image
    with pytest.raises(OutputError):
        write_json(tmp_path / "none" / "scores.json", rows, [])


def test_markdown_table():
    rows = [Row(name, 0, "lpips", 0.4, after) for name, after in (("a", 0.3), ("b", 0.2))]
    lines = markdown_table({"kodak|motion": summarise(rows)}).splitlines()
    assert len(lines) == 3
    assert lines[2] == (
        "| kodak\\|motion | LPIPS (lower is better) | 0.4000 | 0.2500 | +0.1500 | 0.0500 | +0.1000 to +0.2000 | 2 | 1 |"
    )
    assert markdown_table({"one": summarise(rows[:1])}).splitlines()[2].split(" | ")[5] == "-"


def test_blurry_scores_are_averaged_over_seeds_as_the_restored_ones_are():
    """Out of domain the seed decides the blur too: 20 -> 21 dB and 30 -> 33 dB are a mean gain of 2 dB."""
    rows = [Row("a", 0, "psnr", 20.0, 21.0), Row("a", 1, "psnr", 30.0, 33.0)]
    rows += [Row("b", 0, "psnr", 20.0, 21.0), Row("b", 1, "psnr", 30.0, 33.0)]
    assert paired_scores(rows)["psnr"].gains.tolist() == pytest.approx([2.0, 2.0])
