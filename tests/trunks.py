"""Weights for LPIPS, made up: as published ones in form, and in nothing else."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from resharp.metrics.lpips import CONV_INDEX, LPIPS


def made_trunk(folder: Path) -> Path:
    """A file with random AlexNet weights."""
    state = {}
    for conv, index in zip(LPIPS().convs, CONV_INDEX, strict=True):
        state[f"features.{index}.weight"] = conv.weight.data
        state[f"features.{index}.bias"] = conv.bias.data
    path = folder / "alexnet.safetensors"
    save_file(state, path)
    return path
