"""A line of progress for each image, for commands that work through sets of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resharp.cli.console import note

# What is being done, how many are done, how many there are, and a name.
OnImage = Callable[[str, int, int, str], None]


@contextmanager
def image_progress() -> Iterator[OnImage]:
    """On standard error, a line for each image; on a terminal, one that is written over."""
    shown = sys.stderr.isatty()

    def on_image(what: str, done: int, total: int, name: str) -> None:
        line = f"{what}: {done}/{total} {name}"
        if shown:
            print(f"\r\x1b[2K{line[:100]}", end="", file=sys.stderr, flush=True)
        else:
            note(line)

    try:
        yield on_image
    finally:
        if shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
