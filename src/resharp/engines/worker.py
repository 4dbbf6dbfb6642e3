"""One model in one process, and what it does with a task. Workers share nothing but the places they read and write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resharp.data.remote import is_url, shown
from resharp.engines import stores, tables
from resharp.engines.orders import Orders, already_done
from resharp.engines.tasks import PhotoTask, TableTask, Task
from resharp.errors import ImageError, OutputError, ResharpError, is_out_of_memory
from resharp.picture import Result, restore_file
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin

Load = Callable[[], tuple[DeblurPipeline, Origin | None]]


class Worker:
    """Does tasks. A result is made in a folder of its own and published whole, under a name that its task decides.

    So a task that was cut short leaves nothing, and done again gives the same file.

    Args:
        load: gives the model, and what its receipts say of it.
        token: of the run; see `resharp.engines.stores.publish`.
    """

    def __init__(self, load: Load, orders: Orders, token: str) -> None:
        self.pipeline, self.origin = load()
        self.orders, self.token = orders, token

    def __call__(self, task: Task) -> list[Result]:
        """What became of each photo; errors are in the results, and none is raised."""
        try:
            with tempfile.TemporaryDirectory(prefix=f"resharp-{self.token}-") as folder:
                if isinstance(task, TableTask):
                    return self._table(task, Path(folder))
                return self._photo(task, Path(folder))
        except Exception as error:
            return [Result(shown(task.source), error=describe(error))]

    def _photo(self, task: PhotoTask, folder: Path) -> list[Result]:
        source = stores.fetch(task.source, folder / "in")
        there = Path(task.target)
        if is_url(task.target):
            there = folder / "there" / stores.name_of(task.target)
            # Without receipts to look at, that something is there says enough.
            if stores.exists(task.target):
                if self.orders.skip_done:
                    stores.fetch(task.target, there.parent)
                elif not self.orders.overwrite:
                    raise OutputError(
                        f"{shown(task.target)}: exists already and is kept; add --overwrite to replace it"
                    )
        made = folder / "out" / stores.name_of(task.target)
        result = self._one(source, there, made, shown(task.source), shown(task.target))
        if not result.skipped and result.error is None:
            stores.publish(made, task.target, self.token)
        return [result]

    def _table(self, task: TableTask, folder: Path) -> list[Result]:
        table = tables.read_group(task.source, task.group)
        photos = tables.photos_in(table, task.columns)
        before = self._before(task, [name for name, _ in photos])
        results: list[Result] = []
        made: list[bytes | None] = []
        for row, (name, data) in enumerate(photos):
            label = f"{shown(task.source)}: {name}"
            place = folder / str(row)
            if data is None:
                results.append(Result(label, error=f"{label}: the row has no photo"))
                made.append(None)
                continue
            results.append(self._row(label, tables.file_name(name, data), data, before[row], place, task))
            out = place / "out"
            files = list(out.iterdir()) if out.is_dir() else []
            made.append(before[row] if results[-1].skipped else files[0].read_bytes() if files else None)
        if not all(result.skipped for result in results):
            path = folder / "table.parquet"
            errors = [result.error for result in results]
            tables.write_results(table, task.columns, made, errors, path)
            stores.publish(path, task.target, self.token)
        return results

    def _row(self, label: str, name: str, data: bytes, before: bytes | None, place: Path, task: TableTask) -> Result:
        source, there, made = (place / part / name for part in ("in", "there", "out"))
        source.parent.mkdir(parents=True)
        source.write_bytes(data)
        if before is not None:
            there.parent.mkdir()
            there.write_bytes(before)
        return self._one(source, there, made, label, shown(task.target))

    def _before(self, task: TableTask, names: list[str]) -> list[bytes | None]:
        """The photos in an earlier result of this task, or None for each.

        Raises:
            OutputError: there is a result, and no leave to look at it or to replace it.
        """
        nothing: list[bytes | None] = [None] * len(names)
        if not stores.exists(task.target):
            return nothing
        if not self.orders.skip_done and not self.orders.overwrite:
            raise OutputError(f"{shown(task.target)}: exists already and is kept; add --overwrite to replace it")
        if not self.orders.skip_done:
            return nothing
        try:
            found = tables.photos_in(tables.read_group(task.target, 0), task.columns)
        except (ImageError, KeyError):
            found = []
        if [name for name, _ in found] == names:
            return [data for _, data in found]
        if self.orders.overwrite:
            return nothing
        raise OutputError(f"{shown(task.target)}: exists already, is of other photos, and is kept; add --overwrite")

    def _one(self, source: Path, there: Path, made: Path, name: str, target: str) -> Result:
        orders = self.orders
        try:
            if already_done(self.pipeline, self.origin, source, there, orders, target):
                return Result(name, target, skipped=True)
            result = restore_file(
                self.pipeline,
                source,
                made,
                dict(orders.settings),
                origin=self.origin,
                guard=orders.guard,
                strip_gps=orders.strip_gps,
            )
        except OutputError:
            raise  # of a table it is not the row alone that cannot be written
        except Exception as error:
            # The line names the file in the worker's own folder, which is gone by then.
            return Result(name, error=describe(error).replace(str(source), name).replace(str(made), target))
        return replace(result, input=name, output=target)


def describe(error: Exception) -> str:
    """One line for a table of failures."""
    if isinstance(error, ResharpError):
        return str(error)
    if is_out_of_memory(error):
        return "not enough memory; use fewer workers"
    return " ".join(f"unexpected error ({type(error).__name__}: {error})".split())
