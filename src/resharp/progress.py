"""A progress bar that appears only when the work turns out to be long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0


@contextmanager
def progress_after_a_second(what: str, enabled: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yield `on_step(done, total)`; a bar comes up on standard error after a second and leaves no trace.

    Without a terminal there is no bar: logs are not for animations.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    counts = TextColumn("{task.description} {task.completed}/{task.total}", markup=False)
    columns = (counts, BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    started, task = time.monotonic(), None

    def on_step(done: int, total: int) -> None:
        nonlocal task
        if task is None and time.monotonic() - started > PATIENCE_S:
            bar.start()
            task = bar.add_task(what, total=total)
        if task is not None:
            bar.update(task, completed=done)

    try:
        yield on_step
    finally:
        bar.stop()
