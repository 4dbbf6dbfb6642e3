"""`resharp info`: what is installed, and what a model is, for users and for bug reports."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp import __version__
from resharp.cli.console import say
from resharp.cli.options import DebugOption, JsonOption, available_devices
from resharp.files import read_text
from resharp.settings import to_dict

if TYPE_CHECKING:
    from resharp.models.icdpm import ICDPM


def info(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A model's name, folder or Hub id; default: default.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Describe this installation and a model."""
    facts = {**_installation(), **_model(model)}
    if as_json:
        say(json.dumps(facts, indent=2, default=to_dict))
        return
    facts |= {f"quality_{name}": preset for name, preset in facts.pop("quality").items()}
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name.replace('_', ' '):<{width}}  {_shown(value)}")


def _installation() -> dict[str, Any]:
    import torch

    from resharp.hub import shipped_models

    return {
        "resharp": __version__,
        "licence": metadata.metadata("resharp").get("License-Expression", "Apache-2.0"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "torch": torch.__version__,
        "devices": available_devices(),
        "threads": torch.get_num_threads(),
        "shipped_models": list(shipped_models()),
    }


def _model(source: str | None) -> dict[str, Any]:
    from resharp.hub import locate_model
    from resharp.pipeline import DeblurPipeline
    from resharp.serialization import WEIGHTS, load_model, load_task

    folder = locate_model(source)
    model, schedule, defaults = load_model(folder)
    return {
        "model": str(folder.resolve()),
        "model_licence": _card_licence(folder) or "not stated in the model's README.md",
        "parameters": _parameters(model),
        "restores": load_task(folder).words,
        "prediction_type": model.config.prediction_type,
        "patch_size": model.config.patch_size,
        "size_multiple_px": model.size_multiple,
        "defaults": to_dict(defaults.preset()),
        "quality": DeblurPipeline(model, schedule, defaults).presets(),
        "noise_schedule": to_dict(schedule),
        "weights_bytes": (folder / WEIGHTS).stat().st_size,
        "weights_sha256": _sha256(folder / WEIGHTS),
    }


def _parameters(model: ICDPM) -> dict[str, int]:
    """Trainable numbers by part; absent parts are left out."""
    parts = {"guidance": model.guidance, "predictor": model.predictor, "denoiser": model.denoiser}
    counts = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in parts.items()
        if part is not None
    }
    return {**counts, "all": sum(counts.values())}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _card_licence(folder: Path) -> str | None:
    """The licence in the front matter of the model card, where the Hub looks for it too."""
    try:
        text = read_text(folder / "README.md")
    except (OSError, ValueError):
        return None
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*(\S.*?)\s*$", front[1], re.MULTILINE) if front else None
    return found[1] if found else None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
