"""How every photo of a run is treated, and whether one of them has been treated already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resharp.errors import OutputError
from resharp.files import is_there

if TYPE_CHECKING:
    from resharp.pipeline import DeblurPipeline
    from resharp.receipt import Origin
    from resharp.runtime.pipeline import GraphPipeline


@dataclass(frozen=True)
class Orders:
    """How every photo of a run is treated.

    settings: for `DeblurPipeline.restore`.
    guard, strip_gps: see `resharp.picture.restore_file`.
    overwrite: replace files that exist.
    skip_done: leave results alone that a receipt says are of the same photo, weights and settings.
    """

    settings: Mapping[str, Any]
    guard: bool = True
    strip_gps: bool = False
    overwrite: bool = False
    skip_done: bool = False


def already_done(
    pipeline: DeblurPipeline | GraphPipeline | None,
    origin: Origin | None,
    source: Path,
    target: Path,
    orders: Orders,
    name: str,
    is_done: Callable[..., bool] | None = None,
) -> bool:
    """Whether there is nothing to do.

    Args:
        name: the target's name for people.
        is_done: what says so of a target that is there; None is `resharp.engines.done.is_done`.

    Raises:
        OutputError: the target is there, is not this work's result, and must not be replaced; or it has a name that
            nothing can have.
        ImageError, DataError: the photo cannot be read.
    """
    there = is_there(target)
    if there and not orders.skip_done and not orders.overwrite:
        raise OutputError(f"{name}: exists already and is kept; add --overwrite to replace it")
    if not orders.skip_done or not there:
        return False
    if is_done is None:
        from resharp.engines import done

        is_done = done.is_done
    assert pipeline is not None
    assert origin is not None
    if is_done(pipeline, origin, source, target, orders.settings, guard=orders.guard, strip_gps=orders.strip_gps):
        return True
    if not orders.overwrite:
        raise OutputError(
            f"{name}: exists already, is not what {source.name} gives with this model and these settings, and is kept; "
            "add --overwrite to replace it"
        )
    return False
