"""Scores as files: CSV of every row, JSON of everything, Markdown of the summary."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from resharp.evaluate.paired import HIGHER_IS_BETTER
from resharp.evaluate.score import Row, Summary
from resharp.files import atomic_path, write_text

_DECIMALS = {"psnr": 2, "ssim": 4, "lpips": 4}


def write_csv(
    path: str | os.PathLike[str], rows: Iterable[tuple[object, ...]], fields: Sequence[str] = Row._fields
) -> None:
    """Write one line per row, with a heading; OutputError where it cannot be written."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields)
        writer.writerows(rows)


def read_csv(path: str | os.PathLike[str]) -> list[Row]:
    """The rows that `write_csv` wrote, equal to the last bit."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            Row(row["name"], int(row["seed"]), row["metric"], float(row["blurry"]), float(row["restored"]))
            for row in csv.DictReader(file)
        ]


def write_json(
    path: str | os.PathLike[str],
    rows: Iterable[Row],
    summaries: Iterable[Summary],
    about: Mapping[str, object] | None = None,
) -> None:
    """Write {"about", "summary", "rows"}; a number that is not finite becomes null.

    Args:
        about: plain values that say what was scored: model, protocol, date.

    Raises:
        OutputError: it cannot be written.
    """
    summary = [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in s.items()}
        for s in map(asdict, summaries)
    ]
    content = {"about": dict(about or {}), "summary": summary, "rows": [row._asdict() for row in rows]}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def markdown_table(results: Mapping[str, Sequence[Summary]]) -> str:
    """A table with one line per name in `results` and metric; `gain` is positive where restored is better."""
    lines = [
        "| what | metric | blurry | restored | gain | standard error | 95 % interval | images | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for what, summaries in results.items():
        for s in summaries:
            digits = _DECIMALS[s.metric]
            better = "higher" if HIGHER_IS_BETTER[s.metric] else "lower"
            error = f"{s.gain_error:.{digits}f}" if math.isfinite(s.gain_error) else "-"
            cells = [
                what.replace("|", "\\|"),
                f"{s.metric.upper()} ({better} is better)",
                f"{s.blurry:.{digits}f}",
                f"{s.restored:.{digits}f}",
                f"{s.gain:+.{digits}f}",
                error,
                f"{s.gain_low:+.{digits}f} to {s.gain_high:+.{digits}f}",
                str(s.images),
                str(s.seeds),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
