"""Which library runs the networks of a model: torch, or one that runs exported graphs without it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

from resharp.cli.options import BACKENDS, DEVICES, pick_device
from resharp.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from resharp.pipeline import DeblurPipeline
    from resharp.runtime.pipeline import GraphPipeline


def load_pipeline(
    model: str | None, backend: str, device: str, threads: int | None = None
) -> DeblurPipeline | GraphPipeline:
    """The pipeline of a model, ready to restore.

    Args:
        model: see `DeblurPipeline.from_pretrained`; also a folder made by `resharp export`.
        backend: one of `BACKENDS`.
        device: one of `DEVICES`; exported graphs run on the CPU.
        threads: on the CPU; None takes the cores that this process may use.

    Raises:
        ModelError: the model cannot be found, read, or run by this backend.
        ConfigError: no such backend or device, or it is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"unknown backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise ConfigError(f"unknown device {device!r}; allowed: {', '.join(DEVICES)}")
    from resharp.hub import locate_model
    from resharp.runtime.exported import is_exported, read_export

    folder = locate_model(model)
    exported = read_export(folder).backend if is_exported(folder) else None
    if backend == "auto":
        backend = exported or _fastest(folder, device)
    if backend != "torch":
        from resharp.runtime.opening import open_graphs

        if device not in ("auto", "cpu"):
            raise ConfigError(f"--backend {backend} runs on the CPU; leave out --device {device}, or take torch")
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(threads)  # which `resharp.runtime.threads` heeds
        return open_graphs(folder, backend)
    if exported is not None:
        how = "it is for other programs" if exported == "torch" else f"give --backend {exported}"
        raise ModelError(f"{folder}: was exported for {exported}; {how}, or name the model that it was made from")
    where = pick_device(device)
    from resharp.threads import set_threads

    set_threads(threads)
    from resharp.pipeline import DeblurPipeline

    return DeblurPipeline.from_pretrained(model).to(where)


def _fastest(folder: Path, device: str) -> str:
    """ "onnx" where it can run this model and nothing speaks for a GPU, else "torch"; see docs/export.md."""
    if device not in ("auto", "cpu") or (device == "auto" and _may_have_gpu()):
        return "torch"
    if importlib.util.find_spec("onnxruntime") is None:
        return "torch"
    from resharp.model_files import read_config
    from resharp.runtime.exported import shipped_graphs

    return "torch" if shipped_graphs(read_config(folder)[0].model) is None else "onnx"


def _may_have_gpu() -> bool:
    """Whether torch might find a GPU here; asking torch itself takes longer than a small photo."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd"))) or find_library("nvcuda") is not None
