"""Small studies on disk, and answers drawn from known preferences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from resharp.study.answers import Answers

METHODS = {"quiet-fox": 0.0, "tall-oak": 0.7, "wet-sand": 1.4}  # and how much each blurs


def make_pairs(folder: Path, photos: int = 4, size: tuple[int, int] = (48, 32), extra: bool = True) -> Path:
    """A folder for each method, and with `extra` for the blurry and sharp photos too."""
    blurs = {**METHODS, **({"blurry": 3.0, "sharp": 0.0} if extra else {})}
    for number in range(photos):
        noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        for name, blur in blurs.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise).filter(ImageFilter.GaussianBlur(blur)).save(folder / name / f"p{number}.png")
    return folder


def simulate(
    strengths: list[float],
    raters: int,
    photos: int,
    seed: int,
    *,
    side: float = 0.0,
    tie: float = 0.0,
    per_photo: float = 0.0,
    per_rater: float = 0.0,
) -> Answers:
    """Everybody answers every pair by Bradley-Terry.

    Args:
        side: added to the log-odds of the left picture.
        tie: chance of a tie.
        per_photo, per_rater: standard deviations of what a photo and a rater add to each method's strength.
    """
    rng = np.random.default_rng(seed)
    count = len(strengths)
    of_photo, of_rater = per_photo * rng.normal(size=(photos, count)), per_rater * rng.normal(size=(raters, count))
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    grid = [(r, p, i, j) for r in range(raters) for p in range(photos) for i, j in pairs]
    rater, photo, first, second = np.array(grid).T
    worth = np.array(strengths)
    odds = worth[first] - worth[second] + of_photo[photo, first] - of_photo[photo, second]
    odds = odds + of_rater[rater, first] - of_rater[rater, second]
    first_left = rng.random(len(grid)) < 0.5
    odds = odds + np.where(first_left, side, -side)
    score = (rng.random(len(grid)) < 1 / (1 + np.exp(-odds))).astype(float)
    score[rng.random(len(grid)) < tie] = 0.5
    names = tuple(f"method-{number}" for number in range(count))
    return Answers(names, rater, photo, first, second, score, first_left, rng.lognormal(1, 0.5, len(grid)))
