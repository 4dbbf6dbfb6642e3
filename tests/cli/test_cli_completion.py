"""Completion in the shell: what bash asks of the program and what it gets, and that it costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv = ['resharp'] + sys.argv[1:]; from resharp.cli.main import run; sys.exit(run())"


def completed(line: str) -> list[str]:
    """What the program offers for the last word of a line, by the protocol of bash."""
    asked = {"_RESHARP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    environment = {**os.environ, **asked}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("resharp deb", ["deblur"]),
        ("resharp analyze pd", ["pd-curve"]),
        ("resharp deblur --qual", ["--quality"]),
        ("resharp deblur photo.jpg --quality best --fid", ["--fidelity"]),
        ("resharp deblur photo", []),  # bash's own completion of files takes over
        ("resharp sharpen", []),
    ],
)
def test_words_are_completed(line, offers):
    assert completed(line) == offers


def test_the_script_for_bash_completes_in_bash(tmp_path):
    """The printed script is sourced, and its function called as bash calls it on TAB."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tmp_path / "resharp").write_text(f'#!/bin/sh\nexec {sys.executable} -m resharp "$@"\n')
    (tmp_path / "resharp").chmod(0o755)
    show = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "_RESHARP_COMPLETE": "source_bash"}
    script = subprocess.run([tmp_path / "resharp"], capture_output=True, text=True, env=show, timeout=60).stdout
    (tmp_path / "script").write_text(script)
    test = f". {tmp_path / 'script'}; complete -p resharp; COMP_WORDS=(resharp deb); COMP_CWORD=1; "
    test += "_resharp_completion resharp; echo ${COMPREPLY[@]}"
    del show["_RESHARP_COMPLETE"]
    ran = subprocess.run([bash, "-c", test], capture_output=True, text=True, env=show, timeout=60)
    assert ran.stdout.split()[-1] == "deblur", ran.stderr
    assert "-o default" in ran.stdout


def test_help_offers_it_and_completing_imports_nothing_heavy(resharp):
    assert "--install-completion" in resharp("--help").out
    code = "import os; os.environ.update(_RESHARP_COMPLETE='complete_bash', COMP_WORDS='resharp deb', COMP_CWORD='1')\n"
    code += "import sys\nfrom resharp.cli.main import run\n"
    code += "try:\n    run([])\nexcept SystemExit:\n    pass\n"
    code += "print([m for m in ('torch', 'diffusers', 'PIL', 'numpy', 'rich') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines() == ["deblur", "[]"], ran.stderr
