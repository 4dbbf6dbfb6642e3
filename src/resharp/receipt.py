"""A receipt: what a result was made from and how, so that anyone can make it again and compare."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resharp.errors import ConfigError, DataError, ImageError
from resharp.settings import from_dict, to_dict

# Receipts of pictures made in tiles, or of samples drawn together, say so, which earlier versions did not know.
WHOLE, TILED, BATCHED = 1, 2, 3
FORMAT = BATCHED
_BLOCK_BYTES = 1 << 20
_MOST_SAMPLES = 1000
_LONGEST_NAME = 255  # no file system in use has longer names


@dataclass(frozen=True)
class Origin:
    """The model behind a result.

    model: the name of a shipped model, a Hub id, or the name of a folder without those above it.
    weights_sha256: of its model.safetensors, in hexadecimal.
    """

    model: str
    weights_sha256: str


@dataclass(frozen=True)
class Receipt:
    """Everything a restoration depends on, and what came out. Digests are SHA-256 in hexadecimal.

    resharp: version. torch: version, None where torch had no part in it.
    device: "cpu", "cuda" or "mps".
    model, weights_sha256: see `Origin`.
    part: what made the picture.
    seed: None where nothing is drawn.
    settings: of that part, by their names in `Preset`: steps, samples, sampler and so on.
    guard: whether the result was held to what the photo supports.
    photo: the photo's file name, without its folder.
    photo_sha256: of the photo's file.
    pixels_sha256: of the result's samples before encoding; see `pixels_digest`.
    tile: the most that a tile measured, height and width in px; None where the picture was made as a whole.
    batch: the most samples drawn in one network call.
    backend: what ran the networks: "torch", "onnx" or "openvino". runtime: version of its library, None for torch.
    precision: of the networks: "float32" or "int8".
    format: grows when an older resharp could no longer understand a receipt.
    """

    resharp: str
    torch: str | None
    device: str
    model: str
    weights_sha256: str
    part: Literal["predictor", "diffusion", "input"]
    seed: int | None
    settings: dict  # type: ignore[type-arg]  # from_dict wants a plain type
    guard: bool
    photo: str
    photo_sha256: str
    pixels_sha256: str
    tile: tuple[int, ...] | None = None
    batch: int = 1
    backend: Literal["torch", "onnx", "openvino"] = "torch"
    runtime: str | None = None
    precision: Literal["float32", "int8"] = "float32"
    format: int = WHOLE

    def to_text(self) -> str:
        """Compact JSON in printable ASCII, the same for equal receipts."""
        data = to_dict(self)
        if self.tile is None:  # as the first version wrote it, and reads it
            del data["tile"]
        if self.batch == 1:
            del data["batch"]
        return json.dumps(data, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_text(cls, text: str, where: str) -> Receipt:
        """The inverse of `to_text`.

        Args:
            where: the file it was in, for errors.

        Raises:
            ImageError: it is cut short, changed beyond recognition, or of a newer resharp.
        """
        damaged = f"{where}: its receipt is damaged"
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ImageError(f"{damaged} or cut short; get the file as resharp wrote it") from error
        written = data.get("format") if isinstance(data, dict) else None
        if isinstance(written, int) and written > FORMAT:
            raise ImageError(f"{where}: its receipt is of a newer resharp; update resharp")
        try:
            receipt = from_dict(cls, data, damaged)
        except ConfigError as error:
            raise ImageError(str(error)) from error
        _check(receipt, damaged)
        return receipt

    def inputs(self) -> dict[str, Any]:
        """What decides the pixels, apart from the machine: equal for a result and for the same made again."""
        names = ("weights_sha256", "precision", "part", "seed", "settings", "guard", "photo_sha256")
        return {name: getattr(self, name) for name in names}


def pixels_digest(samples: np.ndarray) -> str:
    """SHA-256 of shape, depth and samples, (H, W, C) uint8 or uint16; two bytes a sample go low byte first."""
    digest = hashlib.sha256(f"{samples.shape} {samples.dtype.name}\n".encode())
    digest.update(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, read in pieces.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); check the name and its permissions") from error
    return digest.hexdigest()


def _check(receipt: Receipt, damaged: str) -> None:
    """A receipt comes from a file that anyone may have made: its name must not lead out of a folder."""
    name = receipt.photo
    plain = 0 < len(name) <= _LONGEST_NAME and Path(name).name == name and not set(name) & set("/\\\0")
    if not plain or name in (".", ".."):
        raise ImageError(f"{damaged}: {name[:80]!r} is no file name")
    if receipt.tile is not None and (len(receipt.tile) != 2 or not all(1 <= side <= 10**6 for side in receipt.tile)):
        raise ImageError(f"{damaged}: tile is {receipt.tile}; it must be a height and a width")
    if not 1 <= receipt.batch <= _MOST_SAMPLES:
        raise ImageError(f"{damaged}: batch is {receipt.batch}; allowed: 1 to {_MOST_SAMPLES}")
    if receipt.seed is not None and not 0 <= receipt.seed < 2**48:
        raise ImageError(f"{damaged}: seed is {receipt.seed}; allowed: 0 to 2^48 - 1")
    for field in ("weights_sha256", "photo_sha256", "pixels_sha256"):
        digest = getattr(receipt, field)
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ImageError(f"{damaged}: {field} is no SHA-256")
