"""`resharp data check`: is this data set whole, and does resharp understand it?"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resharp.cli.console import say
from resharp.cli.options import DebugOption, JsonOption
from resharp.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from resharp.data.inspection import Inspection, SplitReport

NAMED = 10
MOST_PROCESSES = 16


def check(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The folder of a data set.")],
    read: Annotated[
        bool, typer.Option("--read", help="Decode every photograph, to find damaged ones; takes minutes.")
    ] = False,
    gopro_blur: Annotated[
        str, typer.Option(metavar="blur|blur_gamma", help="Which blurry photographs of GOPRO_Large.")
    ] = "blur",
    reds_blur: Annotated[
        str, typer.Option(metavar="blur|blur_jpeg", help="Which blurry frames of REDS, where both are there.")
    ] = "blur",
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Recognise a data set and say what is in it, what is missing and what is broken."""
    from resharp.data.inspection import inspect
    from resharp.progress import progress_after_a_second

    with progress_after_a_second("reading" if read else "looking at headers") as on_file:
        found = inspect(
            path,
            read=read,
            gopro_blur=gopro_blur,  # type: ignore[arg-type]
            reds_blur=reds_blur,  # type: ignore[arg-type]
            processes=min(os.cpu_count() or 1, MOST_PROCESSES),
            on_file=on_file,
        )
    if as_json:
        say(json.dumps(_facts(found), indent=2))
    else:
        _print(found)
    if found.problems:
        count = len(found.problems)
        rest = "the list above names them" if as_json or count <= NAMED else "--json lists all of them"
        raise DataError(f"{path}: {count} problem{'s' * (count > 1)} found; {rest}")


def _print(found: Inspection) -> None:
    from rich.console import Console

    say(f"{found.root}: {found.layout}")
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(_table(found), soft_wrap=True)
    for report in found.splits:
        if report.fingerprint is not None:
            say(f"fingerprint {report.split}: {report.fingerprint}")
    if found.layout.startswith("REDS") and any(report.split == "test" for report in found.splits):
        say("test is the 300 frames of val whose number ends in 9, on which the field's REDS scores are taken")
    _print_problems(found.problems)
    if not found.read:
        say("only headers were looked at; --read decodes every photograph")
    if any(report.split in ("train", "all") and report.error is None for report in found.splits):
        say(f"train on it: resharp train configs/msgd-s.toml --data {shlex.quote(str(found.root))}")


def _table(found: Inspection) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("split", no_wrap=True)
    things = "pairs" if found.kind == "pairs" else "sharp photographs"
    for name in (things, "folders", "no partner", "sizes differ", "unreadable"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in found.splits:
        numbers = [report.sequences, *(len(getattr(report, name)) for name in ("unpaired", "mismatched", "unreadable"))]
        table.add_row(report.split, _count(report), *(f"{number:,}" for number in numbers))
    return table


def _count(report: SplitReport) -> str:
    return f"{report.found:,}" + (f" of {report.official:,}" if report.official is not None else "")


def _print_problems(lines: Sequence[str]) -> None:
    for line in lines[:NAMED]:
        say(f"problem: {line}")
    if len(lines) > NAMED:
        say(f"and {len(lines) - NAMED:,} more problems")


def _facts(found: Inspection) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "path": str(Path(found.root).resolve()),
        "layout": found.layout,
        "kind": found.kind,
        "read": found.read,
        "splits": {
            report.split: {
                "found": report.found,
                "official": report.official,
                "folders": report.sequences,
                "fingerprint": report.fingerprint,
                "error": report.error,
                **{
                    name: [{"path": str(problem.path), "reason": problem.reason} for problem in getattr(report, name)]
                    for name in ("unpaired", "mismatched", "unreadable")
                },
            }
            for report in found.splits
        },
        "problems": list(found.problems),
    }
