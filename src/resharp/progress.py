"""A progress bar that appears only when the work turns out to be long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0


@contextmanager
def progress_after_a_second(what: str, enabled: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Yield `on_step(done, total)`; a bar comes up on standard error after a second and leaves no trace.

    A timer brings it up, so that one long step shows too, as a pulse. Without a terminal there is no bar: logs
    are not for animations.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)
    timer = threading.Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        timer.cancel()
        # The timer may be in the middle of starting the bar.
        timer.join()
        bar.stop()
