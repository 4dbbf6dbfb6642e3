"""The progress bar: nothing for short work or logs, a bar for long work on a terminal."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr

import pytest

from resharp import progress
from resharp.progress import progress_after_a_second


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_short_work_shows_nothing(terminal):
    with redirect_stderr(terminal), progress_after_a_second("[odd] {name}") as on_step:
        on_step(1, 2)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("report", [True, False])
def test_long_work_shows_a_bar_even_when_no_step_is_reported(terminal, report):
    with redirect_stderr(terminal), progress_after_a_second("[odd] {name}") as on_step:
        if report:
            on_step(1, 2)
        time.sleep(0.3)
    assert "[odd] {name}" in terminal.getvalue()


def test_logs_get_no_bar(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with redirect_stderr(log), progress_after_a_second("work") as on_step:
        time.sleep(0.1)
        on_step(1, 1)
    assert log.getvalue() == ""


def test_an_error_inside_comes_through(terminal):
    def fail() -> None:
        with redirect_stderr(terminal), progress_after_a_second("work"):
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
