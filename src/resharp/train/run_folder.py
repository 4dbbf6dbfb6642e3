"""What a run writes down about itself: settings, versions, data, and who may write there."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from resharp import __version__
from resharp.data.source import Source
from resharp.errors import OutputError
from resharp.files import write_text
from resharp.train.config import TrainConfig
from resharp.train.config_file import resolved

CONFIG, ENVIRONMENT, DATA, QUARANTINE, LOG = (
    "config.json",
    "environment.json",
    "data.json",
    "quarantine.txt",
    "log.jsonl",
)
_PACKAGES = ("torch", "accelerate", "diffusers", "numpy", "pillow", "safetensors")


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Claim a run folder for this process, until the block or the process ends, however it may.

    Raises:
        OutputError: another run is using it.
    """
    held = FileLock(folder / ".lock")
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"{folder}: another run is training here; stop it, or choose another --out") from error
    try:
        yield
    finally:
        held.release()


def write_facts(folder: Path, config: TrainConfig, source: Source, processes: int, device: torch.device) -> None:
    """Write config.json, environment.json and data.json."""
    write_text(folder / CONFIG, _json(resolved(config)))
    write_text(folder / ENVIRONMENT, _json(environment(processes, device)))
    facts = {"description": source.describe(), "photographs": len(source), "fingerprint": source.fingerprint()}
    write_text(folder / DATA, _json(facts))


def environment(processes: int, device: torch.device) -> dict[str, Any]:
    """What the result depends on besides settings and data."""
    return {
        "resharp": __version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "processes": processes,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }


def git_revision() -> str | None:
    """The commit of the source this runs from, "+changes" if it was edited since; None outside a clone."""

    def git(*words: str) -> str:
        where = Path(__file__).parent
        ran = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=True, timeout=10)
        return ran.stdout.strip()

    try:
        # An installed copy may lie inside somebody else's repository.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def quarantine(folder: Path, lines: Sequence[str], process: int = 0) -> list[str]:
    """Add unusable photographs to quarantine.txt, each once; returns those that are new.

    Processes other than the first have files of their own, quarantine-1.txt and so on.
    """
    path = folder / (QUARANTINE if process == 0 else f"quarantine-{process}.txt")
    known = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    new = [line for line in dict.fromkeys(" ".join(line.split()) for line in lines) if line not in known]
    if new:
        write_text(path, "".join(f"{line}\n" for line in [*known, *new]))
    return new


def forget_after(folder: Path, step: int) -> None:
    """Drop log lines of steps that a resumed run is about to take again."""
    path = folder / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # the half line of a killed process
    write_text(path, "".join(kept))


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2) + "\n"
