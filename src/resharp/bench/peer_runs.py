"""resharp, other networks and programs, timed on one picture, each in a process of its own."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resharp.bench import network_worker, timed_calls, turns
from resharp.bench.limited_process import Limits, run_to_end
from resharp.bench.turns import Run, answer_of
from resharp.errors import ConfigError
from resharp.evaluate import spandrel_worker

NETWORKS = ("Restormer", "Uformer-B", "NAFNet-64", "MPRNet")
QUALITIES = ("draft", "standard", "best")
# A command's start is what it takes for a picture of this many px.
START_PX = 64


@dataclass(frozen=True)
class OwnMethod:
    """A model of resharp at a quality."""

    model: str
    quality: str

    @property
    def name(self) -> str:
        """For people."""
        return f"resharp {self.quality}"


@dataclass(frozen=True)
class NetworkMethod:
    """One of `NETWORKS`, untrained, and the Python of an environment that has spandrel."""

    name: str
    python: str


@dataclass(frozen=True)
class CommandMethod:
    """A program, with {input} and {output} where the names of pictures go, and {threads}."""

    name: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> CommandMethod:
        """From NAME=COMMAND; raises ConfigError."""
        name, _, command = text.partition("=")
        words = tuple(shlex.split(command))
        if not name or not words or not any("{input}" in each for each in words):
            raise ConfigError(f"--peer-command {text}: expected NAME=COMMAND with {{input}} and {{output}} in it")
        if shutil.which(words[0]) is None:
            raise ConfigError(f"--peer-command {text}: {words[0]}: no such program")
        return cls(name, words)


Method = OwnMethod | NetworkMethod | CommandMethod


def in_turns(
    methods: Sequence[Method],
    pictures: dict[tuple[int, int], Path],
    limits: Limits,
    repeats: int,
    once_above_s: float,
    make_small: Callable[[Path], None],
) -> Iterator[Run]:
    """Measure them; see `turns.in_turns`.

    Args:
        pictures: by (width, height).
        make_small: writes a picture of `START_PX` px.
    """

    def measure(method: Method, size: tuple[int, int], number: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="resharp-bench-") as name:
            folder = Path(name)
            if not isinstance(method, CommandMethod):
                return _of_worker(method, pictures[size], folder, limits, number == 0)
            make_small(folder / "small.png")
            return _of_command(method, pictures[size], folder / "small.png", folder, limits)

    return turns.in_turns(methods, list(pictures), repeats, once_above_s, measure)


def _of_worker(
    method: OwnMethod | NetworkMethod, picture: Path, folder: Path, limits: Limits, count: bool
) -> dict[str, Any]:
    spec: dict[str, Any] = {"picture": str(picture.absolute()), "threads": limits.threads, "count": count}
    if isinstance(method, OwnMethod):
        spec |= {"model": method.model, "quality": method.quality}
        command = [sys.executable, "-m", "resharp.bench.own_speed"]
    else:
        files = {module.__name__.rpartition(".")[2]: module.__file__ for module in (timed_calls, spandrel_worker)}
        spec |= {"network": method.name, **files}
        command = [method.python, str(Path(str(network_worker.__file__)).absolute())]
    return answer_of(command, spec, folder, limits)


def _of_command(method: CommandMethod, picture: Path, small: Path, folder: Path, limits: Limits) -> dict[str, Any]:
    """Its seconds from start to end, less those for a small picture; and the most memory it was seen to hold."""

    def run(source: Path, target: str) -> tuple[float, int]:
        names = {"input": str(source.absolute()), "output": str(folder / target), "threads": str(limits.threads)}
        words = [word.format_map(names) for word in method.words]
        found = run_to_end(words, folder, limits)
        if any("{output}" in word for word in method.words) and not (folder / target).is_file():
            raise timed_calls.NotMeasuredError("wrote no picture")
        return found

    start_s, _ = run(small, "small-result.png")
    seconds, peak = run(picture, "result.png")
    return {"seconds": [max(seconds - start_s, 0.0)], "start_s": start_s, "peak_bytes": peak}
