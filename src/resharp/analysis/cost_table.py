"""Costs as tables: Markdown for people, CSV and JSON for programs, LaTeX for papers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resharp.analysis.cost import Row
from resharp.analysis.cost_count import PARTS
from resharp.analysis.cost_reference import Difference
from resharp.files import write_text

NAME = "cost"
_MODULES = ("guidance", "predictor", "denoiser")
# A model's name may be a path.
_TEX = {letter: f"\\{letter}" for letter in "_&%#${}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}


def flat(row: Row) -> dict[str, Any]:
    """A row as plain values, units in the names; None for what there is not."""
    count, timing = row.count, row.timing
    found: dict[str, Any] = {"size": row.subject.name, "width_px": row.size.width, "height_px": row.size.height}
    found["settings"] = str(row.subject.settings)
    for module, part in zip(_MODULES, PARTS, strict=True):
        found[f"{module}_parameters"] = count.parameters.get(part)
    found["parameters"] = sum(count.parameters.values())
    for part in PARTS:
        found[f"{part}_mac"] = count.macs.get(part)
    found["image_mac"] = row.image_macs
    for part in PARTS:
        found[f"{part}_tensor_bytes"] = count.tensor_bytes.get(part)
    for part in PARTS:
        found[f"{part}_s"] = timing and timing.seconds.get(part)
    found["image_s"] = row.image_s
    for part in PARTS:
        found[f"{part}_peak_bytes"] = timing and timing.peak_bytes and timing.peak_bytes.get(part)
    found["image_peak_bytes"] = row.image_bytes
    found["timings"] = timing and min(timing.timings.values())
    found["cpu_share"] = timing and timing.cpu_share
    found["not_run"] = row.not_run
    return found


def report(rows: Sequence[Row], differences: Sequence[Difference], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything as plain values, ready for JSON."""
    beside = [
        {
            "size": each.reference.name,
            "what": each.reference.what,
            "picture": None if each.reference.size is None else str(each.reference.size),
            "ours": each.ours,
            "reference": each.reference.value,
            "difference": each.share,
            "approximate": each.reference.approximate,
            "source": each.reference.source,
        }
        for each in differences
    ]
    parts = [{"size": row.subject.name, "timing": row.timing and asdict(row.timing)} for row in rows]
    return {"about": dict(about), "rows": [flat(row) for row in rows], "references": beside, "timings": parts}


def markdown(rows: Sequence[Row], differences: Sequence[Difference], caption: Sequence[str]) -> str:
    """Counts, then times where there are any, then ours beside figures from elsewhere, then the caption as a list."""
    lines = [*_count_table(rows), ""]
    if any(row.timing for row in rows):
        lines += [*_time_table(rows), ""]
    if differences:
        lines += [*_reference_table(differences), ""]
    lines += [f"- {line}" for line in caption]
    return "\n".join(lines) + "\n"


def write_tables(folder: Path, text: str, content: Mapping[str, Any], tex: str) -> None:
    """Write cost.md, cost.csv, cost.json and cost.tex; OutputError where that cannot be done."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(content["rows"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(content["rows"])
    write_text(folder / f"{NAME}.csv", table.getvalue())
    write_text(folder / f"{NAME}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(folder / f"{NAME}.tex", tex)
    write_text(folder / f"{NAME}.md", text)


def latex(rows: Sequence[Row]) -> str:
    """A tabular for booktabs: parameters in millions, GMAC and seconds of each part and of a picture, peak GB."""
    heads = ["size", "picture", "M", *(f"{part} GMAC" for part in (*PARTS, "image"))]
    heads += [*(f"{part} s" for part in (*PARTS, "image")), "GB"]
    lines = [r"\begin{tabular}{ll" + "r" * (len(heads) - 2) + "}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    for row in rows:
        name = "".join(_TEX.get(letter, letter) for letter in row.subject.name)
        cells = [name, str(row.size).replace("x", r"$\times$"), _million(flat(row)["parameters"])]
        cells += _macs(row) + (_seconds(row) or ["-"] * 4)
        cells.append(_giga(row.image_bytes))
        lines.append(" & ".join("--" if cell == "-" else cell for cell in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _count_table(rows: Sequence[Row]) -> Iterable[str]:
    heads = [f"{module} M" for module in _MODULES] + ["all M", *(f"{part} GMAC" for part in (*PARTS, "image"))]
    yield from _head("size", "picture", *heads, "an image is")
    for row in rows:
        values = flat(row)
        millions = [_million(values[name]) for name in (*(f"{each}_parameters" for each in _MODULES), "parameters")]
        yield _row(row.subject.name, row.size, *millions, *_macs(row), row.subject.settings)


def _time_table(rows: Sequence[Row]) -> Iterable[str]:
    heads = [f"{part} s" for part in (*PARTS, "image")] + [f"{part} GB" for part in (*PARTS, "image")]
    yield from _head("size", "picture", *heads)
    for row in rows:
        seconds = _seconds(row)
        if seconds is None:
            yield _row(row.subject.name, row.size, f"not run: {row.not_run}", *["-"] * 7)
            continue
        values = flat(row)
        peaks = [_giga(values[f"{part}_peak_bytes"]) for part in (*PARTS, "image")]
        yield _row(row.subject.name, row.size, *seconds, *peaks)


def _reference_table(differences: Sequence[Difference]) -> Iterable[str]:
    yield from _head("size", "what", "picture", "ours", "reference", "difference", "source of the reference")
    for each in differences:
        of, parameters = each.reference, each.reference.what == "parameters"
        unit, scale, digits = ("M", 1e6, 2) if parameters else ("GMAC", 1e9, 1)
        about = "about " if of.approximate else ""
        theirs = f"{about}{of.value / scale:,.{digits}f}".removesuffix(".00").removesuffix(".0")
        ours = f"{each.ours / scale:,.{digits}f} {unit}"
        yield _row(of.name, of.what, of.size or "any", ours, f"{theirs} {unit}", f"{each.share:+.1%}", of.source)


def _macs(row: Row) -> list[str]:
    macs = [row.count.macs.get(part) for part in PARTS]
    return ["-" if each is None else f"{each / 1e9:,.1f}" for each in (*macs, row.image_macs)]


def _seconds(row: Row) -> list[str] | None:
    if row.timing is None:
        return None
    seconds = [row.timing.seconds.get(part) for part in PARTS]
    return ["-" if each is None else _short(each) for each in (*seconds, row.image_s)]


def _short(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _million(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.3f}"


def _giga(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e9:.2f}"


def _head(*names: str) -> Iterable[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
