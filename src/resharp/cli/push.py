"""`resharp push`: a model to the Hugging Face Hub, with a complete card."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_folder, make_folder
from resharp.errors import ConfigError, OutputError


def push(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's folder, or a shipped model's name.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Where on the Hub; made if it is not there.")],
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", metavar="ID", help="Of the weights, such as apache-2.0.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Training data, with its licence; may be given several times."),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="The card's first line.")] = None,
    training: Annotated[str | None, typer.Option(metavar="TEXT", help="How it was trained.")] = None,
    scores: Annotated[
        str | None, typer.Option(metavar="FILE", help="A Markdown file with measured scores, for the card.")
    ] = None,
    limits: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is known to fail on.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Only you and your organisation can see it.")] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write what would be sent into this new folder; send nothing.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Send a model to the Hugging Face Hub, with its card (README.md), or one made from these options."""
    if out is not None:
        check_folder(Path(out))
        if Path(out).exists():
            raise OutputError(f"{out}: exists already; choose a new folder")
    from resharp.hub import MODEL_FILES, locate_model
    from resharp.publishing import CARD, check_publishable, publish

    folder = locate_model(model)
    facts = {"title": title, "training": training, "limits": limits, "scores": scores}
    facts |= {"licence": licence, "datasets": dataset}
    asked = {name: value for name, value in facts.items() if value is not None}
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary)
        for name in MODEL_FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, staged / name)
        if not (staged / CARD).exists():
            _write_card(folder, staged / CARD, repo_id, asked)
        elif asked:
            raise ConfigError(f"{folder / CARD} is the model's card; change it there, and leave out {_options(asked)}")
        check_publishable(staged, repo_id)
        if out is not None:
            make_folder(Path(out))
            for path in sorted(staged.iterdir()):
                shutil.copyfile(path, Path(out) / path.name)
            found = {"model": str(folder), "repository": repo_id, "folder": out, "address": None}
        else:
            found = {"model": str(folder), "repository": repo_id, "folder": None}
            found["address"] = publish(staged, repo_id, private=private)
    say(json.dumps(found, indent=2) if as_json else f"written: {out}" if out is not None else str(found["address"]))
    if not as_json and out is None:
        note(f"use it: resharp deblur photo.jpg --model {repo_id}")


def _options(asked: dict[str, object]) -> str:
    return ", ".join(f"--{name.removesuffix('s') if name == 'datasets' else name}" for name in asked)


def _write_card(folder: Path, path: Path, repo_id: str, asked: dict[str, object]) -> None:
    from resharp.files import write_text
    from resharp.model_card import CardFacts, model_card
    from resharp.serialization import load_model, load_task

    model, schedule, defaults = load_model(folder)
    if "licence" not in asked or "datasets" not in asked:
        raise ConfigError(f"{folder}: has no README.md; give --licence and --dataset, and a card is made from them")
    scores = asked.get("scores")
    if isinstance(scores, str):
        try:
            asked["scores"] = Path(scores).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{scores}: not a readable text file") from error
    asked["datasets"] = tuple(asked["datasets"])  # type: ignore[arg-type]
    facts = CardFacts(**asked)  # type: ignore[arg-type]
    write_text(path, model_card(repo_id, model, schedule, defaults, load_task(folder), facts))
