"""A model's networks run in every way that there is on a CPU, on the same picture, in turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resharp.bench import turns
from resharp.bench.limited_process import Limits
from resharp.bench.timed_calls import NotMeasuredError
from resharp.bench.turns import Run, answer_of

EAGER = "torch, eager"
MODULE = "resharp.bench.backend_speed"


@dataclass(frozen=True)
class Way:
    """One way of running the networks.

    label: for people.
    way: as `backend_speed` knows it.
    folder: of the model or its graphs; where there is none, `why` says the reason.
    steps: of the diffusion; None runs the predictor alone.
    """

    label: str
    way: str
    folder: Path | None
    steps: int | None = None
    why: str | None = None

    @property
    def name(self) -> str:
        """The label, and which part of the model is run."""
        return named(self.label, self.steps)


def named(label: str, steps: int | None) -> str:
    """What a way is called in the table.

    >>> named(EAGER, 2)
    'torch, eager; 2 steps'
    """
    return label if steps is None else f"{label}; {steps} step{'s' * (steps > 1)}"


def in_turns(
    ways: Sequence[Way], pictures: Mapping[tuple[int, int], Path], limits: Limits, repeats: int, once_above_s: float
) -> Iterator[Run]:
    """Measure them; see `turns.in_turns`, and `backend_speed.measure` for the figures.

    One more figure is `difference`: the largest to what the first of `ways` of the same steps gave in its first run,
    on [0, 1]; missing where that gave nothing, and for that run itself.

    Args:
        pictures: by (width, height).
    """
    references: dict[tuple[int | None, tuple[int, int]], np.ndarray] = {}
    first: dict[int | None, str] = {}
    for way in ways:
        first.setdefault(way.steps, way.name)

    def measure(way: Way, size: tuple[int, int], number: int) -> dict[str, Any]:
        if way.folder is None:
            raise NotMeasuredError(way.why or "has no graphs")
        with tempfile.TemporaryDirectory(prefix="resharp-bench-") as name:
            folder, result = Path(name), Path(name) / "result.npy"
            spec = {"way": way.way, "folder": str(way.folder.absolute()), "picture": str(pictures[size].absolute())}
            spec |= {"result": str(result), "steps": way.steps, "threads": limits.threads}
            found = answer_of([sys.executable, "-m", MODULE], spec, folder, limits)
            image = np.load(result)
        reference = references.get((way.steps, size))
        if reference is not None:
            found["difference"] = float(np.abs(image - reference).max())
        elif way.name == first[way.steps]:
            references[way.steps, size] = image
        return found

    return turns.in_turns(ways, list(pictures), repeats, once_above_s, measure)
