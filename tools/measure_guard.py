"""How often the guard errs, and what it costs: the figures of docs/trust.md.

    python tools/measure_guard.py [--model MODEL] [--pairs PAIRS] [--sharp SHARP] [--photos N] [--crop 512]

PAIRS holds real pairs and SHARP sharp photos, as for `resharp gate`. Prints the verdicts on motion blur for both
sides of the pairs, the sharp photos, and the sharp photos blurred. With a model (a folder, a Hub id or "default")
it also restores the middles of the pairs and the whole sharp photos, with and without the guard.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resharp.assessment import assess_input, guard, reblur_consistency
from resharp.assessment.trusting import DOUBTFUL_EXPLAINED, POOR_EXPLAINED
from resharp.evaluate.centre import CentrePair
from resharp.evaluate.degrade import convolve, pillow_jpeg
from resharp.evaluate.kernels import line_kernel
from resharp.evaluate.pairs import Pair, paired_folder, photos_by_stem
from resharp.evaluate.protocols import SCORED, out_of_domain_pairs
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.full_reference import psnr
from resharp.pipeline import DeblurPipeline

LENGTHS_PX = (3, 5, 10, 20)
NOISE_SIGMA, JPEG_QUALITY = 1.5 / 255, 90
VERDICTS = ("none", "unsure", "some")
MOST_DB = 100.0  # what an unchanged picture counts as


def load(path: Path) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return photo_to_tensor(read_photo(path))


def moved(sharp: Tensor, length_px: float, index: int) -> Tensor:
    """Straight motion at an angle that turns with the index, noise and JPEG."""
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(index))
    blurry = convolve(sharp, line_kernel(length_px, 0.3 * index))
    return pillow_jpeg((blurry + NOISE_SIGMA * noise).clamp(0, 1), JPEG_QUALITY)


def count_verdicts(what: str, images: Iterable[Tensor]) -> None:
    reports = [assess_input(image) for image in images]
    found = Counter(report.motion_blur for report in reports)
    extents = [report.blur_extent_px for report in reports if report.blur_extent_px is not None]
    counts = "  ".join(f"{verdict} {found[verdict]}" for verdict in VERDICTS)
    kinds = Counter(reason for report in reports for reason in report.outside)
    median = f"{np.median(extents):.1f} px" if extents else "none"
    told = "".join(f"; {reason}: {count}" for reason, count in kinds.items())
    print(f"{what}: {counts}; median extent {median}{told}", flush=True)


def compare(what: str, pipeline: DeblurPipeline, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """PSNR to the second of each pair: of the restored first, without the guard and with it."""
    rows = []
    for blurry, sharp in pairs:
        restored = pipeline.restore(blurry).image
        guarded = torch.from_numpy(guard(blurry, restored, assess_input(blurry)).image)
        rows.append([min(MOST_DB, float(psnr(image, sharp))) for image in (blurry, restored, guarded)])
    before, plain, held = np.array(rows).T
    for name, values in (("without the guard", plain), ("with the guard", held)):
        line = f"{what}, {name}: mean {values.mean():.2f} dB, least {values.min():.2f} dB"
        if before.min() < MOST_DB:  # a sharp photo against itself has nothing to gain
            gain = values - before
            line += f"; gain {gain.mean():+.4f} dB, least {gain.min():+.4f} dB"
        print(line, flush=True)


def explain(what: str, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """How much of the first of each pair the second explains, blurred again."""
    values = np.array([reblur_consistency(blurry, result).explained for blurry, result in pairs])
    low, middle, high = np.percentile(values, [0, 50, 100])
    below = ", ".join(f"below {limit}: {(values < limit).sum()}" for limit in (DOUBTFUL_EXPLAINED, POOR_EXPLAINED))
    print(f"{what} explains: {low:.2f} to {high:.2f}, median {middle:.2f}; {below}", flush=True)


def measure_pairs(pairs: list[Pair], pipeline: DeblurPipeline | None, crop_px: int) -> None:
    middles = [CentrePair(pair, crop_px) for pair in pairs]
    count_verdicts("pairs, blurry side", (pair.load()[0] for pair in pairs))
    count_verdicts("pairs, blurry side, middle", (pair.load()[0] for pair in middles))
    count_verdicts("pairs, sharp side", (pair.load()[1] for pair in pairs))
    explain("sharp side", (pair.load() for pair in middles))
    explain("sharp side, mirrored", ((blurry, sharp.flip(3)) for blurry, sharp in map(CentrePair.load, middles)))
    if pipeline is not None:
        compare("pairs, middle", pipeline, (pair.load() for pair in middles))
        photos = (pair.load()[0] for pair in middles)
        explain("result", ((photo, pipeline.restore(photo).image) for photo in photos))


def measure_sharp(folder: Path, pipeline: DeblurPipeline | None, most: int | None) -> None:
    photos = photos_by_stem(folder)
    names = sorted(photos)
    if most is not None and most < len(names):
        names = [names[i] for i in np.linspace(0, len(names) - 1, most).round().astype(int)]
    count_verdicts("sharp photos", (load(photos[name]) for name in names))
    for length in LENGTHS_PX:
        count_verdicts(f"motion of {length} px", (moved(load(photos[n]), length, i) for i, n in enumerate(names)))
    for name, blur in SCORED.items():
        pairs = [pair for pair in out_of_domain_pairs(folder, pipeline=blur) if pair.name in names]
        count_verdicts(name, (pair.load()[0] for pair in pairs))
    if pipeline is not None:
        compare("sharp photos to themselves", pipeline, ((load(photos[n]),) * 2 for n in names))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="without it nothing is restored")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--sharp", type=Path)
    parser.add_argument("--photos", type=int, help="how many sharp photos, evenly from the sorted names")
    parser.add_argument("--crop", type=int, default=512, help="side in px of the middles of pairs")
    options = parser.parse_args(words)
    pipeline = None if options.model is None else DeblurPipeline.from_pretrained(options.model)
    if options.pairs is not None:
        measure_pairs(paired_folder(options.pairs), pipeline, options.crop)
    if options.sharp is not None:
        measure_sharp(options.sharp, pipeline, options.photos)


if __name__ == "__main__":
    main()
