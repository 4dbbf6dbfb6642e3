"""How many threads are worth having: those that run at the same time, and no more than a container is given."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_threads() -> int:
    """Physical cores that this process may use, by its affinity and its control group's quota."""
    import psutil

    counts = [os.cpu_count() or 1, psutil.cpu_count(logical=False) or 2**20]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    return max(1, min([*counts, _quota()]))


def thread_count(wanted: int | None = None) -> int:
    """For a library without a choice of its own: `wanted`; None is what is usable, or less by OMP_NUM_THREADS."""
    if wanted is not None:
        return wanted
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # one number for each level of nesting
    usable = usable_threads()
    return min(int(asked), usable) if asked.isdigit() and int(asked) > 0 else usable


def set_threads(wanted: int | None) -> None:
    """Let torch use `wanted` threads; None lowers its own choice, or OMP_NUM_THREADS, to what is usable."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), usable_threads()) if wanted is None else wanted)


def _quota() -> int:
    """Cores that the control group at the root of a container's view allows, rounded up; 2^20 for no limit."""
    quotas = {
        _CGROUP / "cpu.max": None,
        _CGROUP / "cpu/cpu.cfs_quota_us": _CGROUP / "cpu/cpu.cfs_period_us",
    }
    for path, period in quotas.items():
        try:
            words = path.read_text(encoding="ascii").split()
            words += [] if period is None else period.read_text(encoding="ascii").split()
            if float(words[0]) > 0 and float(words[1]) > 0:
                return math.ceil(float(words[0]) / float(words[1]))
        except (OSError, ValueError, IndexError):  # no such file, or "max" for no limit
            continue
    return 2**20
