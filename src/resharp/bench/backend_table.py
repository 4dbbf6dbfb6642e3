"""From single measurements of ways to run a model to a table of ways and sizes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resharp.bench.backend_runs import EAGER, Way, named
from resharp.bench.peer_table import busy_notes, call_medians, figure_of, grouped, short, version_notes
from resharp.bench.turns import Run


@dataclass(frozen=True)
class Row:
    """A way on a size, all of its runs together.

    steps: of the diffusion; None is the predictor alone.
    seconds: the median over runs of each run's median call; None where nothing was measured.
    least_s, most_s: of the runs' medians.
    times_eager: how many times as fast as eager torch on the same size.
    peak_bytes: the most of any run, the interpreter and the library included.
    difference: the largest to eager torch's first result, on [0, 1]; None where there is nothing to compare with.
    start_s: from a process's first line of Python to the first result, the median of the runs.
    why: a reason where there are no figures.
    """

    size: str
    way: str
    steps: int | None
    runs: int
    seconds: float | None
    least_s: float | None
    most_s: float | None
    times_eager: float | None
    peak_bytes: int | None
    difference: float | None
    start_s: float | None
    cpu_share: float | None
    versions: str | None
    why: str | None


def rows_of(ways: Sequence[Way], runs: Sequence[Run]) -> list[Row]:
    """A row for each size and way."""
    by_name = {way.name: way for way in ways}
    groups = grouped(runs)
    medians = {key: call_medians(of) for key, of in groups.items()}
    rows = []
    for (size, name), of in groups.items():
        way, times = by_name[name], medians[size, name]
        eager = medians.get((size, named(EAGER, way.steps)))
        seconds = statistics.median(times) if times else None
        rows.append(
            Row(
                size=f"{size[0]}x{size[1]}",
                way=way.label,
                steps=way.steps,
                runs=len(times),
                seconds=seconds,
                least_s=min(times, default=None),
                most_s=max(times, default=None),
                times_eager=statistics.median(eager) / seconds if seconds and eager else None,
                peak_bytes=figure_of(of, "peak_bytes", max),
                difference=figure_of(of, "difference", max),
                start_s=figure_of(of, "start_s", statistics.median),
                cpu_share=figure_of(of, "cpu_share", statistics.median),
                versions=figure_of(of, "versions", max),
                why=next((run.failed for run in of if run.failed), None),
            )
        )
    return rows


HEADING = ("size", "way", "seconds ↓", "least to most", "times as fast as eager ↑", "peak memory, GB ↓")
HEADING += ("largest difference", "start-up, s ↓")


def markdown(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """The table, and below it what a reader must know."""
    lines = ["| " + " | ".join(HEADING) + " |", "|" + "---|" * len(HEADING)]
    for row in rows:
        cells = [row.size, named(row.way, row.steps)]
        if row.seconds is None:
            cells += [f"not measured: {row.why}", *[""] * 5]
        else:
            cells += [short(row.seconds), f"{short(row.least_s)} to {short(row.most_s)}", short(row.times_eager)]
            cells += ["-" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f}"]
            cells += ["-" if row.difference is None else f"{row.difference:.1e}", short(row.start_s)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in _notes(rows, about))]) + "\n"


def _notes(rows: Sequence[Row], about: Mapping[str, Any]) -> list[str]:
    load = f", load {about['load_before']} before" if "load_before" in about else ""
    found = [
        f"{about['processor']}, {about['threads']} threads{load}; model {about['model']}",
        "Seconds of guide and predict, with steps also of the diffusion, both pictures in memory, after a first call; "
        f"each run is a process of its own, ways take turns, medians of up to {about['repeats']} runs",
        "Peak memory: the most that the process held. Start-up: imports, opening and the first call. Difference: to "
        "eager torch's first result, on [0, 1]",
        *version_notes([(row.way, row.versions) for row in rows]),
        *busy_notes([(f"{named(row.way, row.steps)}, {row.size}", row.cpu_share) for row in rows]),
    ]
    return found + [
        f"{named(row.way, row.steps)}, {row.size}: a later run failed ({row.why})"
        for row in rows
        if row.why is not None and row.seconds is not None
    ]
