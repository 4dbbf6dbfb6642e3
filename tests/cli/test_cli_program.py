"""The program as a whole: help, version, and every kind of error as one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import resharp.cli.plan
from resharp import __version__


def test_version_and_help_answer_without_torch():
    code = (
        "import sys; from resharp.cli.main import run\n"
        "assert run(['--version']) == 0 and run(['deblur', '--help']) == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"resharp {__version__}\n")
    assert "--final-variance" in ran.stdout


def test_module_runs_and_the_line_is_the_same(tmp_path, model):
    words = [sys.executable, "-m", "resharp", "deblur", str(tmp_path / "none.jpg"), "--model", str(model)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == f"resharp: {tmp_path / 'none.jpg'}: no such file; check the name\n"


def test_reader_that_leaves_early_is_no_error(model):
    words = f"{sys.executable} -m resharp info {model} --json | true"
    ran = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=120)
    assert ran.stderr == ""


def test_without_a_command_help_is_printed(resharp):
    ran = resharp()
    assert ran.code == 0
    for command in ("deblur", "info", "train", "gate"):
        assert command in ran.out


@pytest.mark.parametrize(
    "words", [["blur"], ["deblur"], ["deblur", "a.jpg", "--step", "x"], ["deblur", "a.jpg", "--sted", "3"]]
)
def test_usage_errors_are_one_line_and_exit_2(resharp, words):
    ran = resharp(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert "; see resharp" in ran.line


def test_an_unexpected_error_is_one_line(resharp, photo, model, monkeypatch):
    def broken(*_args, **_options):
        raise KeyError("a bug\nof two lines")

    monkeypatch.setattr(resharp_plan(), "plan", broken)
    words = ["deblur", photo("a.png"), "--model", model]
    ran = resharp(*words)
    assert ran.code == 1
    assert ran.line.startswith("resharp: unexpected error (KeyError: ")
    assert ran.line.endswith("; run again with --debug for details")
    debugged = resharp(*words, "--debug")
    assert debugged.code == 1
    assert "Traceback" in debugged.err
    assert "in broken" in debugged.err


def test_interrupting_leaves_nothing_behind(resharp, photo, model, monkeypatch, files):
    source = photo("a.png")

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("resharp.pipeline.DeblurPipeline.restore", interrupted)
    ran = resharp("deblur", source, "--model", model)
    assert ran.code == 130
    assert ran.line == "resharp: interrupted"
    assert files() == {"a.png"}


def test_interrupting_the_encoder_leaves_no_half_file(resharp, photo, model, monkeypatch, files):
    source = photo("a.png")

    def interrupted(path, _):
        with path.open("wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_bytes", interrupted)
    ran = resharp("deblur", source, "--model", model)
    assert ran.code == 130
    assert files() == {"a.png"}


def test_names_that_the_terminal_cannot_show_do_not_end_the_run(tmp_path, photo, model):
    source = photo("a.png").rename(tmp_path / "\udcff é.png")
    words = [sys.executable, "-m", "resharp", "deblur", str(source), "--part", "predictor", "--model", str(model)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "\udcff é.deblurred.png").is_file()


def test_debug_shows_where_a_known_error_came_from(resharp, model):
    ran = resharp("deblur", "none.jpg", "--model", model, "--debug")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1] == "resharp: none.jpg: no such file; check the name"


def test_json_of_a_run_that_could_not_start(resharp, photo):
    ran = resharp("deblur", photo("a.png"), "--model", "/no/such/folder", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["error"] in ran.line


def resharp_plan():
    """The module, whose name the `resharp` fixture hides."""
    return resharp.cli.plan


def test_interrupted_while_the_program_is_imported(monkeypatch, capsys):
    from resharp import __main__ as entry

    def interrupted(argv=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("resharp.cli.main.run", interrupted)
    assert entry.main() == 130
    assert capsys.readouterr().err == "resharp: interrupted\n"


def test_an_error_of_the_system_names_the_file(resharp, photo, model, monkeypatch):
    def broken(*_args, **_options):
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(resharp_plan(), "plan", broken)
    ran = resharp("deblur", photo("a.png"), "--model", model)
    assert ran.line.startswith("resharp: /some/file: Permission denied; check the name")
