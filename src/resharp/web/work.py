"""One restoration in a thread of its own, watched: waiting, progress, previews, samples, the end."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from resharp.errors import ResharpError, is_out_of_memory
from resharp.web.line import Line

POLL_S = 0.25
_PREVIEW_EVERY_S = 0.6


class StoppedError(ResharpError):
    """The visitor ended the job, or has gone."""


class TimeOutError(ResharpError):
    """The job took too long."""


class UnexpectedError(ResharpError):
    """A mistake of the program; what it was is told on the server's terminal only."""


@dataclass(frozen=True)
class Waiting:
    """So many jobs come first."""

    before: int


@dataclass(frozen=True)
class Working:
    """Network calls done and in all, both 0 before the first is done, and seconds since the start."""

    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Preview:
    """The picture as far as it is known, (1, 3, H, W) in [0, 1]."""

    image: Tensor


@dataclass(frozen=True)
class Sample:
    """A sample, (1, 3, H, W) in [0, 1]."""

    number: int
    image: Tensor


@dataclass(frozen=True)
class Done:
    """What the work returned."""

    result: Any


Event = Waiting | Working | Preview | Sample | Done


class Watcher:
    """What the pipeline calls while it works; each call ends the work if it must end."""

    def __init__(self, stop: threading.Event, timeout_s: float, put: Callable[[Event], None]) -> None:
        self._stop, self._put, self._timeout_s = stop, put, timeout_s
        self._last_preview = 0.0
        self.restart()

    def restart(self) -> None:
        """The next photo begins, with all of its time."""
        self.started = time.monotonic()
        self.done = self.total = 0

    def check(self) -> None:
        """Raise StoppedError or TimeOutError where the work must end."""
        if self._stop.is_set():
            raise StoppedError("stopped")
        if time.monotonic() - self.started > self._timeout_s:
            raise TimeOutError("this takes longer than this server allows")

    def on_step(self, done: int, total: int) -> None:
        """For `DeblurPipeline.restore`."""
        self.check()
        self.done, self.total = done, total

    def on_preview(self, image: Tensor) -> None:
        """For `DeblurPipeline.restore`; a few a second are shown."""
        self.check()
        if time.monotonic() - self._last_preview >= _PREVIEW_EVERY_S:
            self._last_preview = time.monotonic()
            self._put(Preview(image.detach().cpu().clone()))

    def on_sample(self, number: int, image: Tensor) -> None:
        """For `DeblurPipeline.restore`."""
        self.check()
        self._put(Sample(number, image))


def watched(work: Callable[[Watcher], Any], line: Line, stop: threading.Event, timeout_s: float) -> Iterator[Event]:
    """Run `work` when its turn comes and tell of it; closing the iterator stops it.

    Raises:
        BusyError: the line is full.
        ResharpError: what the work raised; anything else it raised becomes an UnexpectedError.
    """
    ticket = line.join()
    try:
        while not line.enter(ticket, POLL_S):
            if stop.is_set():
                raise StoppedError("stopped")
            yield Waiting(line.before(ticket))
    except BaseException:
        line.leave(ticket)
        raise
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    watcher = Watcher(stop, timeout_s, events.put)

    def run() -> None:
        try:
            events.put(Done(work(watcher)))
        except BaseException as error:
            events.put(error)
        finally:  # only now: a job that was given up still uses the processor until its network call ends
            line.leave(ticket)

    threading.Thread(target=run, daemon=True, name="resharp-web-job").start()
    try:
        while True:
            try:
                event = events.get(timeout=POLL_S)
            except queue.Empty:
                yield Working(watcher.done, watcher.total, time.monotonic() - watcher.started)
                continue
            if isinstance(event, BaseException):
                raise told(event)
            yield event
            if isinstance(event, Done):
                return
    finally:
        stop.set()


def told(error: BaseException) -> ResharpError:
    """The error for the visitor; the server's terminal gets a line where it is none of theirs."""
    if isinstance(error, ResharpError):
        return error
    if is_out_of_memory(error):
        return ResharpError("not enough memory for this photo; try a part of it, or a smaller one")
    print(f"resharp: unexpected error ({type(error).__name__}: {error})", file=sys.stderr, flush=True)
    return UnexpectedError("something went wrong; the photo is untouched")


def shown_name(text: str, *paths: Path) -> str:
    """Words that name files of the server with the names that their owners know."""
    for path in paths:
        text = text.replace(str(path), path.name)
    return text
