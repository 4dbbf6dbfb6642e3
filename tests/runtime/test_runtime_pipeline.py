"""The shipped model by ONNX Runtime and OpenVINO against torch, and the program without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.errors import ConfigError, ModelError, OutputError
from resharp.hub import locate_model
from resharp.model_files import read_config
from resharp.models.icdpm import ICDPM
from resharp.models.sizes import size
from resharp.pipeline import DeblurPipeline
from resharp.runtime.exported import shipped_graphs, weight_shapes
from resharp.runtime.networks import graph_inputs
from resharp.runtime.opening import open_graphs
from resharp.runtime.pictures import Moments, turned, turned_back
from resharp.runtime.ready_weights import FILE, weights_of, write_weights

pytest.importorskip("onnxruntime")
EXAMPLE = Path(__file__).parents[2] / "examples" / "blurry.jpg"
CASES = {
    "predictor": {},
    "ensemble": {"ensemble": 4},
    "samples": {"steps": 3, "samples": 2, "seed": 5},
    "ddpm": {"steps": 4, "sampler": "ddpm"},
    "unipc": {"steps": 4, "sampler": "unipc"},
    "fidelity": {"steps": 2, "fidelity": 0.4},
    "input": {"output": "input"},
}


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((1, 3, 37, 50), dtype=np.float32)


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def both(request) -> tuple:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return open_graphs(locate_model(None), request.param), DeblurPipeline.from_pretrained()


@pytest.mark.parametrize("case", CASES)
def test_pictures_are_those_of_torch(both, picture, case):
    ours, theirs = (pipeline.restore(picture, **CASES[case]) for pipeline in both)
    assert ours.settings == theirs.settings
    assert ours.image.shape == picture.shape
    assert np.abs(ours.image - theirs.image.numpy()).max() < 1e-4
    assert (ours.spread is None) == (theirs.spread is None)
    if ours.spread is not None:
        assert np.abs(ours.spread - theirs.spread.numpy()).max() < 1e-4


def test_same_seed_same_bytes_and_another_seed_another_picture(both, picture):
    first, again, other = (both[0].restore(picture, steps=2, seed=seed).image for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_steps_previews_and_samples_are_told(both, picture):
    steps, previews, samples = [], [], []
    both[0].restore(
        picture,
        steps=2,
        samples=2,
        on_step=lambda done, n: steps.append((done, n)),
        on_preview=previews.append,
        on_sample=lambda i, sample: samples.append(i),
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(each.shape == picture.shape for each in previews)
    assert samples == [0, 1]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("count", [1, 2])
def test_samples_drawn_together_are_those_drawn_alone(both, picture, sampler, count):
    """Of one picture and of two; the sides are such that no sample's numbers are a multiple of 16."""
    asked = {"steps": 2, "samples": 3, "sampler": sampler, "seed": 4}
    pictures = np.concatenate([picture, picture[..., ::-1]])[:count]
    found: dict[int, list] = {1: [], 2: []}
    for batch, samples in found.items():
        made = both[0].restore(
            pictures, batch=batch, on_sample=lambda i, each, to=samples: to.append((i, each)), **asked
        )
        assert made.batch == batch
    for (i, alone), (j, together) in zip(*found.values(), strict=True):
        assert (i, together.shape) == (j, pictures.shape)
        assert np.abs(together - alone).max() < 1e-5
    assert np.abs(found[1][0][1] - found[1][1][1]).max() > 1e-3
    theirs = both[1].restore(pictures, batch=2, **asked)
    assert np.abs(made.image - theirs.image.numpy()).max() < 1e-4


def test_steps_and_previews_of_samples_drawn_together(both, picture):
    steps, previews = [], []
    watching = {"on_step": lambda done, n: steps.append((done, n)), "on_preview": previews.append}
    both[0].restore(picture, steps=2, samples=3, batch=2, **watching)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(each.shape == picture.shape for each in previews)


def test_graphs_are_there_for_the_shipped_sizes_alone():
    for name in ("default", "one-step"):
        assert shipped_graphs(read_config(locate_model(name))[0].model) is not None
    assert shipped_graphs(size("msgd-s")) is None


def test_what_cannot_be_is_refused(models_folder):
    with pytest.raises(ModelError, match="has no onnx graphs; make them with `resharp export onnx"):
        open_graphs(models_folder, "onnx")
    pipeline = open_graphs(locate_model(None), "onnx")
    with pytest.raises(ConfigError, match="steps is 0"):
        pipeline.choose(steps=0)
    with pytest.raises(ConfigError, match="batch is 0; allowed: 1 to 1000"):
        pipeline.restore(np.zeros((1, 3, 8, 8), np.float32), batch=0)


@pytest.fixture
def models_folder(tmp_path) -> Path:
    """A model of a size that no graphs come for."""
    from resharp.diffusion.schedule import NoiseSchedule
    from resharp.models.icdpm import ICDPM
    from resharp.serialization import Defaults, save_model
    from tiny import TINY, awake

    save_model(tmp_path / "tiny", awake(ICDPM(TINY)), NoiseSchedule(), Defaults())
    return tmp_path / "tiny"


def test_orientations_and_moments_are_those_of_torch(picture):
    for orientation in range(8):
        assert np.array_equal(turned_back(turned(picture, orientation), orientation), picture)
    rng, moments = np.random.default_rng(1), Moments()
    samples = rng.random((5, 1, 3, 4, 4), dtype=np.float32)
    for sample in samples:
        moments.add(sample)
    assert np.allclose(moments.result(None, None), samples.mean(axis=0), atol=1e-6)
    deviation = torch.from_numpy(samples).std(dim=0).mean(dim=1, keepdim=True)
    assert np.allclose(moments.spread(), deviation.numpy(), atol=1e-6)


def test_the_program_deblurs_without_torch_and_the_result_is_verified(tmp_path):
    """In a process of its own, since this one has torch."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(EXAMPLE.read_bytes())
    code = """
import sys
from resharp.cli.main import run
code = run(["deblur", sys.argv[1], "--backend", sys.argv[2], "--json", "--device", "cpu"])
print("torch" in sys.modules, code, file=sys.stderr)
"""
    for backend in ("onnx", "auto"):
        result = tmp_path / "photo.deblurred.jpg"
        result.unlink(missing_ok=True)
        words = [sys.executable, "-c", code, str(photo), backend]
        ran = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ})
        assert ran.stderr.splitlines()[-1] == "False 0", ran.stderr
        receipt = json.loads(ran.stdout)["results"][0]["receipt"]
        assert (receipt["backend"], receipt["torch"], receipt["precision"]) == ("onnx", None, "float32")
    from resharp.cli.verification import verify_result

    verdict = verify_result(result, None, None, "auto", None)
    assert (verdict.verdict, verdict.verified) == ("identical", True)
    assert set(verdict.made_with) == {"resharp", "onnx", "device"}


def test_ready_graphs_know_the_tensors_of_their_models():
    """Those that a network of this configuration has, and the shipped models hold."""
    from safetensors import safe_open

    for name in ("default", "one-step"):
        folder = locate_model(name)
        config = read_config(folder)[0].model
        shapes = weight_shapes(shipped_graphs(config))
        with torch.device("meta"):
            assert shapes == {key: tuple(value.shape) for key, value in ICDPM(config).state_dict().items()}
        with safe_open(folder / "model.safetensors", framework="numpy") as file:
            assert set(file.keys()) == set(shapes)


def test_graphs_look_for_weights_where_they_are_written(tmp_path):
    """As onnx reads them, every graph has the tensors of the model's own file."""
    onnx = pytest.importorskip("onnx")
    from safetensors.numpy import load_file

    folder = locate_model(None)
    config = read_config(folder)[0].model
    ready, stored = shipped_graphs(config), load_file(folder / "model.safetensors")
    weights = {key: value.astype(np.float32) for key, value in stored.items()}
    for name in graph_inputs(config):
        write_weights(name, weights, tmp_path)
        (tmp_path / f"{name}.onnx").write_bytes((ready / f"{name}.onnx").read_bytes())
        found = {each.name: each for each in onnx.load(tmp_path / f"{name}.onnx").graph.initializer}
        mine = weights_of(name, weights)
        assert set(mine) <= set(found)
        for key, value in mine.items():
            assert np.array_equal(onnx.numpy_helper.to_array(found[key]), value)
        assert (tmp_path / FILE).stat().st_size == 4 * sum(value.size for value in mine.values())


def test_no_room_for_the_weights_is_told(monkeypatch):
    pytest.importorskip("openvino")

    pipeline = open_graphs(locate_model(None), "openvino")
    pipeline.release()
    monkeypatch.setattr("resharp.runtime.ready_weights.FILE", "missing/deeper")
    with pytest.raises(OutputError, match="weights cannot be put there for a moment .No such file or directory.; make"):
        pipeline.restore(np.zeros((1, 3, 16, 16), np.float32))
