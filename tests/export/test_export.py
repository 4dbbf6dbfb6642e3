"""Exported folders: complete, checked, and equal to torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ModelError, OutputError
from resharp.export.folder import export_model, new_folder
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.provenance import origin_of
from resharp.runtime.opening import open_graphs
from resharp.runtime.pictures import to_network
from resharp.serialization import Defaults, save_model
from tiny import TINY, awake

PICTURE = np.random.default_rng(0).random((2, 3, 21, 30), dtype=np.float32)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(folder, awake(ICDPM(TINY)), NoiseSchedule(), Defaults(steps=2))
    return folder


@pytest.fixture(scope="session")
def onnx(model, tmp_path_factory) -> Path:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path_factory.mktemp("export") / "onnx"
    export_model(DeblurPipeline.from_pretrained(model), origin_of(str(model)), "onnx", out)
    return out


@pytest.mark.parametrize("asked", [{}, {"output": "predictor"}, {"steps": 3, "samples": 2}], ids=str)
def test_onnx_gives_what_torch_gives_at_other_sizes(model, onnx, asked):
    theirs = DeblurPipeline.from_pretrained(model).restore(PICTURE, **asked).image.numpy()
    assert np.abs(open_graphs(onnx, "onnx").restore(PICTURE, **asked).image - theirs).max() < 1e-4


def test_the_program_runs_an_exported_folder_by_its_own_backend(onnx, tmp_path, capsys):
    from PIL import Image

    from resharp.cli.main import run

    Image.fromarray((PICTURE[0].transpose(1, 2, 0) * 255).astype(np.uint8)).save(tmp_path / "a.png")
    words = ["deblur", str(tmp_path / "a.png"), "--model", str(onnx), "--force", "--json"]
    assert run(words) == 0
    receipt = json.loads(capsys.readouterr().out)["results"][0]["receipt"]
    assert (receipt["backend"], receipt["torch"]) == ("onnx", None)
    assert run(["verify", str(tmp_path / "a.deblurred.png"), "--model", str(onnx)]) == 0
    assert "identical" in capsys.readouterr().out
    assert run([*words, "--overwrite", "--device", "cuda"]) == 1
    assert "runs on the CPU; leave out --device cuda" in capsys.readouterr().err


def test_an_export_says_what_it_was_made_from(model, onnx):
    said = json.loads((onnx / "export.json").read_text())
    assert said["weights_sha256"] == origin_of(str(model)).weights_sha256
    assert origin_of(str(onnx)).weights_sha256 == said["weights_sha256"]
    assert set(said["files"]) == {"guide.onnx", "predict.onnx", "denoise.onnx"}
    assert {path.name for path in onnx.iterdir()} == {
        *said["files"], "config.json", "scheduler_config.json", "export.json"
    }  # fmt: skip


def test_an_export_for_another_backend_or_without_a_file_is_refused(onnx, tmp_path):
    pytest.importorskip("openvino")
    with pytest.raises(ModelError, match="was exported for onnx; give --backend onnx"):
        open_graphs(onnx, "openvino")
    shutil.copytree(onnx, tmp_path / "copy")
    (tmp_path / "copy" / "predict.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="not a graph that ONNX Runtime can run"):
        open_graphs(tmp_path / "copy", "onnx").restore(PICTURE, output="predictor")
    (tmp_path / "copy" / "predict.onnx").unlink()
    with pytest.raises(ModelError, match="lacks 'predict.onnx'"):
        open_graphs(tmp_path / "copy", "onnx")


def test_a_folder_is_whole_or_absent_and_never_replaced_unasked(onnx, tmp_path):
    with pytest.raises(OutputError, match="--overwrite"), new_folder(onnx, overwrite=False):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    with pytest.raises(OutputError, match="choose another place"), new_folder(tmp_path / "mine", overwrite=True):
        pass

    def fails() -> None:
        with new_folder(tmp_path / "new", overwrite=False) as folder:
            (folder / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


def test_int8_is_smaller_close_and_said(model, onnx, tmp_path):
    from resharp.export.int8 import open_networks, quantise

    pipeline = DeblurPipeline.from_pretrained(model)
    floats: list = []

    def to_int8(folder: Path) -> None:
        floats.append(open_networks(folder, pipeline.model.config))
        quantise(folder, floats[0], [PICTURE[:1], PICTURE[1:]])

    out = tmp_path / "int8"
    assert export_model(pipeline, origin_of(str(model)), "onnx", out, to_int8=to_int8).precision == "int8"
    ours, exact = (open_graphs(each, "onnx") for each in (out, onnx))
    assert ours.precision == "int8"
    assert (out / "predict.onnx").read_bytes().count(b"QuantizeLinear") > 4
    off = np.abs(ours.restore(PICTURE, output="predictor").image - exact.restore(PICTURE, output="predictor").image)
    assert 0 < off.max() < 0.1


def test_openvino_int8_is_smaller_and_close(model, onnx, tmp_path):
    for module in ("openvino", "nncf"):
        pytest.importorskip(module)
    from resharp.export.graphs import read_openvino, write_openvino
    from resharp.export.int8 import open_networks, quantise

    for name in ("guide", "predict"):
        write_openvino(read_openvino(onnx / f"{name}.onnx"), tmp_path / f"{name}.xml")
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    pipeline = DeblurPipeline.from_pretrained(model)
    config = pipeline.model.config
    floats = open_networks(tmp_path, config, "openvino")
    quantise(tmp_path, floats, [PICTURE[:1], PICTURE[1:]], "openvino")
    assert {path.name for path in tmp_path.iterdir()} == set(before)
    assert (tmp_path / "predict.bin").stat().st_size < 0.6 * before["predict.bin"]
    y = to_network(PICTURE, config.size_multiple)
    with torch.no_grad():
        exact = pipeline.model.predict(torch.from_numpy(y), pipeline.model.guide(torch.from_numpy(y))).numpy()
    ours = open_networks(tmp_path, config, "openvino")
    assert 1e-4 < np.abs(ours.predict(y, ours.guide(y)) - exact).max() < 0.2
    # What was opened before is still float32: the loss is measured against it.
    assert np.abs(floats.predict(y, floats.guide(y)) - exact).max() < 1e-4


@pytest.mark.slow
def test_openvino_gives_what_torch_gives(model, tmp_path):
    pytest.importorskip("openvino")
    pipeline = DeblurPipeline.from_pretrained(model)
    export_model(pipeline, origin_of(str(model)), "openvino", tmp_path / "out")
    for asked in ({}, {"output": "predictor"}):
        ours = open_graphs(tmp_path / "out", "openvino").restore(PICTURE, **asked)
        assert np.abs(ours.image - pipeline.restore(PICTURE, **asked).image.numpy()).max() < 1e-3


@pytest.mark.slow
def test_programs_of_torch_give_the_predictor(model, tmp_path):
    pipeline = DeblurPipeline.from_pretrained(model)
    export_model(pipeline, origin_of(str(model)), "torch", tmp_path / "out")
    guide, predict = (torch.export.load(tmp_path / "out" / f"{name}.pt2").module() for name in ("guide", "predict"))
    y = torch.rand(1, 3, 24, 40) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(predict(y, *guide(y)), pipeline.model.predict(y, pipeline.model.guide(y)), atol=1e-5)
