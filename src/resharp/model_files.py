"""What the files of a model folder are called and say, apart from its weights; read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.files import read_text
from resharp.models.config import ModelConfig
from resharp.settings import from_dict, once, to_dict
from resharp.task import Task

CONFIG, WEIGHTS, SCHEDULER = "config.json", "model.safetensors", "scheduler_config.json"
FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True)
class ConfigFile:
    """Schema of config.json."""

    model: ModelConfig
    defaults: Defaults
    format: int = FORMAT
    library: str = "resharp"
    task: Task = Task()


def read_config(folder: Path) -> tuple[ConfigFile, NoiseSchedule]:
    """What a model is, from its folder.

    Raises:
        ModelError: a file is missing or broken, or the configuration has unknown or impossible values.
    """
    config = read_json(ConfigFile, folder / CONFIG)
    if config.format != FORMAT or config.library != "resharp":
        raise ModelError(f"{folder / CONFIG}: not a model of this version of resharp; update resharp")
    return config, read_json(NoiseSchedule, folder / SCHEDULER)


def read_json(cls: type[T], path: Path) -> T:
    """A dataclass from a JSON file of a model folder.

    Raises:
        ModelError: it is missing or broken, or says what the dataclass does not know.
    """
    try:
        data = json.loads(read_text(path), object_pairs_hook=once)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; a model is a folder with {CONFIG}, {WEIGHTS}, {SCHEDULER}") from error
    except (OSError, ValueError, RecursionError) as error:  # what is not JSON or not UTF-8 is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path}: not a readable JSON file ({reason})") from error
    try:
        return from_dict(cls, data, str(path))
    except ConfigError as error:
        raise ModelError(str(error)) from error


def as_json(settings: Any) -> str:
    """A dataclass as the text of such a file."""
    return json.dumps(to_dict(settings), indent=2) + "\n"
