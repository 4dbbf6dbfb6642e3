"""Where a model is: on this disk, inside the package, or on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from resharp.errors import ModelError

SHIPPED = Path(__file__).parent / "weights" / "default"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["config.json", "model.safetensors", "scheduler_config.json", "README.md"]


def locate_model(source: str | os.PathLike[str] | None) -> Path:
    """The folder of a model; one on the Hub is downloaded once and then found in its cache.

    Args:
        source: a folder, a Hub id "owner/name", or None for the shipped model.

    Raises:
        ModelError: there is no such folder and no such model on the Hub, or the Hub cannot be reached.
    """
    if source is None:
        if not SHIPPED.is_dir():
            raise ModelError(f"{SHIPPED}: the shipped model is missing; install resharp again")
        return SHIPPED
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{folder}: is a file; a model is a folder with config.json and model.safetensors")
    if not _HUB_ID.fullmatch(str(source)):
        raise ModelError(f"{source}: no such folder, and not a Hub id of the form owner/name")
    from huggingface_hub import snapshot_download

    try:
        # Only these files: a repository can hold others, pickled ones among them.
        return Path(snapshot_download(str(source), allow_patterns=_FILES))
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"{source}: no such folder, and the Hub did not give it ({reason})") from error
