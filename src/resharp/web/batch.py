"""Several photos into a zip, with a list of those that failed."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resharp.errors import ImageError, ResharpError
from resharp.files import atomic_path
from resharp.images.headers import upright_size
from resharp.images.writing import output_path
from resharp.picture import restore_file
from resharp.web.service import Asked, Service
from resharp.web.visitors import Tab
from resharp.web.work import StoppedError, Watcher, shown_name, told


@dataclass(frozen=True)
class Batch:
    """What became of several photos: the zip, None if none was restored, and name and words of those that failed."""

    archive: Path | None
    restored: int
    failures: tuple[tuple[str, ResharpError], ...]


def restore_batch(
    service: Service,
    tab: Tab,
    asked: Asked,
    photos: Sequence[Path],
    watcher: Watcher,
    on_photo: Callable[[int, str], None],
) -> Batch:
    """Restore several files of the tab into a zip; one that fails does not stop the rest.

    on_photo: called with number, from 1, and name of each before it is begun.
    """
    archive = tab.new_path("resharp.zip")
    failures: list[tuple[str, ResharpError]] = []
    names: set[str] = set()
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as written:
        for number, source in enumerate(photos, start=1):
            on_photo(number, source.name)
            watcher.restart()
            try:
                target = tab.new_path(output_path(source).name)
                _check_pixels(service, source)
                service.check_time(upright_size(source), asked)
                restore_file(
                    service.pipeline,
                    source,
                    target,
                    asked.settings(),
                    origin=service.origin,
                    guard=not asked.force,
                    strip_gps=asked.strip_gps,
                    on_step=watcher.on_step,
                )
            except StoppedError:
                raise
            except Exception as error:
                failures.append((source.name, ResharpError(shown_name(str(told(error)), source))))
                continue
            name = _unused(target.name, names)
            names.add(name)
            written.write(target, name)
            target.unlink()
        if failures:
            lines = "".join(f"{name}: {error}\n" for name, error in failures)
            written.writestr("failures.txt", lines)
    return Batch(archive if names else None, len(names), tuple(failures))


def _check_pixels(service: Service, source: Path) -> None:
    width, height = upright_size(source)
    if width * height > service.limits.max_pixels:
        limit = service.limits.max_pixels / 1e6
        raise ImageError(f"{source}: has more than {limit:g} megapixels, the limit; make it smaller")


def _unused(name: str, names: set[str]) -> str:
    """A name that is not yet in the archive, whatever its case."""
    taken = {each.lower() for each in names}
    stem, dot, suffix = name.partition(".")
    while name.lower() in taken:
        name = f"{stem}-{secrets.token_hex(2)}{dot}{suffix}"
    return name
