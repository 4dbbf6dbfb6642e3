"""The receipt of a restored clip, in its container's metadata: what it was made from, and how."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from resharp import __version__
from resharp.diffusion.presets import Preset
from resharp.errors import ConfigError
from resharp.images.xmp import KEY
from resharp.pipeline import DeblurPipeline
from resharp.provenance import counted
from resharp.receipt import Origin, file_sha256
from resharp.settings import from_dict
from resharp.video.clip import opened
from resharp.video.writing import encoder_for

# Other containers drop what they have no field for.
_HOLD_IT = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv")
FORMAT = 1


@dataclass(frozen=True)
class ClipReceipt:
    """Everything that a restored clip depends on; digests are SHA-256 in hexadecimal.

    It is written before the frames are, so it has no digest of them, and a clip cannot be verified by it.

    resharp, torch: versions. device: "cpu", "cuda" or "mps".
    model, weights_sha256: see `resharp.receipt.Origin`.
    part, seed, settings, guard: see `resharp.receipt.Receipt`; "input" is of frames copied.
    encoder, crf: what wrote the frames; None where they are copied, or where it has no crf.
    strip_gps: whether places were left out.
    video, video_sha256: the clip's file name, without its folder, and the digest of its file.
    format: grows when an older resharp could no longer understand it.
    """

    resharp: str
    torch: str
    device: str
    model: str
    weights_sha256: str
    part: Literal["predictor", "diffusion", "input"]
    seed: int | None
    settings: dict  # type: ignore[type-arg]  # from_dict wants a plain type
    guard: bool
    encoder: str | None
    crf: int | None
    strip_gps: bool
    video: str
    video_sha256: str
    format: int = FORMAT

    def to_text(self) -> str:
        """Compact JSON in printable ASCII, the same for equal receipts."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    def inputs(self) -> dict[str, Any]:
        """What decides the clip, apart from the machine: equal for a result and for the same made again."""
        others = ("resharp", "torch", "device", "model", "video")
        return {name: value for name, value in asdict(self).items() if name not in others}


def make_clip_receipt(
    origin: Origin,
    pipeline: DeblurPipeline,
    source: Path,
    chosen: Preset,
    seed: int,
    *,
    guarded: bool,
    crf: int | None,
    strip_gps: bool,
) -> ClipReceipt:
    """The receipt of a clip that is about to be made in these settings; those of output "input" copy its frames.

    Raises:
        DataError, ConfigError: the clip cannot be read, or its encoder has no such crf.
    """
    copied = chosen.output == "input"
    with opened(source) as (_, stream):
        encoder = encoder_for(stream, crf)
    return ClipReceipt(
        resharp=__version__,
        torch=pipeline.version,
        device=pipeline.device.type,
        model=origin.model,
        weights_sha256=origin.weights_sha256,
        part=chosen.output,
        seed=seed if chosen.output == "diffusion" else None,
        settings=counted(chosen),
        guard=guarded and not copied,
        encoder=None if copied else encoder.name,
        crf=None if copied else encoder.crf,
        strip_gps=strip_gps,
        video=source.name,
        video_sha256=file_sha256(source),
    )


def can_hold_receipt(path: Path) -> bool:
    """Whether a file of this name has a place for it."""
    return path.suffix.lower() in _HOLD_IT


def read_clip_receipt(path: Path) -> ClipReceipt | None:
    """The receipt in a clip; None if there is none, or none that this version understands.

    Raises:
        DataError: it cannot be read as a video.
    """
    with opened(path) as (container, _):
        stored = {name.lower(): text for name, text in container.metadata.items()}.get(KEY)
    try:
        return None if stored is None else from_dict(ClipReceipt, json.loads(stored), str(path))
    except (ValueError, RecursionError, ConfigError):
        return None
