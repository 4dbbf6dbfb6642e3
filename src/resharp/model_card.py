"""The card of a model: README.md of its folder, which the Hugging Face Hub shows and people decide by."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resharp import __version__
from resharp.diffusion.presets import Defaults
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM
from resharp.task import Task

# Without these a stranger cannot tell whether the model may be used, and for what.
FIELDS = ("license", "library_name")
SECTIONS = ("Use", "Training", "Scores", "Limits")


@dataclass(frozen=True)
class CardFacts:
    """What nobody can read from the weights.

    licence: of the weights, as an SPDX id such as "apache-2.0".
    datasets: names of the training data, each with its licence where there is room.
    training: how it was trained, in a sentence or a paragraph.
    scores: a Markdown table or text with measured scores; "" is said to be unmeasured.
    limits: known failures beyond those that every model has.
    metrics: names as the Hub has them, of what `scores` holds.

    Raises:
        ConfigError: no licence, or no training data.
    """

    licence: str
    datasets: tuple[str, ...]
    title: str = "A model that restores photos"
    training: str = ""
    scores: str = ""
    limits: str = ""
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", self.licence):
            raise ConfigError(f"licence is {self.licence!r}; give a short name such as apache-2.0 or cc-by-nc-4.0")
        if not any(name.strip() for name in self.datasets):
            raise ConfigError("a model card names its training data; give at least one data set")


def model_card(
    repo_id: str, model: ICDPM, schedule: NoiseSchedule, defaults: Defaults, task: Task, facts: CardFacts
) -> str:
    """A complete card in Markdown, its front matter as the Hub reads it.

    Args:
        repo_id: "owner/name", for the lines that load the model.
    """
    from huggingface_hub import ModelCardData

    front = ModelCardData(
        license=facts.licence,
        library_name="resharp",
        pipeline_tag="image-to-image",
        tags=["image-deblurring", "image-restoration", "diffusion"],
        metrics=list(facts.metrics) or None,
    ).to_yaml()
    data = "\n".join(f"- {name.strip()}" for name in facts.datasets if name.strip())
    trained = f"\n{facts.training.strip()}\n" if facts.training.strip() else ""
    limits = f"\n{facts.limits.strip()}\n" if facts.limits.strip() else ""
    return f"""---
{front.strip()}
---

# {facts.title}

{_what_it_is(model, schedule, defaults)}

## Use

    pip install resharp
    resharp {"deblur" if task.deblurs else "restore"} photo.jpg --model {repo_id}

```python
from resharp import DeblurPipeline

pipeline = DeblurPipeline.from_pretrained("{repo_id}")
sharp = pipeline("photo.jpg")
```

For photos that suffer from {task.words}. Not for evidence: what it draws is an estimate, and fine detail in it may not
have been there.

## Training

Data:

{data}
{trained}
## Scores

{facts.scores.strip() or "None have been measured."}

## Limits

What differs from the training data is restored worse: other cameras, more damage, night.
{limits}"""


def _what_it_is(model: ICDPM, schedule: NoiseSchedule, defaults: Defaults) -> str:
    config, parts = model.config, []
    if config.guidance is not None:
        scales = ", ".join(f"1/{2**k}" for k in config.guidance.scales)
        parts.append(f"structure guidance at {scales} of the size")
    if model.predictor is not None:
        parts.append("an initial predictor")
    if model.denoiser is not None:
        parts.append(f"a diffusion denoiser ({config.prediction_type}-prediction)")
    return (
        "A model of resharp, an implementation of *Multiscale Structure Guided Diffusion for Image Deblurring* "
        f"(arXiv 2212.01789), with {', '.join(parts)}: {model.parameter_count():,} parameters. Noise: "
        f"{schedule.train_steps} steps, beta {schedule.beta_first:g} to {schedule.beta_last:g}. By default: "
        f"{defaults.preset()}. Written by resharp {__version__}."
    )


def missing_from(card: str) -> list[str]:
    """What a card lacks, in words; [] where it is complete."""
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    found = dict(re.findall(r"^(\w+): *(.*)$", front[1], re.MULTILINE)) if front else {}
    lacks = [f"the field {name!r} between the lines of dashes at its top" for name in FIELDS if not found.get(name)]
    parts = re.split(r"^## +(.*?) *$", card, flags=re.MULTILINE)
    filled = {title for title, text in zip(parts[1::2], parts[2::2], strict=True) if text.strip()}
    return lacks + [f"the section '## {title}'" for title in SECTIONS if title not in filled]
