"""What a data set is to training: a list of named photographs, each with or without a blurry partner."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["pairs", "sharp"]


class Entry(NamedTuple):
    """One photograph of a data set, not yet read."""

    # Path of the sharp photograph below the root, with forward slashes: unique, and the same on every machine.
    name: str
    sharp: Path
    # None where the blur is made while training.
    blurry: Path | None = None


@dataclass(frozen=True)
class Listing:
    """The photographs of one data set, or of one of its splits, in the order of their names.

    Args:
        layout: the layout that was recognised, such as "GOPRO_Large"; for people.
        root: the folder that was given.
        split: "train", "test" or "val"; "all" where the data set has no splits.
        entries: the photographs; all of them have a blurry partner, or none has.
    """

    layout: str
    root: Path
    split: str
    entries: tuple[Entry, ...]

    @property
    def kind(self) -> Kind:
        """Whether the photographs come with blurry partners."""
        return "pairs" if self.entries and self.entries[0].blurry is not None else "sharp"

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over names and file sizes: what tells one data set from another.

        The bytes themselves are not read, which would take minutes for the field's data sets; a photograph
        replaced by another of exactly the same size goes unnoticed.
        """
        digest = hashlib.sha256()
        for entry in self.entries:
            sizes = [path.stat().st_size for path in (entry.sharp, entry.blurry) if path is not None]
            digest.update(f"{entry.name}\0{sizes}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
