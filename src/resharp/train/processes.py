"""How many processes train together, and whether they are as many as were asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resharp.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


def world_size() -> int:
    """Processes that the launcher says it has started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_launched() -> bool:
    """Whether a launcher such as torchrun has started this process."""
    return "WORLD_SIZE" in os.environ


def is_main() -> bool:
    """Whether this process is the one that writes and tells."""
    return int(os.environ.get("RANK", "0")) == 0


def check_world_size(asked: int | None) -> None:
    """What was asked for must be what there is.

    `accelerate launch --cpu --num_processes 2` starts one process and says nothing. It tells its child nothing of
    the two either, so that its own command line is read.

    Args:
        asked: of the option --processes; None if it was not given.

    Raises:
        ConfigError: another number of processes is running.
    """
    actual = world_size()
    by_launcher = None if is_launched() else _asked_of_accelerate()
    # What it sets when more than one was asked for, wherever the number stands (a configuration file, say).
    several = {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"} <= os.environ.keys() and not is_launched()
    if several and by_launcher is None:
        raise ConfigError("accelerate launch was asked for several processes, but started one; use torchrun")
    for number, where in ((asked, "--processes"), (by_launcher, "accelerate launch")):
        if number is not None and number != actual:
            raise ConfigError(
                f"{where} asks for {number} processes, but {actual} is running: start them with "
                f"`resharp train ... --processes {number}` or `torchrun --nproc_per_node {number} -m resharp train ...`"
            )


def _asked_of_accelerate() -> int | None:
    """The --num_processes of an `accelerate launch` that is the parent of this process, or None."""
    import psutil

    try:
        words: Sequence[str] = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        return None
    if "launch" not in words or not any("accelerate" in word for word in words[: words.index("launch")]):
        return None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name in ("--num_processes", "--num-processes"):
            value = value or following
            return int(value) if value.isdigit() else None
    return None


def start_processes(count: int, words: Sequence[str]) -> None:
    """Become torchrun with `count` processes of `resharp WORDS` on this machine; does not return."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    # One thread each unless told otherwise, as torchrun itself would set with a warning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.stdout.flush()
    os.execv(sys.executable, [*launcher, "-m", "resharp", *words])


def accelerator(device: torch.device, precision: str, trackers: Sequence[str] = (), folder: str = ".") -> Accelerator:
    """accelerate's view of this process.

    Args:
        device: the kind of device; accelerate chooses the one of this process.
        precision: "float32" or "bf16".

    Raises:
        ConfigError: accelerate sees another number of processes, or cannot use the device.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs

    # find_unused_parameters: the denoiser does not run during the warm start. It also keeps the buckets in which
    # gradients are summed as they are; laid out anew after a process's first step, as they would be without it,
    # a resumed run would add in another order than the run that was not interrupted.
    parallel = DistributedDataParallelKwargs(find_unused_parameters=True)
    made = Accelerator(
        cpu=device.type == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        kwargs_handlers=[parallel],
        log_with=list(trackers) or None,
        project_dir=folder,
    )
    if made.num_processes != world_size():
        raise ConfigError(
            f"the launcher started {world_size()} processes, but accelerate sees {made.num_processes}: start them "
            "with torchrun"
        )
    if made.device.type != device.type:
        raise ConfigError(f"device {device.type!r} was chosen, but accelerate uses {made.device.type!r}; name that one")
    return made
