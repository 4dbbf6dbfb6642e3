"""Which library runs the networks of a model: torch, or one that runs exported graphs without it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

from resharp.cli.console import describe, note
from resharp.cli.options import BACKENDS, DEVICES, pick_device
from resharp.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from resharp.pipeline import DeblurPipeline
    from resharp.runtime.pipeline import GraphPipeline

# By the time until the first photo is made, the shortest first, as measured in docs/export.md.
_LIBRARIES = {"onnx": "onnxruntime", "openvino": "openvino"}


def load_pipeline(
    model: str | None, backend: str, device: str, threads: int | None = None, *, compiled: bool = False
) -> DeblurPipeline | GraphPipeline:
    """The pipeline of a model, ready to restore.

    Args:
        model: see `DeblurPipeline.from_pretrained`; also a folder made by `resharp export`.
        backend: one of `BACKENDS`; "auto" is an exported folder's own; ONNX Runtime, or OpenVINO if that alone is
            installed, where it works, there are graphs for the model, and no GPU seems to be there; else torch.
        device: one of `DEVICES`; exported graphs run on the CPU.
        threads: on the CPU; None takes the cores that this process may use.
        compiled: let torch compile the networks, see `resharp.compiling`; "auto" is torch then.

    Raises:
        ModelError: the model cannot be found, read, or run by this backend.
        ConfigError: no such backend or device, or it is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"unknown backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise ConfigError(f"unknown device {device!r}; allowed: {', '.join(DEVICES)}")
    if compiled and backend not in ("torch", "auto"):
        raise ConfigError(f"--compile is torch's; leave out it or --backend {backend}")
    from resharp.hub import locate_model
    from resharp.runtime.exported import is_exported, read_export

    folder = locate_model(model)
    exported = read_export(folder).backend if is_exported(folder) else None
    if compiled:
        backend = "torch"
    ready = _ready(folder, device) if backend == "auto" and exported is None else None
    if ready is not None:
        return _graphs_or_torch(folder, ready, model, device, threads)
    if backend == "auto":
        backend = exported or "torch"
    if backend != "torch":
        from resharp.runtime.opening import open_graphs

        if device not in ("auto", "cpu"):
            raise ConfigError(f"--backend {backend} runs on the CPU; leave out --device {device}, or take torch")
        return open_graphs(folder, backend, threads)
    if exported is not None:
        how = "it is for other programs" if exported == "torch" else f"give --backend {exported}"
        raise ModelError(f"{folder}: was exported for {exported}; {how}, or name the model that it was made from")
    pipeline = _with_torch(model, device, threads)
    if compiled:
        from resharp.compiling import compile_networks

        compile_networks(pipeline.model)
    return pipeline


def _with_torch(model: str | None, device: str, threads: int | None) -> DeblurPipeline:
    where = pick_device(device)
    from resharp.threads import set_threads

    set_threads(threads)
    from resharp.pipeline import DeblurPipeline

    return DeblurPipeline.from_pretrained(model).to(where)


def _ready(folder: Path, device: str) -> str | None:
    """What is installed and has graphs for this model, where nothing speaks for a GPU; see docs/export.md."""
    if device not in ("auto", "cpu") or (device == "auto" and _may_have_gpu()):
        return None
    installed = [name for name, module in _LIBRARIES.items() if importlib.util.find_spec(module) is not None]
    if not installed:
        return None
    from resharp.model_files import read_config
    from resharp.runtime.exported import shipped_graphs
    from resharp.runtime.opening import can_restore

    config = read_config(folder)[0]
    return installed[0] if can_restore(config) and shipped_graphs(config.model) is not None else None


def _graphs_or_torch(
    folder: Path, backend: str, model: str | None, device: str, threads: int | None
) -> DeblurPipeline | GraphPipeline:
    """Graphs where they work, else torch, which tells what is wrong with the model itself."""
    from resharp.runtime.opening import open_graphs

    try:
        return open_graphs(folder, backend, threads)
    except Exception as error:
        instead = _with_torch(model, device, threads)
        note(f"{describe(error)}; torch runs the model instead")
        return instead


def _may_have_gpu() -> bool:
    """Whether torch might find a GPU here; asking torch itself takes longer than a small photo."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    # NVIDIA's driver, Jetson's, Windows's within WSL, AMD's.
    devices = ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")
    return any(map(os.path.exists, devices)) or find_library("nvcuda") is not None
