"""What a data set on disk has and lacks: counts beside the official ones, missing partners, files that fail."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from resharp.data.layout_files import SPLITS, GoproBlur, Layout, Problem, RedsBlur
from resharp.data.layouts import recognise
from resharp.data.listing import Entry, Kind, Listing
from resharp.errors import DataError, ImageError
from resharp.images.headers import decoded_size, upright_size

_HEADER_THREADS = 8
# Starting processes takes longer than decoding fewer files than this.
_WORTH_PROCESSES = 64

OnFile = Callable[[int, int], None]


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split.

    Args:
        split: its name; "all" where the data set has no splits.
        found: pairs, or sharp photographs.
        official: how many there are by the authors' count; None if they do not say, or nobody does.
        sequences: folders that the sharp photographs lie in; of videos or scenes, one each.
        fingerprint: of the listing, see `Listing.fingerprint`; None if nothing was found.
        unpaired, mismatched, unreadable: files without partner, blurry photographs of another size than their
            partner, files that cannot be read.
        error: why the split cannot be listed at all, or None.
    """

    split: str
    found: int
    official: int | None
    sequences: int
    fingerprint: str | None
    unpaired: tuple[Problem, ...] = ()
    mismatched: tuple[Problem, ...] = ()
    unreadable: tuple[Problem, ...] = ()
    error: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong, one line each; the count first."""
        lines = [self.error] if self.error is not None else []
        if self.error is None and self.official not in (None, self.found):
            lines.append(f"{self.split}: {self.found:,} found, and the data set has {self.official:,}")
        return (*lines, *map(str, (*self.unpaired, *self.mismatched, *self.unreadable)))


@dataclass(frozen=True)
class Inspection:
    """What was found in a data set.

    Args:
        root: the folder that was given.
        layout: the layout that was recognised; for people.
        kind: "pairs" or "sharp".
        read: whether every file was decoded; else only the headers were looked at.
        splits: train first.
    """

    root: Path
    layout: str
    kind: Kind
    read: bool
    splits: tuple[SplitReport, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong, one line each; a file that is in two splits comes once."""
        return tuple(dict.fromkeys(line for report in self.splits for line in report.problems))


class _Found(NamedTuple):
    """A split as it was listed; `error` where that failed."""

    entries: tuple[Entry, ...] = ()
    unpaired: tuple[Problem, ...] = ()
    error: str | None = None


def inspect(
    path: str | os.PathLike[str],
    *,
    read: bool = False,
    gopro_blur: GoproBlur = "blur",
    reds_blur: RedsBlur = "blur",
    processes: int = 1,
    on_file: OnFile | None = None,
) -> Inspection:
    """Look at every file of the data set at `path`.

    Args:
        path: the folder of the data set.
        read: decode every file, which finds damaged ones and takes minutes; else look at headers.
        gopro_blur, reds_blur: see `find_listing`.
        processes: how many decode side by side. With more than one, a script that calls this needs the usual
            `if __name__ == "__main__"`.
        on_file: called with how many files are done and how many there are.

    Raises:
        DataError, ConfigError: as for `find_listing`, where no split can be listed.
    """
    root = Path(path)
    layout = recognise(root, gopro_blur=gopro_blur, reds_blur=reds_blur)
    found = {name: _list(layout, name) for name in sorted(layout.splits, key=(*SPLITS, "all").index)}
    errors = [split.error for split in found.values() if split.error is not None]
    if len(errors) == len(found):
        raise DataError(errors[0])
    entries = [entry for split in found.values() for entry in split.entries]
    files = dict.fromkeys(file for entry in entries for file in (entry.sharp, entry.blurry) if file is not None)
    sizes = _measure(list(files), read, processes, on_file or (lambda done, total: None))
    reports = [_report(root, layout, name, split, sizes) for name, split in found.items()]
    absent = [
        SplitReport(name, 0, layout.official.get(name), 0, None, error=f"{root}: no split {name!r}: {reason}")
        for name, reason in layout.absent.items()
    ]
    kind: Kind = "sharp" if entries and entries[0].blurry is None else "pairs"
    return Inspection(root, layout.name, kind, read, (*reports, *absent))


def _list(layout: Layout, name: str) -> _Found:
    try:
        entries, unpaired = layout.splits[name]()
    except DataError as error:
        return _Found(error=str(error))
    if not entries:
        reason = str(unpaired[0]) if unpaired else "no photograph"
        return _Found(unpaired=unpaired, error=f"{name}: {layout.name} and nothing usable in it: {reason}")
    return _Found(entries, unpaired)


def _measure(files: list[Path], read: bool, processes: int, on_file: OnFile) -> dict[Path, tuple[int, int] | str]:
    """The size of each file, upright, or the reason why it has none."""
    sizes: dict[Path, tuple[int, int] | str] = {}
    with closing(_examined(files, read, processes)) as examined, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files that are large; they are usable
        for i, (path, size) in enumerate(zip(files, examined, strict=True), start=1):
            sizes[path] = size
            on_file(i, len(files))
    return sizes


def _examined(files: list[Path], read: bool, processes: int) -> Iterator[tuple[int, int] | str]:
    """`_examine` of each file, in order, several at a time."""
    examine = partial(_examine, read=read)
    if read and (processes == 1 or len(files) < _WORTH_PROCESSES):
        yield from map(examine, files)
        return
    # A process decodes one photograph at a time, whatever its threads; headers mostly wait for the disk.
    executor: Executor = ThreadPoolExecutor(_HEADER_THREADS)
    if read:
        executor = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from executor.map(examine, files, chunksize=8)
    finally:
        executor.shutdown(cancel_futures=True)


def _examine(path: Path, read: bool) -> tuple[int, int] | str:
    try:
        return decoded_size(path) if read else upright_size(path)
    except ImageError as error:
        return str(error).removeprefix(f"{path}: ")


def _report(
    root: Path, layout: Layout, name: str, found: _Found, sizes: dict[Path, tuple[int, int] | str]
) -> SplitReport:
    mismatched, unreadable = [], []
    for entry in found.entries:
        measured = [(path, sizes[path]) for path in (entry.sharp, entry.blurry) if path is not None]
        bad = [Problem(path, size) for path, size in measured if isinstance(size, str)]
        unreadable += bad
        if not bad and len({size for _, size in measured}) > 1:
            (_, (a, b)), (path, (c, d)) = measured  # type: ignore[misc]
            mismatched.append(Problem(path, f"is {c}x{d}, but its sharp partner {entry.name} is {a}x{b}"))
    return SplitReport(
        split=name,
        found=len(found.entries),
        official=layout.official.get(name),
        sequences=len({entry.name.rpartition("/")[0] for entry in found.entries}),
        fingerprint=Listing(layout.name, root, name, found.entries).fingerprint() if found.entries else None,
        unpaired=found.unpaired,
        mismatched=tuple(mismatched),
        unreadable=tuple(dict.fromkeys(unreadable)),
        error=found.error,
    )
