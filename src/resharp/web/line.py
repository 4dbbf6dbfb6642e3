"""Who is next: a bounded line in front of a few places to work."""

from __future__ import annotations

import threading

from resharp.errors import ResharpError


class BusyError(ResharpError):
    """The line is full."""


class Line:
    """First come, first served.

    Args:
        places: how many work at the same time.
        longest: how many wait.
    """

    def __init__(self, places: int, longest: int) -> None:
        self._places, self._longest = places, longest
        self._waiting: list[object] = []
        self._working: set[object] = set()
        self._changed = threading.Condition()

    def join(self) -> object:
        """A ticket, for `before`, `enter` and `leave`.

        Raises:
            BusyError: as many wait as may.
        """
        with self._changed:
            if len(self._working) + len(self._waiting) >= self._places + self._longest:
                raise BusyError("too many photos are waiting; try again in a minute")
            ticket = object()
            self._waiting.append(ticket)
            return ticket

    def before(self, ticket: object) -> int:
        """How many wait in front of a ticket that waits itself."""
        with self._changed:
            return self._waiting.index(ticket) if ticket in self._waiting else 0

    def enter(self, ticket: object, timeout_s: float) -> bool:
        """Take a place as soon as it is one's turn; False if that did not happen in time."""

        def turn() -> bool:
            return len(self._working) < self._places and self._waiting[:1] == [ticket]

        with self._changed:
            if not self._changed.wait_for(turn, timeout_s):
                return False
            self._waiting.remove(ticket)
            self._working.add(ticket)
            self._changed.notify_all()
            return True

    def wait_until_idle(self, timeout_s: float) -> None:
        """Return when nobody works, or after the time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._working, timeout_s)

    def leave(self, ticket: object) -> None:
        """Give the place back, or stop waiting."""
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._working.discard(ticket)
            self._changed.notify_all()
