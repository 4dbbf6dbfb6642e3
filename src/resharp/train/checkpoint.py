"""Checkpoints of a run: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import torch

from resharp.errors import ModelError, OutputError
from resharp.files import atomic_path

FOLDER = "checkpoints"
KEYS = ("step", "skipped", "config", "data", "parts", "model", "average", "optimizer", "teacher")
_NAME = re.compile(r"step-(\d+)\.pt")
_DISK_FULL = "no space left on the disk"


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a run folder, the newest first."""
    place = folder / FOLDER
    found = {path: _NAME.fullmatch(path.name) for path in place.iterdir()} if place.is_dir() else {}
    return sorted((path for path, match in found.items() if match), key=lambda path: path.name, reverse=True)


def save_checkpoint(folder: Path, state: dict[str, Any], keep: int) -> Path:
    """Write `KEYS` (tensors, numbers, strings) for `state["step"]`, then delete all but the newest `keep`.

    A checkpoint has its name only once it is complete. Where the disk is full, older ones make room, but the
    newest complete one stays until there is another.

    Raises:
        OutputError: it cannot be written; what was there is still there.
    """
    path = folder / FOLDER / f"step-{state['step']:08d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(path, state)
    except OutputError as error:
        older = [other for other in checkpoint_paths(folder) if other != path][1:]
        if _DISK_FULL not in str(error) or not older:
            raise
        _delete(older)
        _write(path, state)
    _delete(checkpoint_paths(folder)[keep:])
    return path


def _write(path: Path, state: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        try:
            with open(temporary, "wb") as file:
                torch.save(state, file)
        except (OSError, RuntimeError) as error:
            # torch's writer hides what the system said.
            cause: BaseException | None = error
            while cause is not None and not (isinstance(cause, OSError) and cause.errno):
                cause = cause.__cause__ or cause.__context__
            full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = _DISK_FULL if full else str(error).splitlines()[0][:120]
            raise OutputError(f"{path}: cannot write the checkpoint ({reason}); make room and go on") from error


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process had half-written; nobody else may be using the folder."""
    for place in (folder, folder / FOLDER, folder / "model", folder / "samples"):
        for path in place.glob(".resharp-*") if place.is_dir() else ():
            path.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        ModelError: the file is no checkpoint, or broken.
    """
    try:
        # weights_only refuses pickled code: a checkpoint from elsewhere is as safe to open as a picture.
        state = torch.load(Path(path), map_location="cpu", weights_only=True)
        state.setdefault("teacher", None)  # versions without distillation wrote none
        if state.keys() != set(KEYS):
            raise ValueError(f"it does not hold {', '.join(KEYS)}")
        return state
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelError(f"{path}: not a checkpoint, or broken ({reason}); delete it to go on without") from error
