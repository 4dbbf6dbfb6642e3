"""A model on disk: a folder of config.json, model.safetensors and scheduler_config.json; never pickle."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import OutputError
from resharp.files import atomic_path, write_text
from resharp.model_files import CONFIG, SCHEDULER, WEIGHTS, ConfigFile, as_json, read_config, read_json
from resharp.models.icdpm import ICDPM
from resharp.task import Task
from resharp.weights_file import checked_weights, not_finite


def save_model(
    folder: str | os.PathLike[str],
    model: ICDPM,
    schedule: NoiseSchedule,
    defaults: Defaults,
    *,
    weights: dict[str, Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
    task: Task = Task(),
) -> None:
    """Write a model folder; each of its files is complete or absent.

    Args:
        folder: made if it does not exist.
        weights: replaces the model's own, for example by their moving average.
        dtype: of the stored numbers; float16 halves the file and is widened again on loading.
        task: what the model restores.
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
    write_text(folder / SCHEDULER, as_json(schedule))
    write_text(folder / CONFIG, as_json(ConfigFile(model.config, defaults, task=task)))


def save_defaults(folder: str | os.PathLike[str], defaults: Defaults) -> None:
    """Replace what a saved model does when nothing is asked for; its weights are not touched.

    Raises:
        ModelError: there is no readable configuration to change.
    """
    path = Path(folder) / CONFIG
    write_text(path, as_json(replace(read_json(ConfigFile, path), defaults=defaults)))


def load_model(folder: str | os.PathLike[str]) -> tuple[ICDPM, NoiseSchedule, Defaults]:
    """Read a model folder into float32 on the CPU, in evaluation mode.

    Raises:
        ModelError: a file is missing or broken, the configuration has unknown or impossible values, or the
            weights do not belong to it.
    """
    folder = Path(folder)
    config, schedule = read_config(folder)
    with torch.device("meta"):
        model = ICDPM(config.model)
    weights = _read_weights(folder / WEIGHTS, {name: value.shape for name, value in model.state_dict().items()})
    model = ICDPM(config.model)
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False), schedule, config.defaults


def load_task(folder: str | os.PathLike[str]) -> Task:
    """What the model in a folder restores.

    Raises:
        ModelError: as for `load_model`.
    """
    return read_json(ConfigFile, Path(folder) / CONFIG).task


def _read_weights(path: Path, expected: dict[str, torch.Size]) -> dict[str, Tensor]:
    """The tensors, in float32. What the file says of itself is compared before any tensor is read."""
    with checked_weights(path, expected), safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in expected}
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise not_finite(path, name)
    return {name: value.float() for name, value in weights.items()}
