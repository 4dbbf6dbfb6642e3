"""What an adaptation did and how it was judged: a JSON object, and the same for people in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DIGITS = {"psnr": 3, "ssim": 4, "lpips": 4, "deblurred": 4}


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people: decision, requirements, what the model was fitted to."""
    accepted = report["decision"] == "accepted"
    lines = [f"# Adaptation of {report['model']}: {report['decision']}", "", _sentence(accepted), ""]
    lines += [
        "| on | part | metric | before | after | gain | standard error | number | must be | passed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["requirements"]:
        digits = DIGITS[row["metric"]]
        numbers = [f"{row[key]:.{digits}f}" for key in ("before", "after")]
        numbers += [f"{row['gain']:+.{digits}f}", f"{row['standard_error']:.{digits}f}", str(row["count"])]
        cells = [row["what"], row["part"], row["metric"], *numbers, row["rule"], "yes" if row["passed"] else "no"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_facts(report), ""])


def decision_line(report: Mapping[str, Any]) -> str:
    """One line: what failed, or that all passed."""
    failed = [row for row in report["requirements"] if not row["passed"]]
    if not failed:
        return "accepted: better on held-out photos and on held-out pairs made with their blur"
    parts = [
        f"{row['metric']} on {row['what']} ({row['part']}) {row['gain']:+.{DIGITS[row['metric']]}f} "
        f"(standard error {row['standard_error']:.{DIGITS[row['metric']]}f}), must be {row['rule']}"
        for row in failed
    ]
    return f"refused: {'; '.join(parts)}"


def _sentence(accepted: bool) -> str:
    if accepted:
        return "All requirements on what was held out are met; the adapted model is in this folder."
    return "Not all requirements on what was held out are met; no model was written. Keep the one you have."


def _facts(report: Mapping[str, Any]) -> list[str]:
    photos, settings = report["photos"], report["settings"]
    lines = [
        f"- method: {settings['method']}, {settings['steps']} steps of {settings['batch_size']} crops, learning rate "
        f"{settings['lr']:g}, seed {settings['seed']}; {report['seconds']:.0f} s",
        f"- photos: {len(photos['fit'])} to fit, {len(photos['held_out'])} held out, "
        f"{len(photos['left_out'])} left out",
        f"- sharp pictures: {report['sharp']['origin']}, {report['sharp']['fit']} to fit, "
        f"{report['sharp']['held_out']} held out",
    ]
    for side, found in report["blurs"].items():
        dropped = ", ".join(f"{number} {reason}" for reason, number in found["dropped"].items() if number) or "none"
        least, median, most = found["extent_px"]
        lines.append(
            f"- blur of the photos, {side.replace('_', ' ')}: {found['kept']} of {found['tiles']} tiles, extent "
            f"{median:.1f} px ({least:.1f} to {most:.1f}); dropped: {dropped}"
        )
    return [*lines, *(f"- left out: {line}" for line in photos["left_out"])]


def finite(value: Any) -> Any:
    """The same plain values, with numbers that are not finite as None: JSON has none of them."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
