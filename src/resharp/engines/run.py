"""All tasks through one worker in this process, or through many by Ray: the same tasks, the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from resharp.engines.tasks import Task
from resharp.engines.worker import Worker
from resharp.picture import Result

Make = Callable[[], Worker]
Done = tuple[int, list[Result]]


def run_here(tasks: Sequence[Task], make: Make) -> Iterator[Done]:
    """Number and results of each task, one after the other."""
    if tasks:
        worker = make()
        yield from ((i, worker(task)) for i, task in enumerate(tasks))


def folders_of(tasks: Iterable[Task]) -> set[str]:
    """Where results go."""
    from resharp.engines.stores import parent

    return {parent(task.target) for task in tasks}
