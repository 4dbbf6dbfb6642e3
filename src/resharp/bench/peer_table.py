"""From single measurements to a table of methods and sizes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from resharp.bench.turns import Run

REFERENCE = "resharp standard"
# Below it other programs had a good part of the cores.
BUSY_SHARE = 0.85


@dataclass(frozen=True)
class Row:
    """A method on a size, all of its runs together.

    seconds: the median over runs of each run's median call; None where nothing was measured.
    least_s, most_s: of the runs' medians.
    ratio: seconds over those of `REFERENCE` on the same size.
    peak_bytes: the most of any run.
    why: a reason where there are no figures.
    """

    size: str
    method: str
    runs: int
    seconds: float | None
    least_s: float | None
    most_s: float | None
    ratio: float | None
    peak_bytes: int | None
    multiply_adds: int | None
    parameters: int | None
    cpu_share: float | None
    start_s: float | None
    versions: str | None
    why: str | None


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """A row for each method and size, in the order of the first runs."""
    groups = grouped(runs)
    medians = {key: call_medians(of) for key, of in groups.items()}
    rows = []
    for (size, method), of in groups.items():
        times = medians[size, method]
        ours = medians.get((size, REFERENCE))
        seconds = statistics.median(times) if times else None
        rows.append(
            Row(
                size=f"{size[0]}x{size[1]}",
                method=method,
                runs=len(times),
                seconds=seconds,
                least_s=min(times, default=None),
                most_s=max(times, default=None),
                ratio=seconds / statistics.median(ours) if seconds and ours else None,
                peak_bytes=figure_of(of, "peak_bytes", max),
                multiply_adds=figure_of(of, "multiply_adds", max),
                parameters=figure_of(of, "parameters", max),
                cpu_share=figure_of(of, "cpu_share", statistics.median),
                start_s=figure_of(of, "start_s", statistics.median),
                versions=figure_of(of, "versions", max),
                why=next((run.failed for run in of if run.failed), None),
            )
        )
    return rows


def grouped(runs: Sequence[Run]) -> dict[tuple[tuple[int, int], str], list[Run]]:
    """The runs by size and method: sizes ascending, methods in the order of the first runs."""
    groups: dict[tuple[tuple[int, int], str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.size, run.method), []).append(run)
    return dict(sorted(groups.items(), key=lambda item: item[0][0]))


def call_medians(runs: Sequence[Run]) -> list[float]:
    """Of each run that was measured the median of its calls, in seconds."""
    return [statistics.median(run.seconds) for run in runs if run.seconds]


def figure_of(runs: Sequence[Run], name: str, pick: Any) -> Any:
    """A figure of several runs, `pick`ed from those that have it; None where none has."""
    found = [run.figures[name] for run in runs if run.figures.get(name) is not None]
    return pick(found) if found else None


def csv_rows(rows: Sequence[Row]) -> tuple[list[str], list[list[object]]]:
    """Heading and lines; what is not known is empty."""
    heading = list(Row.__dataclass_fields__)
    return heading, [["" if value is None else value for value in asdict(row).values()] for row in rows]


def markdown(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """The table, and below it what a reader must know."""
    heading = ["size", "method", "seconds ↓", "runs: least to most", f"times {REFERENCE}", "peak memory, GB ↓"]
    heading += ["GMAC", "million parameters"]
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    for row in rows:
        if row.seconds is None:
            cells = [row.size, row.method, f"not measured: {row.why}", *[""] * 5]
        else:
            spread = f"{row.runs}: {short(row.least_s)} to {short(row.most_s)}" if row.runs > 1 else "1"
            cells = [row.size, row.method, short(row.seconds), spread]
            cells += ["-" if row.ratio is None else short(row.ratio)]
            cells += ["-" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f}"]
            cells += ["-" if row.multiply_adds is None else f"{row.multiply_adds / 1e9:,.1f}"]
            cells += ["-" if row.parameters is None else f"{row.parameters / 1e6:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in notes(rows, about))]) + "\n"


def notes(rows: Sequence[Row], about: Mapping[str, Any]) -> list[str]:
    """How it was measured, and what makes figures doubtful."""
    found = [
        f"{about['processor']}, {about['threads']} threads, CPU, float32; resharp's model {about['model']}",
        "Seconds from picture to picture, both in memory; the network is loaded and has seen one picture of 64x64. "
        f"Each run is a process of its own; methods take turns; median of up to {about['repeats']} runs",
    ]
    starts = {row.method: row.start_s for row in rows if row.start_s is not None}
    found += [
        f"{method} is a program: its seconds are those from start to end, less the {short(start)} s that it takes for "
        "a picture of 64x64; its memory was looked at every 20 ms"
        for method, start in starts.items()
    ]
    found += version_notes([(row.method, row.versions) for row in rows])
    found += busy_notes([(f"{row.method}, {row.size}", row.cpu_share) for row in rows])
    return found


def busy_notes(shares: Sequence[tuple[str, float | None]]) -> list[str]:
    """A line where rows had only a part of the cores.

    shares: (the row's name, its processor time over time and threads).
    """
    busy = [(share, name) for name, share in shares if share is not None and share < BUSY_SHARE]
    if not busy:
        return []
    share, name = min(busy)
    return [
        f"{len(busy)} rows had less than {BUSY_SHARE:.0%} of the cores (the least: {name}, "
        f"{share:.0%}): other programs were running, or the network does not use all threads"
    ]


def version_notes(versions: Sequence[tuple[str, str | None]]) -> list[str]:
    """A line for each set of versions, with the methods that have it. versions: (method, its versions)."""
    names: dict[str, list[str]] = {}
    for method, found in versions:
        if found is not None and method not in names.setdefault(found, []):
            names[found].append(method)
    return [f"{', '.join(of)}: {found}" for found, of in names.items()]


def short(value: float | None) -> str:
    """Three figures."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
