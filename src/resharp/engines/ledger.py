"""How often each task was begun, kept in a process of its own, where no worker's death can touch it."""

from __future__ import annotations

from collections import Counter


class Ledger:
    """Counts the tries of tasks."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """The number of tries that did not end, this one included."""
        self.begun[number] += 1
        return self.begun[number]

    def end(self, number: int) -> None:
        """It did not kill its worker."""
        del self.begun[number]
