"""How many threads a library that does not heed the usual variable should take."""

from __future__ import annotations

import os


def thread_count() -> int:
    """OMP_NUM_THREADS if it is set, as torch has it; else the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
