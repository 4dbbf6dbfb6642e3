"""The table of what failed: a photo and an error a row, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from resharp.errors import ConfigError
from resharp.files import write_text

if TYPE_CHECKING:
    from resharp.picture import Result

COLUMNS = ("photo", "error")


def check_table(path: Path) -> Path:
    """The path, if its name says which kind of table it is and the place takes it; asked before any work.

    Raises:
        ConfigError: another suffix than .csv or .json.
        OutputError: the folder cannot be written to.
    """
    from resharp.cli.places import check_folder

    if path.suffix.lower() not in (".csv", ".json"):
        raise ConfigError(f"--failures writes CSV or JSON, and {str(path)!r} is neither; give .csv or .json")
    check_folder(path.parent)
    return path


def write_failures(path: Path, results: Iterable[Result]) -> None:
    """Write those of `results` that have an error, sorted by photo; without any, an empty table. Replaces the last.

    Raises:
        OutputError: it cannot be written.
    """
    from resharp.cli.places import make_folder

    rows = sorted({(result.input, result.error) for result in results if result.error is not None})
    if path.suffix.lower() == ".json":
        text = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2) + "\n"
    else:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
        text = table.getvalue()
    make_folder(path.parent)
    write_text(path, text)
