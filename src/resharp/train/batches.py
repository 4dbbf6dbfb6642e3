"""From photographs to blurry and sharp crops on the training device, ahead of the network."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resharp.data.crops import CropBatches, Crops, turned
from resharp.data.draws import BLUR, part_generator
from resharp.data.source import Batching, Source
from resharp.errors import ResharpError
from resharp.train.config import TrainConfig
from resharp.train.degradation import degradation_of


class Part(NamedTuple):
    """One part of one step, ready to train on.

    y, x: blurry and sharp, (B, 3, crop_px, crop_px) float32 in [-1, 1] on the training device, channels last.
    """

    step: int
    part: int
    y: Tensor
    x: Tensor
    names: list[str]
    failures: list[str]


class Parts:
    """The parts of a run that one process takes, step after step.

    Where the network runs on a CPU, worker processes make the blur beside it. Elsewhere they read and crop, and
    the blur is made on the network's own device.

    Args:
        config: the run.
        source: its photographs.
        batching: how they are dealt out.
        device: where the network runs.
        mine: the numbers of the parts that this process takes in each step.
        workers: processes that prepare batches; 0 prepares them in this process, when they are needed.
    """

    def __init__(
        self,
        config: TrainConfig,
        source: Source,
        batching: Batching,
        device: torch.device,
        mine: range,
        workers: int,
    ) -> None:
        self.device, self.mine, self.workers, self.seed = device, mine, workers, config.seed
        self.synthesiser = degradation_of(config) if source.kind == "sharp" else None
        size_px = config.crop_px + (2 * self.synthesiser.margin_px if self.synthesiser else 0)
        self.crops = CropBatches(source, batching, size_px, config.scale_min)

    def __call__(self, first_step: int, last_step: int) -> Iterator[list[Part]]:
        """This process's parts of the steps from `first_step` up to, not including, `last_step`."""
        here = self.device.type == "cpu"
        keys = _Keys(range(first_step, last_step), self.mine)
        loader = torch.utils.data.DataLoader(
            _Prepared(self) if here else self.crops,
            batch_size=None,
            sampler=keys,
            num_workers=self.workers,
            prefetch_factor=max(2, 2 * len(self.mine)) if self.workers else None,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_start_worker,
            generator=torch.Generator(),  # else it would draw its workers' seeds from the global one
        )
        parts: list[Part] = []
        for key, item in zip(keys, _told_plainly(loader), strict=True):
            parts.append(item if here else self.prepare(key, item))
            if len(parts) == len(self.mine):
                yield parts
                parts = []

    def prepare(self, key: tuple[int, int], crops: Crops) -> Part:
        """Turn, blur and scale crops, on the training device."""
        step, part = key
        images = [image for image in (crops.sharp, crops.blurry) if image is not None]
        images = [image.to(self.device, non_blocking=True).float() / 255 for image in images]
        images = turned(images, self.seed, step, part)
        if self.synthesiser is not None:
            generator = part_generator(self.seed, step, part, BLUR, self.device)
            blurry, sharp = self.synthesiser(images[0], generator)
        else:
            sharp, blurry = images
        y, x = ((image * 2 - 1).contiguous(memory_format=torch.channels_last) for image in (blurry, sharp))
        return Part(step, part, y, x, crops.names, crops.failures)


class _Keys:
    """(step, part), step after step; made when asked for, since a run may have millions."""

    def __init__(self, steps: range, parts: range) -> None:
        self.steps, self.parts = steps, parts

    def __len__(self) -> int:
        return len(self.steps) * len(self.parts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return itertools.product(self.steps, self.parts)


class _Prepared(torch.utils.data.Dataset):
    """Parts made where the crops are: in a worker, if there are any."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __getitem__(self, key: tuple[int, int]) -> Part:
        return self.parts.prepare(key, self.parts.crops[key])


def _told_plainly(items: Iterable[Any]) -> Iterator[Any]:
    """The items; an error that a worker meant for people comes without the worker's traceback in its text."""
    try:
        yield from items
    except ResharpError as error:
        line = str(error).strip().splitlines()[-1]
        raise type(error)(re.sub(r"^resharp\.errors\.\w+: ", "", line)) from error


def _start_worker(_worker: int) -> None:
    # Workers run beside the trainer; threads of their own would fight it for the cores.
    torch.set_num_threads(1)
    # A stop is sent to the whole group of processes. The trainer needs its workers until it has saved.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
