"""`resharp deblur --backend`: what the default takes, and that it is no worse off than torch was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from resharp.cli.backends import load_pipeline
from resharp.hub import locate_model
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import write_photo
from resharp.serialization import Defaults, save_defaults
from resharp.task import Task

pytest.importorskip("onnxruntime")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="session")
def shipped_copy(tmp_path_factory):
    """The shipped model in a folder, diffusion its default: a model of the size that graphs come for."""
    folder = tmp_path_factory.mktemp("fast") / "fast"
    shutil.copytree(locate_model(None), folder)
    save_defaults(folder, Defaults(output="diffusion", steps=2))
    return folder


@pytest.fixture
def folder(shipped_copy, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(shipped_copy, tmp_path / "model")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr("resharp.cli.backends._may_have_gpu", lambda: False)


def made(resharp, *words):
    """Exit code, what was made of it, and its receipt's backend."""
    ran = resharp("deblur", *words, "--json")
    assert ran.code == 0, ran.err
    (result,) = json.loads(ran.out)["results"]
    return result, result["receipt"]["backend"]


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_the_default_is_onnx_runtime_where_the_model_has_graphs(shipped_copy, model):
    assert load_pipeline(None, "auto", "auto").backend == "onnx"
    assert load_pipeline("one-step", "auto", "cpu").backend == "onnx"
    assert load_pipeline(str(shipped_copy), "auto", "auto").backend == "onnx"
    assert load_pipeline(str(model), "auto", "auto").backend == "torch"


@pytest.mark.parametrize("task", [Task(("low resolution",), 2), Task(("holes",))], ids=lambda task: task.words)
def test_models_that_enlarge_or_fill_holes_stay_with_torch(folder, task):
    change_config(folder, task={"restores": list(task.restores), "scale": task.scale})
    assert load_pipeline(str(folder), "auto", "cpu").backend == "torch"


def test_a_model_of_another_damage_takes_graphs(folder):
    change_config(folder, task={"restores": ["noise"]})
    assert load_pipeline(str(folder), "auto", "cpu").backend == "onnx"


def test_where_a_gpu_may_be_torch_is_asked(monkeypatch):
    monkeypatch.setattr("resharp.cli.backends._may_have_gpu", lambda: True)
    assert load_pipeline(None, "auto", "auto").backend == "torch"
    assert load_pipeline(None, "auto", "cpu").backend == "onnx"


def test_a_device_of_torch_is_torchs(resharp, photo, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ran = resharp("deblur", photo("a.png"), "--device", "cuda")
    assert ran.code == 1
    assert "device 'cuda' is not available here" in ran.line


def without_onnxruntime(monkeypatch, tmp_path, code):
    """As if another onnxruntime were installed, or with code None none at all."""
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    if code is None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        return
    (tmp_path / "site" / "onnxruntime").mkdir(parents=True)
    (tmp_path / "site" / "onnxruntime" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "site")


def test_openvino_runs_the_ready_graphs_too(resharp, photo, monkeypatch, tmp_path):
    pytest.importorskip("openvino")
    source, words = photo("a.png"), ("--force", "--part", "predictor", "--output")
    made(resharp, source, *words, tmp_path / "torch.png", "--backend", "torch")
    without_onnxruntime(monkeypatch, tmp_path, None)
    for way in ([], ["--backend", "openvino", "--overwrite"]):  # the one that is installed is the default
        _, backend = made(resharp, source, *words, tmp_path / "openvino.png", *way)
        assert backend == "openvino"
        assert np.abs(pixels(tmp_path / "openvino.png") - pixels(tmp_path / "torch.png")).max() <= 1


def test_without_onnx_runtime_nothing_is_said(resharp, photo, monkeypatch, tmp_path):
    without_onnxruntime(monkeypatch, tmp_path, None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    words = ["deblur", photo("a.png"), "--force", "--part", "predictor"]
    assert resharp(*words).err == resharp(*words, "--backend", "torch", "--overwrite").err
    ran = resharp(*words, "--backend", "onnx", "--overwrite")
    assert ran.line == "resharp: --backend onnx needs ONNX Runtime: pip install 'resharp[onnx]'"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ImportError('libonnxruntime.so: cannot open')", "ImportError: libonnxruntime.so: cannot open"),
        ("__version__ = '1.0'", "disable_telemetry_events"),
    ],
    ids=["broken", "ancient"],
)
def test_an_installation_that_does_not_work_is_told_and_torch_takes_over(
    resharp, photo, monkeypatch, tmp_path, code, says
):
    without_onnxruntime(monkeypatch, tmp_path, code)
    source = photo("a.png")
    ran = resharp("deblur", source, "--force", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["results"][0]["receipt"]["backend"] == "torch"
    assert says in ran.err.splitlines()[0]
    assert ran.err.splitlines()[0].endswith("; torch runs the model instead")
    assert resharp("deblur", source, "--force", "--overwrite", "--backend", "onnx").code == 1


def test_a_graph_that_this_version_cannot_run_is_told_too(resharp, photo, monkeypatch):
    import onnxruntime

    def refuse(*_args, **_options):
        raise RuntimeError("Unsupported model IR version: 10, max supported IR version: 9")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    ran = resharp("deblur", photo("a.png"), "--force", "--json")
    assert json.loads(ran.out)["results"][0]["receipt"]["backend"] == "torch"
    assert "guide.onnx: not a graph that ONNX Runtime can run (Unsupported model IR version" in ran.err


WAYS = {
    "nothing": [],
    "predictor": ["--part", "predictor"],
    "best": ["--quality", "best"],
    "draft": ["--quality", "draft"],
    "standard": ["--quality", "standard"],
    "ensemble": ["--ensemble", 2],
    "samples": ["--samples", 2, "--seed", 3],
    "batch": ["--samples", 3, "--batch", 2],
    "ddpm": ["--sampler", "ddpm", "--steps", 3],
    "unipc": ["--sampler", "unipc", "--steps", 3],
    "ddim": ["--sampler", "ddim", "--steps", 2, "--final-variance", 0.3],
    "fidelity": ["--fidelity", 0.5],
    "fidelity and ensemble": ["--fidelity", 0.4, "--ensemble", 2],
    "fidelity 1": ["--fidelity", 1],
    "memory": ["--memory", "30GB"],
    "threads": ["--threads", 2, "--part", "predictor"],
    "cpu": ["--device", "cpu", "--part", "predictor"],
    "no receipt": ["--no-receipt", "--part", "predictor"],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_default_gives_what_torch_gives(resharp, photo, shipped_copy, tmp_path, way):
    source, found = photo("a.png"), {}
    for backend in ("auto", "torch"):
        words = ["-o", tmp_path / f"{backend}.png", "--model", shipped_copy, "--force", "--json", *WAYS[way]]
        ran = resharp("deblur", source, *words, *([] if backend == "auto" else ["--backend", backend]))
        assert ran.code == 0, ran.err
        (result,) = json.loads(ran.out)["results"]
        receipt = result.pop("receipt")
        if receipt is not None:
            assert receipt["backend"] == ("onnx" if backend == "auto" else "torch")
        for name in ("seconds", "output", "trust", "assessment"):
            result.pop(name)
        found[backend] = result, ran.err
    assert found["auto"] == found["torch"]
    assert np.abs(pixels(tmp_path / "auto.png") - pixels(tmp_path / "torch.png")).max() <= 1
    assert np.abs(pixels(tmp_path / "auto.png") - pixels(source)).max() > 1


def test_the_spread_is_that_of_torch(resharp, photo, shipped_copy, tmp_path):
    source = photo("a.png")
    for backend in ("onnx", "torch"):
        words = ["--samples", 3, "--spread", tmp_path / f"{backend}-spread.png", "-o", tmp_path / f"{backend}.png"]
        ran = resharp("deblur", source, "--model", shipped_copy, "--force", "--backend", backend, *words)
        assert "spread over 3 samples; white is" in ran.out
    ours, theirs = (pixels(tmp_path / f"{backend}-spread.png") for backend in ("onnx", "torch"))
    assert ours.max() == 255
    assert np.abs(ours - theirs).max() <= 1


BAD_OPTIONS = [
    ["--steps", 0],
    ["--seed", -1],
    ["--sampler", "euler"],
    ["--fidelity", 2],
    ["--ensemble", 8, "--steps", 2],
    ["--memory", "much"],
    ["--memory", "1MB"],
    ["--skip-done", "--no-receipt"],
    ["--device", "abacus"],
]


@pytest.mark.parametrize("words", BAD_OPTIONS, ids=str)
def test_what_cannot_be_is_refused_in_torchs_words(resharp, photo, shipped_copy, files, words):
    source = photo("a.png")
    lines = []
    for backend in ([], ["--backend", "torch"]):
        ran = resharp("deblur", source, "--model", shipped_copy, "--force", *words, *backend)
        assert ran.code == 1
        lines.append(" ".join(word for word in ran.line.split() if not word[0].isdigit()))  # what is held varies
    assert lines[0] == lines[1]
    assert files() == {"a.png"}


def spoil_bytes(path):
    path.write_bytes(path.read_bytes()[:2000])


def spoil_shape(path):
    weights = load_file(path)
    name = sorted(weights)[0]
    save_file({**weights, name: torch.zeros(1, 2, 3)}, path)


def spoil_names(path):
    weights = load_file(path)
    save_file({f"x{name}": value for name, value in weights.items()}, path)


def spoil_one(path):
    """A tensor that only training reads."""
    weights = load_file(path)
    del weights[next(name for name in sorted(weights) if name.startswith("guidance.heads"))]
    save_file(weights, path)


def spoil_numbers(path):
    weights = load_file(path)
    weights[sorted(weights)[-1]].view(-1)[-1] = float("nan")
    save_file(weights, path)


def spoil_type(path):
    weights = load_file(path)
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name].to(torch.int64)}, path)


SPOILT = [spoil_bytes, spoil_shape, spoil_names, spoil_one, spoil_numbers, spoil_type]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda each: each.__name__)
def test_spoilt_weights_are_refused_in_the_same_line(resharp, photo, folder, spoil):
    spoil(folder / WEIGHTS)
    lines = set()
    for backend in ("auto", "torch", "onnx"):
        ran = resharp("deblur", photo("a.png"), "--model", folder, "--backend", backend)
        assert ran.code == 1
        assert str(folder / WEIGHTS) in ran.line
        lines.add(ran.line)
    assert len(lines) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_are_those_of_torch(resharp, photo, folder, tmp_path, dtype):
    save_file({name: value.to(dtype) for name, value in load_file(folder / WEIGHTS).items()}, folder / WEIGHTS)
    for backend in ("onnx", "torch"):
        words = ["--model", folder, "--backend", backend, "-o", tmp_path / f"{backend}.png", "--force"]
        _, used = made(resharp, photo("a.png"), *words)
        assert used == backend
    assert np.abs(pixels(tmp_path / "onnx.png") - pixels(tmp_path / "torch.png")).max() <= 1


@pytest.mark.parametrize("first", ["torch", "onnx"])
def test_a_result_of_another_backend_is_the_same_work(resharp, photo, shipped_copy, tmp_path, first):
    words = ["deblur", photo("a.png"), "--model", shipped_copy, "--skip-done", "--json"]
    assert json.loads(resharp(*words, "--backend", first).out)["restored"] == 1
    before = (tmp_path / "a.deblurred.png").stat().st_mtime_ns
    for backend in ("auto", "onnx", "torch"):
        assert json.loads(resharp(*words, "--backend", backend).out)["skipped"] == 1
    assert json.loads(resharp(*words, "--seed", 1).out)["failed"] == 1
    assert (tmp_path / "a.deblurred.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
def test_a_result_is_verified_by_the_backend_that_made_it(resharp, photo, shipped_copy, tmp_path, backend):
    made(resharp, photo("a.png"), "--model", shipped_copy, "--force", "--backend", backend)
    found = json.loads(resharp("verify", tmp_path / "a.deblurred.png", "--model", shipped_copy, "--json").out)
    assert (found["verdict"], found["verified"]) == ("identical", True)
    assert backend in found["made_with"]


def test_a_receipt_from_before_there_were_backends_is_torchs(resharp, photo, shipped_copy, tmp_path):
    result = tmp_path / "a.deblurred.png"
    made(resharp, photo("a.png"), "--model", shipped_copy, "--force", "--backend", "torch")
    receipt = json.loads(read_receipt(result))
    for name in ("backend", "runtime", "precision"):
        del receipt[name]
    write_photo(read_photo(result), result, receipt_for=lambda samples: json.dumps(receipt))
    found = json.loads(resharp("verify", result, "--model", shipped_copy, "--json").out)
    assert (found["verdict"], list(found["checked_with"])) == ("identical", ["resharp", "torch", "device"])


def test_threads_reach_the_library(monkeypatch):
    import onnxruntime

    asked, original = [], onnxruntime.InferenceSession

    def session(path, options, **others):
        asked.append(options.intra_op_num_threads)
        return original(path, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for threads in (3, None):
        load_pipeline(None, "auto", "cpu", threads)
    assert asked == [3, 1]
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_what_is_done_is_skipped_without_torch(photo, shipped_copy):
    code = """
import sys
from resharp.cli.main import run
code = run(["deblur", *sys.argv[1:], "--skip-done", "--device", "cpu"])
print("torch" in sys.modules, code)
"""
    for last in ("restored 1", "skipped 1"):
        words = [sys.executable, "-c", code, str(photo("a.png")), "--model", str(shipped_copy)]
        ran = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ})
        assert ran.stdout.splitlines()[-1] == "False 0", ran.stderr
        assert "restored 1" not in last or "->" in ran.stdout


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_memory_that_runs_out_names_the_photo_and_the_remedy(resharp, photo, monkeypatch, files, backend):
    def fail(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(type(load_pipeline(None, backend, "cpu")), "restore", fail)
    ran = resharp("deblur", photo("a.png"), "--force", "--backend", backend)
    assert ran.line.endswith("a.png: not enough memory for 40x28; give a smaller picture")
    assert files() == {"a.png"}


def test_compile_is_torchs_and_needs_a_compiler(resharp, photo, monkeypatch):
    compiled = []
    monkeypatch.setattr("torch.nn.Module.compile", lambda self, **how: compiled.append((type(self).__name__, how)))
    monkeypatch.setattr("resharp.compiling._check_compiler", lambda: None)
    source = photo("a.png")
    assert made(resharp, source, "--force", "--compile")[1] == "torch"
    assert [how for _, how in compiled] == [{"dynamic": True}] * 3  # guidance, predictor, denoiser
    monkeypatch.undo()
    monkeypatch.setenv("CXX", "no-such-compiler")
    for words, says in {
        "--compile": "torch.compile needs a C++ compiler, and there is no no-such-compiler here",
        "--compile --backend onnx": "--compile is torch's; leave out it or --backend onnx",
        "--compile --engine ray": "--compile is for this process; leave out it or --engine ray",
    }.items():
        ran = resharp("deblur", source, "--force", "--overwrite", *words.split())
        assert (ran.code, says in ran.line) == (1, True)
