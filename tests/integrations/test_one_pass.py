"""Models of resharp as one file and one call; and through spandrel itself where that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from resharp import DeblurPipeline
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.serialization import Defaults

FOLDER = Path(__file__).parents[2] / "integrations" / "spandrel"


@pytest.fixture
def one_pass(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import resharp_one_pass

    yield resharp_one_pass
    for name in ("resharp_one_pass", "resharp_spandrel"):
        sys.modules.pop(name, None)


@pytest.fixture(params=["predictor", "diffusion"])
def pipeline(tiny_model, request):
    return DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(output=request.param, steps=1))


def picture() -> torch.Tensor:
    return torch.rand(2, 3, 21, 34, generator=torch.Generator().manual_seed(0))


def test_the_file_holds_all_that_is_needed(one_pass, pipeline, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(one_pass.OnePass(pipeline).state_dict(), path)
    loaded = one_pass.OnePass.from_state_dict(load_file(path))
    assert torch.equal(loaded(picture()), pipeline.restore(picture()).image)
    assert loaded.used == pipeline.defaults.preset()
    assert torch.equal(loaded(picture()), loaded(picture()))


@pytest.mark.parametrize("settings", [{"steps": 2}, {"steps": 1, "samples": 2}, {"output": "input"}])
def test_several_passes_are_refused(one_pass, tiny_model, settings):
    with pytest.raises(ConfigError, match="not one pass"):
        one_pass.OnePass(DeblurPipeline(tiny_model, NoiseSchedule(), Defaults(**settings)))


@pytest.mark.parametrize("model", ["default", "one-step"])
def test_shipped_models_are_one_pass(one_pass, model, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    monkeypatch.setattr(sys, "argv", ["resharp_one_pass.py", model, str(path)])
    one_pass.main()
    loaded = one_pass.OnePass.from_state_dict(load_file(path))
    expected = DeblurPipeline.from_pretrained(model).restore(picture()).image
    assert torch.equal(loaded(picture()), expected)


def test_spandrel_loads_the_file(one_pass, pipeline, tmp_path):
    spandrel = pytest.importorskip("spandrel")
    import resharp_spandrel  # noqa: F401 - it registers itself

    path = tmp_path / "model.safetensors"
    save_file(one_pass.OnePass(pipeline).state_dict(), path)
    descriptor = spandrel.ModelLoader().load_from_file(path)
    assert (descriptor.architecture.id, descriptor.scale, descriptor.purpose) == ("resharp", 1, "Restoration")
    assert torch.equal(descriptor(picture()[:1]), pipeline.restore(picture()[:1]).image)
