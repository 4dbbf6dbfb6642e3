"""The variants of an ablation: configurations that differ in their network and in nothing else that matters."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from resharp.errors import ConfigError, DataError
from resharp.models.icdpm import ICDPM
from resharp.train.checkpoint import checkpoint_paths
from resharp.train.config import TrainConfig
from resharp.train.config_file import load_config, resolved
from resharp.train.resume import differences
from resharp.train.run_folder import CONFIG, DATA

# Networks whose sizes differ by more than this share are not of equal size.
SIZE_TOLERANCE = 0.02
# Settings that decide which crops a run sees and how they are blurred.
_SAME = ("crop_px", "scale_min", "split", "gopro_blur", "reds_blur", "streams", "validation_photos", "blur")


@dataclass(frozen=True)
class Variant:
    """One configuration under the name of its file."""

    name: str
    path: Path
    config: TrainConfig

    @property
    def crops(self) -> int:
        """How many crops each of its runs sees."""
        return self.config.batch_size * self.config.steps

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Numbers in the networks behind each part that restores: {"predictor": ..., "diffusion": ...}.

        A part that the configuration does not have, or whose network its stage does not train, is not in it.
        The predictor's are those of guidance and predictor, the diffusion's those of the whole model.
        """
        with torch.device("meta"):
            model = ICDPM(self.config.model_config())
        unused = 0 if model.denoiser is None else sum(value.numel() for value in model.denoiser.parameters())
        counts = {}
        if model.predictor is not None:
            counts["predictor"] = model.parameter_count() - unused
        if model.denoiser is not None and self.config.stage != "predictor":
            counts["diffusion"] = model.parameter_count()
        return counts


@dataclass(frozen=True)
class Run:
    """One variant trained with one seed, in a run folder of its own."""

    variant: Variant
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """For people: "guided, seed 0"."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def config(self) -> TrainConfig:
        """The variant's, with this run's seed."""
        return replace(self.variant.config, seed=self.seed)

    def steps_done(self) -> int:
        """Steps of the newest checkpoint; 0 without one."""
        newest = next(iter(checkpoint_paths(self.folder)), None)
        return 0 if newest is None else int(newest.stem.rpartition("-")[2])

    def is_finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.steps_done() >= self.config.steps


def load_variants(
    paths: Sequence[str | os.PathLike[str]], steps: int | None = None, *, other_blur: bool = False
) -> list[Variant]:
    """Read configurations and check that they can be compared.

    Args:
        paths: TOML files; the first is the one that the others are compared with.
        steps: replaces the configurations' own.
        other_blur: the runs may see other blur, when it is the blur that is compared.

    Raises:
        ConfigError: a file that cannot be read, fewer than two, two of one name, no part in common, or settings
            that make the runs see other crops.
    """
    variants: list[Variant] = []
    for path in map(Path, paths):
        for other in variants:
            if other.name == path.stem:
                raise ConfigError(f"{path}: runs are named after their file, and {other.path} has the same name")
        variants.append(Variant(path.stem, path, load_config(path, steps=steps)))
    if len(variants) < 2:
        raise ConfigError("an ablation compares at least two configurations; name another")
    first = variants[0]
    for variant in variants[1:]:
        _check_same_crops(first, variant, other_blur)
        if not first.parameters.keys() & variant.parameters.keys():
            raise ConfigError(
                f"{variant.path}: restores by {' and '.join(variant.parameters)}, {first.path} by "
                f"{' and '.join(first.parameters)}; there is nothing to compare"
            )
    return variants


def _check_same_crops(first: Variant, other: Variant, other_blur: bool) -> None:
    if first.crops != other.crops:
        raise ConfigError(
            f"{other.path}: sees {other.crops:,} crops (steps * batch_size), {first.path} {first.crops:,}; "
            "make them equal"
        )
    then, now = resolved(first.config), resolved(other.config)
    for name in _SAME:
        if name == "blur" and other_blur:
            continue
        for key, old, new in differences({name: then[name]}, {name: now[name]}):
            raise ConfigError(f"{other.path}: {key} is {new!r}, in {first.path} {old!r}; make them equal")


def unequal_sizes(variants: Sequence[Variant]) -> list[str]:
    """One line for each part whose networks differ in size by more than 2 %."""
    lines = []
    for part in dict.fromkeys(part for variant in variants for part in variant.parameters):
        counts = {variant.name: variant.parameters[part] for variant in variants if part in variant.parameters}
        if max(counts.values()) > (1 + SIZE_TOLERANCE) * min(counts.values()):
            sizes = ", ".join(f"{name} {count:,} parameters" for name, count in counts.items())
            lines.append(f"not of equal size: {part}: {sizes}")
    return lines


def other_differences(variants: Sequence[Variant]) -> list[str]:
    """One line for each setting outside of the network in which a variant differs from the first."""
    lines = []
    for variant in variants[1:]:
        found = differences(resolved(variants[0].config), resolved(variant.config))
        lines += [
            f"{key} is {new!r} in {variant.name}, {old!r} in {variants[0].name}"
            for key, old, new in found
            if key.partition(".")[0] not in ("model", "seed")
        ]
    return lines


def plan_runs(variants: Sequence[Variant], seeds: Sequence[int], folder: Path) -> list[Run]:
    """All runs, seed by seed, so that the variants are level whenever the work is interrupted."""
    return [Run(variant, seed, folder / variant.name / f"seed-{seed}") for seed in seeds for variant in variants]


def check_existing(run: Run, fingerprint: str | None) -> None:
    """Refuse a run folder that holds another run than this.

    Args:
        fingerprint: of the data set; None accepts any.

    Raises:
        ConfigError: it was made with other settings, or has taken more steps.
        DataError: it was trained on other photographs.
    """
    remedy = "choose another --out"
    if (run.folder / CONFIG).exists():
        # Read as a configuration, not compared as it stands: settings that came later have their defaults.
        changed = differences(resolved(load_config(run.folder / CONFIG)), resolved(run.config))
        if changed:
            key, old, new = changed[0]
            raise ConfigError(f"{run.folder}: trained with other settings ({key} was {old!r}, is {new!r}); {remedy}")
    if run.steps_done() > run.config.steps:
        raise ConfigError(
            f"{run.folder}: trained for {run.steps_done()} steps already, more than {run.config.steps}; {remedy}"
        )
    if fingerprint not in (None, _known_fingerprint(run.folder / DATA, fingerprint)):
        raise DataError(f"{run.folder}: trained on another data set than --data; {remedy}, or --accept-changed-data")


def _known_fingerprint(path: Path, otherwise: str | None) -> str | None:
    """That of the data set a run was trained on; `otherwise` before it was."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except FileNotFoundError:
        return otherwise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({error}); choose another --out") from error
