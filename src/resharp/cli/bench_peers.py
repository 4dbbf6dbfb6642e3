"""`resharp bench peers`: resharp's seconds beside those of other networks, on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.bench_report import about_measurements, free_memory, measured_line, picture_size
from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, JsonOption
from resharp.cli.places import check_file, check_folder, make_folder
from resharp.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from resharp.bench.limited_process import Limits
    from resharp.bench.peer_runs import Method, Run

NAME = "bench_peers"
SUFFIXES = (".csv", ".md", ".json", ".png", ".pdf")
SIZES = ("256x256", "1280x720")


def peers(
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Table (CSV, Markdown, JSON) and figure.")],
    peer_python: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The python of an environment that has spandrel and spandrel_extra_arches."),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NAME",
            help="With --peer-python: Restormer, Uformer-B, NAFNet-64 or MPRNet; repeatable; default: all.",
        ),
    ] = None,
    peer_command: Annotated[
        list[str] | None,
        typer.Option(
            "--peer-command",
            metavar="NAME=COMMAND",
            help="A program, with {input} and {output}, and {threads} if it takes them; repeatable.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model's name, folder or Hub id.")] = "default",
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="WxH", help="Size of the picture; repeatable; default: 256x256 and 1280x720."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds in which all methods are measured.")] = 3,
    once_above: Annotated[
        float, typer.Option(metavar="SECONDS", help="What takes longer is measured in the first round only.")
    ] = 60.0,
    limit: Annotated[float, typer.Option(metavar="SECONDS", help="A measurement that takes longer is ended.")] = 1800.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each method; default: the cores.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Time resharp at each quality, and other networks, on the same picture; each in a process of its own, in turns.

    Networks have random weights: time does not depend on them.
    """
    folder = Path(out)
    check_folder(folder)
    for suffix in SUFFIXES:
        check_file(folder / (NAME + suffix), overwrite=overwrite)
    sizes = [picture_size(text) for text in dict.fromkeys(size or SIZES)]
    from resharp.analysis.figures import check_matplotlib
    from resharp.bench.limited_process import Limits
    from resharp.bench.spec import usable_cores

    check_matplotlib()
    methods = _methods(model, peer_python, network, peer_command)
    limits = Limits(threads or usable_cores(), limit, free_memory())
    about = about_measurements(model, limits, repeats)
    make_folder(folder)
    runs = _runs(methods, sizes, limits, repeats, once_above)
    _report(runs, about, folder, as_json)
    if not any(run.seconds for run in runs):
        raise TrainingError(f"nothing could be measured: {runs[0].failed}")


def _methods(
    model: str, python: str | None, networks: Sequence[str] | None, commands: Sequence[str] | None
) -> list[Method]:
    """What is to be measured; raises ConfigError, ModelError."""
    from resharp.bench.peer_runs import NETWORKS, QUALITIES, CommandMethod, NetworkMethod, OwnMethod
    from resharp.evaluate.spandrel_process import ENVIRONMENT
    from resharp.hub import locate_model

    locate_model(model)
    methods: list[Method] = [OwnMethod(model, quality) for quality in QUALITIES]
    wrong = [name for name in networks or () if name not in NETWORKS]
    if wrong:
        raise ConfigError(f"--network {wrong[0]}: choose from {', '.join(NETWORKS)}")
    if networks and python is None:
        raise ConfigError(f"--network needs an environment with spandrel: {ENVIRONMENT}")
    if python is not None:
        found = shutil.which(python)
        if found is None:
            raise ConfigError(f"--peer-python {python}: no such program; {ENVIRONMENT}")
        methods += [NetworkMethod(name, found) for name in dict.fromkeys(networks or NETWORKS)]
    methods += [CommandMethod.of(text) for text in commands or ()]
    names = [method.name for method in methods]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ConfigError(f"there are two methods {twice}; give programs other names")
    return methods


def _runs(
    methods: Sequence[Method], sizes: Sequence[tuple[int, int]], limits: Limits, repeats: int, once_above: float
) -> list[Run]:
    from resharp.bench.peer_runs import START_PX, in_turns
    from resharp.bench.photographs import write_photograph

    runs = []
    with tempfile.TemporaryDirectory(prefix="resharp-bench-") as name:
        pictures = {}
        for width, height in sizes:
            pictures[width, height] = Path(name) / f"{width}x{height}.png"
            write_photograph(pictures[width, height], width, height)

        def make_small(path: Path) -> None:
            write_photograph(path, START_PX, START_PX)

        for run in in_turns(methods, pictures, limits, repeats, once_above, make_small):
            runs.append(run)
            note(measured_line(run))
    return runs


def _report(runs: Sequence[Run], about: dict[str, Any], folder: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from resharp.analysis.speed_figure import draw_speeds
    from resharp.bench.peer_table import csv_rows, markdown, rows_of
    from resharp.evaluate.tables import write_csv
    from resharp.files import write_text

    rows = rows_of(runs)
    heading, lines = csv_rows(rows)
    plain = [asdict(row) for row in rows]
    table = markdown(rows, about)
    found = {**about, "rows": plain, "runs": [asdict(run) for run in runs]}
    text = json.dumps(found, indent=2)
    write_csv(folder / f"{NAME}.csv", lines, heading)
    write_text(folder / f"{NAME}.md", table)
    write_text(folder / f"{NAME}.json", text + "\n")
    draw_speeds(plain, folder / NAME)
    note(f"written: {folder / NAME}{', '.join(SUFFIXES)}")
    say(text if as_json else table.rstrip())
