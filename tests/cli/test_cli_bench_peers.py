"""`resharp bench peers`: the shipped model and a program, and what is refused before anything is measured."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


def test_one_command_writes_table_and_figure(resharp, tmp_path):
    copies = f"copies={shlex.join([sys.executable, '-c', COPY, '{input}', '{output}'])}"
    call = ["bench", "peers", "--out", tmp_path, "--size", "64x64", "--repeats", "1", "--threads", "1"]
    done = resharp(*call, "--peer-command", copies, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "bench_peers.json").read_text())
    assert [row["method"] for row in found["rows"]] == ["resharp draft", "resharp standard", "resharp best", "copies"]
    assert all(row["seconds"] >= 0 and row["peak_bytes"] > 0 for row in found["rows"])
    assert (tmp_path / "bench_peers.png").stat().st_size > 1000
    assert "| 64x64 | copies |" in (tmp_path / "bench_peers.md").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "64"], "expected WIDTHxHEIGHT"),
        (["--size", "1x1"], "each from 64"),
        (["--network", "MPRNet"], "--network needs an environment with spandrel"),
        (["--network", "GRL", "--peer-python", sys.executable], "choose from Restormer"),
        (["--peer-python", "no-such-python"], "no such program"),
        (["--peer-command", "maxim"], "expected NAME=COMMAND"),
        (["--model", "none"], "none"),
    ],
)
def test_bad_input_is_one_line(resharp, tmp_path, options, says):
    done = resharp("bench", "peers", "--out", tmp_path / "out", *options)
    assert done.code != 0
    assert says in done.line
    assert not (tmp_path / "out").exists()


def test_results_are_kept(resharp, tmp_path):
    (tmp_path / "bench_peers.md").write_text("earlier")
    done = resharp("bench", "peers", "--out", tmp_path)
    assert "exists already and is kept" in done.line
