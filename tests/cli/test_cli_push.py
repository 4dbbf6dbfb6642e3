"""`resharp push` without a Hub: cards made from options, what is refused, and nothing sent by `--out`."""

from __future__ import annotations

import json
import shutil

import pytest

FACTS = ("--licence", "apache-2.0", "--dataset", "GOPRO_Large (CC BY 4.0)", "--dataset", "own photos")


def test_a_folder_to_look_at(resharp, model, tmp_path, files):
    (tmp_path / "gate.md").write_text("| PSNR | 30.75 |\n")
    words = ("--title", "Mine", "--scores", tmp_path / "gate.md", "--limits", "Rain.", "--out", tmp_path / "out")
    ran = resharp("push", model, "me/mine", *FACTS, *words, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["folder"] == str(tmp_path / "out")
    sent = {"README.md", "config.json", "model.safetensors", "scheduler_config.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == sent
    card = (tmp_path / "out" / "README.md").read_text()
    for words in ("# Mine", "| PSNR | 30.75 |", "Rain.", "- own photos", "license: apache-2.0"):
        assert words in card
    assert not (model / "README.md").exists()
    assert resharp("info", tmp_path / "out").code == 0
    assert "exists already" in resharp("push", model, "me/mine", *FACTS, "--out", tmp_path / "out").line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "has no README.md; give --licence and --dataset"),
        (("--licence", "mit"), "give --licence and --dataset"),
        ((*FACTS, "--scores", "none.md"), "none.md: not a readable text file"),
        ((*FACTS, "--licence", "all rights reserved!"), "licence is 'all rights reserved!'"),
    ],
)
def test_what_is_refused(resharp, model, tmp_path, files, words, says):
    ran = resharp("push", model, "me/mine", *words, "--out", tmp_path / "out")
    assert ran.code == 1
    assert says in ran.line
    assert files() == set()


def test_a_card_that_is_there_is_used_or_refused(resharp, model, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(model, own)
    (own / "README.md").write_text("# Mine\n")
    assert "the model card lacks" in resharp("push", own, "me/mine", "--out", tmp_path / "out").line
    assert "leave out --licence, --dataset" in resharp("push", own, "me/mine", *FACTS, "--out", tmp_path / "out").line
    assert "it is owner/name" in resharp("push", "default", "mine", "--out", tmp_path / "out").line
    assert not (tmp_path / "out").exists()
    assert resharp("push", "default", "me/mine", "--out", tmp_path / "out").code == 0
