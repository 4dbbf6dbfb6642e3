"""What `resharp train` shows while it works: lines, and on a terminal a bar below them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resharp.cli.console import say

Report = Callable[[str], None]
OnStep = Callable[[int, float], None]


@contextmanager
def watched(steps: int, *, quiet: bool = False, tell: Report = say) -> Iterator[tuple[Report, OnStep]]:
    """Yield `report`, for lines, and `on_step`, for steps done and crops a second.

    Args:
        steps: of the whole run.
        quiet: show nothing; another process does.
        tell: where the lines go; with another than `say` there is no bar.
    """
    if quiet or tell is not say or not sys.stdout.isatty():
        yield (lambda text: None) if quiet else tell, lambda done, crops_per_s: None
        return
    import psutil
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    speed = TextColumn("{task.fields[crops_per_s]:.3g} crops/s", style="green")
    memory = TextColumn("{task.fields[memory_gb]:.1f} GB", style="magenta")
    left = TimeRemainingColumn(elapsed_when_finished=True)
    with Progress(BarColumn(), MofNCompleteColumn(), speed, left, memory) as bar:
        task = bar.add_task("train", total=steps, crops_per_s=0.0, memory_gb=0.0)
        process = psutil.Process()

        def on_step(done: int, crops_per_s: float) -> None:
            bar.update(task, completed=done, crops_per_s=crops_per_s, memory_gb=process.memory_info().rss / 1e9)

        yield (lambda text: bar.print(text, markup=False, highlight=False)), on_step
