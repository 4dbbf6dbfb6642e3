"""A model on disk: a folder of config.json, model.safetensors and scheduler_config.json; never pickle."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError, OutputError
from resharp.files import atomic_path, write_text
from resharp.models.config import ModelConfig
from resharp.models.icdpm import ICDPM
from resharp.settings import from_dict, to_dict

CONFIG, WEIGHTS, SCHEDULER = "config.json", "model.safetensors", "scheduler_config.json"
FORMAT = 1


@dataclass(frozen=True)
class _ConfigFile:
    """Schema of config.json."""

    model: ModelConfig
    defaults: Defaults
    format: int = FORMAT
    library: str = "resharp"


def save_model(
    folder: str | os.PathLike[str],
    model: ICDPM,
    schedule: NoiseSchedule,
    defaults: Defaults,
    *,
    weights: dict[str, Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; each of its files is complete or absent.

    Args:
        folder: made if it does not exist.
        weights: replaces the model's own, for example by their moving average.
        dtype: of the stored numbers; float16 halves the file and is widened again on loading.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make this folder ({error.strerror}); choose another") from error
    state = model.state_dict() if weights is None else weights
    stored = {name: value.detach().to("cpu", dtype).contiguous() for name, value in state.items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})
    write_text(folder / SCHEDULER, _json(to_dict(schedule)))
    write_text(folder / CONFIG, _json(to_dict(_ConfigFile(model.config, defaults))))


def save_defaults(folder: str | os.PathLike[str], defaults: Defaults) -> None:
    """Replace what a saved model does when nothing is asked for; its weights are not touched.

    Raises:
        ModelError: there is no readable configuration to change.
    """
    path = Path(folder) / CONFIG
    write_text(path, _json(to_dict(replace(_read(_ConfigFile, path), defaults=defaults))))


def load_model(folder: str | os.PathLike[str]) -> tuple[ICDPM, NoiseSchedule, Defaults]:
    """Read a model folder into float32 on the CPU, in evaluation mode.

    Raises:
        ModelError: a file is missing or broken, the configuration has unknown or impossible values, or the
            weights do not belong to it.
    """
    folder = Path(folder)
    config = _read(_ConfigFile, folder / CONFIG)
    if config.format != FORMAT or config.library != "resharp":
        raise ModelError(f"{folder / CONFIG}: not a model of this version of resharp; update resharp")
    schedule = _read(NoiseSchedule, folder / SCHEDULER)
    weights = _read_weights(folder / WEIGHTS)
    with torch.device("meta"):
        model = ICDPM(config.model)
    expected = {name: value.shape for name, value in model.state_dict().items()}
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights or name not in expected:
            what = "lacks" if name not in weights else "has, beyond what its configuration describes,"
            raise ModelError(f"{folder / WEIGHTS}: {what} the tensor {name!r}; these weights belong to another model")
        if weights[name].shape != expected[name]:
            raise ModelError(
                f"{folder / WEIGHTS}: {name!r} has shape {tuple(weights[name].shape)}, its configuration says "
                f"{tuple(expected[name])}; these weights belong to another model"
            )
        if not torch.isfinite(weights[name]).all():
            raise ModelError(f"{folder / WEIGHTS}: {name!r} holds numbers that are not finite; fetch the file again")
    model = ICDPM(config.model)
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval().requires_grad_(False), schedule, config.defaults


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; a model is a folder with {CONFIG}, {WEIGHTS}, {SCHEDULER}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error}); fetch it again") from error


def _read(cls: type, path: Path) -> Any:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; a model is a folder with {CONFIG}, {WEIGHTS}, {SCHEDULER}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable JSON file ({error})") from error
    try:
        return from_dict(cls, data, str(path))
    except ConfigError as error:
        raise ModelError(str(error)) from error


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2) + "\n"
