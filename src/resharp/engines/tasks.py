"""Units of work: each can be done by any worker, in any order, twice without harm, and knows where its result goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from resharp.data.remote import is_url, shown
from resharp.engines import stores
from resharp.errors import ImageError, OutputError, ResharpError
from resharp.images.formats import FORMAT_BY_SUFFIX, RESULT_MARK
from resharp.images.reading import find_photos

TABLE_SUFFIX = ".parquet"


@dataclass(frozen=True)
class Columns:
    """Of a Parquet file: `image` has encoded photos, as bytes or as a struct of bytes and path, `name` their names."""

    image: str = "image"
    name: str = "name"


@dataclass(frozen=True)
class PhotoTask:
    """One photo at a path or URL, and where its restoration goes."""

    source: str
    target: str


@dataclass(frozen=True)
class TableTask:
    """One row group of a Parquet file, and the Parquet file its restorations go to."""

    source: str
    group: int
    target: str
    columns: Columns


Task = PhotoTask | TableTask


def plan_tasks(
    inputs: Sequence[str], out: str | None, columns: Columns
) -> tuple[list[Task], list[tuple[str, ResharpError]]]:
    """The tasks that `inputs` name, each target once; an unusable input does not hide the others.

    Args:
        inputs: photos, Parquet files, and folders to be searched for both; each a path or a URL.
        out: None puts each photo's result beside it. Else a folder, path or URL, in which the subfolders are
            repeated, or the file for a single photo. Parquet needs a folder.

    Returns:
        The tasks, and (input, error) of what cannot be used.

    Raises:
        OutputError: two results in one place, or a result in place of an input.
    """
    tasks: list[Task] = []
    failures: list[tuple[str, ResharpError]] = []
    for given in inputs:
        try:
            found = _found(given)
            single = out is not None and len(inputs) == len(found) == 1 and _is_photo(out) and not os.path.isdir(out)
            for place, below in found:
                if place.endswith(TABLE_SUFFIX):
                    tasks += _of_table(place, below, out, columns)
                else:
                    target = stores.plain(out) if single and out is not None else _target(place, below, out)
                    tasks.append(PhotoTask(place, target))
        except ResharpError as error:
            failures.append((given, error))
    tasks = list(dict.fromkeys(tasks))
    _refuse_conflicts(tasks)
    return tasks, failures


def _found(given: str) -> list[tuple[str, str]]:
    """Photos and Parquet files, with their paths below what was given."""
    if not given:
        raise ImageError("an input is empty (''); name a photo or a folder")
    place = stores.plain(given)
    if is_url(place):
        found = stores.files_at(place)
        if len(found) == 1 and found[0][0] == place:
            return found
    elif not os.path.isdir(place):
        return [(place, os.path.basename(place))] if place.endswith(TABLE_SUFFIX) else _one(place)
    else:
        walked = (os.path.join(above, name) for above, _, names in os.walk(place) for name in names)
        found = sorted((path, os.path.relpath(path, place)) for path in walked)
    used = [(path, below) for path, below in found if _is_input(below)]
    if not used:
        raise ImageError(f"{shown(given)}: no photos and no Parquet files here")
    return used


def _one(place: str) -> list[tuple[str, str]]:
    return [(str(path), path.name) for path in find_photos([place])]  # which says what is wrong with it


def _is_photo(place: str) -> bool:
    return PurePosixPath(place).suffix.lower() in FORMAT_BY_SUFFIX


def _is_input(below: str) -> bool:
    """As in `find_photos`: hidden files and earlier results are none."""
    if any(part.startswith(".") for part in below.replace(os.sep, "/").split("/")):
        return False
    return below.endswith(TABLE_SUFFIX) or (_is_photo(below) and not PurePosixPath(below).stem.endswith(RESULT_MARK))


def _target(place: str, below: str, out: str | None) -> str:
    name = PurePosixPath(stores.name_of(place))
    suffix = name.suffix if name.suffix.lower() in FORMAT_BY_SUFFIX else ".png"
    folder = stores.parent(place) if out is None else stores.join(stores.plain(out), *_folders(below))
    if folder.startswith(("http://", "https://")):
        raise OutputError(f"{shown(place)}: results cannot go beside it, on the web; give a folder after -o")
    return stores.join(folder, f"{name.stem}{RESULT_MARK}{suffix}")


def _folders(below: str) -> list[str]:
    return below.replace(os.sep, "/").split("/")[:-1]


def _of_table(place: str, below: str, out: str | None, columns: Columns) -> list[Task]:
    from resharp.engines.tables import count_groups

    if out is None:
        raise OutputError(f"{shown(place)}: for Parquet give a folder after -o")
    folder = stores.join(stores.plain(out), *_folders(below))
    stem = PurePosixPath(stores.name_of(place)).stem
    groups = range(count_groups(place, columns))
    return [
        TableTask(place, group, stores.join(folder, f"{stem}{RESULT_MARK}-{group:05}{TABLE_SUFFIX}"), columns)
        for group in groups
    ]


def _refuse_conflicts(tasks: Sequence[Task]) -> None:
    sources = {task.source for task in tasks}
    taken: dict[str, str] = {}
    for task in tasks:
        if task.target in sources:
            raise OutputError(f"{shown(task.target)}: is an input too, which is never overwritten; give another folder")
        if task.target in taken:
            first, second = shown(taken[task.target]), shown(task.source)
            raise OutputError(f"{shown(task.target)}: both {first} and {second} would go here; restore them one by one")
        taken[task.target] = task.source
