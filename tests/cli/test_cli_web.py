"""`resharp web` from the command line: what it refuses, what it says, what it leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("gradio", reason="the web extra is not installed")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--max-upload", "many"], "give a number with a unit, such as 50MB"),
        (["--timeout", "0"], "timeout_s is 0.0; allowed: above 0"),
        (["--model", "/no/such/folder"], "/no/such/folder: no such folder"),
    ],
)
def test_what_is_refused_is_one_line(resharp, words, line):
    ran = resharp("web", *words)
    assert ran.code == 1
    assert line in ran.line


def test_a_port_in_use_is_one_line_and_leaves_no_files(resharp, models, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = resharp("web", "--port", port, "--model", models["predictor"])
    assert ran.code == 1
    assert "cannot listen here" in ran.line
    assert list(tmp_path.glob("resharp-web-*")) == []


def test_without_the_extra_its_name_is_told(resharp, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'resharp[web]'" in resharp("web").line


def test_it_prints_its_address_warns_when_open_and_tidies_up(models, tmp_path):
    command = [sys.executable, "-m", "resharp", "web", "--host", "0.0.0.0", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        [*command, "--model", str(models["predictor"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert running.stdout.readline().startswith("http://0.0.0.0:")
        assert len(list(tmp_path.glob("resharp-web-*"))) == 1
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert said.splitlines() == [
        "resharp: 0.0.0.0 is open to others in the network, without a password and unencrypted",
        "resharp: interrupted",
    ]
    assert list(tmp_path.glob("resharp-web-*")) == []
