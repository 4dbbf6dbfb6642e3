"""Where training's photographs come from, seen from the training: the samples of one part of one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from resharp.data.listing import Kind


class Sample(NamedTuple):
    """One photograph, read.

    sharp, blurry: (3, H, W) uint8, of equal size; blurry is None where the blur is made while training.
    """

    name: str
    sharp: Tensor
    blurry: Tensor | None = None


class Drawn(NamedTuple):
    """The samples of one part of a step, and one line (name and reason) for each that could not be read."""

    samples: list[Sample]
    failures: list[str]


@dataclass(frozen=True)
class Batching:
    """How the photographs are dealt out to steps.

    A step's batch is divided into `parts` of equal size. A part is what one process handles at once; which
    photographs are in it follows from (seed, step, part) alone. So a run sees the same data on one process that
    takes all parts in turn as on many that take one each.
    """

    batch_size: int
    parts: int
    seed: int

    @property
    def part_size(self) -> int:
        """Photographs in a part."""
        return self.batch_size // self.parts


class Source(Protocol):
    """A data set that samples can be drawn from, in any order and from any process."""

    @property
    def kind(self) -> Kind:
        """Whether samples have a blurry partner."""

    @property
    def left_out(self) -> list[str]:
        """One line, with the reason, for each photograph known to be unusable before any was drawn."""

    def __len__(self) -> int:
        """How many photographs there are: those of one epoch."""

    def fingerprint(self) -> str:
        """Changes whenever the data set does."""

    def describe(self) -> str:
        """One line for people: what it is and where."""

    def draw(self, batching: Batching, step: int, part: int) -> Drawn:
        """`batching.part_size` samples. The same arguments give the same samples, whatever was drawn before.

        A photograph that cannot be used is replaced by another, and named in `failures`.

        Raises:
            DataError: hardly any photograph can be used.
        """
