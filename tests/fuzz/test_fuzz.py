"""Spoilt inputs of every kind: a clean exit code, a line a person understands, nothing half done, bounded memory.

A case is its family and a number, so that whatever fails is found again by the words it fails with.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.families import FAMILIES, Stock
from fuzz.judging import judge
from fuzz.pool import try_all

pytestmark = pytest.mark.skipif(os.name != "posix", reason="captures what C libraries say as POSIX has it")


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Stock:
    return Stock(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """An own working folder: some commands write into it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_of_each_family(family, stock, elsewhere, capfd):
    given_ = given(number=st.integers(0, 2**32))
    health = [HealthCheck.function_scoped_fixture]

    @settings(max_examples=8, deadline=None, suppress_health_check=health, derandomize=True, database=None)
    @given_
    def tried(number: int) -> None:
        assert judge(family, number, stock, elsewhere) == []

    tried()


# What once failed.
@pytest.mark.parametrize(
    ("family", "number"),
    [("store", 1), ("photo", 29), ("metadata", 12), ("shards", 10748), ("shards", 10140)],
)
def test_what_once_failed(family, number, stock, elsewhere, capfd):
    assert judge(family, number, stock, elsewhere) == []


def test_the_judge_sees_what_is_wrong(stock, elsewhere, monkeypatch, capfd):
    """Each kind of misbehaviour, put into the program on purpose."""
    import resharp.picture

    def wrong(action) -> str:
        monkeypatch.setattr(resharp.picture, "read_photo", action)
        return "\n".join(judge("receipt", 1, stock, elsewhere) + judge("photo", 1, stock, elsewhere))

    def bug(path):
        raise KeyError("a bug")

    def leave(path):
        Path(path).with_name(".resharp-left.png").touch()
        raise ImageError("left")

    def change(path):
        Path(path).write_bytes(b"changed")
        raise ImageError("changed")

    def shout(path):
        os.write(2, b"TIFFReadDirectory: an odd tag\n")
        raise ImageError("x" * 5000)

    from resharp.errors import ImageError

    assert stock.result.is_file()  # made before the program is spoilt
    assert "unexpected error" in wrong(bug)
    assert ".resharp-left.png was left" in wrong(leave)
    assert "was changed" in wrong(change)
    assert "a library said: TIFF" in wrong(shout)
    assert "a line of 5" in wrong(shout)


@pytest.mark.fuzz
@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux counts it")
def test_many(tmp_path):
    """FUZZ_INPUTS of them, over all families, from number FUZZ_START on."""
    wanted, first = int(os.environ.get("FUZZ_INPUTS", "20000")), int(os.environ.get("FUZZ_START", "0"))
    families = list(FAMILIES)
    inputs = [(families[i % len(families)], first + i // len(families)) for i in range(wanted)]
    tried: Counter[str] = Counter()
    wrong: list[str] = []
    for family, _, found in try_all(inputs, tmp_path, max(1, os.cpu_count() or 1)):
        tried[family] += 1
        for line in found:
            print(line, flush=True)
        wrong += found
    print(f"{sum(tried.values())} inputs tried: {dict(tried)}")
    assert sum(tried.values()) == wanted
    assert wrong == []
