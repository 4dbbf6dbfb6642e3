"""Amounts of memory: read, said, and found out."""

from __future__ import annotations

import mmap

import pytest

from resharp import memory
from resharp.errors import ConfigError
from resharp.memory import free_bytes, in_words, parse_bytes, resident_bytes


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2GB", 2e9), ("1.5 gib", 1.5 * 2**30), ("800m", 8e8), ("64kB", 64000), ("123", 123), ("1TB", 1e12)],
)
def test_amounts(text, amount):
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "2 PB", "1e9", "2iB", "nan"])
def test_what_is_no_amount(text):
    with pytest.raises(ConfigError, match="memory is"):
        parse_bytes(text)


def test_words():
    assert [in_words(each) for each in (2.44e9, 310e6, 1)] == ["2.4 GB", "310 MB", "1 MB"]


def test_there_is_memory_and_this_process_holds_some():
    assert 10**6 < resident_bytes() < 10**12
    assert 10**6 < free_bytes() < 10**14


def test_what_a_process_holds_grows_with_what_it_makes():
    before = resident_bytes()
    # Pages from the system: the allocator may have as many that are held already.
    with mmap.mmap(-1, 50 * 10**6) as held:
        for place in range(0, 50 * 10**6, 4096):
            held[place] = 1
        assert resident_bytes() > before + 40 * 10**6


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (
            "0::/job/part",
            {"job/memory.max": "900", "job/memory.current": "500", "job/memory.stat": "inactive_file 300"},
        ),
        (
            "4:cpu,memory:/job",
            {
                "memory/job/memory.limit_in_bytes": "900",
                "memory/job/memory.usage_in_bytes": "500",
                "memory/job/memory.stat": "total_inactive_file 300",
            },
        ),
    ],
)
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, line, files):
    proc, group = tmp_path / "proc", tmp_path / "group"
    for path, text in {proc / "self/cgroup": line, proc / "meminfo": "MemAvailable: 5 kB"}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    monkeypatch.setattr(memory, "_PROC", proc)
    monkeypatch.setattr(memory, "_CGROUP", group)
    assert free_bytes() == 5 * 1024
    for path, text in files.items():
        (group / path).parent.mkdir(parents=True, exist_ok=True)
        (group / path).write_text(text + "\n")
    assert free_bytes() == 900 - (500 - 300)
    # No limit is written as a word in the one version and as a huge number in the other.
    limit = next(group.rglob("memory.*max")) if line.startswith("0") else next(group.rglob("memory.limit*"))
    limit.write_text("max\n" if line.startswith("0") else str(2**63 - 4096) + "\n")
    assert free_bytes() == 5 * 1024
