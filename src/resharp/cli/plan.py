"""From what was typed to pairs of source and target, with every conflict found before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resharp.cli.places import check_folder
from resharp.errors import ImageError, OutputError
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.reading import find_photos
from resharp.images.writing import output_path


@dataclass(frozen=True)
class Photo:
    """A photo to restore; `root` is the folder it was found in by walking, None if it was named itself."""

    path: Path
    root: Path | None


@dataclass(frozen=True)
class Job:
    """One photo and the file its restoration goes to."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Failure:
    """An input that could not be used, and the line that says why."""

    source: str
    error: ImageError


def find_inputs(inputs: Sequence[str]) -> tuple[list[Photo], list[Failure]]:
    """The photos named by `inputs`, each once; an unusable input does not hide the others."""
    photos: dict[str, Photo] = {}
    failures: list[Failure] = []
    for given in inputs:
        try:
            if not given:  # to a path the empty string is the current folder
                raise ImageError("an input is empty (''); name a photo or a folder")
            root = Path(given) if os.path.isdir(given) else None
            for path in find_photos([given]):
                photos.setdefault(_key(path), Photo(path, root))
        except ImageError as error:
            failures.append(Failure(given, error))
    return list(photos.values()), failures


def plan(photos: Sequence[Photo], out: str | None, *, several: bool) -> list[Job]:
    """A target for every photo; nothing is made or written.

    Args:
        photos: from `find_inputs`.
        out: None puts each result beside its photo. Else a folder, in which the subfolders of walked
            folders are repeated, or, for a single named photo, a file.
        several: whether more than one photo, or a folder, was asked for.

    Raises:
        ImageError: a target of a kind that cannot be written, or that is the photo itself.
        OutputError: two photos with one target, a target that is another input, or a place where nothing
            can be written.
    """
    jobs = [Job(photo.path, _target(photo, out, several)) for photo in photos]
    sources = {_key(photo.path) for photo in photos}
    taken: dict[str, Path] = {}
    for job in jobs:
        key = _key(job.target)
        if key in sources:
            raise OutputError(f"{job.target}: is an input too, which is never overwritten; choose another place")
        if key in taken:
            raise OutputError(
                f"{job.target}: both {taken[key]} and {job.source} would go here; restore them one by one, "
                "or leave out -o"
            )
        taken[key] = job.source
    for folder in dict.fromkeys(job.target.parent for job in jobs):
        check_folder(folder)
    return jobs


def _target(photo: Photo, out: str | None, several: bool) -> Path:
    if out is None:
        return output_path(photo.path)
    place = Path(out)
    if not several:
        # A trailing slash says folder, whatever the name looks like.
        as_folder = out.endswith(("/", os.sep)) and not place.is_dir()
        return place / output_path(photo.path).name if as_folder else output_path(photo.path, place)
    if not place.is_dir() and (place.exists() or place.suffix.lower() in FORMAT_BY_SUFFIX):
        raise OutputError(f"{place}: is a file's name; for folders and several photos, give a folder after -o")
    inside = Path() if photo.root is None else photo.path.parent.relative_to(photo.root)
    return place / inside / output_path(photo.path).name


def _key(path: Path) -> str:
    """Equal for two spellings of one path; links are different files."""
    return os.path.normcase(os.path.abspath(path))
