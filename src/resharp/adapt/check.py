"""Whether an adapted model is better than the one it came from, on photos and pictures that neither was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from resharp.adapt.blurs import MARGIN_PX, Blurs
from resharp.adapt.photos import UserPhoto
from resharp.assessment import assess_input, reblur_consistency
from resharp.data.draws import derived_seed
from resharp.evaluate.centre import centre_crop
from resharp.evaluate.paired import gains, standard_error
from resharp.evaluate.score import Metric, paired_scores, score_restorer

Rule = Literal["better", "not below", "not clearly worse"]
Restore = Callable[[Tensor, int], Tensor]
ERRORS = 2  # standard errors that a difference must exceed to count, as in `resharp gate`
ROUNDING = 1e-9
PAIR_PX = 256


class MadePair(NamedTuple):
    """A held-out sharp picture, blurred as a held-out photo is."""

    name: str
    blurry: Tensor
    sharp: Tensor

    def load(self) -> tuple[Tensor, Tensor]:
        """Blurry and sharp, each (1, 3, H, W) in [0, 1]."""
        return self.blurry, self.sharp


class PhotoScore(NamedTuple):
    """What a restoration made of one held-out photo.

    explained: of `reblur_consistency`. width_px: of strong edges, None where there are none to measure.
    deblurred: explained times max(0, 1 - width / the photo's own width), in [0, 1]: sharpness that the photo
        supports. The photo itself has 0, another scene has 0.
    """

    name: str
    explained: float
    width_px: float | None
    deblurred: float


@dataclass(frozen=True)
class Requirement:
    """One question and its answer. gain is the mean paired difference, positive where the adapted one is better."""

    what: Literal["held-out photos", "made pairs"]
    part: str
    metric: str
    rule: Rule
    before: float
    after: float
    gain: float
    standard_error: float
    count: int
    passed: bool


def made_pairs(held_out: Sequence[tuple[str, Tensor]], blurs: Blurs, seed: int) -> list[MadePair]:
    """Held-out sharp pictures (1, 3, H, W), their middle 256 px, with blurs of held-out photos drawn from a seed.

    Each blur is used once before any is used again.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, 300))
    order = torch.randperm(len(blurs), generator=generator)
    pairs = []
    for i, (name, image) in enumerate(held_out):
        side = PAIR_PX + 2 * MARGIN_PX
        blurry, sharp = blurs.apply(centre_crop(image, side, side), order[i % len(order)][None], generator)
        pairs.append(MadePair(name, blurry, sharp.contiguous()))
    return pairs


def score_photo(photo: UserPhoto, restored: Tensor) -> PhotoScore:
    """Scores of a restoration (1, 3, H, W) in [0, 1] of a photo's window."""
    explained = reblur_consistency(photo.window, restored, photo.report.noise_sigma).explained
    width, own = assess_input(restored).blur_extent_px, photo.report.blur_extent_px
    sharper = 0.0 if width is None or not own else max(0.0, 1 - width / own)
    return PhotoScore(photo.name, explained, width, explained * sharper)


def requirement(
    what: Literal["held-out photos", "made pairs"], part: str, metric: str, rule: Rule, before: Any, after: Any
) -> Requirement:
    """Paired scores (N,) of each unit, before and after, put to a rule.

    "better": the mean gain exceeds two standard errors. "not below": it is not negative. "not clearly worse": it is
    not below minus two standard errors.
    """
    before, after = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    # The real score is no metric of `evaluate`, and higher is better.
    gained = after - before if metric == "deblurred" else gains(metric, before, after)
    mean, error = float(gained.mean()), standard_error(gained)
    passed = {
        "better": mean > ERRORS * error and mean > ROUNDING,
        "not below": mean >= -ROUNDING,
        "not clearly worse": mean >= -ERRORS * error - ROUNDING,
    }[rule]
    return Requirement(
        what, part, metric, rule, float(before.mean()), float(after.mean()), mean, error, len(gained), passed
    )


class HeldOutCheck:
    """Scores of any restorer on what was held out.

    Args:
        photos: held-out photos.
        pairs: from `made_pairs`.
        lpips: None leaves LPIPS out.
    """

    def __init__(self, photos: Sequence[UserPhoto], pairs: Sequence[MadePair], lpips: Metric | None, seed: int) -> None:
        self.photos, self.pairs, self.lpips, self.seed = list(photos), list(pairs), lpips, seed

    def photo_scores(self, restore: Restore) -> list[PhotoScore]:
        """One for each held-out photo."""
        return [score_photo(photo, restore(photo.window, self.seed).float().cpu()) for photo in self.photos]

    def pair_scores(self, restore: Restore) -> dict[str, np.ndarray]:
        """(N,) of each metric: psnr, ssim and perhaps lpips."""
        rows = score_restorer(restore, self.pairs, [self.seed], self.lpips)
        return {metric: scores.per_image for metric, scores in paired_scores(rows).items()}

    def compare(self, before: dict[str, Restore], after: dict[str, Restore]) -> tuple[list[Requirement], list[Any]]:
        """All requirements, and the photos' scores as plain values.

        Made pairs are PSNR's to win and the perceptual metric's to veto. The softer rule, that either may win, let a
        model pass that lost 0.13 dB on real pairs; see docs/adapt.md.

        Args:
            before, after: restorers by part; the first part is the model's default and must get better, the others
                must not get clearly worse on made pairs.
        """
        main, *others = before
        old, new = self.photo_scores(before[main]), self.photo_scores(after[main])
        score = [[row.deblurred for row in rows] for rows in (old, new)]
        found = [requirement("held-out photos", main, "deblurred", "better", *score)]
        perceptual = "ssim" if self.lpips is None else "lpips"
        for part in (main, *others):
            pairs = self.pair_scores(before[part]), self.pair_scores(after[part])
            rules: tuple[Rule, Rule] = ("better", "not below") if part == main else ("not clearly worse",) * 2
            for metric, rule in zip(("psnr", perceptual), rules, strict=True):
                found.append(requirement("made pairs", part, metric, rule, *(side[metric] for side in pairs)))
        rows = [{"name": a.name, "before": _plain(a), "after": _plain(b)} for a, b in zip(old, new, strict=True)]
        return found, rows


def accepted(requirements: Sequence[Requirement]) -> bool:
    """Whether every requirement is met."""
    return all(each.passed for each in requirements)


def as_dicts(requirements: Sequence[Requirement]) -> list[dict[str, Any]]:
    """Plain values, for JSON."""
    return [asdict(each) for each in requirements]


def _plain(score: PhotoScore) -> dict[str, Any]:
    return {"explained": score.explained, "width_px": score.width_px, "deblurred": score.deblurred}
