"""What the program says: results on standard output, everything else on standard error, a line each."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from resharp.errors import ResharpError, is_out_of_memory


def say(text: str) -> None:
    """A result, on standard output, at once even where that is a file or a pipe."""
    print(text, flush=True)


def note(text: str) -> None:
    """A remark or progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """A problem, on standard error, as one line under the program's name."""
    note(f"resharp: {' '.join(text.split())}")


def report_error(error: BaseException, *, debug: bool) -> None:
    """One line about `error`; with `debug`, the traceback before it."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    complain(describe(error))


def describe(error: BaseException) -> str:
    """The line for `error`: its own words where they are meant for users, else its type and words."""
    if isinstance(error, ResharpError):
        return str(error)
    if is_out_of_memory(error):
        return "not enough memory; close other programs, or give it less at once"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}; check the name, its permissions and the room on its disk"
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"unexpected error ({words}); run again with --debug for details"


def accept_any_file_name() -> None:
    """Let names that the terminal's encoding cannot show be printed escaped, and not end the run."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream put in place by others may not have it
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


class _Interrupt:
    """A handler of signals that keeps a list of those that came and raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.came: list[int] = []

    def __call__(self, number: int, frame: object) -> None:
        self.came.append(number)
        raise KeyboardInterrupt


@contextmanager
def terminate_as_interrupt() -> Iterator[list[int]]:
    """Within the block SIGTERM does what Ctrl-C does, so that files being written are removed.

    A handler that somebody else has put there stays, and outside of the main thread there is nothing to do.

    Yields:
        The signals that came, Ctrl-C's too: libraries in C may make an error of their own of an interruption.
    """
    interrupt = _Interrupt()
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in usual if main}
    # One of ours is there within another run, and where a signal came while an earlier run put the usual ones back.
    ours = {n: handler for n, handler in before.items() if handler is usual[n] or isinstance(handler, _Interrupt)}
    try:
        for number in ours:
            signal.signal(number, interrupt)
        yield interrupt.came
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


@contextmanager
def without_remarks_of_pillow() -> Iterator[None]:
    """Within the block Pillow's warnings of broken metadata are not shown: what matters is an error of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
