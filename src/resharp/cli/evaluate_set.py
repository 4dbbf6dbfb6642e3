"""`resharp evaluate --data`: models and peers restore a test set, and what they made is scored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resharp import __version__
from resharp.cli.options import pick_device
from resharp.cli.places import make_folder
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError, DataError, ImageError, is_out_of_memory
from resharp.evaluate import peers as others
from resharp.evaluate.folder_scores import OnImage
from resharp.evaluate.photo_sets import PhotoSet, SetPhoto
from resharp.evaluate.trios import Trio
from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.tensors import photo_to_tensor, tensor_to_pixels
from resharp.images.writing import write_photo
from resharp.pipeline import DeblurPipeline, Restored, sample_generator
from resharp.provenance import make_receipt, origin_of
from resharp.receipt import Origin, Receipt

INPUT = "input"
RESTORED = "restored"


@dataclass(frozen=True)
class Asked:
    """What is to be restored: models in their settings, and peers."""

    models: Sequence[str]
    peers: Sequence[str]
    peer_python: str | None
    settings: Mapping[str, Any]
    seed: int
    device: str


@dataclass(frozen=True)
class OwnModel:
    """A model of resharp in the settings in which it is evaluated. Results are not guarded: figures are the model's."""

    pipeline: DeblurPipeline
    origin: Origin
    settings: Preset
    asked: Mapping[str, Any]
    seed: int

    @property
    def folder(self) -> str:
        """The name of the folder of its pictures: model, settings and seed, and the weights' first digits."""
        seed = f"-seed-{self.seed}" if self.settings.output == "diffusion" else ""
        name = f"{self.origin.model}-{self.settings}-{self.origin.weights_sha256[:8]}"
        return re.sub(r"[^\w.+]+", "-", name)[:150] + seed

    def about(self) -> dict[str, object]:
        """For the report."""
        drawn = {"seed": self.seed} if self.settings.output == "diffusion" else {}
        made = f"resharp {__version__}, torch {torch.__version__}, {self.pipeline.device.type}"
        return {"settings": str(self.settings), **drawn, "weights": self.origin.weights_sha256, "made with": made}

    def receipt(self, restored: Restored, source: Path, samples: np.ndarray) -> Receipt:
        """Of one picture."""
        return make_receipt(self.origin, self.pipeline, restored, source, samples, seed=self.seed, guard=False)


def restore_methods(
    asked: Asked, photo_set: PhotoSet, out: Path, on_image: OnImage | None
) -> tuple[dict[str, list[Trio]], dict[str, Mapping[str, object]]]:
    """The set's blurry photos, and what each model and peer makes of them, into `OUT/restored/`.

    All that can be refused is, before anything is restored. Pictures that are there already, by their receipts, stay.

    Returns:
        For each method its pictures, and how they were made.

    Raises:
        ConfigError: settings a model cannot do, or two methods of one name.
        ModelError: a model or peer that cannot be loaded.
        DataError: a peer's folder that lacks pictures.
        ImageError: a photo that cannot be read, or is too large for the memory.
        OutputError: a picture that cannot be written.
    """
    peers = others.peers_of(asked.peers, asked.peer_python)
    device = pick_device(asked.device)
    models = _load(asked, device)
    names = [INPUT, *(model.origin.model for model in models), *(peer.name for peer in peers)]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ConfigError(f"there are two methods {twice}; give peers other names, models one after the other")
    made = {peer.name: others.folder_pictures(peer, photo_set) for peer in peers if isinstance(peer, others.FolderPeer)}
    networks = [peer for peer in peers if isinstance(peer, others.SpandrelPeer)]
    for peer in networks:
        others.check_spandrel(peer, device.type)
    place = out / RESTORED
    found: dict[str, Mapping[str, Path]] = {INPUT: {photo.name: photo.blurry for photo in photo_set.photos}}
    about: dict[str, Mapping[str, object]] = {INPUT: {"pictures": "the blurry photos"}}
    for model in models:
        found[model.origin.model] = _restore_set(model, photo_set, place, on_image)
        about[model.origin.model] = model.about()
    for peer in networks:
        made[peer.name] = others.run_spandrel(peer, photo_set, place, device.type, on_image)
    for peer in peers:
        found[peer.name], about[peer.name] = made[peer.name].files, made[peer.name].about
    trios = {
        method: [Trio(photo.name, files[photo.name], photo.sharp, photo.blurry) for photo in photo_set.photos]
        for method, files in found.items()
    }
    return trios, about


def _load(asked: Asked, device: torch.device) -> list[OwnModel]:
    models = []
    for source in asked.models:
        origin = origin_of(source)
        pipeline = DeblurPipeline.from_pretrained(source).to(device)
        pipeline.task.require_same_size("resharp evaluate --data")
        sample_generator(asked.seed, 0)
        models.append(OwnModel(pipeline, origin, pipeline.choose(**asked.settings), asked.settings, asked.seed))
    return models


def _restore_set(model: OwnModel, photo_set: PhotoSet, place: Path, on_image: OnImage | None) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for done, photo in enumerate(photo_set.photos, start=1):
        target = files[photo.name] = place / model.folder / f"{photo.name}.png"
        if not _is_there(model, photo, target):
            _restore(model, photo, target)
        if on_image is not None:
            on_image(f"{model.origin.model}: restoring", done, len(photo_set.photos), photo.name)
    return files


def _is_there(model: OwnModel, photo: SetPhoto, target: Path) -> bool:
    """Whether a picture with a receipt of the same weights, settings, seed and photo is there."""
    if not target.is_file():
        return False
    try:
        text = read_receipt(target)
        found = None if text is None else Receipt.from_text(text, str(target))
    except ImageError:
        return False  # it is made again
    expected = Restored(torch.empty(0), None, model.settings.output, model.settings)
    wanted = model.receipt(expected, photo.blurry, np.zeros((1, 1, 3), dtype=np.uint8))
    return found is not None and found.inputs() == wanted.inputs()


def _restore(model: OwnModel, photo: SetPhoto, target: Path) -> None:
    blurry = read_photo(photo.blurry)
    height, width = blurry.size
    try:
        restored = model.pipeline.restore(photo_to_tensor(blurry), seed=model.seed, **model.asked)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ImageError(f"{photo.blurry}: not enough memory for {width}x{height}; use another machine") from error
    if not torch.isfinite(restored.image).all():
        raise DataError(f"{photo.blurry}: {model.origin.model} gave values that are not finite numbers; retrain it")
    make_folder(target.parent)
    write_photo(
        blurry.with_pixels(tensor_to_pixels(restored.image)),
        target,
        receipt_for=lambda samples: model.receipt(restored, photo.blurry, samples).to_text(),
    )
