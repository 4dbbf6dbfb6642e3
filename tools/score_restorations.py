"""Score a model of another task than motion blur: `score_restorations.py MODEL --sharp FOLDER [--level N] [--seed N]`.

Sharp photos are damaged as the model's task says, the model restores them, and PSNR and SSIM are printed beside those
of the damaged input and of a classical method, which needs the extra `evaluate`:

| task | damage | beside it |
|---|---|---|
| low resolution | bicubic down by the model's scale | bicubic up, which is the input |
| noise | white Gaussian noise; level: deviation in levels of 255, 25 | scikit-image's non-local means, told the level |
| JPEG artefacts | Pillow's JPEG, 4:2:0; level: its quality, 20 | - |
| holes | strokes as in training; level: how many, 80 | scikit-image's biharmonic inpainting |

Gains are over the input, with the standard error of their mean over photos. For holes PSNR is that of the holes alone.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resharp.data.inpainting import Holes, InpaintingConfig
from resharp.data.noise import GaussianNoise, NoiseConfig
from resharp.data.super_resolution import LowResolution, SuperResolutionConfig
from resharp.errors import ConfigError, ResharpError
from resharp.images.reading import find_photos, read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.full_reference import psnr, round_to_uint8, ssim
from resharp.pipeline import DeblurPipeline
from resharp.task import Task, holes

LEVELS = {"low resolution": 0, "noise": 25, "JPEG artefacts": 20, "holes": 80}


class Case(NamedTuple):
    """A photo, (1, 3, H, W) in [0, 1]: sharp, as the model gets it, as the input is scored, and by a classical way."""

    sharp: Tensor
    given: Tensor
    shown: Tensor
    classical: Tensor | None


def damaged(sharp: Tensor, task: Task, level: int, seed: int) -> Case:
    """One photo with the damage that a task stands for.

    Raises:
        ConfigError: a task of several damages, or motion blur.
    """
    damage, generator = task.restores[0], torch.Generator().manual_seed(seed)
    if len(task.restores) > 1 or damage not in LEVELS:
        raise ConfigError(f"this model restores {task.words}; one of these alone is scored here: {', '.join(LEVELS)}")
    if damage == "low resolution":
        cut = [side - side % task.scale for side in sharp.shape[-2:]]
        sharp = sharp[..., : cut[0], : cut[1]]
        small = LowResolution(SuperResolutionConfig(task.scale)).shrunk(sharp)
        return Case(sharp, small, task.prepared(small), None)
    if damage == "noise":
        noisy = GaussianNoise(NoiseConfig(sigma=(level, level)))(sharp, generator)
        return Case(sharp, noisy, noisy, _non_local_means(noisy, level / 255))
    if damage == "JPEG artefacts":
        compressed = _jpeg(sharp, level)
        return Case(sharp, compressed, compressed, None)
    with_holes = Holes(InpaintingConfig(strokes=(level, level)))(sharp, generator)
    if bool(holes(with_holes).all()):
        raise ConfigError(f"{level} strokes leave nothing of a {sharp.shape[3]}x{sharp.shape[2]} photo; lower --level")
    return Case(sharp, with_holes, with_holes, _biharmonic(with_holes))


def _jpeg(sharp: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    pixels = (sharp[0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality, subsampling=2)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None].float() / 255


def _non_local_means(noisy: Tensor, sigma: float) -> Tensor:
    from skimage.restoration import denoise_nl_means

    pixels = noisy[0].permute(1, 2, 0).numpy()
    # The settings of scikit-image's own example for noise of a known deviation.
    found = denoise_nl_means(pixels, h=0.6 * sigma, sigma=sigma, patch_size=5, patch_distance=6, channel_axis=-1)
    return torch.from_numpy(found).permute(2, 0, 1)[None].float()


def _biharmonic(with_holes: Tensor) -> Tensor:
    from skimage.restoration import inpaint_biharmonic

    mask, pixels = holes(with_holes)[0, 0].numpy(), with_holes[0].permute(1, 2, 0).numpy()
    found = inpaint_biharmonic(pixels, mask, channel_axis=-1, split_into_regions=True)
    return torch.from_numpy(found).permute(2, 0, 1)[None].float().clamp(0, 1)


def scores(case: Case, restored: Tensor, mask: Tensor) -> tuple[float, float]:
    """PSNR, of the pixels in `mask`, and SSIM of the whole."""
    if bool(mask.all()):
        return float(psnr(restored, case.sharp)), float(ssim(restored, case.sharp))
    error = (round_to_uint8(restored) - round_to_uint8(case.sharp))[mask.expand_as(restored)]
    return float(-10 * error.double().square().mean().log10()), float(ssim(restored, case.sharp))


def scored(pipeline: DeblurPipeline, paths: list, level: int, seed: int) -> Iterator[dict[str, tuple[float, float]]]:
    """For each photo PSNR and SSIM of the input, the classical method, if any, and the model."""
    for number, path in enumerate(paths):
        case = damaged(photo_to_tensor(read_photo(path)), pipeline.task, level, seed + number)
        mask = holes(case.given) if "holes" in pipeline.task.restores else torch.ones(1, 1, 1, 1, dtype=torch.bool)
        pictures = {"input": case.shown, "classical": case.classical, "model": pipeline.restore(case.given).image}
        yield {name: scores(case, picture, mask) for name, picture in pictures.items() if picture is not None}


def table(rows: list[dict[str, tuple[float, float]]]) -> str:
    """Means, and gains over the input with standard errors, in Markdown."""
    lines = ["| | PSNR | gain | SSIM | gain |", "|---|---|---|---|---|"]
    start = np.array([row["input"] for row in rows])
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        gains = values - start
        error = gains.std(axis=0, ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else np.full(2, np.nan)
        shown = ["-", "-"]
        if name != "input":
            shown = [f"{gains[:, i].mean():+.{d}f} ± {error[i]:.{d}f}" for i, d in ((0, 2), (1, 4))]
        mean = values.mean(axis=0)
        lines.append(f"| {name} | {mean[0]:.2f} | {shown[0]} | {mean[1]:.4f} | {shown[1]} |")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--sharp", required=True, metavar="FOLDER", help="sharp photos that were not trained on")
    parser.add_argument("--level", type=int, help="how strong the damage is; see above")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    try:
        pipeline = DeblurPipeline.from_pretrained(options.model)
        level = LEVELS.get(pipeline.task.restores[0], 0) if options.level is None else options.level
        rows = list(scored(pipeline, find_photos([options.sharp]), level, options.seed))
    except ResharpError as error:
        sys.exit(f"score_restorations.py: {error}")
    print(f"{options.model}: {pipeline.task.words}, level {level}, {len(rows)} photos\n\n{table(rows)}")


if __name__ == "__main__":
    main()
