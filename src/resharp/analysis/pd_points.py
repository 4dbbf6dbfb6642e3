"""Points of a perception-distortion curve that a reader must be told about: the best ones, and doubtful ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resharp.analysis.pd_curve import Point
from resharp.diffusion.presets import Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.evaluate.paired import HIGHER_IS_BETTER

# Above this share of signal at its noisy end a schedule does not begin with noise alone.
PURE_NOISE = 0.01


def best(points: Sequence[Point]) -> dict[str, Point]:
    """By metric the point with the best mean, the untouched input among them; of equals the first.

    Args:
        points: of one set.
    """
    found = {}
    for metric, higher in HIGHER_IS_BETTER.items():
        scored = [point for point in points if metric in point.scores]
        if scored:
            sign = 1 if higher else -1
            found[metric] = max(scored, key=lambda point: sign * point.scores[metric].mean)
    return found


def marks(points: Sequence[Point], names: Mapping[str, Preset], metrics: Sequence[str]) -> dict[Preset, list[str]]:
    """What to call the points of one set that have a name: presets, and "best PSNR" and so on.

    Args:
        names: the model's presets.
        metrics: whose best points are marked.
    """
    found: dict[Preset, list[str]] = {}
    for point in points:
        mine = [name for name, preset in names.items() if preset == point.settings]
        if mine:
            found[point.settings] = mine
    for metric, point in best(points).items():
        if metric in metrics:
            found.setdefault(point.settings, []).append(f"best {metric.upper()}")
    return found


def noisy_end(schedule: NoiseSchedule, settings: Preset) -> float | None:
    """alpha_bar where sampling begins, for a final variance; None without one.

    A sampler begins with noise alone, x_T ~ N(0, I). A linear schedule from beta_1 to the final variance v over N
    steps has about exp(-N v / 2) there, which for few steps or a small v is far from 0: the network is then told that
    x_T is mostly image. For x0 ~ N(0, s^2) and the best denoiser, deterministic samplers of many small steps give
    samples of deviation s / sqrt(alpha_bar s^2 + 1 - alpha_bar) instead of s.
    """
    if settings.output != "diffusion" or settings.final_variance is None:
        return None
    return float(schedule.grid(settings.steps, settings.final_variance)[-1])


def unlike_noise(points: Sequence[Point], schedule: NoiseSchedule) -> dict[tuple[int, float], float]:
    """{(steps, final variance): alpha_bar at the noisy end} of the points that do not begin with noise alone."""
    found = {}
    for settings in dict.fromkeys(point.settings for point in points):
        alpha_bar = noisy_end(schedule, settings)
        if alpha_bar is not None and alpha_bar > PURE_NOISE:
            found[settings.steps, float(settings.final_variance or 0)] = alpha_bar
    return dict(sorted(found.items()))
