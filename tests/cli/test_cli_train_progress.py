"""What training shows: lines in a pipe, a bar with them on a terminal."""

from __future__ import annotations

import sys

from resharp.cli.train_progress import watched


def test_lines_only_where_there_is_no_terminal(capsys):
    with watched(10) as (report, on_step):
        on_step(3, 12.5)
        report("step 3/10")
    assert capsys.readouterr().out == "step 3/10\n"


def test_a_process_that_is_not_the_first_is_silent(capsys):
    with watched(10, quiet=True) as (report, on_step):
        on_step(3, 12.5)
        report("step 3/10")
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_speed_time_and_memory(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with watched(10) as (report, on_step):
        on_step(3, 12.5)
        report("step 3/10  [a] file [b]")
    shown = capsys.readouterr().out
    assert "step 3/10  [a] file [b]" in shown, "brackets in a line are not markup"
    assert "3/10" in shown
    assert "12.5 crops/s" in shown
    assert " GB" in shown
