"""How much results flicker: what changes from frame to frame beyond what changes in the clip itself.

Without motion vectors: errors of an optical flow would be larger than what is looked for. A still clip, where all that
changes is flicker, and clips that drift by a fraction of a pixel, tell the ways of treating noise apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from resharp.data.frames import find_sequences
from resharp.errors import ConfigError, DataError
from resharp.evaluate.centre import centre_crop
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.pipeline import DeblurPipeline

LEVELS = 255.0
# Restores frame number t, (1, 3, H, W) in [0, 1].
Restore = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Flicker:
    """Of one way of restoring a clip. All in levels of 255.

    clip_change: mean |y_{t+1} - y_t| over pixels and pairs of neighbours, y the clip.
    result_change: the same of the results.
    excess: result_change - clip_change.
    added_deviation: the standard deviation over time of what was added, result - y, as a root mean square over the
        pixels; of a still clip the deviation of the result itself.
    """

    way: str
    frames: int
    clip_change: float
    result_change: float
    excess: float
    added_deviation: float


def measure_flicker(way: str, frames: Iterable[Tensor], restore: Restore) -> Flicker:
    """Restore frames one after the other; memory holds a few of them.

    Args:
        frames: at least two (1, 3, H, W) in [0, 1].

    Raises:
        DataError: fewer than two.
    """
    before: tuple[Tensor, Tensor] | None = None
    changes = torch.zeros(2, dtype=torch.float64)
    mean = scatter = torch.zeros((), dtype=torch.float64)
    count = 0
    for y in frames:
        result = restore(y, count)
        count += 1
        if before is not None:
            pairs = ((y, before[0]), (result, before[1]))
            changes += torch.stack([(new - old).abs().double().mean() for new, old in pairs])
        before = (y, result)
        added = (result - y).double()
        offset = added - mean  # Welford's update
        mean = mean + offset / count
        scatter = scatter + offset * (added - mean)
    if count < 2:
        raise DataError("flicker needs at least two frames; give a longer clip, or --frames 2 or more")
    clip, results = (changes / (count - 1) * LEVELS).tolist()
    deviation = float((scatter / (count - 1)).mean().sqrt() * LEVELS)
    return Flicker(way, count, clip, results, results - clip, deviation)


def ways(pipeline: DeblurPipeline, steps: int | None, seed: int) -> Iterator[tuple[str, Restore]]:
    """The predictor where there is one, the diffusion with one noise for all frames, and with a noise for each.

    Args:
        steps: None takes the model's.

    Raises:
        ConfigError: steps that are not allowed, or a seed too large for as many frames.
    """
    if pipeline.model.predictor is not None:
        yield "predictor", lambda y, t: pipeline.restore(y, output="predictor").image
    if pipeline.model.denoiser is None:
        return
    asked: dict[str, Any] = {"output": "diffusion", "steps": steps}
    pipeline.choose(**asked)
    yield "diffusion, shared noise", lambda y, t: pipeline.restore(y, seed=seed, **asked).image
    yield "diffusion, independent noise", lambda y, t: pipeline.restore(y, seed=seed + t, **asked).image


def clip_frames(path: Path, count: int, side_px: int, drift_px: float) -> Iterator[Tensor]:
    """The first frames of a video or of a folder of frames; or of a photo, that drifts.

    Args:
        count: frames at most.
        side_px: the middle of larger frames; 0 takes all.
        drift_px: of a photo, from frame to frame.

    Yields:
        (1, 3, H, W) float32 in [0, 1].

    Raises:
        DataError: neither, or more than one sequence.
        ImageError: a photo that cannot be read.
    """
    if path.is_file() and path.suffix.lower() in FORMAT_BY_SUFFIX:
        yield from drifting(photo_to_tensor(read_photo(path)), count, side_px, drift_px)
        return
    sequences = find_sequences(path)
    if len(sequences) > 1:
        raise DataError(f"{path}: holds {len(sequences)} sequences of frames; name one of them")
    for frame in itertools.islice(sequences[0].frames(), count):
        pixels = torch.from_numpy(frame.read()).permute(2, 0, 1)[None].float() / LEVELS
        yield centre_crop(pixels, side_px, side_px).contiguous() if side_px else pixels


def drifting(photo: Tensor, count: int, side_px: int, drift_px: float) -> Iterator[Tensor]:
    """A view of a photo that moves to the right by `drift_px` and down by half of it, from frame to frame.

    Sampled by cubic interpolation and rounded to levels of 255, as a camera's frames are.

    Args:
        photo: (1, 3, H, W) in [0, 1].

    Raises:
        ConfigError: the photo is too small for so much drift.
    """
    height, width = photo.shape[-2:]
    reach = drift_px * (count - 1)
    view_h, view_w = height - int(reach / 2) - 4, width - int(reach) - 4  # 4: what interpolation reaches
    if min(view_h, view_w) < 8:
        raise ConfigError("the photo is too small for so many frames and so much --drift")
    if side_px:
        view_h, view_w = min(view_h, side_px), min(view_w, side_px)
    top, left = (height - view_h - reach / 2) / 2, (width - view_w - reach) / 2
    for t in range(count):
        # Whole pixels where nothing drifts, so that a still clip is the photo itself.
        first = int(top) + t * drift_px / 2, int(left) + t * drift_px
        rows, columns = (torch.arange(n) + start for n, start in zip((view_h, view_w), first, strict=True))
        # grid_sample counts from -1 to 1 between the outer edges of the outer pixels.
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        grid = (2 * grid + 1) / torch.tensor([width, height]) - 1
        view = F.grid_sample(photo, grid[None].float(), mode="bicubic", padding_mode="reflection", align_corners=False)
        yield (view.clamp(0, 1) * LEVELS).round() / LEVELS


def flicker_table(rows: Iterable[Flicker]) -> str:
    """As Markdown."""
    head = "| way | frames | clip's change | result's change | excess | deviation of what was added |"
    rule = "|---|---|---|---|---|---|"
    lines = [
        f"| {row.way} | {row.frames} | {row.clip_change:.3f} | {row.result_change:.3f} | {row.excess:+.3f} "
        f"| {row.added_deviation:.3f} |"
        for row in rows
    ]
    return "\n".join([head, rule, *lines])
