"""An ablation's results as files: Markdown for people, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resharp.analysis.ablation import INPUT, Ablation, Contrast, Line
from resharp.analysis.comparison import EXACT_IMAGES, Level
from resharp.evaluate.paired import HIGHER_IS_BETTER
from resharp.files import write_text
from resharp.train.config_file import resolved

_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4}


def report(ablation: Ablation, lines: Sequence[Line], contrasts: Sequence[Contrast], about: dict[str, Any]) -> Any:
    """Everything as plain values, ready for JSON; numbers that are not finite are None.

    Args:
        about: more to write down about how it was made.
    """
    made = {**about, "seeds": ablation.seeds, "sampling": asdict(ablation.sampling)}
    sets = {each.title: {"about": each.about, "images": len(each.pairs)} for each in ablation.sets}
    variants = {
        each.name: {"parameters": each.parameters, "crops": each.crops, "config": resolved(each.config)}
        for each in ablation.variants
    }
    return _plain(
        {
            "about": made,
            "sets": sets,
            "variants": variants,
            "notes": ablation.notes,
            "scores": [_flat_line(line) for line in lines],
            "comparisons": [_flat_contrast(contrast) for contrast in contrasts],
        }
    )


def markdown(ablation: Ablation, lines: Sequence[Line], contrasts: Sequence[Contrast]) -> str:
    """Both tables and what is needed to read them."""
    return "\n".join([*_score_table(lines), "", *_contrast_table(contrasts), "", *_caption(ablation)]) + "\n"


def write_tables(folder: Path, text: str, content: dict[str, Any]) -> None:
    """Write table.md, table.json, table.csv (levels) and comparisons.csv, from `markdown` and `report`.

    Raises:
        OutputError: one cannot be written.
    """
    write_text(folder / "table.md", text)
    write_text(folder / "table.csv", _csv(content["scores"]))
    write_text(folder / "comparisons.csv", _csv(content["comparisons"]))
    write_text(folder / "table.json", json.dumps(content, indent=1, allow_nan=False) + "\n")


def _score_table(lines: Sequence[Line]) -> Iterable[str]:
    metrics = list(lines[0].levels)
    arrows = [f"{metric.upper()} {'↑' if HIGHER_IS_BETTER[metric] else '↓'}" for metric in metrics]
    yield from _head("set", "part", "variant", "parameters", "crops", *arrows)
    for line in lines:
        counts = ("-", "-", "-") if line.part == INPUT else (line.variant, f"{line.parameters:,}", f"{line.crops:,}")
        yield _row(line.set, line.part, *counts, *(_level(metric, line.levels[metric]) for metric in metrics))


def _contrast_table(contrasts: Sequence[Contrast]) -> Iterable[str]:
    yield from _head("set", "part", "variant", "metric", "gain", "95 % interval", "p", "seeds won", "gain by seed")
    for contrast in contrasts:
        found = contrast.found
        digits = _DECIMALS[found.metric] + 1

        def signed(value: float, digits: int = digits) -> str:
            return f"{value:+.{digits}f}"

        yield _row(
            contrast.set,
            contrast.part,
            f"{contrast.variant} against {contrast.reference}",
            found.metric.upper(),
            signed(found.gain),
            f"{signed(found.low)} to {signed(found.high)}",
            f"{found.p:.2g}",
            f"{found.seeds_won} of {found.seeds}",
            " ".join(signed(value) for value in found.by_seed),
        )


def _caption(ablation: Ablation) -> Iterable[str]:
    steps, samples = ablation.sampling.steps, ablation.sampling.samples
    spread = "one training seed, so no spread" if ablation.seeds == 1 else f"± deviation over {ablation.seeds} of them"
    yield f"- Mean over images and training seeds, {spread}. Each seed gives all variants the same crops."
    if any("diffusion" in variant.parameters for variant in ablation.variants):
        yield f"- Diffusion: {steps} steps of {ablation.sampling.sampler}, mean of {samples} sample(s)."
    yield (
        "- Gain: positive where the variant is better, also in LPIPS. Interval (bootstrap) and p (sign flips, "
        f"two-sided, exact up to {EXACT_IMAGES} images) are over images with the seeds averaged: they take images as "
        "independent and do not know that training again gives other models. Seeds won counts just that. "
        "No p is corrected for the number of rows."
    )
    for each in ablation.sets:
        yield f"- {each.title}: {len(each.pairs)} images, {each.about}."
    for note in ablation.notes:
        yield f"- Note: {note}."


def _level(metric: str, found: Level) -> str:
    digits = _DECIMALS[metric]
    spread = f" ± {found.spread:.{digits}f}" if math.isfinite(found.spread) else ""
    return f"{found.mean:.{digits}f}{spread}"


def _head(*names: str) -> Iterable[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _flat_line(line: Line) -> dict[str, Any]:
    flat = {key: value for key, value in asdict(line).items() if key != "levels"}
    for metric, found in line.levels.items():
        flat |= {metric: found.mean, f"{metric}_spread": found.spread}
    return flat


def _flat_contrast(contrast: Contrast) -> dict[str, Any]:
    flat = asdict(contrast)
    return {**flat, **flat.pop("found")}


def _plain(value: Any) -> Any:
    """Tuples as lists, and None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each row; None is empty, lists are separated by spaces."""
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: " ".join(map(str, v)) if isinstance(v, list) else v for key, v in row.items()})
    return file.getvalue()
