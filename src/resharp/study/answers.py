"""The answers in a results file, and who of the raters paid attention."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from resharp.errors import DataError
from resharp.settings import from_dict, shown
from resharp.study.encoding import BLURRED
from resharp.study.plan import StudySettings
from resharp.study.results import CHOICES, read_study

# Of the attention checks that a rater answered, the share that must be right.
RIGHT_SHARE = 0.75
_COPY = "copy the file again from where the study was served"
_LARGEST = 1 << 53  # whole numbers that a float holds exactly


class AnswerRow(NamedTuple):
    """One answer as it was given; `unit` is None for an attention check."""

    rater: int
    place: int
    unit: int | None
    photo: str
    left_method: str
    right_method: str
    choice: str
    milliseconds: int
    answered: float
    zoomed: bool
    agent: str
    undone: int


@dataclass(frozen=True)
class RaterSummary:
    """One rater.

    checks, checks_right: attention checks answered, and how many of them rightly.
    kept: whether the answers count: at least `RIGHT_SHARE` of the checks right. One who met none is kept.
    left: share of answers for the left side among those that named a side; NaN without any.
    """

    rater: int
    agent: str
    answers: int
    checks: int
    checks_right: int
    kept: bool
    median_s: float
    left: float
    zoomed: float


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class Answers:
    """Answers to pairs as arrays of one length N, attention checks left out.

    methods: sorted names.
    rater, photo: (N,) numbers from 0.
    first, second: (N,) indices in `methods`, first < second.
    score: (N,) 1 where the first method was preferred, 0 where the second, 0.5 for a tie.
    first_left: (N,) whether the first method was on the left.
    seconds: (N,) time taken.
    """

    methods: tuple[str, ...]
    rater: np.ndarray
    photo: np.ndarray
    first: np.ndarray
    second: np.ndarray
    score: np.ndarray
    first_left: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    @property
    def left(self) -> np.ndarray:
        """(N,) 1 where the left picture was preferred, 0 where the right one, 0.5 for a tie."""
        return np.where(self.first_left, self.score, 1 - self.score)


@dataclass(frozen=True)
class StudyAnswers:
    """All that a results file says about a study."""

    methods: tuple[str, ...]
    photos: tuple[str, ...]
    settings: StudySettings
    rows: tuple[AnswerRow, ...]


def read_answers(path: Path) -> StudyAnswers:
    """Read a results file, also while it is being served; nothing in it is changed.

    Raises:
        DataError: no such file, or not the results of a study.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; name the results file of `resharp study serve`")
    columns = ", ".join(AnswerRow._fields)
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            about = read_study(database, path)
            query = f"SELECT {columns} FROM answers WHERE choice IS NOT NULL ORDER BY rater, place"
            rows = tuple(AnswerRow(*row)._replace(zoomed=bool(row[9])) for row in database.execute(query))
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path}: cannot be read as a results file ({error})") from error
    try:
        settings = from_dict(StudySettings, json.loads(about["settings"]), str(path))
        methods, photos = (tuple(json.loads(about[key])) for key in ("methods", "photos"))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged: what it says of its study cannot be read; {_COPY}") from error
    if any(not isinstance(name, str) for name in (*methods, *photos)) or len(set(methods)) < len(methods):
        raise DataError(f"{path}: damaged: the names of its methods or photos are none; {_COPY}")
    for row in rows:
        if not _fits(row, methods, photos):
            which = f"answer {shown(row.place)} of rater {shown(row.rater)}"
            raise DataError(f"{path}: damaged: {which} cannot be; {_COPY}")
    return StudyAnswers(methods, photos, settings, rows)


def _fits(row: AnswerRow, methods: Sequence[str], photos: Sequence[str]) -> bool:
    """Whether an answer can be one: SQLite keeps any value in any column."""
    numbers = (row.rater, row.place, row.milliseconds, row.undone, 0 if row.unit is None else row.unit)
    whole = all(isinstance(number, int) and 0 <= number < _LARGEST for number in numbers)
    known = row.unit is None or (row.photo in photos and row.left_method in methods and row.right_method in methods)
    return whole and known and row.choice in CHOICES and isinstance(row.agent, str)


def summarise_raters(rows: Sequence[AnswerRow], right_share: float = RIGHT_SHARE) -> list[RaterSummary]:
    """One summary for each rater who answered anything, by number."""
    summaries = []
    for rater in sorted({row.rater for row in rows}):
        own = [row for row in rows if row.rater == rater]
        pairs = [row for row in own if row.unit is not None]
        checks = [row for row in own if row.unit is None]
        right = sum(map(_is_right, checks))
        sided = [row.choice == "left" for row in pairs if row.choice != "tie"]
        summaries.append(
            RaterSummary(
                rater=rater,
                agent=own[-1].agent,
                answers=len(pairs),
                checks=len(checks),
                checks_right=right,
                kept=right >= right_share * len(checks),
                median_s=float(np.median([row.milliseconds for row in own])) / 1000,
                left=float(np.mean(sided)) if sided else float("nan"),
                zoomed=float(np.mean([row.zoomed for row in own])),
            )
        )
    return summaries


def answers_of(study: StudyAnswers, raters: Sequence[RaterSummary]) -> Answers:
    """The answers to pairs by those of `raters` who are kept.

    Raises:
        DataError: there are none.
    """
    kept = {summary.rater: number for number, summary in enumerate(each for each in raters if each.kept)}
    rows = [row for row in study.rows if row.unit is not None and row.rater in kept]
    if not rows:
        raise DataError("no answers by raters who passed their attention checks; gather more first")
    left = np.array([study.methods.index(row.left_method) for row in rows])
    right = np.array([study.methods.index(row.right_method) for row in rows])
    for_left = np.array([{"left": 1.0, "right": 0.0, "tie": 0.5}[row.choice] for row in rows])
    return Answers(
        methods=study.methods,
        rater=np.array([kept[row.rater] for row in rows]),
        photo=np.array([study.photos.index(row.photo) for row in rows]),
        first=np.minimum(left, right),
        second=np.maximum(left, right),
        score=np.where(left < right, for_left, 1 - for_left),
        first_left=left < right,
        seconds=np.array([row.milliseconds for row in rows]) / 1000,
    )


def _is_right(check: AnswerRow) -> bool:
    """A tie is wrong: one of the two pictures is plainly worse."""
    chosen = {"left": check.left_method, "right": check.right_method}.get(check.choice, BLURRED)
    return chosen != BLURRED
