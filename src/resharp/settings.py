"""Dataclasses to and from plain dictionaries (TOML, JSON), strictly: an unknown key is an error."""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from resharp.errors import ConfigError

T = TypeVar("T")

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
shown = _SHORT.repr  # of what may be of any length or depth


def from_dict(cls: type[T], data: Any, where: str) -> T:
    """Build the dataclass `cls` from a mapping, nested dataclasses and tuples included.

    Args:
        cls: a dataclass type whose annotations are int, float, bool, str, `tuple[X, ...]`, a Literal,
            another dataclass, or one of these or None.
        data: a mapping with a subset of the fields' names as keys; false stands for None where that is allowed.
        where: named in errors: a file's name, and the table in it.

    Raises:
        ConfigError: an unknown key (the nearest known one is suggested), a missing key that has no
            default, or a value of another type.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a table of settings, found {type(data).__name__}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            near = difflib.get_close_matches(str(key)[:80], names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
            raise ConfigError(f"{where}: unknown key {shown(key)}; {hint}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    try:
        return cls(**values)
    except TypeError as error:
        missing = [
            field.name
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
            if field.name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        raise ConfigError(f"{where}: missing key {missing[0]!r}" if missing else f"{where}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads(..., object_pairs_hook=once)`: a key that is there twice is an error, a ValueError.

    Readers differ in which of the two they take.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is there twice")
        found[name] = value
    return found


def to_dict(settings: Any) -> dict[str, Any]:
    """The inverse of `from_dict`: plain values only, ready for JSON."""
    return dataclasses.asdict(settings)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it, or ConfigError."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        # TOML has no word for nothing; `guidance = false` is how it says "without".
        return None if value is None or (value is False and bool not in options) else _convert(options[0], value, where)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            raise ConfigError(f"{where} is {shown(value)}; allowed: {', '.join(map(repr, allowed))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} is {shown(value)}; expected a list")
        return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value, where)
    # bool is an int to Python, but `steps = true` is a slip of the pen.
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} is {shown(value)}; expected {hint.__name__}")
    return value


def _finite(value: float, where: str) -> float:
    """JSON and TOML can say NaN and infinity, and whole numbers beyond any float; no setting means them."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigError(f"{where} is {shown(value)}; expected a finite number")
    return number
