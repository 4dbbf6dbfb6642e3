"""Options that several commands share, and the device they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from resharp.errors import ConfigError

if TYPE_CHECKING:
    import torch

BACKENDS = ("torch", "onnx", "openvino", "auto")
PARTS = ("predictor", "diffusion")
DEVICES = ("auto", "cpu", "cuda", "mps")

DeviceOption = Annotated[
    str, typer.Option("--device", metavar="|".join(DEVICES), help="Where to compute; auto takes a GPU if any.")
]
BackendOption = Annotated[
    str,
    typer.Option(
        metavar="|".join(BACKENDS),
        help="What runs the networks; auto: ONNX Runtime for photos on a CPU if installed, else torch.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def available_devices() -> list[str]:
    """The devices of this machine that torch can use, the fastest kind first."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first of `available_devices`.

    Raises:
        ConfigError: no such name, or this machine has no such device.
    """
    import torch

    if name not in DEVICES:
        raise ConfigError(f"unknown device {name!r}; allowed: {', '.join(DEVICES)}")
    available = available_devices()
    if name != "auto" and name not in available:
        raise ConfigError(f"device {name!r} is not available here; allowed: auto, {', '.join(available)}")
    return torch.device(available[0] if name == "auto" else name)


def check_part(name: str | None) -> None:
    """None leaves the choice to the model.

    Raises:
        ConfigError: no such part.
    """
    if name is not None and name not in PARTS:
        raise ConfigError(f"unknown part {name!r}; allowed: {', '.join(PARTS)}")
