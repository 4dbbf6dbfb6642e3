"""Training configurations from files: TOML, or the config.json of a run, with single settings replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resharp.errors import ConfigError
from resharp.files import read_text
from resharp.models.sizes import size
from resharp.settings import from_dict, shown, to_dict
from resharp.train.config import TrainConfig

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


def load_config(path: str | os.PathLike[str], settings: Sequence[str] = (), **overrides: object) -> TrainConfig:
    """Read a configuration.

    A [model] table need not be complete: what it leaves out is as in the named `size`.

    Args:
        path: a TOML file, or the config.json of a run folder.
        settings: "key=value" each, with dots for tables and values as in TOML, such as
            "model.guidance.scales=[3]"; they replace the file's.
        overrides: fields that replace both; None leaves them.

    Raises:
        ConfigError: missing file, broken TOML, unknown key, or a value that is not allowed.
    """
    path = Path(path)
    data = _read(path)
    for setting in settings:
        data = merged(data, _parse(setting))
    data.update({key: value for key, value in overrides.items() if value is not None})
    if data.get("model") is not None:
        chosen = data.get("size", TrainConfig.size)
        if not isinstance(chosen, str) or not isinstance(data["model"], Mapping):
            return from_dict(TrainConfig, data, str(path))  # names what is of the wrong type
        data["model"] = merged(to_dict(size(chosen)), data["model"])
    return from_dict(TrainConfig, data, str(path))


def resolved(config: TrainConfig) -> dict[str, Any]:
    """All settings as plain values, the network spelled out: what a run writes down."""
    return {**to_dict(config), "model": to_dict(config.model_config())}


def _read(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:  # what is not UTF-8, and a name with a zero in it, is a ValueError
        raise ConfigError(f"{path}: cannot read this configuration ({error}); give a TOML file") from error
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # broken, thousands of digits, or lists in lists in lists
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigError(f"{path}: not valid {kind} ({error})") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a table of settings")
    return data


def _parse(setting: str) -> dict[str, Any]:
    """One "key=value" as nested tables; a value that is no TOML is taken as a string."""
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown(setting)}: expected key=value, such as --set lr=2e-4")
    for text in (value, json.dumps(value.strip())):
        try:
            return tomllib.loads(f"{key} = {text}")
        except (ValueError, RecursionError):
            continue
    raise ConfigError(f"--set {shown(setting)}: {shown(key)} is no key; use letters, with dots between tables")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, table by table."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result
