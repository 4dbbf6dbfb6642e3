"""Ctrl-C and SIGTERM at any moment: no half file, no temporary file, no photo lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from resharp.cli.console import terminate_as_interrupt
from resharp.images.reading import read_photo
from sample_photos import scene

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".bmp")
# What the installed program runs. `python -m` would end itself by SIGINT, a shell's 130 too, where an interruption fell
# into exec() of text, as when a dataclass is made, though it was caught and the exit code is another.
_INSTALLED = "import sys; from resharp.__main__ import main; sys.exit(main())"

# Runs the program many times, each in a process of its own as users do, which begins with everything imported; a
# timer interrupts each somewhere, as Ctrl-C does. One thread: a pool of threads does not come through a fork.
_MANY = """
import json, os, random, signal, sys
from resharp.__main__ import main
from resharp.cli.main import run
times, folder, model = int(sys.argv[1]), sys.argv[2], sys.argv[3]
draw = random.Random(0)
words = ["deblur", folder + "/in", "-o", folder + "/out", "--model", model, "--force", "--overwrite", "--threads", "1"]
run(words)
sys.argv[1:] = words
codes = []
for _ in range(times):
    seconds = draw.uniform(0.001, 0.25)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            code = main()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:  # after the end
            code = 130
        os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos in every format, and their results of before."""
    (tmp_path / "in").mkdir()
    for i, suffix in enumerate(SUFFIXES):
        Image.fromarray(scene(90 + i, 70)).save(tmp_path / "in" / f"{i}{suffix}")
    return tmp_path


def check(folder: Path, before: dict[Path, bytes]) -> None:
    """Photos are as they were; every result is a whole picture; nothing else is there."""
    assert {path: path.read_bytes() for path in (folder / "in").iterdir()} == before
    assert not list(folder.rglob(".resharp-*"))
    for path in (folder / "out").glob("*") if (folder / "out").exists() else ():
        assert ".deblurred." in path.name
        assert read_photo(path).pixels.shape[0] == 70


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder / "in").iterdir()}


def test_interrupted_at_sixty_moments(folder, models):
    before = contents(folder)
    words = [sys.executable, "-c", _MANY, "60", str(folder), str(models["predictor"])]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=300)
    codes = json.loads(ran.stdout.splitlines()[-1])
    assert set(codes) <= {0, 130}, ran.stderr
    assert codes.count(130) > 10
    assert "Traceback" not in ran.stderr
    check(folder, before)
    assert len(list((folder / "out").iterdir())) == len(SUFFIXES)


@pytest.fixture
def usual_handlers():
    """Put back afterwards, whatever the test leaves."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_handlers")
def test_after_a_signal_while_handlers_are_put_back(monkeypatch):
    def interrupted(number, handler):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch, terminate_as_interrupt():
        patch.setattr(signal, "signal", interrupted)
    assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), terminate_as_interrupt() as came:
        signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGINT]


@pytest.mark.usefixtures("usual_handlers")
def test_a_run_within_another_leaves_its_handlers():
    with terminate_as_interrupt() as outer:
        with pytest.raises(KeyboardInterrupt), terminate_as_interrupt() as inner:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (outer, inner) == ([signal.SIGINT], [signal.SIGTERM])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def start(folder: Path, models) -> subprocess.Popen:
    words = [sys.executable, "-c", _INSTALLED, "deblur", str(folder / "in"), "-o", str(folder / "out"), "--force"]
    words += ["--model", str(models["predictor"]), "--steps", "30"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_the_first_result(folder, models, number):
    before = contents(folder)
    process = start(folder, models)
    assert "->" in process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode in (130, 0)  # 0: it was done already
    assert "Traceback" not in err
    assert err.splitlines()[-1] in ("resharp: interrupted", "restored 5, failed 0")
    check(folder, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_random_times_since_the_start(folder, models, number):
    before = contents(folder)
    started = time.monotonic()
    start(folder, models).communicate(timeout=120)
    whole = time.monotonic() - started
    draw = random.Random(int(number))
    for _ in range(15):
        process = start(folder, models)
        time.sleep(draw.uniform(0.1, whole))
        process.send_signal(number)
        process.communicate(timeout=120)
        # Before Python has come to the program the system's own way of ending it holds.
        assert process.returncode in (0, 1, 130, -number)
        check(folder, before)
