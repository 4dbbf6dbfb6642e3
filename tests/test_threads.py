"""How many threads a process gets."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from resharp import threads
from resharp.threads import thread_count, usable_threads


def test_there_is_one_and_no_more_than_cores():
    assert 1 <= usable_threads() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, 2**20),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 2**20),
        ({}, 2**20),
    ],
)
def test_the_quota_of_a_container(tmp_path, monkeypatch, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(threads, "_CGROUP", tmp_path)
    assert threads._quota() == quota


def test_a_wish_counts_and_the_environment_is_not_raised():
    code = (
        "import torch; from resharp import threads; threads.set_threads(None); print(torch.get_num_threads()); "
        "threads.set_threads(3); print(torch.get_num_threads())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["1", "3"]


@pytest.mark.parametrize(
    ("variable", "wanted", "count"),
    [(None, None, 4), ("2", None, 2), ("9", None, 4), ("3,2", None, 3), ("", None, 4), ("many", None, 4), ("2", 7, 7)],
)
def test_other_libraries_get_as_many_as_torch(monkeypatch, variable, wanted, count):
    monkeypatch.setattr(threads, "usable_threads", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert thread_count(wanted) == count
