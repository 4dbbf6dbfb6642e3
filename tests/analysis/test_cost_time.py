"""Timed costs: a row in a process of its own, and rows that cannot be timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from resharp.analysis import cost, cost_time
from resharp.analysis.cost import Subject, Timings, count_rows, needed_bytes, time_rows
from resharp.analysis.cost_count import Size
from resharp.analysis.cost_time import Job, NotMeasured, Timing, timed
from resharp.bench.limited_process import why_it_ended
from resharp.diffusion.presets import Preset
from resharp.models.sizes import SIZES
from resharp.settings import to_dict
from tiny import TINY

HOW = Timings(device="cpu", threads=1, repeats=2, limit_s=120.0, free_bytes=10**11)


def rows(settings=Preset(steps=4)):
    return count_rows([Subject("tiny", TINY, settings)], [Size(64, 48)])


def test_a_row_is_timed_in_a_process_of_its_own():
    (row,) = time_rows(rows(), HOW, lambda done, total: None)
    assert row.not_run == ""
    assert list(row.timing.seconds) == ["guidance", "predictor", "step"]
    assert set(row.timing.timings.values()) == {2}
    assert all(0 < seconds < 60 for seconds in row.timing.seconds.values())
    seconds = row.timing.seconds
    assert row.image_s == pytest.approx(seconds["guidance"] + seconds["predictor"] + 4 * seconds["step"])
    assert 0 < row.timing.cpu_share < 1.1
    # An interpreter with torch takes more than 50 MB, and this one's own tensors are not in it.
    assert 50e6 < row.timing.base_bytes <= row.timing.most_bytes < 2e9
    assert row.image_bytes == row.timing.most_bytes


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux only")
def test_memory_is_of_the_part_alone():
    """A part that holds 200 MB after one that held 400 MB must not show the 400."""
    code = """
from resharp.analysis.cost_time import _Memory
memory = _Memory("cpu")
peaks = []
for megabytes in (400, 200):
    memory.restart()
    held = bytearray(megabytes * 10**6)
    del held
    peaks.append(memory.peak())
print(memory.restarts, *peaks)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "True"
    first, second = map(int, said[1:])
    assert 400e6 < first < 600e6
    assert 200e6 < second < 400e6


def test_a_row_without_memory_is_not_started(monkeypatch):
    monkeypatch.setattr(cost, "timed", lambda job: pytest.fail("was started"))
    (row,) = time_rows(rows(), replace(HOW, free_bytes=10**8), lambda done, total: None)
    assert row.timing is None
    assert row.not_run == "needs about 0.3 GB, 0.1 GB are free"
    assert (row.image_s, row.image_bytes) == (None, None)
    # What is needed is mostly tensors for a large picture.
    (large,) = count_rows([Subject("msgd-l", SIZES["msgd-l"], Preset())], [Size(12_000, 9_000)])
    assert needed_bytes(large.count) > 200e9


def test_a_row_that_takes_too_long_is_ended():
    began = time.monotonic()
    with pytest.raises(NotMeasured, match=r"took more than 0.2 s"):
        timed(Job(to_dict(TINY), 64, 64, 1, limit_s=0.2))
    assert time.monotonic() - began < 20


def test_a_process_that_dies_is_a_row_with_a_reason(monkeypatch):
    class Dies(subprocess.Popen):
        def __init__(self, command, **options):
            super().__init__(
                [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], **options
            )

    with monkeypatch.context() as patch:
        patch.setattr(cost_time.subprocess, "Popen", Dies)
        (row,) = time_rows(rows(), HOW, lambda done, total: None)
    assert row.not_run == "ended by the system, as a rule for want of memory"
    # A step of a model that is none: the process says why, and only its row is lost.
    with pytest.raises(NotMeasured, match="ended with code 1 .*unknown key 'widths'"):
        timed(Job({"widths": []}, 64, 64, 1))
    words = "RuntimeError: [enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried"
    assert why_it_ended(1, words) == "not enough memory"


def test_the_process_ends_with_the_one_that_started_it(tmp_path):
    job = json.dumps({"model": to_dict(SIZES["msgd-l"]), "width": 1280, "height": 720, "threads": 1})
    command = [sys.executable, "-m", "resharp.analysis.cost_time", job, str(tmp_path / "result.json")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    with process:
        process.stdin.close()
        # Its work takes minutes.
        assert process.wait(60) == 1
    assert not (tmp_path / "result.json").exists()


def test_parts_that_do_not_run_do_not_count():
    timing = Timing(
        {"guidance": 1.0, "predictor": 2.0, "step": 4.0}, {}, None, {"guidance": 5, "predictor": 6, "step": 9}, 3, 9
    )
    (row,) = rows(Preset(output="predictor", ensemble=2))
    row = replace(row, timing=timing, not_run="")
    assert (row.image_s, row.image_bytes) == (6.0, 6)
    (row,) = rows(Preset(output="input"))
    assert (replace(row, timing=timing).image_s, replace(row, timing=timing).image_bytes) == (0.0, 3)
    # Where parts cannot be told apart, only a picture that uses all of them has a figure.
    together = replace(timing, peak_bytes=None)
    assert replace(row, timing=together).image_bytes is None
    assert replace(rows()[0], timing=together).image_bytes == 9
