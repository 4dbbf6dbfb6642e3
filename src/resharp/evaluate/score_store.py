"""Scores of single images on disk, so that an evaluation that was stopped goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resharp.errors import OutputError
from resharp.evaluate.trios import Trio
from resharp.files import read_text
from resharp.metrics.kinds import PairMetric

_LARGEST_BYTES = 1 << 30
_LARGEST_SCORE = 1e9  # no metric comes near


class ScoreStore:
    """A file of lines, one for each image and metric; a line cut off by a crash is left out.

    A score is found again only for the same two files, by size and time of change, and the same protocol, which names
    libraries, versions and weights. So a score never outlives what it was made of.

    Args:
        path: is made with the first score. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._found: dict[str, float] = {}
        if path is not None and path.exists():
            try:
                lines = read_text(path, _LARGEST_BYTES, errors="replace").splitlines()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise OutputError(f"{path}: cannot be read ({reason}); choose another folder") from error
            for line in lines:
                self._read(line)

    def find(self, trio: Trio, metric: PairMetric) -> float | None:
        """The score, if it is here."""
        return self._found.get(_key(trio, metric))

    def add(self, trio: Trio, metric: PairMetric, value: float) -> None:
        """Keep a score; raises OutputError where it cannot be written."""
        key = _key(trio, metric)
        self._found[key] = value
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                # A line of its own, even behind one that was cut off.
                file.write("\n" + json.dumps({"key": key, "value": value}))
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); make room or choose another"
            ) from error

    def _read(self, line: str) -> None:
        try:
            entry: Any = json.loads(line)
            key, value = str(entry["key"]), float(entry["value"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return
        if abs(value) <= _LARGEST_SCORE:  # what is not a number is not either
            self._found[key] = value


def _key(trio: Trio, metric: PairMetric) -> str:
    files = []
    for path in (trio.restored, trio.sharp):
        stat = path.stat()
        files.append([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
    return json.dumps([metric.name, metric.protocol, files])
