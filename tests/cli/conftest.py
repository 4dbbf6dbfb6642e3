"""The program called in this process, a tiny model on disk, and photos made from arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.cli.main import run
from resharp.diffusion.schedule import NoiseSchedule
from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig
from resharp.models.icdpm import ICDPM
from resharp.serialization import Defaults, save_model

_UNET = UNetConfig(widths=(8, 8), encoder_blocks=1, decoder_blocks=2, middle_blocks=1)


@dataclass(frozen=True)
class Ran:
    """What a call of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """Standard error, which must be one line that begins with the program's name."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("resharp: ")
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def resharp(capsys):
    """Call the program with these words."""

    def call(*words: object) -> Ran:
        capsys.readouterr()
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


def _save(folder: Path, output: str, *, predictor: bool = True) -> Path:
    config = ModelConfig(
        guidance=GuidanceConfig(features=4, width=4, blocks=1, scales=(1,)),
        denoiser=_UNET,
        predictor=_UNET if predictor else None,
        prediction_type="x0",
        patch_size=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ICDPM(config)
        with torch.no_grad():
            for parameter in model.parameters():  # heads start at zero; these must do something
                parameter += 0.05 * torch.randn(parameter.shape)
    save_model(folder, model, NoiseSchedule(), Defaults(output=output, steps=2))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    """Model folders by what their default is, and "plain", which has no predictor. Copy before changing one."""
    place = tmp_path_factory.mktemp("models")
    saved = {output: _save(place / output, output) for output in ("diffusion", "predictor", "input")}
    return saved | {"plain": _save(place / "plain", "diffusion", predictor=False)}


@pytest.fixture
def model(models) -> Path:
    """The model whose default is diffusion."""
    return models["diffusion"]


def make_photo(path: Path, width: int = 40, height: int = 28, **options: object) -> Path:
    """A smooth colour picture in the format of the suffix."""
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack([across * 255 / width, down * 255 / height, (across + down) % 64 * 3], axis=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


@pytest.fixture
def photo(tmp_path):
    """Make a photo of this name below the test's folder."""
    return lambda name, **options: make_photo(tmp_path / name, **options)


@pytest.fixture
def files(tmp_path):
    """The names of all files below the test's folder, temporary ones included."""
    return lambda: {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def calibration(tmp_path_factory) -> Path:
    """A folder of two sharp photos, large enough for the synthesiser's margins."""
    folder = tmp_path_factory.mktemp("calibration")
    for name, width in (("a.png", 150), ("b.png", 130)):
        make_photo(folder / name, width=width, height=120)
    return folder


@pytest.fixture(scope="session")
def int8(models, calibration, tmp_path_factory) -> Path:
    """The model whose default is the predictor, exported for ONNX Runtime in int8."""
    for module in ("onnxruntime", "onnxscript"):
        pytest.importorskip(module)
    out = tmp_path_factory.mktemp("int8") / "exported"
    words = ["export", "onnx", models["predictor"], out, "--int8", "--calibrate", calibration]
    assert run([str(word) for word in words]) == 0
    return out
