"""Being asked to stop: SIGTERM, Ctrl-C or a time limit, noticed between two steps."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Literal

Reason = Literal["", "time", "interrupt", "terminate"]
_REASONS: dict[int, Reason] = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminate"}


class Stops:
    """While entered, the first SIGTERM or Ctrl-C is remembered instead of obeyed; a second one works as ever.

    Args:
        minutes: until `reason` becomes "time"; None never.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._caught: Reason = ""
        self._before: dict[int, object] = {}

    @property
    def reason(self) -> Reason:
        """Why to stop now; "" means go on."""
        if self._caught:
            return self._caught
        return "time" if self.deadline is not None and time.monotonic() > self.deadline else ""

    def __enter__(self) -> Stops:
        for number in _REASONS:
            try:
                self._before[number] = signal.signal(number, self._catch)
            except ValueError:  # not the main thread: signals are somebody else's business
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught = _REASONS[number]
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]
