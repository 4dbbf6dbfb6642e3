"""A training run of seconds: pictures made up on disk, a configuration, a trainer."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from resharp.data.folders import FolderSource
from resharp.data.listing import Entry, Listing
from resharp.data.synthetic import BlurConfig
from resharp.train.config import TrainConfig
from resharp.train.loop import Trainer
from tiny import TINY

BLUR = BlurConfig(extent_max_px=8.0, extent_median_px=4.0, turn_max_px=1.0, max_frames=8)
CONFIG = TrainConfig(
    model=TINY,
    steps=6,
    batch_size=2,
    crop_px=32,
    lr=1e-3,
    lr_warmup_steps=2,
    beta_1=0.9,
    ema_decay=0.5,
    warm_start_steps=2,
    ramp_steps=2,
    log_every=2,
    tracker="none",
    validate_every=100,
    checkpoint_every=3,
    validation_photos=1,
    blur=BLUR,
)


def rectangles(count: int = 4, side_px: int = 160, seed: int = 0) -> list[torch.Tensor]:
    """Random rectangles, (3, S, S) uint8: flat areas and edges in all places."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        photo = torch.zeros(3, side_px, side_px)
        for _ in range(60):
            top, left, height, width = (torch.rand(4, generator=generator) * side_px).int().tolist()
            photo[:, top : top + height // 3, left : left + width // 3] = torch.rand(3, 1, 1, generator=generator)
        made.append((photo * 255).byte())
    return made


def save(pixels: torch.Tensor, path: Path) -> Path:
    """(3, H, W) uint8 as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    return path


def sharp_listing(folder: Path, count: int = 4, side_px: int = 160) -> Listing:
    """Sharp photographs, made if they are not there yet."""
    entries = []
    for i, photo in enumerate(rectangles(count, side_px)):
        path = folder / f"{i}.png"
        entries.append(Entry(path.name, path if path.exists() else save(photo, path)))
    return Listing("folder of sharp photographs", folder, "all", tuple(entries))


def pair_listing(folder: Path, count: int = 4, side_px: int = 160) -> Listing:
    """Sharp photographs with a partner that is smeared along the rows and, easier to learn, darker."""
    entries = []
    for i, photo in enumerate(rectangles(count, side_px)):
        moved = torch.stack([photo.roll(shift, 2).float() for shift in (-2, -1, 0, 1, 2)]).mean(0)
        moved = (moved * 0.7).byte()
        sharp, blurry = save(photo, folder / "sharp" / f"{i}.png"), save(moved, folder / "blurry" / f"{i}.png")
        entries.append(Entry(f"sharp/{i}.png", sharp, blurry))
    return Listing("pairs of folders", folder, "all", tuple(entries))


def trainer(config: TrainConfig, folder: Path, *, listing: Listing | None = None, **options: object) -> Trainer:
    """On `listing`, or on four sharp photographs beside the run's folder."""
    listing = listing or sharp_listing(folder.parent / "photos")
    source = FolderSource([listing])
    validation = source.hold_out(config.validation_photos) if config.validation_photos else []
    quiet = {"device": torch.device("cpu"), "report": lambda line: None}
    return Trainer(config, source, validation, folder, **{**quiet, **options})


def weights(folder: Path) -> bytes:
    """The bytes of a run's model."""
    return (folder / "model" / "model.safetensors").read_bytes()
