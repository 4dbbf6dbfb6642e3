"""An ablation from configurations to a table: train every variant with every seed, score, compare.

Variants see the same crops in the same order, seed by seed, and are scored on the same pairs. They see the same
blur too, unless it is the blur that is compared.
Everything done is kept in the ablation's folder, and nothing is done twice.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resharp.analysis.comparison import Comparison, Level, compare, level
from resharp.analysis.scoring import PairSet, Sampling, Scorer, check_unseen, pair_sets
from resharp.analysis.training import Tell, TrainingOptions, train_all
from resharp.analysis.variants import (
    Run,
    Variant,
    check_existing,
    load_variants,
    other_differences,
    plan_runs,
    unequal_sizes,
)
from resharp.errors import ConfigError, DataError
from resharp.evaluate.paired import PairedScores
from resharp.evaluate.score import Row, paired_scores
from resharp.train.data import open_data
from resharp.train.degradation import task_of
from resharp.train.stops import Reason, Stops

INPUT = "input"
# Rows of all seeds by the names of variant, part and set.
Scores = Mapping[tuple[str, str, str], Sequence[Row]]


@dataclass(frozen=True)
class Line:
    """How well one part of one variant, or the input itself, does on one set.

    part: "input", "predictor" or "diffusion"; variant, parameters and crops are None for the input.
    levels: by metric; the input's spread is NaN.
    """

    set: str
    part: str
    variant: str | None
    parameters: int | None
    crops: int | None
    images: int
    seeds: int
    levels: dict[str, Level]


@dataclass(frozen=True)
class Contrast:
    """One part of `variant` compared with that of `reference` on one set."""

    set: str
    part: str
    variant: str
    reference: str
    found: Comparison


@dataclass(frozen=True)
class Ablation:
    """What is to be done, found possible.

    notes: what the reader of the table must know about how the variants differ.
    """

    variants: list[Variant]
    runs: list[Run]
    sets: list[PairSet]
    sampling: Sampling
    options: TrainingOptions
    notes: list[str]

    @property
    def seeds(self) -> int:
        """Training seeds of each variant."""
        return len(self.runs) // len(self.variants)

    def train(self, jobs: int, stops: Stops, tell: Tell) -> Reason:
        """As `train_all`."""
        return train_all(self.runs, self.options, jobs, stops, tell)

    def score(self, scorer: Scorer, stops: Stops, tell: Tell) -> tuple[Scores, Reason]:
        """Score all parts of all runs on all sets.

        Returns:
            The rows, and why it stopped before the end; "" at the end.
        """
        rows: dict[tuple[str, str, str], list[Row]] = {}
        units = [(run, part, pairs) for run in self.runs for part in run.variant.parameters for pairs in self.sets]
        for number, (run, part, pairs) in enumerate(units, 1):
            if stops.reason:
                return rows, stops.reason
            line = f"{run.name}: scoring {part}, {pairs.title} ({number} of {len(units)})"

            def on_image(done: int, name: str, line: str = line) -> None:
                if done == 1:
                    tell(line)
                if stops.reason in ("interrupt", "terminate"):
                    raise _StopError

            try:
                found = scorer(run, part, pairs, on_image)
            except _StopError:
                return rows, stops.reason
            rows.setdefault((run.variant.name, part, pairs.name), []).extend(found)
        return rows, ""


class _StopError(Exception):
    pass


def prepare(
    configs: Sequence[str | os.PathLike[str]],
    folder: Path,
    *,
    options: TrainingOptions,
    pairs: str,
    sharp: str,
    seeds: int = 3,
    sampling: Sampling = Sampling(),
    crop_px: int | None = None,
    strict: bool = False,
    other_blur: bool = False,
) -> Ablation:
    """Find out, before hours of training, whether all of it can be done. Nothing is written.

    Args:
        configs: the first is the reference that the others are compared with.
        folder: of the ablation.
        options: of the trainings.
        pairs, sharp: folders of real pairs and of sharp photos to score on.
        seeds: the runs' seeds are 0 up to, not including, this.
        sampling: of the diffusion in scoring.
        crop_px: cuts real and out-of-domain pairs to their middle.
        strict: refuse networks of unequal size, which are noted otherwise.
        other_blur: the configurations may differ in blur; "in domain" is then the blur of the first.

    Raises:
        ConfigError, DataError, ImageError: configurations, data, pairs or earlier runs in `folder` that do not fit.
    """
    variants = load_variants(configs, options.steps, other_blur=other_blur)
    for variant in variants:
        task_of(variant.config).require_deblurring(f"{variant.name}: resharp ablate")
    unequal = unequal_sizes(variants)
    if unequal and strict:
        raise ConfigError(f"{unequal[0]}; make them equal within 2 %, or leave out --strict")
    for variant in variants:
        if "diffusion" in variant.parameters:
            variant.config.schedule.grid(sampling.steps)
    first = variants[0].config
    sets = pair_sets(pairs, sharp, first.blur, crop_px)
    # Headers alone: the photographs themselves are for the trainings to read.
    source, _ = open_data(replace(first, cache_gb=0.0, validation_photos=0), options.data)
    check_unseen(source, sets)
    runs = plan_runs(variants, range(seeds), folder)
    for run in runs:
        check_existing(run, None if options.accept_changed_data else source.fingerprint())
    return Ablation(variants, runs, sets, sampling, options, unequal + other_differences(variants))


def lines(ablation: Ablation, scores: Scores) -> list[Line]:
    """The table's lines: set by set, the input first, then part by part the variants."""
    result = []
    for pairs in ablation.sets:
        found = {key[:2]: paired_scores(rows) for key, rows in scores.items() if key[2] == pairs.name}
        some = next(iter(found.values()))
        counts = {"images": len(pairs.pairs), "seeds": ablation.seeds}
        before = {metric: Level(float(scored.blurry.mean()), math.nan) for metric, scored in some.items()}
        result.append(Line(pairs.title, INPUT, None, None, None, **counts, levels=before))
        for part in _parts(ablation):
            for variant in ablation.variants:
                if part in variant.parameters:
                    levels = {metric: level(scored.restored) for metric, scored in found[variant.name, part].items()}
                    about = (pairs.title, part, variant.name, variant.parameters[part], variant.crops)
                    result.append(Line(*about, **counts, levels=levels))
    return result


def contrasts(ablation: Ablation, scores: Scores) -> list[Contrast]:
    """Every variant against the first, set by set and part by part.

    Raises:
        DataError: two variants were not scored on the same pictures.
    """
    reference, result = ablation.variants[0], []
    for pairs in ablation.sets:
        for part in (part for part in _parts(ablation) if part in reference.parameters):
            theirs = paired_scores(scores[reference.name, part, pairs.name])
            for variant in ablation.variants[1:]:
                if part not in variant.parameters:
                    continue
                for metric, scored in paired_scores(scores[variant.name, part, pairs.name]).items():
                    _check_same_pictures(theirs[metric], scored, f"{variant.name}, {part}, {pairs.title}")
                    found = compare(metric, theirs[metric].restored, scored.restored)
                    result.append(Contrast(pairs.title, part, variant.name, reference.name, found))
    return result


def _parts(ablation: Ablation) -> list[str]:
    return [part for part in ("predictor", "diffusion") if any(part in each.parameters for each in ablation.variants)]


def _check_same_pictures(one: PairedScores, other: PairedScores, what: str) -> None:
    """The blurry pictures' own scores give away pairs that are not the same."""
    # Means over seeds: their last bits depend on the order of the sum.
    same = one.blurry.shape == other.blurry.shape and abs(one.blurry - other.blurry).max() < 1e-9
    if not same:
        raise DataError(f"{what}: scored on other pictures than the reference; delete the runs' folders 'scores'")
