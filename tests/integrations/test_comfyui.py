"""The ComfyUI folder, loaded as ComfyUI loads it, its nodes called with tensors as ComfyUI calls them."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import types
from pathlib import Path

import pytest
import torch

from resharp import DeblurPipeline
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.serialization import Defaults

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
PRIMITIVES = {"INT": int, "FLOAT": float, "STRING": str}


@pytest.fixture(scope="module")
def nodes():
    """As load_custom_node of ComfyUI's nodes.py: the folder as a module whose name is its path."""
    name = str(FOLDER).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    for each in [each for each in sys.modules if each.startswith(name)]:
        del sys.modules[each]


@pytest.fixture
def pipeline(tiny_model):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output="predictor", steps=2))


def inputs_of(node) -> dict[str, tuple]:
    types_of = node.INPUT_TYPES()
    return {**types_of["required"], **types_of.get("optional", {})}


def defaults_of(node) -> dict[str, object]:
    """What ComfyUI passes for a node nobody has touched."""
    return {
        name: kind[1]["default"] for name, kind in inputs_of(node).items() if len(kind) > 1 and "default" in kind[1]
    }


@pytest.fixture
def deblur(nodes, pipeline):
    """The second node with its defaults, and what is replaced."""
    node = nodes.NODE_CLASS_MAPPINGS["ResharpDeblur"]

    def call(image, **replaced):
        return getattr(node(), node.FUNCTION)(**{**defaults_of(node), "model": pipeline, "image": image, **replaced})

    return call


def pictures(batch: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, 30, 41, channels, generator=torch.Generator().manual_seed(1))


def test_every_node_is_what_comfyui_expects(nodes):
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in nodes.NODE_CLASS_MAPPINGS.values():
        assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
        assert isinstance(node.CATEGORY, str)
        parameters = list(inspect.signature(getattr(node, node.FUNCTION)).parameters)[1:]
        assert parameters == list(inputs_of(node))
        for kind, *options in inputs_of(node).values():
            default = options[0].get("default") if options else None
            if isinstance(kind, list):
                assert default in kind
            elif kind in PRIMITIVES:
                assert type(default) is PRIMITIVES[kind]
                assert options[0].get("min", default) <= default <= options[0].get("max", default)


def test_pictures_come_back_as_the_pipeline_makes_them(deblur, pipeline):
    image = pictures()
    restored, spread = deblur(image)
    assert restored.shape == image.shape
    assert restored.dtype == image.dtype
    expected = pipeline.restore(image[1:].permute(0, 3, 1, 2)).image.permute(0, 2, 3, 1)
    assert torch.equal(restored[1:], expected)
    assert not torch.equal(restored, image)
    assert torch.equal(spread, torch.zeros(2, 30, 41))


def test_the_spread_is_a_mask(deblur, pipeline):
    image = pictures()
    _, spread = deblur(image, samples=3, seed=5)
    assert spread.shape == (2, 30, 41)
    expected = pipeline.restore(image[:1].permute(0, 3, 1, 2), samples=3, seed=5).spread
    assert torch.equal(spread[:1], expected[:, 0])
    assert float(spread.min()) >= 0
    assert float(spread.max()) > 0


def test_settings_reach_the_model(deblur):
    image = pictures(1)
    assert torch.equal(deblur(image, fidelity=1.0)[0], deblur(image)[0])
    assert not torch.equal(deblur(image, fidelity=0.0)[0], deblur(image)[0])
    assert not torch.equal(deblur(image, steps=3)[0], deblur(image, steps=1)[0])
    assert not torch.equal(deblur(image, steps=2, seed=1)[0], deblur(image, steps=2)[0])
    assert torch.equal(deblur(image, steps=2, seed=1)[0], deblur(image, steps=2, seed=1)[0])
    assert not torch.equal(deblur(image, quality="best")[0], deblur(image)[0])


def test_a_fourth_channel_is_kept_and_strange_values_do_not_stop_it(deblur):
    image = pictures(1, channels=4)
    image[..., 0] += 0.5
    restored, _ = deblur(image)
    assert torch.equal(restored[..., 3], image[..., 3])
    assert float(restored[..., :3].max()) <= 1


def test_progress_and_interruption(deblur, monkeypatch):
    """With stand-ins for the two modules of ComfyUI that are asked."""
    shown, wanted = [], []

    class Bar:
        def __init__(self, total):
            self.total = total

        def update_absolute(self, value):
            shown.append(value / self.total)

    def throw():
        if wanted:
            raise KeyboardInterrupt

    management = types.SimpleNamespace(throw_exception_if_processing_interrupted=throw)
    monkeypatch.setitem(sys.modules, "comfy", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "comfy.utils", types.SimpleNamespace(ProgressBar=Bar))
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)
    deblur(pictures(), steps=2)
    assert shown == [0.25, 0.5, 0.75, 1.0]
    wanted.append(True)
    with pytest.raises(KeyboardInterrupt):
        deblur(pictures(), steps=2)


def test_the_first_node_loads_and_complains(nodes, pipeline, tmp_path):
    node = nodes.NODE_CLASS_MAPPINGS["ResharpLoadModel"]
    load = getattr(node(), node.FUNCTION)
    pipeline.save_pretrained(tmp_path / "model")
    (loaded,) = load(str(tmp_path / "model"), "cpu")
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded.restore(image).image, pipeline.restore(image).image)
    assert load(**defaults_of(node) | {"device": "cpu"})[0].model.parameter_count() > 2_000_000
    with pytest.raises(ModelError, match="nowhere"):
        load("nowhere", "cpu")
    with pytest.raises(ConfigError, match="device"):
        load("default", "abacus")


def test_the_workflow_fits_the_nodes(nodes):
    workflow = json.loads((FOLDER / "workflow_api.json").read_text(encoding="utf-8"))
    ours = [each for each in workflow.values() if each["class_type"] in nodes.NODE_CLASS_MAPPINGS]
    assert {each["class_type"] for each in ours} == set(nodes.NODE_CLASS_MAPPINGS)
    for each in ours:
        kinds = inputs_of(nodes.NODE_CLASS_MAPPINGS[each["class_type"]])
        assert each["inputs"].keys() == kinds.keys()
        for name, value in each["inputs"].items():
            if isinstance(value, list):
                source = workflow[value[0]]["class_type"]
                node = nodes.NODE_CLASS_MAPPINGS.get(source)
                assert node is None or node.RETURN_TYPES[value[1]] == kinds[name][0]
            elif isinstance(kinds[name][0], list):
                assert value in kinds[name][0]
            else:
                assert type(value) is PRIMITIVES[kinds[name][0]]
