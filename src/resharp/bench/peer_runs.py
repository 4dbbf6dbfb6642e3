"""Methods timed on one picture, each in a process of its own, in turns."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resharp.bench import network_worker, timed_calls
from resharp.bench.limited_process import Limits, run_to_end
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


@dataclass(frozen=True)
class Run:
    """One measurement.

    seconds: of each call; none where `failed` says why there is none.
    figures: what else came of it: peak_bytes, parameters, multiply_adds, cpu_share, versions, as far as known.
    """

    method: str
    size: tuple[int, int]
    seconds: tuple[float, ...]
    figures: dict[str, Any]
    failed: str | None = None


def in_turns(
    methods: Sequence[Method],
    pictures: dict[tuple[int, int], Path],
    limits: Limits,
    repeats: int,
    once_above_s: float,
    make_small: Callable[[Path], None],
) -> Iterator[Run]:
    """Measure every method, then every one again, so that what else the machine does meets all of them alike.

    Args:
        pictures: by (width, height).
        repeats: rounds. What failed, or took longer than `once_above_s` for a call, is not measured again.
        make_small: writes a picture of `START_PX` px.
    """
    done: set[tuple[str, tuple[int, int]]] = set()
    for number in range(repeats):
        for size, picture in pictures.items():
            for method in methods:
                if (method.name, size) in done:
                    continue
                run = _measured(method, size, picture, limits, number == 0, make_small)
                if run.failed or max(run.seconds) > once_above_s:
                    done.add((method.name, size))
                yield run


def _measured(
    method: Method,
    size: tuple[int, int],
    picture: Path,
    limits: Limits,
    count: bool,
    make_small: Callable[[Path], None],
) -> Run:
    with tempfile.TemporaryDirectory(prefix="resharp-bench-") as name:
        folder = Path(name)
        try:
            if isinstance(method, CommandMethod):
                small = folder / "small.png"
                make_small(small)
                found = _of_command(method, picture, small, folder, limits)
            else:
                found = _of_worker(method, picture, folder, limits, count)
        except timed_calls.NotMeasuredError as error:
            return Run(method.name, size, (), {}, str(error))
        return Run(method.name, size, tuple(found.pop("seconds")), found)


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
    result = folder / "result.json"
    run_to_end([*command, json.dumps(spec), str(result)], folder, limits)
    if not result.is_file():
        raise timed_calls.NotMeasuredError("ended without figures")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "failed" in found:
        raise timed_calls.NotMeasuredError(found["failed"])
    return found


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
