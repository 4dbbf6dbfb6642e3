"""The table of an evaluation: Markdown, LaTeX, and one line per image for CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resharp.evaluate.folder_scores import Column
from resharp.evaluate.published_figures import LPIPS_REMARK, MSGD, Published
from resharp.metrics.kinds import Absent, PairMetric, SetMetric

Metric = PairMetric | SetMetric | Absent
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {each: "\\" + each for each in "&%$#_{}"}
ABOUT = "Mean over images, in brackets its 95 % interval (bootstrap over images). PSNR is cut off at 100 dB."


def notes(metrics: Sequence[Metric], results: Mapping[str, Sequence[Column]], images: int) -> list[str]:
    """What a reader must know of the figures: protocols, and why any are missing."""
    lines = [f"{images} images. {ABOUT}"]
    for metric in metrics:
        if not isinstance(metric, Absent):
            lines.append(f"{metric.title}: {metric.protocol}.")
        reasons: dict[str, list[str]] = {}
        for method, columns in results.items():
            for column in columns:
                if column.metric == metric.name and column.why is not None:
                    reasons.setdefault(column.why, []).append(method)
        lines += [f"{metric.title}, {', '.join(of)}: not computed, {why}." for why, of in reasons.items()]
    return lines


def markdown(
    metrics: Sequence[Metric],
    results: Mapping[str, Sequence[Column]],
    images: int,
    published: Sequence[Published] = (),
    remarks: Sequence[str] = (),
) -> str:
    """A table of methods by metrics, published rows beneath with their source, and the notes."""
    head = ["method", *(_title(metric) for metric in metrics), *(["source"] if published else [])]
    rows = [[name, *_cells(metrics, columns)] for name, columns in results.items()]
    rows = [[*row, "measured here"] if published else row for row in rows]
    rows += [[row.method, *_figures(metrics, row), row.source] for row in published]
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    found = [*notes(metrics, results, images), *_remarks(published), *(f"{each}." for each in remarks)]
    return "\n".join([*lines, "", *(f"- {line}" for line in found)]) + "\n"


def latex(
    metrics: Sequence[Metric],
    results: Mapping[str, Sequence[Column]],
    images: int,
    published: Sequence[Published] = (),
    remarks: Sequence[str] = (),
) -> str:
    """The same as a tabular for the package booktabs; the notes are comments."""
    found = [*notes(metrics, results, images), *_remarks(published), *(f"{each}." for each in remarks)]
    lines = [f"% {line}" for line in found]
    lines += [rf"\begin{{tabular}}{{l{'c' * len(metrics)}}}", r"\toprule"]
    lines += [_line(["Method", *(_title(metric, r"$\uparrow$", r"$\downarrow$") for metric in metrics)], r"\midrule")]
    lines += [_line([_escaped(name), *_cells(metrics, columns)]) for name, columns in results.items()]
    if published:
        lines.append(r"\midrule")
    for row in published:
        lines.append(_line([f"{_escaped(row.method)} ({_escaped(row.source)})", *_figures(metrics, row)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def image_rows(
    metrics: Sequence[Metric], results: Mapping[str, Sequence[Column]]
) -> tuple[list[str], list[tuple[object, ...]]]:
    """The heading and a line per method and image; metrics of whole sets are left out."""
    kept = [metric.name for metric in metrics if isinstance(metric, PairMetric)]
    rows: list[tuple[object, ...]] = []
    for method, columns in results.items():
        by = {column.metric: column.per_image or {} for column in columns}
        names = by[kept[0]] if kept else {}
        rows += [(method, name, *(by[metric][name] for metric in kept)) for name in names]
    return ["method", "name", *kept], rows


def _title(metric: Metric, up: str = "↑", down: str = "↓") -> str:
    return metric.title if isinstance(metric, Absent) else f"{metric.title} {up if metric.higher_is_better else down}"


def _cells(metrics: Sequence[Metric], columns: Sequence[Column]) -> list[str]:
    cells = []
    for metric, column in zip(metrics, columns, strict=True):
        if isinstance(metric, Absent) or column.mean is None:
            cells.append("-")
            continue
        digits = metric.decimals
        between = "" if column.low is None else f" [{column.low:.{digits}f}, {column.high:.{digits}f}]"
        cells.append(f"{column.mean:.{digits}f}{between}")
    return cells


def _figures(metrics: Sequence[Metric], row: Published) -> list[str]:
    return [str(row.figures.get(metric.name, "-")) for metric in metrics]


def _remarks(published: Sequence[Published]) -> list[str]:
    if not published:
        return []
    said = ["Published figures are of models trained on GoPro, by their authors' own protocols and whole test sets."]
    return said + ([LPIPS_REMARK] if any(row.source == MSGD for row in published) else [])


def _line(cells: Sequence[str], then: str = "") -> str:
    return " & ".join(cells) + r" \\" + (f"\n{then}" if then else "")


def _escaped(text: str) -> str:
    return "".join(LATEX.get(each, each) for each in text)
