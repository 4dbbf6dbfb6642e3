"""What the bench commands share: what they depend on, the rows that could be measured, and the last words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from resharp.cli.console import note, say
from resharp.errors import TrainingError

if TYPE_CHECKING:
    from rich.table import Table

S = TypeVar("S")


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


def report(
    found: Mapping[str, Any], out: str | None, as_json: bool, show: Callable[[Mapping[str, Any]], None]
) -> None:
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
