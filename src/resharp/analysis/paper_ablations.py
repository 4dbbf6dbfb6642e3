"""The ablation tables of arXiv 2212.01789, filled from evaluations of one's own trained runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from resharp.errors import DataError

IN, OUT = "in", "out"
NOT_RUN = "not run"
METRICS = {"psnr": ("PSNR", 2), "lpips-alex": ("LPIPS", 4)}
COLUMNS = tuple((domain, metric) for domain in (IN, OUT) for metric in METRICS)


class PaperRow(NamedTuple):
    """A row: its folder, the configuration to train, and the paper's figures as known from a summary."""

    name: str
    what: str
    config: str
    paper: dict[tuple[str, str], float]


TABLES: dict[str, tuple[PaperRow, ...]] = {
    "guidance": (
        PaperRow("icdpm-s", "small, no guidance", "configs/icdpm-s.toml", {}),
        PaperRow("msgd-s", "small, guidance", "configs/msgd-s.toml", {}),
        PaperRow(
            "icdpm-l",
            "large, no guidance",
            "configs/icdpm-l.toml",
            {(OUT, "lpips-alex"): 0.156, (IN, "psnr"): 32.105},
        ),
        PaperRow(
            "msgd-l", "large, guidance", "configs/msgd-l.toml", {(OUT, "lpips-alex"): 0.128, (IN, "psnr"): 32.220}
        ),
    ),
    "scales": (
        PaperRow("msgd-l-scale-1", "1/2 only", "configs/msgd-l-scale-1.toml", {}),
        PaperRow("msgd-l-scale-2", "1/4 only", "configs/msgd-l-scale-2.toml", {}),
        PaperRow("msgd-l-scale-3", "1/8 only", "configs/msgd-l-scale-3.toml", {}),
        PaperRow("msgd-l", "all three", "configs/msgd-l.toml", {}),
    ),
    "regression loss": (
        PaperRow("msgd-l-no-regression", "without", "configs/msgd-l-no-regression.toml", {(IN, "psnr"): 30.56}),
        PaperRow("msgd-l", "with", "configs/msgd-l.toml", {(IN, "psnr"): 31.19}),
    ),
    "guidance input": (
        PaperRow("msgd-l-rgb", "RGB", "configs/msgd-l-rgb.toml", {}),
        PaperRow("msgd-l-no-noise", "gray, no noise", "configs/msgd-l-no-noise.toml", {}),
        PaperRow("msgd-l", "gray, noise", "configs/msgd-l.toml", {}),
    ),
    "diffusion": (
        PaperRow("regression-l", "regression alone", "configs/regression-l.toml", {}),
        PaperRow("msgd-l", "diffusion", "configs/msgd-l.toml", {}),
    ),
}
SCALES_REMARK = (
    "Scales: the paper gives LPIPS 0.141 for one scale and 0.137 for three; which one is not known, so it is in no row."
)


@dataclass(frozen=True)
class Measured:
    """One figure with its 95 % interval, and over how many images."""

    mean: float
    low: float
    high: float
    images: int


Found = dict[str, dict[tuple[str, str], Measured]]


def read_runs(root: Path) -> Found:
    """What `resharp evaluate --out ROOT/ROW/in` (and `/out`) has left, by row; rows without a folder are not in it.

    Raises:
        DataError: no such folder, no evaluation in it, a folder that is no row, or a file of something else.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; it should hold ROW/{IN}/evaluate.json and ROW/{OUT}/evaluate.json")
    rows = {row.name for table in TABLES.values() for row in table}
    found: Found = {}
    for path in sorted(root.glob("*/*/evaluate.json")):
        row, domain = path.parent.parent.name, path.parent.name
        if row not in rows or domain not in (IN, OUT):
            raise DataError(f"{path}: not ROW/{IN} or ROW/{OUT} of a row; rows are {', '.join(sorted(rows))}")
        found.setdefault(row, {}).update({(domain, m): value for m, value in _read(path).items()})
    if not found:
        raise DataError(
            f"{root}: no ROW/{IN}/evaluate.json or ROW/{OUT}/evaluate.json; make them with resharp evaluate"
        )
    for domain in (IN, OUT):
        counts = {row: {v.images for (d, _), v in of.items() if d == domain} for row, of in found.items()}
        if len(set().union(*counts.values())) > 1:
            listed = ", ".join(f"{row} {min(each)}" for row, each in counts.items() if each)
            raise DataError(f"{root}: rows were evaluated on different numbers of images '{domain}' ({listed})")
    return found


def tables(found: Found) -> str:
    """Every table of the paper as Markdown, ours beside the paper's figures; what is missing is marked."""
    lines = []
    for title, rows in TABLES.items():
        heads = [f"{METRICS[metric][0]} {domain}{' of' if domain == OUT else ''} domain" for domain, metric in COLUMNS]
        lines += [f"## {title.capitalize()}", "", _line(["run", "what", *heads]), _line(["---"] * (2 + len(heads)))]
        lines += [_line([row.name, row.what, *(_cell(row, column, found) for column in COLUMNS)]) for row in rows]
        lines.append("")
    missing = dict.fromkeys(row.config for table in TABLES.values() for row in table if row.name not in found)
    lines += [
        "Ours, its 95 % interval (bootstrap over images), and in brackets what arXiv 2212.01789 reports, as known from"
    ]
    lines += ["a summary. " + SCALES_REMARK]
    if missing:
        lines += ["", f"Not run: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def as_json(found: Found) -> dict[str, Any]:
    """The same as plain values; None where a run is missing."""
    return {
        title: [
            {"run": row.name, "config": row.config}
            | {
                f"{metric} {domain}": {
                    "ours": _plain(found.get(row.name, {}).get((domain, metric))),
                    "paper": row.paper.get((domain, metric)),
                }
                for domain, metric in COLUMNS
            }
            for row in rows
        ]
        for title, rows in TABLES.items()
    }


def _plain(value: Measured | None) -> dict[str, float] | None:
    return None if value is None else dict(vars(value))


def _cell(row: PaperRow, column: tuple[str, str], found: Found) -> str:
    value, paper, digits = found.get(row.name, {}).get(column), row.paper.get(column), METRICS[column[1]][1]
    ours = NOT_RUN
    if value is not None:
        ours = f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"
    return ours + ("" if paper is None else f" (paper {paper:g})")


def _read(path: Path) -> dict[str, Measured]:
    """The first method's figures."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = next(iter(content["results"].values()))
        return {
            each["metric"]: Measured(each["mean"], each["low"], each["high"], content["images"])
            for each in columns
            if each["metric"] in METRICS and each["mean"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise DataError(f"{path}: not what resharp evaluate --out writes; make it again") from error


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
