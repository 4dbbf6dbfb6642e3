"""`resharp bench growth`: how seconds and memory grow with megapixels, samples and images."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from resharp.cli.bench_deblur import MODULE
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, JsonOption, pick_device
from resharp.cli.places import check_file, check_folder
from resharp.errors import TrainingError


def growth(
    out: Annotated[str, typer.Option("-o", "--out", metavar="FOLDER", help="For growth.csv and growth.png.")],
    axes: Annotated[
        list[str] | None,
        typer.Option("--axis", metavar="megapixels|samples|images", help="May be given several times; default: all."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="To 100 megapixels, 64 samples, 1,000 images: ten minutes on two cores.")
    ] = False,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="As for deblur.")] = None,
    backend: Annotated[str, typer.Option(metavar="torch|onnx|openvino", help="What runs the networks.")] = "torch",
    device: DeviceOption = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; default: the cores.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure how the cost of restoring grows with the work; the shipped model, file to file."""
    from resharp.analysis.figures import check_matplotlib
    from resharp.bench.growth import AXES, exponent, specs
    from resharp.bench.spec import usable_cores
    from resharp.errors import ConfigError
    from resharp.files import make_folder, write_text

    table, picture = Path(out) / "growth.csv", Path(out) / "growth.png"
    check_folder(Path(out))
    for path in (table, picture):
        check_file(path, overwrite=overwrite)
    check_matplotlib()
    from resharp.analysis.growth_figure import draw_growth

    for axis in axes or ():
        if axis not in AXES:
            raise ConfigError(f"unknown axis {axis!r}; allowed: {', '.join(AXES)}")
    where = {"device": pick_device(device).type, "backend": backend, "memory": memory}
    wanted = specs(full=full, threads=threads or usable_cores(), **where)
    rows, failed = _measured([each for each in wanted if each[0] in (axes or AXES)])
    if rows:
        make_folder(Path(out))
        write_text(table, _csv(rows))
        draw_growth(rows, picture)
    chosen = {axis: [row for row in rows if row["axis"] == axis] for axis in AXES}
    slopes = {
        axis: {name: exponent(some, name) for name in ("seconds", "peak_memory_bytes")}
        for axis, some in chosen.items()
        if some
    }
    if as_json:
        say(json.dumps({"rows": rows, "exponents": slopes, "failed": failed}, indent=2))
    else:
        _print(rows, slopes)
        if rows:
            say(f"{table}, {picture}")
    if failed:
        raise TrainingError(failed[0])


def _measured(wanted: Sequence[tuple[str, float, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    from resharp.bench.growth import row_of
    from resharp.bench.launch import MeasurementError, launched
    from resharp.progress import progress_after_a_second

    rows, failed = [], []
    with progress_after_a_second("measuring") as on_row:
        for done, (axis, value, spec) in enumerate(wanted):
            on_row(done, len(wanted))
            try:
                rows.append(row_of(axis, value, launched(spec, MODULE)))
            except MeasurementError as error:
                failed.append(f"{value:g} {axis}: {error}")
                note(failed[-1])
    return rows, failed


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _print(rows: Sequence[dict[str, Any]], slopes: dict[str, dict[str, float | None]]) -> None:
    for row in rows:
        share = "" if row["processor_share"] is None else f", processor {row['processor_share']:.0%}"
        tiles = "" if row["tile"] is None else f", tiles of {row['tile']}"
        held = row["peak_memory_bytes"] / 1e9
        say(f"{row['value']:g} {row['axis']}: {row['seconds']:.3g} s, {held:.2f} GB{share}{tiles}")
    for axis, found in slopes.items():
        if found["seconds"] is not None:
            seconds, held = found["seconds"], found["peak_memory_bytes"]
            say(f"{axis}: seconds grow as its power {seconds:.2f}, memory {held:.2f}; 1 is linear")
