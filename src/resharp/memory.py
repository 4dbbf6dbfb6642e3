"""How much memory there is, how much is in use, and amounts in words. Plain Python: torch is not needed to ask."""

from __future__ import annotations

import re
from pathlib import Path

from resharp.errors import ConfigError

# What the rest of the system may come to need while a picture is made.
HEADROOM = 0.2
# Of a limit that is to be kept, what estimates may be wrong by.
_RESERVE = 0.1
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def parse_bytes(text: str) -> int:
    """An amount of memory such as "2GB", "1.5 GiB", "800m" or "2000000000", in bytes.

    Raises:
        ConfigError: it is no amount above 0.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?)b?\s*", text.lower())
    if found is None or (found[3] and not found[2]):
        raise ConfigError(f"memory is {text!r}; give an amount such as 2GB or 800MB")
    amount = int(float(found[1]) * (_BINARY if found[3] else _UNITS)[found[2]])
    if amount < 1:
        raise ConfigError(f"memory is {text!r}; it must be above 0")
    return amount


def in_words(amount: float) -> str:
    """Bytes as "2.4 GB" or "310 MB"."""
    return f"{amount / 1e9:.1f} GB" if amount >= 0.95e9 else f"{max(1, round(amount / 1e6))} MB"


def free_bytes() -> int:
    """Main memory that can still be taken, also by the limits of a container this process is in."""
    return max(0, min(_system_free(), *_container_free()))


def resident_bytes() -> int:
    """Main memory that this process holds."""
    status = _numbers(_PROC / "self/status")
    if "VmRSS" in status:
        return status["VmRSS"] * 1024
    import psutil

    return psutil.Process().memory_info().rss


def spare_bytes(limit: int | None) -> float:
    """Main memory that may be taken on top of what is held.

    Args:
        limit: the most that this process may hold; None is what is free, less a fifth.
    """
    if limit is None:
        return free_bytes() * (1 - HEADROOM)
    return (limit - resident_bytes()) * (1 - _RESERVE)


def _system_free() -> int:
    found = _numbers(_PROC / "meminfo")
    if "MemAvailable" in found:
        return found["MemAvailable"] * 1024
    import psutil

    return psutil.virtual_memory().available


def _container_free() -> list[int]:
    """Limit less use of each control group with a limit that this process is in: of version 2, then 1."""
    found = []
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, used, cached = _CGROUP, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, used = _CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cached = "total_inactive_file"
        else:
            continue
        # A limit anywhere above holds too. Inside a container the path may be the host's, and only the root there.
        place = root / path.lstrip("/")
        for folder in [place, *place.parents]:
            if folder != root and root not in folder.parents:
                break
            room = _room(folder / limit, folder / used, folder / "memory.stat", cached)
            found += [] if room is None else [room]
    return found or [2**63]


def _room(limit: Path, used: Path, stat: Path, cached: str) -> int | None:
    """None where there is no limit."""
    try:
        most, taken = limit.read_text(encoding="ascii").strip(), int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    if not most.isdigit() or int(most) >= 2**60:
        return None
    # Files that were read and are not in use count as used, and are given up when memory is wanted.
    return int(most) - max(0, taken - _numbers(stat).get(cached, 0))


def _numbers(path: Path) -> dict[str, int]:
    """Lines such as "MemAvailable:  1234 kB" or "inactive_file 1234"; {} where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    words = (line.replace(":", " ").split() for line in lines)
    return {each[0]: int(each[1]) for each in words if len(each) >= 2 and each[1].isdigit()}
