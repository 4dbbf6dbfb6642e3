"""`resharp study serve` and `resharp study score`, end to end."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from resharp.study.pictures import find_pictures, method_folders
from resharp.study.plan import StudySettings
from resharp.study.results import Answer, Results
from resharp.study.session import Study
from studies import METHODS, make_pairs

WORTH = {"quiet-fox": 1.2, "tall-oak": 0.0, "wet-sand": -1.2}


@pytest.fixture
def pairs(tmp_path):
    return make_pairs(tmp_path / "pairs", photos=6)


def fill(path, pairs, raters=10, careless=(), ties=False):
    """A study in which raters prefer by `WORTH`, and the `careless` press left whatever they see."""
    pictures, settings = find_pictures(*method_folders(pairs)), StudySettings(ties=ties, attention=0.25)
    results = Results(path, pictures, settings)
    study, draw = Study(pictures, settings, results), random.Random(0)
    for number in range(1, raters + 1):
        rater = results.rater(results.join("desktop"))
        while not (state := study.state(rater))["finished"]:
            question = results.open_question(rater)[1]
            choice = "left"
            if number not in careless:
                choice = prefer(question, draw)
            study.answer(rater, state["place"], Answer(choice, draw.randrange(800, 6000), False, "desktop"))
    results.close()
    return path


def prefer(question, draw) -> str:
    if question.unit is None:
        return "right" if question.left == "*blurred" else "left"
    odds = WORTH[question.left] - WORTH[question.right]
    return "left" if draw.random() < 1 / (1 + 2.718281828**-odds) else "right"


def test_score_says_who_is_better_and_leaves_out_the_careless(resharp, tmp_path, pairs):
    path = fill(tmp_path / "study.sqlite", pairs, raters=10, careless=(3, 7))
    ran = resharp("study", "score", path, "--json", "--resamples", 300)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert [each["method"] for each in report["analysis"]["strengths"]] == list(WORTH)
    for each in report["analysis"]["strengths"]:
        assert each["strength"]["low"] <= WORTH[each["method"]] <= each["strength"]["high"]
    assert [each["rater"] for each in report["raters"] if not each["kept"]] == [3, 7]
    assert report["analysis"]["answers"] == 8 * 18
    assert report["analysis"]["raters"] == 8
    careless = report["raters"][2]
    assert careless["left"] == 1
    assert (careless["checks"], careless["checks_right"]) == (4, 2)
    kept = json.loads(resharp("study", "score", path, "--json", "--right", 0, "--resamples", 300).out)
    assert kept["analysis"]["answers"] == 10 * 18
    assert kept["analysis"]["side"]["value"] > report["analysis"]["side"]["value"]


def test_score_writes_tables(resharp, tmp_path, pairs):
    path = fill(tmp_path / "study.sqlite", pairs)
    ran = resharp("study", "score", path, "--out", tmp_path / "report", "--resamples", 200)
    assert ran.code == 0, ran.err
    names = {each.name for each in (tmp_path / "report").iterdir()}
    tables = {"win_rates.csv", "strengths.csv", "raters.csv", "answers.csv"}
    assert names == {"study.md", "study.tex", "study.json", *tables}
    report = (tmp_path / "report" / "study.md").read_text(encoding="utf-8")
    assert ran.out == report
    assert "65 %" in report
    assert "arXiv 2212.01789" in report
    with (tmp_path / "report" / "answers.csv").open(newline="", encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 10 * (18 + 4)
    with (tmp_path / "report" / "win_rates.csv").open(newline="", encoding="utf-8") as file:
        rates = list(csv.DictReader(file))
    for rate in rates:
        pair = {rate["method"], rate["other"]}
        own = [row for row in answers if row["unit"] and {row["left_method"], row["right_method"]} == pair]
        won = [row for row in own if row[f"{row['choice']}_method"] == rate["method"]]
        assert (int(rate["wins"]), int(rate["losses"])) == (len(won), len(own) - len(won))
        assert float(rate["rate"]) == pytest.approx(len(won) / len(own))
    tex = (tmp_path / "report" / "study.tex").read_text(encoding="utf-8")
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    assert not re.search(r"(?<!\\)%(?! Intervals)", tex)


def test_mistakes_are_one_line(resharp, tmp_path, pairs):
    def said(*words):
        ran = resharp("study", *words)
        assert ran.code == 1
        return ran.line

    results = ("--results", tmp_path / "s.sqlite")
    assert "no methods: give PAIRS" in said("serve", *results)
    assert "expected NAME=FOLDER" in said("serve", "--method", "a", *results)
    assert "is taken" in said("serve", pairs, "--method", f"tall-oak={pairs / 'sharp'}", *results)
    assert "must not begin with *" in said("serve", pairs, "--method", f"*a={pairs / 'sharp'}", *results)
    assert "allowed: 0 to 0.5" in said("serve", pairs, "--attention", 2, *results)
    (pairs / "tall-oak" / "p0.png").rename(tmp_path / "p0.png")
    assert "p0.png: has no partner" in said("serve", pairs, *results)
    (tmp_path / "p0.png").rename(pairs / "tall-oak" / "p0.png")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}: cannot listen here" in said("serve", pairs, "--port", port, *results)
    assert not (tmp_path / "s.sqlite").exists()
    assert "no such file" in said("score", tmp_path / "s.sqlite")
    (tmp_path / "text.sqlite").write_text("no database, though it has the right name and some length")
    assert "is not the results file" in said("score", tmp_path / "text.sqlite")
    path = fill(tmp_path / "empty.sqlite", pairs, raters=0)
    assert "no answers" in said("score", path)
    path = fill(tmp_path / "left.sqlite", pairs, raters=1, careless=(1,))
    assert "no answers by raters who passed" in said("score", path)
    assert "allowed: both, raters, photos" in said("score", path, "--resample", "all")
    assert "allowed: 0 to 1" in said("score", path, "--right", 75)


@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_serve_until_stopped(tmp_path, pairs, kind):
    path = fill(tmp_path / "study.sqlite", pairs, raters=2)
    methods = [f"--method={name}={pairs / name}" for name in METHODS]
    folders = ["--blurry", str(pairs / "blurry"), "--sharp", str(pairs / "sharp")]
    words = ["study", "serve", *methods, *folders, "--results", str(path), "--port", "0", "--attention", "0.25"]
    process = subprocess.Popen(
        [sys.executable, "-m", "resharp", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=20) as page:
            assert b"<title>" in page.read()
        process.send_signal(kind)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said
    lines = said.splitlines()
    assert lines[0] == "6 photos, 18 pairs of pictures; methods: quiet-fox, tall-oak, wet-sand"
    assert lines[1].endswith("going on with 44 answers by 2 raters")
    assert lines[2].endswith("44 answers by 2 raters")
    assert not path.with_name("study.sqlite-wal").exists()
