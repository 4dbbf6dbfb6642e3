"""Methods timed in processes of their own: programs, a made-up spandrel, the shipped model; limits; the table."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image

from resharp.analysis.speed_figure import draw_speeds
from resharp.bench.limited_process import Limits, run_to_end
from resharp.bench.peer_runs import CommandMethod, NetworkMethod, OwnMethod, Run, in_turns
from resharp.bench.peer_table import csv_rows, markdown, rows_of
from resharp.bench.photographs import write_photograph
from resharp.bench.timed_calls import NotMeasuredError
from resharp.errors import ConfigError

LIMITS = Limits(threads=1, seconds=120, memory_bytes=None)
ABOUT = {"processor": "a processor", "threads": 2, "model": "default", "repeats": 3}
COPY = "import shutil, sys, time; time.sleep({pause}); shutil.copy(sys.argv[1], sys.argv[2])"


def small(path: Path) -> None:
    write_photograph(path, 64, 64)


@pytest.fixture
def picture(tmp_path):
    write_photograph(tmp_path / "picture.png", 96, 64)
    return tmp_path / "picture.png"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def command(name: str, code: str) -> CommandMethod:
    return CommandMethod.of(f"{name}={shlex.join([*python(code), '{input}', '{output}'])}")


def runs_of(methods, picture, repeats=1, once_above_s=60.0, limits=LIMITS) -> list[Run]:
    with Image.open(picture) as image:
        size = image.size
    return list(in_turns(methods, {size: picture}, limits, repeats, once_above_s, small))


def test_a_photograph_has_the_size_asked_for(tmp_path):
    write_photograph(tmp_path / "a.png", 80, 70)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.size, image.mode) == ((80, 70), "RGB")


def test_a_process_is_timed_and_its_memory_seen(tmp_path):
    hold = "import time; held = b'1' * 100_000_000; time.sleep(0.5)"
    seconds, peak = run_to_end(python(hold), tmp_path, LIMITS)
    assert 0.5 < seconds < 60
    assert 100_000_000 < peak < 400_000_000


def test_a_child_of_the_process_counts_too(tmp_path):
    hold = "import time; held = b'1' * 100_000_000; time.sleep(1)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    assert run_to_end(python(outer), tmp_path, LIMITS)[1] > 100_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits what a process may hold")
def test_memory_beyond_the_limit_is_not_given(tmp_path):
    with pytest.raises(NotMeasuredError, match="not enough memory"):
        run_to_end(python("b'1' * 1_000_000_000"), tmp_path, Limits(1, 60, 300_000_000))


def test_what_takes_too_long_is_ended_with_its_children(tmp_path):
    mark = tmp_path / "alive"
    child = f"import pathlib, time; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(NotMeasuredError, match="took more than 1 s"):
        run_to_end(python(outer), tmp_path, Limits(1, 1, None))
    run_to_end(python("import time; time.sleep(3.5)"), tmp_path, LIMITS)
    assert not mark.exists()


def test_a_process_that_fails_is_told_by_its_last_words(tmp_path):
    with pytest.raises(NotMeasuredError, match=r"ended with code 3 \(no weights\)"):
        run_to_end(python("import sys; print('no weights', file=sys.stderr); sys.exit(3)"), tmp_path, LIMITS)


def test_a_program_is_timed_without_its_start(picture):
    # It sleeps for half a second on the small picture, and for two on the other.
    pause = "2 if b'picture' in sys.argv[1].encode() else 0.5"
    (run,) = runs_of([command("copies", COPY.format(pause=pause))], picture)
    assert run.failed is None
    assert run.seconds[0] == pytest.approx(1.5, abs=0.7)
    assert run.figures["start_s"] > 0.5


@pytest.mark.parametrize(
    ("code", "says"), [("pass", "wrote no picture"), ("import sys; sys.exit('no GPU')", "ended with code 1 (no GPU)")]
)
def test_a_program_that_makes_nothing_is_no_figure(picture, code, says):
    (run,) = runs_of([command("fails", code)], picture, repeats=2)
    assert (run.seconds, run.failed) == ((), says)


def test_methods_take_turns_and_long_ones_come_once(picture):
    slow = command("slow", COPY.format(pause="0.6 if b'picture' in sys.argv[1].encode() else 0"))
    fast = command("fast", COPY.format(pause="0"))
    names = [run.method for run in runs_of([slow, fast], picture, repeats=2, once_above_s=0.3)]
    assert names[:2] == ["slow", "fast"]
    assert names.count("slow") == 1


def test_the_shipped_model_is_timed_and_counted(picture):
    runs = runs_of([OwnMethod("default", "standard"), OwnMethod("default", "best")], picture)
    standard, best = (run.figures for run in runs)
    assert all(0 < seconds < 60 for run in runs for seconds in run.seconds)
    # The best is the same network over 8 orientations.
    assert best["multiply_adds"] == 8 * standard["multiply_adds"] > 0
    assert 2_000_000 < standard["parameters"] < 4_000_000
    assert standard["peak_bytes"] > 50_000_000
    assert standard["settings"] == "predictor"


FAKE = {
    "__init__.py": """
import torch

__version__ = "0.0"


class Descriptor:
    def __init__(self, model):
        self.model = model

    def eval(self):
        return self

    def __call__(self, image):
        return self.model(image)


class ModelLoader:
    def load_from_state_dict(self, state):
        from spandrel.architectures.NAFNet import NAFNet

        model = NAFNet()
        model.load_state_dict(state)
        return Descriptor(model)
""",
    "architectures/__init__.py": "",
    "architectures/NAFNet.py": """
import torch


class NAFNet(torch.nn.Conv2d):
    def __init__(self, **sizes):
        super().__init__(3, 3, 3, padding=1)
""",
}


@pytest.fixture
def peer_python(tmp_path, monkeypatch):
    for name, text in FAKE.items():
        path = tmp_path / "packages/spandrel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    return sys.executable


def test_a_network_of_another_environment_is_timed_and_counted(picture, peer_python):
    (run,) = runs_of([NetworkMethod("NAFNet-64", peer_python)], picture)
    assert run.failed is None
    assert run.figures["multiply_adds"] == 64 * 96 * 3 * 3 * 9
    assert run.figures["parameters"] == 3 * 3 * 9 + 3
    assert run.figures["versions"].startswith("spandrel 0.0, torch")


def test_a_network_that_is_not_there_is_no_figure(picture, peer_python):
    (run,) = runs_of([NetworkMethod("Restormer", peer_python)], picture)
    assert "spandrel_extra_arches" in run.failed


def test_an_environment_without_spandrel_is_no_figure(picture, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (run,) = runs_of([NetworkMethod("NAFNet-64", sys.executable)], picture)
    assert run.failed == "has no spandrel"


@pytest.mark.parametrize("text", ["maxim", "maxim=", "=run {input}", "maxim=run", "maxim=no-such-program {input}"])
def test_words_that_are_no_program(text):
    with pytest.raises(ConfigError, match="--peer-command"):
        CommandMethod.of(text)


RUNS = [
    Run("resharp standard", (64, 48), (2.0, 1.0, 3.0), {"peak_bytes": 10**9, "multiply_adds": 5 * 10**9}),
    Run("other", (64, 48), (8.0,), {"peak_bytes": 3 * 10**9, "cpu_share": 0.5, "start_s": 1.5}),
    Run("large", (64, 48), (), {}, "not enough memory"),
    Run("resharp standard", (64, 48), (4.0,), {"peak_bytes": 2 * 10**9}),
    Run("other", (1280, 720), (80.0,), {}),
]


def test_the_table_has_medians_of_medians_and_ratios():
    rows = {(row.size, row.method): row for row in rows_of(RUNS)}
    ours, other = rows["64x48", "resharp standard"], rows["64x48", "other"]
    assert (ours.seconds, ours.least_s, ours.most_s, ours.runs, ours.ratio) == (3.0, 2.0, 4.0, 2, 1.0)
    assert ours.peak_bytes == 2 * 10**9
    assert other.ratio == pytest.approx(8 / 3)
    assert rows["1280x720", "other"].ratio is None
    assert rows["64x48", "large"].why == "not enough memory"
    text = markdown(list(rows.values()), ABOUT)
    assert "| 64x48 | resharp standard | 3 | 2: 2 to 4 | 1 | 2.00 | 5.0 | - |" in text
    assert "| 64x48 | large | not measured: not enough memory |" in text
    assert "less the 1.5 s" in text
    assert "1 rows had less than 85% of the cores" in text
    heading, lines = csv_rows(list(rows.values()))
    assert [line[heading.index("seconds")] for line in lines] == [3.0, 8.0, "", 80.0]


def test_the_figure_is_drawn_also_where_nothing_was_measured(tmp_path):
    rows = [row.__dict__ for row in rows_of(RUNS)]
    paths = draw_speeds(rows, tmp_path / "speed")
    assert [path.name for path in paths] == ["speed.png", "speed.pdf"]
    with Image.open(paths[0]) as image:
        assert image.size[0] > 1000
    draw_speeds([{"size": "64x48", "method": "large", "seconds": None, "why": "not enough memory"}], tmp_path / "none")
