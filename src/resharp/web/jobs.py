"""The page's jobs with one photo: opened, restored, a part of it tried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from resharp.errors import ImageError
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.writing import output_path, write_photo
from resharp.picture import Result, restore_file
from resharp.web.display import screen_copy, screen_name, trust_map
from resharp.web.service import Asked, Service
from resharp.web.visitors import Tab
from resharp.web.work import Watcher

TRY_PX = 512


@dataclass(frozen=True)
class Shown:
    """A result with its pictures for the screen.

    result: as of `restore_file`; its output is the download.
    spread: the trust map, or None without several samples; levels: its largest value, of 255.
    """

    result: Result
    before: Path
    after: Path
    size: tuple[int, int]
    spread: Path | None = None
    levels: float = 0.0


def open_photo(service: Service, tab: Tab, path: Path) -> Path:
    """Take `path` for the tab's photo; returns its screen copy.

    Raises:
        ImageError: it cannot be read, has too many pixels, or its result could not be written.
    """
    photo = read_photo(path, max_pixels=service.limits.max_pixels)
    output_path(path)
    copy = tab.new_path(screen_name(photo, "photo"))
    tab.screen_size = screen_copy(photo, copy)
    tab.photo, tab.screen, tab.size = path, copy, (photo.size[1], photo.size[0])
    tab.forget()
    return copy


def restore(service: Service, tab: Tab, asked: Asked, source: Path, watcher: Watcher) -> Shown:
    """Restore a file of the tab as `resharp deblur` does.

    Raises:
        ResharpError: it cannot be restored, or the job has to end.
    """
    watcher.check()
    target = tab.new_path(output_path(source).name)
    chosen = service.chosen(asked)
    several = chosen.output == "diffusion" and chosen.samples > 1
    spread = target.with_name("spread.png") if several else None
    result = restore_file(
        service.pipeline,
        source,
        target,
        asked.settings(),
        spread=spread,
        origin=service.origin,
        guard=not asked.force,
        strip_gps=asked.strip_gps,
        on_step=watcher.on_step,
        on_preview=watcher.on_preview,
        on_sample=watcher.on_sample,
    )
    if service.estimator is not None and result.part == chosen.output != "input":
        service.estimator.learn(result.width or 0, result.height or 0, chosen, result.seconds or 0.0)
    watcher.check()
    before, after = _pair(tab, source, target)
    size = screen_copy(read_photo(target), after)
    if spread is None or result.spread_maximum is None:
        return Shown(result, before, after, size)
    overlay = tab.new_path("where-versions-differ.jpg")
    trust_map(after, spread, result.spread_maximum, overlay)
    return Shown(result, before, after, size, overlay, 255 * result.spread_maximum)


def _pair(tab: Tab, source: Path, target: Path) -> tuple[Path, Path]:
    photo = read_photo(source)
    before = tab.new_path(screen_name(photo, "before"))
    screen_copy(photo, before)
    return before, tab.new_path(screen_name(photo, "after"))


def cut_part(tab: Tab, region: tuple[int, int, int, int]) -> Path:
    """A part of the tab's photo, left, top, right, bottom, as a file of its own, of the same depth and colours.

    Raises:
        ImageError: the photo is no longer there.
    """
    if tab.photo is None:
        raise ImageError("this photo is no longer here; choose it again")
    photo = read_photo(tab.photo)
    left, top, right, bottom = region
    alpha = None if photo.alpha is None else photo.alpha[top:bottom, left:right]
    part = Photo(photo.samples[top:bottom, left:right].copy(), alpha, replace(photo.meta, exif=None, xmp=None))
    path = tab.new_path("part.png")
    write_photo(part, path)
    return path
