"""What the bench commands share: what they depend on, the rows that could be measured, and the last words."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from resharp.cli.console import note, say
from resharp.cli.places import check_file, check_folder
from resharp.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from rich.table import Table

    from resharp.bench.limited_process import Limits
    from resharp.bench.turns import Run

S = TypeVar("S")
OutOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write the JSON object here too.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace FILE.")]


def check_out(out: str | None, *, overwrite: bool) -> None:
    """Refuse, with OutputError, a file that cannot be written, before anything is measured."""
    if out is not None:
        check_folder(Path(out).parent)
        check_file(Path(out), overwrite=overwrite)


def machine_facts() -> dict[str, Any]:
    """cores; and load_before, where the system knows it: above 0 something else is running, and times are too long."""
    from resharp.bench.spec import usable_cores

    facts: dict[str, Any] = {"cores": usable_cores()}
    if hasattr(os, "getloadavg"):
        facts["load_before"] = round(os.getloadavg()[0], 2)
    return facts


def measured_rows(
    specs: Sequence[S], measure: Callable[[S], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[tuple[S, str]]]:
    """The figures of each that could be measured; the others, each with the reason."""
    from resharp.bench.launch import MeasurementError
    from resharp.progress import progress_after_a_second

    rows, failed = [], []
    with progress_after_a_second("measuring") as on_row:
        for done, spec in enumerate(specs):
            on_row(done, len(specs))
            try:
                rows.append(measure(spec))
            except MeasurementError as error:
                failed.append((spec, str(error)))
    return rows, failed


def without_command(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a measurement depends on that which all of them share."""
    return {key: value for key, value in environment.items() if key not in ("command", "processes")}


def report(found: Mapping[str, Any], out: str | None, as_json: bool, show: Callable[[Mapping[str, Any]], None]) -> None:
    """Write and print what was found.

    Args:
        found: with "rows", and with "failed", whose entries have a "reason".
        out: a file for the JSON object.
        show: prints it for people; called where there are rows.

    Raises:
        TrainingError: something could not be measured; the first reason. The others are told before.
    """
    from resharp.files import write_text

    text = json.dumps(found, indent=2)
    if out is not None:
        write_text(out, text + "\n")
    if as_json:
        say(text)
    elif found["rows"]:
        show(found)
    if found["failed"]:
        for failure in found["failed"][1:]:
            note(failure["reason"])
        raise TrainingError(found["failed"][0]["reason"])


def load_words(facts: Mapping[str, Any]) -> str:
    """For a heading: ", load 0.3 before", or nothing."""
    return f", load {facts['load_before']} before" if "load_before" in facts else ""


def print_table(table: Table) -> None:
    """Wider than it will be: a narrow terminal wraps its lines, where cells cut short would lose figures."""
    from rich.console import Console

    Console(markup=False, highlight=False, emoji=False, width=200).print(table, soft_wrap=True)


def picture_size(text: str) -> tuple[int, int]:
    """(width, height) from "1280x720"; raises ConfigError."""
    words = text.lower().split("x")
    if len(words) != 2 or not all(word.isdigit() and 64 <= int(word) <= 20_000 for word in words):
        raise ConfigError(f"--size {text}: expected WIDTHxHEIGHT, each from 64 to 20000")
    return int(words[0]), int(words[1])


def measured_line(run: Run) -> str:
    """One measurement for people, as soon as it is made."""
    said = run.failed or ", ".join(f"{seconds:.3g} s" for seconds in run.seconds)
    return f"{run.size[0]}x{run.size[1]}, {run.method}: {said}"


def about_measurements(model: str, limits: Limits, repeats: int) -> dict[str, Any]:
    """What seconds in processes of their own depend on."""
    import platform
    import shlex

    from resharp import __version__

    processor = platform.processor() or platform.machine()
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in words if line.startswith("model name")), processor)
    except OSError:  # not Linux
        pass
    found: dict[str, Any] = {"resharp": __version__, "command": shlex.join(["resharp", *sys.argv[1:]])}
    found |= {"model": model, "processor": processor, "threads": limits.threads, "repeats": repeats}
    found |= {"memory_limit_bytes": limits.memory_bytes, "limit_s": limits.seconds}
    return found | {name: value for name, value in machine_facts().items() if name == "load_before"}


def free_memory() -> int:
    """What a measurement may ask for: nine tenths of what is free, so that it and nothing else is refused."""
    import psutil

    return int(0.9 * psutil.virtual_memory().available)
