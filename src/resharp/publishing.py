"""A model folder to the Hugging Face Hub, with a card or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ModelError
from resharp.files import write_text
from resharp.hub import MODEL_FILES, is_hub_id
from resharp.model_card import CardFacts, missing_from, model_card
from resharp.models.icdpm import ICDPM
from resharp.serialization import load_model, save_model
from resharp.task import Task

CARD = "README.md"


def publish_model(
    model: ICDPM,
    schedule: NoiseSchedule,
    defaults: Defaults,
    task: Task,
    repo_id: str,
    facts: CardFacts,
    *,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Save a model in a temporary folder, write its card, and `publish` it.

    Args:
        repo_id: "owner/name"; made if it does not exist. `DeblurPipeline.from_pretrained(repo_id)` loads it.
        facts: for the card: licence, training data, scores, limits.

    Returns:
        The address of the commit.

    Raises:
        ModelError: the Hub does not take it.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_model(folder, model, schedule, defaults, task=task)
        write_text(Path(folder) / CARD, model_card(repo_id, model, schedule, defaults, task, facts))
        return publish(folder, repo_id, private=private, token=token)


def check_publishable(folder: str | os.PathLike[str], repo_id: str) -> None:
    """Whether a folder is a model of resharp with a complete card; nothing is sent.

    Raises:
        ModelError: it is not, or `repo_id` is not "owner/name".
    """
    if not is_hub_id(repo_id):
        raise ModelError(f"{repo_id}: not an id of the Hub; it is owner/name")
    load_model(folder)
    path = Path(folder) / CARD
    try:
        lacks = missing_from(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: no readable model card; a model without one is not sent") from error
    if lacks:
        raise ModelError(f"{path}: the model card lacks {', '.join(lacks)}")


def publish(folder: str | os.PathLike[str], repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload the model's files and its card; the repository is made if it does not exist.

    Args:
        folder: of `save_model`, with README.md.
        token: None takes that of `hf auth login` or of the environment variable HF_TOKEN.

    Returns:
        The address of the commit.

    Raises:
        ModelError: it is not publishable, or the Hub does not take it.
    """
    check_publishable(folder, repo_id)
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="resharp")
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        sent = api.upload_folder(
            repo_id=repo_id,
            folder_path=Path(folder),
            allow_patterns=MODEL_FILES,
            commit_message="Upload a model of resharp",
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{repo_id}: the Hub did not take it ({reason}); see that `hf auth whoami` works") from error
    return str(sent.commit_url)
