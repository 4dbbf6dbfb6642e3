"""From a run's settings to what is done to sharp photographs, and to what its model is for."""

from __future__ import annotations

from resharp.data.compression import Compression
from resharp.data.degradation import Damage, Damaged, Degradation
from resharp.data.inpainting import Holes
from resharp.data.noise import GaussianNoise
from resharp.data.super_resolution import LowResolution
from resharp.data.synthetic import BlurSynthesiser
from resharp.task import Damage as DamageName
from resharp.task import Task
from resharp.train.config import TrainConfig


def degradation_of(config: TrainConfig) -> Degradation:
    """The damages whose tables are there, in the order in which pictures meet them; motion blur if there is none.

    A small picture gets noise and JPEG before it is enlarged, and holes come last.
    """
    if task_of(config) == Task():
        return BlurSynthesiser(config.blur)
    damages: list[Damage] = []
    if config.noise is not None:
        damages.append(GaussianNoise(config.noise))
    if config.jpeg is not None:
        damages.append(Compression(config.jpeg))
    if config.super_resolution is not None:
        damages = [LowResolution(config.super_resolution, damages)]
    if config.inpainting is not None:
        damages.append(Holes(config.inpainting))
    return Damaged(damages)


def task_of(config: TrainConfig) -> Task:
    """What a model trained so restores."""
    tables: tuple[tuple[DamageName, object], ...] = (
        ("noise", config.noise),
        ("JPEG artefacts", config.jpeg),
        ("low resolution", config.super_resolution),
        ("holes", config.inpainting),
    )
    found = tuple(name for name, table in tables if table is not None)
    scale = 1 if config.super_resolution is None else config.super_resolution.scale
    return Task(found, scale) if found else Task()
