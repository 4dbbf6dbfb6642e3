"""Makes the pictures and figures of docs/gallery.md: photos blurred in known ways, and what the shipped models do.

    python tools/gallery.py WALLPAPERS --out docs/gallery

WALLPAPERS is a folder of Ubuntu Budgie's CC0 wallpapers under their own names (oakland-zoo-otters.jpg, ...), which are
shrunk to 768 px; the one real pair is in examples/. Each picture shows the same part of blurry, default model,
one-step model and sharp; the figures are of the whole photo, from what `resharp deblur` would write.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resharp import DeblurPipeline
from resharp.assessment.report import assess_input
from resharp.assessment.safety import make_safe
from resharp.evaluate.degrade import convolve, pillow_jpeg
from resharp.evaluate.kernels import line_kernel, walk_kernel
from resharp.evaluate.night import NightPipeline
from resharp.evaluate.shake import ShakePipeline
from resharp.images.sheet import write_sheet
from resharp.metrics.full_reference import psnr, ssim

EXAMPLES = Path(__file__).parents[1] / "examples"
WIDTH_PX = 768
MODELS = ("default", "one-step")
CROP_PX = (240, 200)  # width, height
Blur = Callable[[Tensor, np.random.Generator], tuple[Tensor, Tensor]]


def straight(length_px: float, angle: float, sigma: float = 0.004) -> Blur:
    """Straight motion, then noise of deviation `sigma`, then JPEG of quality 90."""
    return lambda sharp, rng: (noisy(convolve(sharp, line_kernel(length_px, angle)), sigma, rng), sharp)


def walk(extent_px: float, sigma: float = 0.004) -> Blur:
    """A curved path as long, else as `straight`."""
    return lambda sharp, rng: (noisy(convolve(sharp, walk_kernel(extent_px, rng)), sigma, rng), sharp)


def noisy(image: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """(1, 3, H, W) in 8-bit steps of [0, 1]."""
    noise = torch.from_numpy(rng.normal(scale=sigma, size=tuple(image.shape))).float()
    return pillow_jpeg((image + noise).clamp(0, 1), 90)


@dataclass(frozen=True)
class Entry:
    """One picture: the wallpaper's stem, or "" for the real pair; what blurs it; left and top of the part shown."""

    name: str
    photo: str
    blur: Blur | None
    place: tuple[int, int]


ENTRIES = (
    Entry("real", "", None, (310, 170)),
    Entry("walk_8", "oakland-zoo-otters", walk(8), (200, 110)),
    Entry("straight_10", "roman-colosseum", straight(10, 0.5), (120, 120)),
    Entry("shake", "perched-osprey", ShakePipeline(spread_px=(1.5, 2.0), jpeg_quality=(85, 90)), (200, 80)),
    Entry("straight_45", "casa-mila", straight(45, 0.6), (380, 220)),
    Entry("night", "singaporean-cityscape", NightPipeline(extent_px=(20.0, 20.0)), (400, 100)),
    Entry("texture", "the-spices-of-life", straight(16, 0.2), (240, 250)),
    Entry("noise", "lake-sherburne", walk(12, sigma=0.06), (60, 80)),
    Entry("sharp", "tea-gardens", lambda sharp, rng: (sharp, sharp), (300, 250)),
)


def load(entry: Entry, folder: Path) -> tuple[Tensor, Tensor]:
    """Blurry and sharp, (1, 3, H, W) in [0, 1]."""
    if entry.blur is None:
        return picture(EXAMPLES / "blurry.jpg"), picture(EXAMPLES / "blurry_reference.jpg")
    # Seeded by the name, so that entries may come and go without changing the others.
    rng = np.random.default_rng(list(entry.name.encode()))
    return entry.blur(picture(folder / f"{entry.photo}.jpg"), rng)


def picture(path: Path) -> Tensor:
    """A photo, shrunk to WIDTH_PX where it is wider."""
    with Image.open(path) as image:
        image = image.convert("RGB")
    if image.width > WIDTH_PX:
        image = image.resize((WIDTH_PX, round(image.height * WIDTH_PX / image.width)), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def restored(pipeline: DeblurPipeline, blurry: Tensor) -> tuple[Tensor, str | None]:
    """As `resharp deblur`: guarded, and passed through where there is no motion blur; and its remark."""
    report = assess_input(blurry)
    if report.motion_blur == "none":
        return blurry, "no motion blur found; passed through"
    safe = make_safe(blurry, pipeline.restore(blurry).image, report)
    return torch.as_tensor(safe.image), safe.remark


def scores(image: Tensor, sharp: Tensor) -> dict[str, float | None]:
    """PSNR in dB, None where the two are equal, and SSIM."""
    decibel = float(psnr(image, sharp))
    return {"psnr": round(decibel, 2) if np.isfinite(decibel) else None, "ssim": round(float(ssim(image, sharp)), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wallpapers", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    pipelines = {name: DeblurPipeline.from_pretrained(name) for name in MODELS}
    figures: dict[str, Any] = {}
    for entry in ENTRIES:
        blurry, sharp = load(entry, options.wallpapers)
        columns = {"blurry": blurry}
        figures[entry.name] = {"blurry": scores(blurry, sharp)}
        for name, pipeline in pipelines.items():
            columns[name], remark = restored(pipeline, blurry)
            figures[entry.name][name] = {**scores(columns[name], sharp), "remark": remark}
        columns["sharp"] = sharp
        left, top = entry.place
        crops = {name: image[..., top : top + CROP_PX[1], left : left + CROP_PX[0]] for name, image in columns.items()}
        write_sheet(options.out / f"{entry.name}.jpg", crops, rows=1)
        print(entry.name, json.dumps(figures[entry.name]))
    text = json.dumps(figures, indent=1) + "\n"
    (options.out / "figures.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
