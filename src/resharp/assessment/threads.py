"""Parts of a picture, looked at by a few threads; the parts are the same for any number, and so is what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Found = TypeVar("Found")


def for_each(function: Callable[[Part], Found], parts: Iterable[Part], threads: int) -> list[Found]:
    """What `function` makes of every part, in order; numpy lets go of Python's lock while it computes.

    Args:
        threads: how many work at a time; with 1 none is started.
    """
    if threads <= 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(threads, thread_name_prefix="resharp-assessment") as pool:
        return list(pool.map(function, parts))
