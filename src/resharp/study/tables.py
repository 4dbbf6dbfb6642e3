"""A study's outcome as files: Markdown for people, LaTeX for a paper, CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resharp.files import write_text
from resharp.settings import to_dict
from resharp.study.analysis import Analysis, Interval
from resharp.study.answers import AnswerRow, RaterSummary, StudyAnswers

PAPER = (
    "For reference, the paper's study (RealBlur-J, 25 raters, 750 ratings): its method was preferred to Uformer in"
    " 65 % and to icDPM in 62 % of answers (arXiv 2212.01789, figures known from a summary). Other photos, methods and"
    " raters: not to be compared with the figures above."
)
# A side bias this far from chance, by its interval, is worth a word.
_EVEN = 0.5


@dataclass(frozen=True)
class StudyReport:
    """A study, its raters and what their answers come to; `how` says in a line how intervals were made."""

    study: StudyAnswers
    raters: Sequence[RaterSummary]
    analysis: Analysis
    right_share: float
    how: str

    def markdown(self) -> str:
        """The whole report."""
        a = self.analysis
        heads = ["method", "against", "preferred", "95 % interval", "Wilson", "wins", "ties", "losses"]
        rates = [
            [w.method, w.other, f"{w.rate.value:.1%}", _percents(w.rate.low, w.rate.high), _percents(*w.wilson)]
            + [str(n) for n in (w.wins, w.ties, w.losses)]
            for w in a.win_rates
        ]
        strengths = [
            [s.method, f"{s.strength.value:+.3f}", _signed(s.strength), f"{s.first:.1%}" if _known(s.strength) else "-"]
            for s in a.strengths
        ]
        lines = [f"{a.answers} answers by {a.raters} raters on {a.photos} photos: {self.study.settings.question}", ""]
        lines += _table(heads, rates)
        lines += ["", *_table(["method", "Bradley-Terry score", "95 % interval", "first in resamples"], strengths), ""]
        lines += [f"- {note}" for note in self.notes()]
        return "\n".join(lines) + "\n"

    def notes(self) -> list[str]:
        """What belongs below the tables."""
        a = self.analysis
        out = [rater for rater in self.raters if not rater.kept]
        unchecked = [rater.rater for rater in self.raters if not rater.checks]
        checks, right = sum(r.checks for r in self.raters), sum(r.checks_right for r in self.raters)
        names = ", ".join(f"{r.rater} ({r.checks_right} of {r.checks} right)" for r in out) or "none"
        notes = [
            self.how,
            f"Attention checks: {right} of {checks} right. A rater with fewer than {self.right_share:.0%} right is left"
            f" out: {names}, with {sum(r.answers for r in out)} answers.",
        ]
        if unchecked:
            notes.append(f"Kept although they met no attention check: raters {', '.join(map(str, unchecked))}.")
        notes += [
            f"Agreement: Krippendorff's alpha {_span(a.alpha, 3)} (0: as if tossing coins; interval over photos); two"
            f" raters gave the same answer in {_percent(a.agreement)} of {a.agreement_pairs} cases.",
            f"Side: the left picture was preferred in {_percent(a.side.value)} of choices"
            f" (over raters {_percents(a.side.low, a.side.high)}; Wilson {_percents(*a.side_wilson)}). {self._side()}",
            "Seconds for an answer: median {1:.1f}, quartiles {0:.1f} and {2:.1f}.".format(*a.seconds),
            PAPER,
        ]
        return notes

    def latex(self) -> str:
        """Both tables, for the booktabs package."""
        rates = [
            [_tex(w.method), _tex(w.other), f"{100 * w.rate.value:.1f}", _tex_span(w.rate, 100, 1)]
            + [str(n) for n in (w.wins, w.ties, w.losses)]
            for w in self.analysis.win_rates
        ]
        strengths = [
            [_tex(s.method), f"${s.strength.value:+.3f}$", _tex_span(s.strength, 1, 3)] for s in self.analysis.strengths
        ]
        comment = " ".join(self.how.replace("%", r"\%").split())
        first = _tex_table(
            "llrcrrr", ["Method", "Against", r"Preferred (\%)", r"95\,\%", "Wins", "Ties", "Losses"], rates
        )
        second = _tex_table("lrc", ["Method", "Bradley--Terry", r"95\,\%"], strengths)
        return f"% {comment}\n{first}\n{second}"

    def json(self) -> str:
        """Everything but the single answers."""
        content = {
            "methods": self.study.methods,
            "photos": self.study.photos,
            "settings": to_dict(self.study.settings),
            "right_share": self.right_share,
            "raters": [asdict(rater) for rater in self.raters],
            "analysis": asdict(self.analysis),
            "notes": self.notes(),
        }
        return json.dumps(_finite(content), indent=2, allow_nan=False)

    def write(self, folder: Path) -> list[Path]:
        """study.md, .tex, .json, win_rates.csv, strengths.csv, raters.csv, answers.csv; raises OutputError."""
        rates = [
            [w.method, w.other, w.wins, w.ties, w.losses, w.rate.value, w.rate.low, w.rate.high, *w.wilson]
            for w in self.analysis.win_rates
        ]
        rate_heads = ["method", "other", "wins", "ties", "losses", "rate", "low", "high", "wilson_low", "wilson_high"]
        strengths = [[s.method, *asdict(s.strength).values(), s.first] for s in self.analysis.strengths]
        rater_heads = list(RaterSummary.__dataclass_fields__)
        texts = {
            "study.md": self.markdown(),
            "study.tex": self.latex(),
            "study.json": self.json() + "\n",
            "win_rates.csv": _csv(rate_heads, rates),
            "strengths.csv": _csv(["method", "strength", "low", "high", "first"], strengths),
            "raters.csv": _csv(rater_heads, [asdict(rater).values() for rater in self.raters]),
            "answers.csv": _csv(AnswerRow._fields, self.study.rows),
        }
        for name, text in texts.items():
            write_text(folder / name, text)
        return [folder / name for name in texts]

    def _side(self) -> str:
        side = self.analysis.side
        if not math.isfinite(side.low):
            return "Sides are drawn at random."
        if side.low <= _EVEN <= side.high:
            return "No side bias is seen."
        return "That is a side bias; sides are drawn at random, so it favours no method, but pulls rates towards 50 %."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *escaped]]


def _csv(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(["" if isinstance(x, float) and not math.isfinite(x) else x for x in row] for row in rows)
    return text.getvalue()


def _tex_table(columns: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _tex_span(interval: Interval, scale: float, digits: int) -> str:
    if not _known(interval):
        return "--"
    sign = "+" if scale == 1 else ""
    return f"[${scale * interval.low:{sign}.{digits}f}$, ${scale * interval.high:{sign}.{digits}f}$]"


def _known(interval: Interval) -> bool:
    return math.isfinite(interval.low)


def _percent(share: float) -> str:
    return f"{share:.1%}" if math.isfinite(share) else "-"


def _percents(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}" if math.isfinite(low) else "-"


def _signed(interval: Interval) -> str:
    return f"{interval.low:+.3f} to {interval.high:+.3f}" if _known(interval) else "-"


def _span(interval: Interval, digits: int) -> str:
    if not math.isfinite(interval.value):
        return "not defined"
    ends = f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if _known(interval) else ""
    return f"{interval.value:.{digits}f}{ends}"


def _finite(value: Any) -> Any:
    """None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
