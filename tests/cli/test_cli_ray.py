"""`deblur --engine ray` with Ray on this machine: it gives the files that the local engine gives, whoever dies."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import resharp as package
from ray_workers import LOG, MortalWorker, PoisonedWorker, lines

pytestmark = pytest.mark.slow  # Ray needs 10 to 50 s to start


@pytest.fixture(autouse=True)
def ray_here(tmp_path, monkeypatch):
    """Ray's workers find this checkout and the tests' own modules; their log is in a folder of its own."""
    pytest.importorskip("ray")
    folders = [Path(package.__file__).parents[1], Path(__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    log = tmp_path / "log"
    log.mkdir()
    monkeypatch.setenv(LOG, str(log))
    return log


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_200_photos_and_three_killed_workers(resharp, photo, model, tmp_path, monkeypatch, ray_here):
    """Nothing is lost, nothing written twice, nothing left over, and every byte as of the local engine."""
    names = {5: "before", 90: "middle", 120: "after"}
    for i in range(200):
        photo(f"in/{i % 3}/{names.get(i, 'photo')}_{i:03}.png", width=16 + i % 7, height=12 + i // 7)
    words = ["deblur", tmp_path / "in", "--model", model, "--force", "--seed", 3]
    assert resharp(*words, "-o", tmp_path / "local").code == 0
    monkeypatch.setattr("resharp.cli.deblur_many.Worker", MortalWorker)
    ran = resharp(*words, "-o", tmp_path / "ray", "--engine", "ray", "--workers", 2)
    assert ran.code == 0, ran.err
    assert sorted(lines(ray_here, "killed")) == ["after", "before", "middle"]
    written = lines(ray_here, "wrote")
    assert len(written) == len(set(written)) == 200
    local, ray = bytes_in(tmp_path / "local"), bytes_in(tmp_path / "ray")
    assert len(local) == 200
    assert ray == local
    # What was written by a worker that died before it could say so, was found done.
    told = [line for line in ran.out.splitlines() if "->" in line]
    done = ran.err.splitlines()[-1]
    assert len(told) == len(set(told))
    skipped = 200 - len(told)
    assert 1 <= skipped <= 50
    assert done == f"restored {len(told)}, skipped {skipped}, failed 0"
    # Once more: all is done.
    monkeypatch.undo()
    again = json.loads(resharp(*words, "-o", tmp_path / "ray", "--skip-done", "--json").out)
    assert (again["restored"], again["skipped"], again["failed"]) == (0, 200, 0)


def test_a_photo_that_kills_its_workers_fails_alone(resharp, photo, model, tmp_path, monkeypatch, ray_here):
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    for name in ("a", "b", "poison", "z"):
        photo(f"in/{name}.png")
    (tmp_path / "in" / "text.jpg").write_text("no picture at all, this one is")
    rows = {"name": ["1.png", "2.png"], "image": [photo("3.png").read_bytes(), None]}
    pq.write_table(pa.table(rows), tmp_path / "in" / "t.parquet")
    monkeypatch.setattr("resharp.cli.deblur_many.Worker", PoisonedWorker)
    table = tmp_path / "failures.csv"
    words = ["deblur", tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--engine", "ray", "--workers", 2]
    ran = resharp(*words, "--failures", table)
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "restored 4, failed 3"
    rows = {Path(row["photo"]).name: row["error"] for row in csv.DictReader(table.read_text().splitlines())}
    assert list(rows) == ["poison.png", "t.parquet: 2.png", "text.jpg"]
    assert "the worker died at each of 3 tries" in rows["poison.png"]
    assert len(lines(ray_here, "killed")) == 3
    made = {f"{name}.deblurred.png" for name in "abz"} | {"t.deblurred-00000.parquet"}
    assert set(bytes_in(tmp_path / "out")) == made


def test_interruption_leaves_no_half_files_and_no_processes(photo, model, tmp_path):
    for i in range(60):
        photo(f"in/{i}.png", width=64, height=64)
    words = ["deblur", tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--engine", "ray", "--workers", "2"]
    command = [sys.executable, "-m", "resharp", *map(str, words), "--steps", "50", "--force"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert "->" in run.stdout.readline()
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 130
    assert said.splitlines()[-1] == "resharp: interrupted"
    assert "Traceback" not in said
    time.sleep(1)
    before = bytes_in(tmp_path / "out")
    assert 1 <= len(before) < 60
    assert all(name.endswith(".deblurred.png") and not name.startswith(".") for name in before)
    time.sleep(3)
    assert bytes_in(tmp_path / "out") == before
