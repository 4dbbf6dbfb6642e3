"""`resharp data check`."""

from __future__ import annotations

import json

import pytest

from resharp.data.layouts import find_listing


@pytest.fixture
def pairs(tmp_path, photo):
    """Three whole pairs in train, one in test; the folder's name needs quotes in a shell."""
    root = tmp_path / "my pairs"
    for part in ("input", "target"):
        for i in range(3):
            photo(f"my pairs/train/{part}/{i}.png")
        photo(f"my pairs/test/{part}/x.png")
    return root


def test_a_whole_data_set(resharp, pairs):
    ran = resharp("data", "check", pairs)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"{pairs}: folders of pairs"
    rows = [line.split() for line in lines]
    assert ["train", "3", "1", "0", "0", "0"] in rows
    assert ["test", "1", "1", "0", "0", "0"] in rows
    assert f"fingerprint train: {find_listing(pairs).fingerprint()}" in lines
    assert f"fingerprint test: {find_listing(pairs, 'test').fingerprint()}" in lines
    assert lines[-1] == f"train on it: resharp train configs/msgd-s.toml --data '{pairs}'"
    assert "only headers were looked at" in ran.out
    assert "only headers" not in resharp("data", "check", pairs, "--read").out


def test_problems_are_named_and_end_in_an_error(resharp, pairs, photo):
    (pairs / "train" / "target" / "0.png").unlink()
    photo("my pairs/train/input/1.png", width=28, height=40)
    (pairs / "test" / "input" / "x.png").write_text("no photo")
    ran = resharp("data", "check", pairs)
    assert ran.code == 1
    assert ran.line == f"resharp: {pairs}: 3 problems found; the list above names them"
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["train", "2", "1", "1", "1", "0"] in rows
    assert ["test", "1", "1", "0", "0", "1"] in rows
    problems = [line for line in ran.out.splitlines() if line.startswith("problem: ")]
    assert problems[0] == f"problem: {pairs / 'train' / 'input' / '0.png'}: has no sharp partner"
    assert problems[1].endswith("is 28x40, but its sharp partner train/target/1.png is 40x28")
    assert problems[2].startswith(f"problem: {pairs / 'test' / 'input' / 'x.png'}: not a photo")
    assert len(problems) == 3


def test_only_the_first_ten_problems_are_shown(resharp, tmp_path, photo):
    photo("blur/0.png")
    photo("sharp/0.png")
    for i in range(1, 14):
        photo(f"blur/{i}.png")
    ran = resharp("data", "check", tmp_path)
    assert ran.out.count("problem: ") == 10
    assert "and 3 more problems" in ran.out
    assert ran.line.endswith("13 problems found; --json lists all of them")
    facts = json.loads(resharp("data", "check", tmp_path, "--json").out)
    assert len(facts["problems"]) == len(facts["splits"]["all"]["unpaired"]) == 13


def test_json_has_everything(resharp, pairs):
    (pairs / "train" / "target" / "0.png").unlink()
    ran = resharp("data", "check", pairs, "--json", "--read")
    assert ran.code == 1
    assert ran.line.endswith("1 problem found; the list above names them")
    facts = json.loads(ran.out)
    assert (facts["path"], facts["layout"], facts["kind"]) == (str(pairs.resolve()), "folders of pairs", "pairs")
    assert facts["read"] is True
    assert facts["splits"]["train"] == {
        "found": 2,
        "official": None,
        "folders": 1,
        "fingerprint": find_listing(pairs, strict=False).fingerprint(),
        "error": None,
        "unpaired": [{"path": str(pairs / "train" / "input" / "0.png"), "reason": "has no sharp partner"}],
        "mismatched": [],
        "unreadable": [],
    }


def test_damage_that_only_reading_finds(resharp, tmp_path, photo):
    path = photo("a.png")
    path.write_bytes(path.read_bytes()[:-60])
    assert resharp("data", "check", tmp_path).code == 0
    ran = resharp("data", "check", tmp_path, "--read")
    assert ran.code == 1
    assert "problem: " in ran.out
    assert "damaged or cut short" in ran.out


def test_official_counts_are_shown_and_gamma_can_be_chosen(resharp, tmp_path, photo):
    for part in ("blur", "blur_gamma", "sharp"):
        photo(f"test/GOPR0384_11_00/{part}/000001.png")
    (tmp_path / "test/GOPR0384_11_00/blur/000001.png").write_text("no photo")
    ran = resharp("data", "check", tmp_path, "--gopro-blur", "blur_gamma")
    assert ran.code == 1
    assert f"{tmp_path}: GOPRO_Large\n" in ran.out
    assert "1 of 1,111" in ran.out
    assert "problem: test: 1 found, and the data set has 1,111" in ran.out
    assert ran.out.count("problem: ") == 1
    assert "train on it" not in ran.out
    assert resharp("data", "check", tmp_path).out.count("problem: ") == 2
    assert "gopro_blur is 'gamma'; allowed: blur, blur_gamma" in (
        resharp("data", "check", tmp_path, "--gopro-blur", "gamma").line
    )


def test_the_300_of_reds_are_explained(resharp, tmp_path, photo):
    for part in ("blur", "blur_jpeg", "sharp"):
        photo(f"val/val_{part}/000/00000009.png")
    assert "test is the 300 frames of val whose number ends in 9" in resharp("data", "check", tmp_path).out
    ran = resharp("data", "check", tmp_path, "--reds-blur", "blur_jpeg")
    assert ": REDS (blur_jpeg)\n" in ran.out


@pytest.mark.parametrize("what", ["nowhere", "empty", "half"])
def test_what_cannot_be_recognised_is_one_line(resharp, tmp_path, photo, what):
    (tmp_path / "empty").mkdir()
    photo("half/blur/a.png")
    ran = resharp("data", "check", tmp_path / what)
    assert (ran.code, ran.out) == (1, "")
    assert str(tmp_path / what) in ran.line
