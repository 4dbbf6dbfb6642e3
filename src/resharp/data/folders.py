"""Photographs as files in folders, dealt out to training in a fresh order every epoch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from resharp.data.draws import ORDER, derived_seed
from resharp.data.listing import Entry, Kind, Listing
from resharp.data.source import Batching, Drawn, Sample
from resharp.errors import DataError, ImageError
from resharp.images.headers import upright_size
from resharp.images.reading import read_photo

# So many unusable photographs in a row are no accident.
MAX_TRIES = 20
BYTES_PER_GB = 10**9


class FolderSource:
    """The photographs of one or more listings; see `resharp.data.source.Source`.

    Args:
        listings: all of pairs, or all of sharp photographs.
        min_side_px: photographs with a shorter side are left out.
        cache_gb: if all photographs, decoded, fit into this many GB, they are read now and held; else each is
            read when it is needed.

    Attributes:
        left_out: one line, with the reason, for each photograph found unusable so far by its header or, when
            they are held in memory, by its content.

    Raises:
        DataError: pairs beside sharp photographs, or no usable photograph.
    """

    def __init__(self, listings: Sequence[Listing], *, min_side_px: int = 0, cache_gb: float = 4.0) -> None:
        kinds = {listing.kind for listing in listings}
        if len(kinds) > 1:
            roots = ", ".join(f"{listing.root} ({listing.kind})" for listing in listings)
            raise DataError(f"{roots}: train on pairs or on sharp photographs, not on both at once")
        self.listings, self.min_side_px = list(listings), min_side_px
        self.kind: Kind = self.listings[0].kind
        self.left_out: list[str] = []
        self._unusable: set[Entry] = set()
        self._cache: dict[Entry, Sample] = {}
        self.entries: list[Entry] = []
        values = 0
        for entry in (entry for listing in listings for entry in listing.entries):
            try:
                width, height = self._header(entry)
            except ImageError as error:
                self.left_out.append(str(error))
                continue
            values += 3 * width * height * (2 if entry.blurry is not None else 1)
            self.entries.append(entry)
        if values <= cache_gb * BYTES_PER_GB:
            self._read_all()
        self._need_some()

    def __len__(self) -> int:
        return len(self.entries)

    def fingerprint(self) -> str:
        """Of all listings; a photograph that is held out or unusable counts too."""
        return "-".join(listing.fingerprint()[:32] for listing in self.listings)

    def describe(self) -> str:
        """One line for people."""
        places = ", ".join(f"{listing.root} ({listing.layout}, {listing.split})" for listing in self.listings)
        return f"{len(self)} {'pairs' if self.kind == 'pairs' else 'sharp photographs'} of {places}"

    def hold_out(self, count: int) -> list[Sample]:
        """Take `count` photographs, evenly spaced, out of what is dealt to training, and return them, read.

        Raises:
            DataError: none would be left to train on.
        """
        if count >= len(self):
            raise DataError(
                f"{self.describe()}: validation_photos = {count} are to be kept out of training and none would be "
                "left: give more photographs, or lower validation_photos"
            )
        samples, failures = evenly(self, count)
        held = {sample.name for sample in samples}
        self.entries = [entry for entry in self.entries if str(entry.sharp) not in held]
        self.left_out += failures
        return samples

    def draw(self, batching: Batching, step: int, part: int) -> Drawn:
        """As in `Source`: each epoch goes once through all photographs, in an order of its own."""
        first = step * batching.batch_size + part * batching.part_size
        failures: list[str] = []
        samples = []
        for i in range(first, first + batching.part_size):
            epoch, position = divmod(i, len(self))
            order = _order(len(self), batching.seed, epoch)
            samples.append(self._first_usable((order[(position + k) % len(self)] for k in range(MAX_TRIES)), failures))
        return Drawn(samples, failures)

    def read(self, entry: Entry) -> Sample:
        """The photograph and its partner.

        Raises:
            ImageError: a file that cannot be read, or partners of different sizes.
        """
        if entry in self._cache:
            return self._cache[entry]
        sharp = _pixels(entry.sharp)
        blurry = None if entry.blurry is None else _pixels(entry.blurry)
        if blurry is not None and blurry.shape != sharp.shape:
            raise ImageError(f"{entry.blurry}: not of the same size as {entry.sharp}; remove the pair")
        return Sample(str(entry.sharp), sharp, blurry)

    def _first_usable(self, indices: Iterable[int], failures: list[str]) -> Sample:
        tried = ""
        for index in indices:
            entry = self.entries[index]
            if entry in self._unusable:
                continue
            try:
                return self.read(entry)
            except ImageError as error:
                tried = tried or str(error)
                self._unusable.add(entry)
                failures.append(str(error))
        raise DataError(f"{MAX_TRIES} photographs in a row cannot be used; check the data set ({tried})")

    def _header(self, entry: Entry) -> tuple[int, int]:
        sizes = [upright_size(path) for path in (entry.sharp, entry.blurry) if path is not None]
        if len(set(sizes)) > 1:
            raise ImageError(f"{entry.blurry}: not of the same size as {entry.sharp}; remove the pair")
        width, height = sizes[0]
        if min(width, height) < self.min_side_px:
            needed = f"{self.min_side_px} px a side are needed"
            raise ImageError(f"{entry.sharp}: {width}x{height} is too small for training; {needed}")
        return width, height

    def _read_all(self) -> None:
        for entry in self.entries:
            try:
                self._cache[entry] = self.read(entry)
            except ImageError as error:
                self.left_out.append(str(error))
        self.entries = [entry for entry in self.entries if entry in self._cache]

    def _need_some(self) -> None:
        if not self.entries:
            where = ", ".join(str(listing.root) for listing in self.listings)
            reason = f" (first of {len(self.left_out)} left out: {self.left_out[0]})" if self.left_out else ""
            raise DataError(f"{where}: no usable photograph to train on{reason}")


def evenly(source: FolderSource, count: int) -> tuple[list[Sample], list[str]]:
    """Up to `count` readable photographs, evenly spaced over the source, and a line for each unreadable one met."""
    samples: list[Sample] = []
    failures: list[str] = []
    total = len(source)
    for i in range(min(count, total)):
        start, end = i * total // count, max(i * total // count + 1, (i + 1) * total // count)
        for entry in source.entries[start:end]:
            try:
                samples.append(source.read(entry))
                break
            except ImageError as error:
                failures.append(str(error))
    return samples, failures


@functools.lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(derived_seed(seed, epoch, ORDER))
    return torch.randperm(count, generator=generator).tolist()


def _pixels(path: Path) -> Tensor:
    """(3, H, W) uint8."""
    return torch.from_numpy(read_photo(path).pixels).mul(255).round().byte().permute(2, 0, 1).contiguous()
