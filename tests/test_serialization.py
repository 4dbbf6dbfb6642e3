"""Model folders: strict on what they hold, clear on what is wrong."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ModelError
from resharp.hub import locate_model
from resharp.serialization import Defaults, load_model, save_model


@pytest.fixture
def folder(tiny_model, tmp_path):
    save_model(tmp_path / "model", tiny_model, NoiseSchedule(train_steps=500), Defaults(steps=7))
    return tmp_path / "model"


def test_round_trip_is_exact(folder, tiny_model):
    model, schedule, defaults = load_model(folder)
    assert model.config == tiny_model.config
    assert schedule == NoiseSchedule(train_steps=500)
    assert defaults == Defaults(steps=7)
    for name, value in tiny_model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert not model.training


def test_half_precision_is_widened_on_loading(tiny_model, tmp_path):
    save_model(tmp_path / "half", tiny_model, NoiseSchedule(), Defaults(), dtype=torch.float16)
    model, _, _ = load_model(tmp_path / "half")
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, tiny_model.state_dict()[name], rtol=1e-3, atol=1e-6)


def edit_json(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_weights(path, change):
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def test_unknown_key_is_named_with_the_nearest_known_one(folder):
    edit_json(folder / "config.json", lambda data: data["model"]["denoiser"].update(width=[8]))
    with pytest.raises(ModelError, match=r"config.json: model: denoiser: unknown key 'width'; did you mean 'widths'"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "scheduler_config.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01.", b"{", b"\xff" * 64, b"[" * 100_000])
def test_missing_or_foreign_files_are_refused_by_name(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load_model(folder)


def test_truncated_weights_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("denoiser.stem.weight"), "lacks the tensor 'denoiser.stem.weight'"),
        (lambda w: w.update(other=torch.zeros(1)), "beyond what its configuration describes"),
        (lambda w: w.update({"denoiser.stem.weight": torch.zeros(2, 2)}), "has shape"),
        (lambda w: w["denoiser.stem.weight"].fill_(float("nan")), "not finite"),
    ],
)
def test_weights_of_another_model_are_refused(folder, change, words):
    edit_weights(folder / "model.safetensors", change)
    with pytest.raises(ModelError, match=words):
        load_model(folder)


@pytest.mark.parametrize("source", ["no/such/folder/here", "nonsense", "../up"])
def test_what_is_neither_folder_nor_hub_id_is_refused(source):
    with pytest.raises(ModelError, match="no such folder"):
        locate_model(source)


def test_hub_failures_become_one_line(monkeypatch):
    import huggingface_hub

    def unreachable(*_args, **_options):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"^someone/model: .*no route to host\)$"):
        locate_model("someone/model")


def test_hub_models_load_from_their_snapshot_without_other_files(monkeypatch, folder):
    import huggingface_hub

    asked = {}

    def snapshot(name, allow_patterns):
        asked.update(name=name, patterns=allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert locate_model("someone/model") == folder
    assert asked["name"] == "someone/model"
    assert not any("bin" in pattern or "pt" in pattern or "*" in pattern for pattern in asked["patterns"])
