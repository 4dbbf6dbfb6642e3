"""Where and by whom the work of `resharp deblur` is done, and how much of it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resharp.data.remote import is_url
from resharp.errors import ConfigError

if TYPE_CHECKING:
    from resharp.picture import Result

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Scale:
    """The options of `resharp deblur` that say where and by whom the work is done.

    Raises:
        ConfigError: a value that is not allowed.
    """

    engine: str = "local"
    workers: int | None = None
    image_column: str = "image"
    name_column: str = "name"

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ConfigError(f"unknown engine {self.engine!r}; allowed: {', '.join(ENGINES)}")
        if self.workers is not None and (self.engine != "ray" or self.workers < 1):
            raise ConfigError("--workers is a number from 1, for --engine ray")

    def needs_tasks(self, inputs: Sequence[str], output: str | None) -> bool:
        """Whether the work goes beyond photos on this disk, one after the other in this process."""
        places = [*inputs, *([] if output is None else [output])]
        return self.engine == "ray" or any(is_url(place) or place.endswith(".parquet") for place in places)


@dataclass
class Outcome:
    """What came of all photos. Of a hundred million only the failures are kept, or nothing would hold them.

    results: all of them where they are asked for, else the failures.
    """

    results: list[Result]
    restored: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, results: Sequence[Result]) -> Outcome:
        """With all of `results` kept."""
        outcome = cls([])
        for result in results:
            outcome.add(result, keep=True)
        return outcome

    @property
    def failures(self) -> list[Result]:
        """Those with an error."""
        return [result for result in self.results if result.error is not None]

    def add(self, result: Result, *, keep: bool) -> None:
        """Count one; a failure is always kept."""
        self.skipped += result.skipped
        self.restored += result.error is None and not result.skipped
        if keep or result.error is not None:
            self.results.append(result)
