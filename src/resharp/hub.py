"""Where a model is: on this disk, inside the package, or on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from resharp.errors import ModelError

_SHIPPED_FOLDER = Path(__file__).parent / "weights"
SHIPPED = _SHIPPED_FOLDER / "default"
SHIPPED_NAMES = ("default", "one-step")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Only these are fetched and sent: a repository can hold others, pickled ones among them.
MODEL_FILES = ["config.json", "model.safetensors", "scheduler_config.json", "README.md"]


def shipped_models() -> dict[str, Path]:
    """The folders of the models that are in this installation, by name."""
    return {name: _SHIPPED_FOLDER / name for name in SHIPPED_NAMES if (_SHIPPED_FOLDER / name).is_dir()}


def is_hub_id(name: str) -> bool:
    """Whether a name has the form "owner/name"."""
    return _HUB_ID.fullmatch(name) is not None


def locate_model(source: str | os.PathLike[str] | None) -> Path:
    """The folder of a model; one on the Hub is downloaded once and then found in its cache.

    Args:
        source: the name of a shipped model ("default", "one-step"), a folder, a Hub id "owner/name", or None for
            "default". A string that is a shipped model's name means that one wherever the program runs; a folder
            of the same name is "./one-step", or a `Path`.

    Raises:
        ModelError: there is no such folder and no such model on the Hub, or the Hub cannot be reached.
    """
    if source is None:
        source = SHIPPED_NAMES[0]
    if isinstance(source, str) and source in SHIPPED_NAMES:
        return _shipped(source)
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{folder}: is a file; a model is a folder with config.json and model.safetensors")
    if not is_hub_id(str(source)):
        names = ", ".join(shipped_models())
        raise ModelError(f"{source}: no such folder, not a shipped model ({names}), and not a Hub id owner/name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(source), allow_patterns=MODEL_FILES))
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"{source}: no such folder, and the Hub did not give it ({reason})") from error


def _shipped(name: str) -> Path:
    there = shipped_models()
    if name not in there:
        remedy = f"it has: {', '.join(there)}" if there else "install resharp again"
        own = f"; the folder here is ./{name}" if Path(name).is_dir() else ""
        raise ModelError(f"{name}: this installation does not ship this model ({remedy}){own}")
    return there[name]
