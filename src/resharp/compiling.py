"""A model's networks by torch.compile."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM


def compile_networks(model: ICDPM) -> None:
    """Let torch compile guidance, predictor and denoiser, each when it is first run, which takes minutes on a CPU.

    Sizes are free: what torch's convolutions decide by a layer's size makes a few programs, not one for each size. A
    compiled network rounds otherwise.

    Raises:
        ConfigError: the model is on the CPU, and here is no C++ compiler, or no headers of Python.
    """
    if next(model.parameters()).device.type == "cpu":
        _check_compiler()
    for part in (model.guidance, model.predictor, model.denoiser):
        if part is not None:
            part.compile(dynamic=True)


def _check_compiler() -> None:
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    name = os.environ.get("CXX", usual)  # as torch looks for it
    if shutil.which(name) is None:
        remedy = "install it, or name one in CXX"
        raise ConfigError(f"torch.compile needs a C++ compiler, and there is no {name} here; {remedy}")
    if not Path(sysconfig.get_paths()["include"], "Python.h").is_file():
        raise ConfigError("torch.compile needs Python's headers, and there are none here; install python3-dev")
