"""Checkpoints of a run: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from resharp.errors import ModelError
from resharp.files import atomic_path

KEYS = ("step", "config", "model", "average", "optimizer")


def save_checkpoint(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write `KEYS` (tensors, numbers, strings); the previous file stays until the new one is complete."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU.

    Raises:
        ModelError: the file is no checkpoint, or broken.
    """
    try:
        # weights_only refuses pickled code: a checkpoint from elsewhere is as safe to open as a picture.
        state = torch.load(Path(path), map_location="cpu", weights_only=True)
        if state.keys() != set(KEYS):
            raise ValueError(f"it does not hold {', '.join(KEYS)}")
        return state
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ModelError(f"{path}: not a checkpoint, or broken ({reason}); delete it to start anew") from error
