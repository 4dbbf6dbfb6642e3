"""Ways timed on one picture, each in a process of its own, in turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from resharp.bench.limited_process import Limits, run_to_end
from resharp.bench.timed_calls import NotMeasuredError


@dataclass(frozen=True)
class Run:
    """One measurement.

    seconds: of each call; none where `failed` says why there is none.
    figures: what else came of it: peak_bytes, parameters, multiply_adds, cpu_share, start_s, versions and the like, as
        far as known.
    """

    method: str
    size: tuple[int, int]
    seconds: tuple[float, ...]
    figures: dict[str, Any]
    failed: str | None = None


class Named(Protocol):
    """What is measured."""

    @property
    def name(self) -> str:
        """For people, and its own."""


N = TypeVar("N", bound=Named)
# (what, size, number of the round) -> its figures, with "seconds"; raises NotMeasuredError.
Measure = Callable[[N, tuple[int, int], int], dict[str, Any]]


def in_turns(
    methods: Sequence[N], sizes: Sequence[tuple[int, int]], repeats: int, once_above_s: float, measure: Measure[N]
) -> Iterator[Run]:
    """Measure every method, then every one again, so that what else the machine does meets all of them alike.

    Args:
        sizes: (width, height).
        repeats: rounds. What failed, or took longer than `once_above_s` for a call, is not measured again.
    """
    done: set[tuple[str, tuple[int, int]]] = set()
    for number in range(repeats):
        for size in sizes:
            for method in methods:
                if (method.name, size) in done:
                    continue
                try:
                    found = measure(method, size, number)
                    run = Run(method.name, size, tuple(found.pop("seconds")), found)
                except NotMeasuredError as error:
                    run = Run(method.name, size, (), {}, str(error))
                if run.failed or max(run.seconds) > once_above_s:
                    done.add((method.name, size))
                yield run


def answer_of(command: Sequence[str], spec: dict[str, Any], folder: Path, limits: Limits) -> dict[str, Any]:
    """What `COMMAND SPEC RESULT` wrote by `timed_calls.answer`; raises NotMeasuredError.

    Args:
        spec: handed over as JSON.
        folder: a place for RESULT.
    """
    result = folder / "result.json"
    run_to_end([*command, json.dumps(spec), str(result)], folder, limits)
    if not result.is_file():
        raise NotMeasuredError("ended without figures")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "failed" in found:
        raise NotMeasuredError(found["failed"])
    return found
