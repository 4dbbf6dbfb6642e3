"""Strict dataclasses from dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from resharp.errors import ConfigError
from resharp.settings import from_dict, to_dict


@dataclass(frozen=True)
class Inner:
    a: int = 1
    sides: tuple[float, ...] = (1.0, 2.0)


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["x", "y"] = "x"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    rate: float = 0.5
    on: bool = False


def test_round_trip_through_plain_values():
    outer = Outer("n", "y", Inner(3, (0.0,)), Inner(), 2.0, True)
    assert from_dict(Outer, to_dict(outer), "here") == outer


def test_whole_numbers_serve_as_floats_and_lists_as_tuples():
    assert from_dict(Outer, {"name": "n", "rate": 1, "inner": {"sides": [3, 4]}}, "here").inner.sides == (3.0, 4.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "n", "ratee": 1}, "f.toml: unknown key 'ratee'; did you mean 'rate'?"),
        ({"name": "n", "inner": {"zzz": 1}}, "f.toml: inner: unknown key 'zzz'; known keys: a, sides"),
        ({"name": "n", "kind": "z"}, "f.toml: kind is 'z'; allowed: 'x', 'y'"),
        ({"name": 1}, "f.toml: name is 1; expected str"),
        ({"name": "n", "inner": {"a": True}}, "f.toml: inner: a is True; expected int"),
        ({"name": "n", "on": 1}, "f.toml: on is 1; expected bool"),
        ({"name": "n", "inner": {"sides": 3}}, "f.toml: inner: sides is 3; expected a list"),
        ({"name": "n", "inner": [1]}, "f.toml: inner: expected a table of settings, found list"),
        ({}, "f.toml: missing key 'name'"),
    ],
)
def test_mistakes_are_named(data, message):
    with pytest.raises(ConfigError) as caught:
        from_dict(Outer, data, "f.toml")
    assert str(caught.value) == message
