"""A run's state to and from its checkpoints, and whether a checkpoint belongs to the run that asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resharp.data.source import Source
from resharp.errors import ConfigError, DataError, ModelError
from resharp.serialization import Defaults, save_model
from resharp.train.checkpoint import checkpoint_paths, load_checkpoint, save_checkpoint
from resharp.train.config import OPERATIONAL, TrainConfig
from resharp.train.config_file import merged, resolved
from resharp.train.degradation import task_of
from resharp.train.engine import Engine
from resharp.train.logs import Report

# What stands for something else that is compared itself: the network's table, and the number of parts.
_LABELS = frozenset({"size", "micro_batch_size"})


def save(folder: Path, engine: Engine, source: Source, step: int, skipped: int) -> None:
    """Write a checkpoint and, from the moving average, the model folder.

    There is no random state to save: all draws follow from the step (see `resharp.data.draws`).

    Raises:
        OutputError: they cannot be written.
    """
    config = engine.config
    state = {
        "step": step,
        "skipped": skipped,
        "config": json.dumps(resolved(config), sort_keys=True),
        "data": source.fingerprint(),
        "parts": engine.parts,
        "model": engine.model.state_dict(),
        "average": engine.average,
        "optimizer": engine.optimizer.state_dict(),
        "teacher": None if engine.teacher is None else engine.teacher.fingerprint(),
    }
    output = "predictor" if config.stage == "predictor" else "diffusion"
    steps = 1 if config.stage == "distil" else 8 if engine.model.predictor is not None else 50
    defaults = Defaults(output=output, steps=steps)
    # The model first: a run whose last checkpoint is there takes no more steps that could write it.
    options = {"weights": engine.average, "task": task_of(config)}
    save_model(folder / "model", engine.model, config.schedule, defaults, **options)
    save_checkpoint(folder, state, config.keep_checkpoints)


def restore(folder: Path, engine: Engine, source: Source, report: Report, accept_changed_data: bool) -> tuple[int, int]:
    """Continue from the newest checkpoint that can be read.

    Returns:
        Steps done and steps skipped so far; (0, 0) without a checkpoint.

    Raises:
        ConfigError: the checkpoint was made with other settings, another teacher or another division of the batch.
        DataError: the data set has changed, and that was not accepted.
        ModelError: there are checkpoints, but none can be read.
    """
    broken: list[ModelError] = []
    for path in checkpoint_paths(folder):
        try:
            state = load_checkpoint(path)
        except ModelError as error:
            broken.append(error)
            report(str(error))
            continue
        _check(path, state, engine, source, accept_changed_data)
        engine.model.load_state_dict(state["model"])
        engine.optimizer.load_state_dict(state["optimizer"])
        device = engine.accelerator.device
        engine.average = {name: value.to(device) for name, value in state["average"].items()}
        report(f"resumed at step {state['step']}")
        return state["step"], state["skipped"]
    if broken:
        raise broken[0]
    return 0, 0


def _check(path: Path, state: dict[str, Any], engine: Engine, source: Source, accept_changed_data: bool) -> None:
    # A setting that this version has and that one had not was at its default.
    then = merged(_plain(TrainConfig()), json.loads(state["config"]))
    now = _plain(engine.config)
    changed = [f"{key} was {old!r} and is {new!r}" for key, old, new in differences(then, now)]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ConfigError(
            f"{path}: made with other settings ({'; '.join(changed[:3])}{more}); continue with those, or choose "
            "another --out and start from this run with --init"
        )
    if state["parts"] != engine.parts:
        raise ConfigError(
            f"{path}: made with the batch in {state['parts']} parts, now it is in {engine.parts}; use as many "
            "processes as then, or set micro_batch_size from the beginning"
        )
    if engine.teacher is not None and state["teacher"] != engine.teacher.fingerprint():
        raise ConfigError(
            f"{path}: made with another teacher than {engine.config.init} is now; bring the old one back, or choose "
            "another --out"
        )
    if state["data"] != source.fingerprint() and not accept_changed_data:
        raise DataError(
            f"{path}: the data set has changed since ({source.describe()}); bring the old one back, or add "
            "--accept-changed-data to go on with this one"
        )


def _plain(config: TrainConfig) -> dict[str, Any]:
    """All settings as JSON would give them back."""
    return json.loads(json.dumps(resolved(config)))


def differences(then: dict[str, Any], now: dict[str, Any], above: str = "") -> list[tuple[str, Any, Any]]:
    """Settings that differ and decide what a run computes, as (key, then, now)."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted(then.keys() | now.keys()):
        old, new = then.get(key), now.get(key)
        if old == new or (not above and key in OPERATIONAL | _LABELS):
            continue
        if not above and key == "steps" and now.get("lr_decay") == then.get("lr_decay") == "none":
            continue  # the length of a run without decay decides nothing but its end
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{above}{key}.")
        else:
            found.append((above + key, old, new))
    return found
