"""Libraries that run graphs: found, broken, out of memory, interrupted, and silent about their use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resharp.errors import ConfigError, ModelError
from resharp.runtime.opened import Graphs, library

# As ONNX Runtime 1.32 and OpenVINO 2026.4 put it.
MEMORY_WORDS = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Name:'conv2d_2_nchwc' "
    "Status Message: bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 4734976\n",
    "Exception from src/core/src/runtime/allocator.cpp:79:\nstd::bad_alloc\n",
    "Could not allocate memory",
)
FILES = {"guide": Path("guide.onnx")}


def test_a_library_that_is_missing_or_broken_is_told_apart(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"--backend onnx needs Runner: pip install 'resharp\[onnx\]'"):
        library("no_such_library", "Runner", "onnx")
    monkeypatch.syspath_prepend(tmp_path)
    for name, code, says in (
        ("broken_one", "import no_such_part", "ModuleNotFoundError: No module named 'no_such_part'"),
        ("broken_two", "raise OSError('libx.so: wrong\\nELF class')", "OSError: libx.so: wrong ELF class"),
    ):
        (tmp_path / f"{name}.py").write_text(code)
        with pytest.raises(ConfigError) as caught:
            library(name, "Runner", "onnx")
        assert f"Runner is installed and cannot be loaded ({says})" in str(caught.value)
        assert f"pip install --force-reinstall {name}" in str(caught.value)


def test_a_graph_is_read_once_and_gets_contiguous_arrays():
    read = []

    def open_graph(name, path):
        read.append((name, path))
        return lambda inputs: [inputs["y"]]

    graphs = Graphs(FILES, open_graph, "Runner")
    y = np.arange(6, dtype=np.float32).reshape(2, 3).T
    for _ in range(2):
        (answer,) = graphs("guide", {"y": y})
        assert answer.flags.c_contiguous
        assert np.array_equal(answer, y)
    assert read == [("guide", FILES["guide"])]


def test_a_file_that_cannot_be_read_is_told_in_a_line_and_tried_again():
    def open_graph(name, path):
        raise RuntimeError("no\n  graph at all" + "!" * 500)

    graphs = Graphs(FILES, open_graph, "Runner")
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            graphs("guide", {})
        line = str(caught.value)
        assert line.startswith("guide.onnx: not a graph that Runner can run (no graph at all!!")
        assert line.endswith("); export again, or update Runner")
        assert len(line) < 300


@pytest.mark.parametrize("where", ["opening", "running"])
@pytest.mark.parametrize(("words", "memory"), [(words, True) for words in MEMORY_WORDS] + [("no such node", False)])
def test_what_libraries_say_when_memory_runs_out_is_a_memory_error(where, words, memory):
    class OwnError(Exception):
        """ONNX Runtime's errors are no RuntimeErrors."""

    def fail(*_):
        raise OwnError(words)

    graphs = Graphs(FILES, fail if where == "opening" else lambda name, path: fail, "Runner")
    expected = MemoryError if memory else ModelError if where == "opening" else OwnError
    with pytest.raises(expected):
        graphs("guide", {})


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_onnx_runtime_out_of_memory_is_a_memory_error():
    """Its own error, in a process that may take no more than it has."""
    pytest.importorskip("onnxruntime")
    code = """
import resource, numpy as np
from resharp.hub import locate_model
from resharp.runtime.opening import open_graphs
networks = open_graphs(locate_model(None), "onnx", 1).networks
networks.guide(np.zeros((1, 3, 64, 64), np.float32))
y = np.zeros((1, 3, 1536, 1536), np.float32)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 20_000_000,) * 2)
try:
    networks.predict(y, networks.guide(y))
except MemoryError as error:
    print(type(error.__cause__).__module__)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "onnxruntime.capi.onnxruntime_pybind11_state", ran.stdout + ran.stderr
    assert ran.stderr == ""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_an_interruption_is_heard_while_a_graph_runs():
    """In a process of its own, where Ctrl-C means what it means to the program."""
    pytest.importorskip("onnxruntime")
    code = """
import signal, threading
from pathlib import Path
import numpy as np, onnxruntime
from resharp.runtime.onnx_graphs import onnx_graphs

ended = threading.Event()

class Endless:  # runs until it is told to stop, as ONNX Runtime asks before each node
    def __init__(self, *_args, **_options):
        pass
    def run(self, outputs, inputs, options):
        for _ in range(3000):
            if options.terminate:
                ended.set()
                raise RuntimeError("Exiting due to terminate flag being set to true.")
            ended.wait(0.01)

onnxruntime.InferenceSession = Endless
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    onnx_graphs({"guide": Path("guide.onnx")})("guide", {"y": np.zeros(3)})
except KeyboardInterrupt:
    print("interrupted", ended.is_set())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["interrupted", "True"]


def test_openvino_says_nothing_to_anybody(tmp_path):
    """Of itself it reports its import, and keeps files for that in the home folder."""
    pytest.importorskip("openvino")
    code = """
import sys
from resharp.runtime.openvino_graphs import openvino
openvino()
import openvino.tools.ovc as ovc
print("openvino_telemetry" in sys.modules, type(ovc.telemetry).__module__)
"""
    silent = ("CI", "TF_BUILD", "JENKINS_URL")
    environment = {key: value for key, value in os.environ.items() if key not in silent} | {"HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.split() == ["False", "openvino.tools.ovc.telemetry_stub"]
    assert not (tmp_path / "intel").exists()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_an_interruption_after_two_models_of_openvino_does_no_harm(tmp_path):
    """Two cores, gone in the order in which they came, left the process without a place to handle signals in."""
    pytest.importorskip("openvino")
    code = """
import gc, signal, sys, time
from pathlib import Path
import numpy as np
from resharp.runtime.openvino_graphs import openvino, openvino_graphs

ov, file = openvino(), Path(sys.argv[1]) / "guide.xml"
y = ov.op.Parameter(ov.Type.f32, ov.PartialShape([-1]))
y.output(0).set_names({"y"})
ov.save_model(ov.Model([ov.opset13.relu(y)], [y], "relu"), str(file), compress_to_fp16=False)
opened = [openvino_graphs({"guide": file}, threads=1) for _ in range(2)]
for graphs in opened:
    print(graphs("guide", {"y": np.array([-1, 2], np.float32)})[0].tolist())
while opened:
    del graphs, opened[0]
    graphs = None
    gc.collect()
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""
    words = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(words, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.split("\n")) == (0, ["[0.0, 2.0]"] * 2 + ["interrupted", ""]), ran.stderr
