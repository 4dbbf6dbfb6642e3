"""The results file of a study: an SQLite database that is written at each answer and never rewritten."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resharp.errors import ConfigError, DataError, OutputError
from resharp.settings import to_dict
from resharp.study.pictures import Pictures
from resharp.study.plan import Question, StudySettings

FORMAT = "resharp study 1"
CHOICES = ("left", "right", "tie")
# A question shown this long ago and not answered no longer counts as taken by its rater.
_PENDING_S = 900

_SCHEMA = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE raters (
  rater INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, joined REAL NOT NULL, agent TEXT NOT NULL);
CREATE TABLE answers (
  rater INTEGER NOT NULL REFERENCES raters, place INTEGER NOT NULL, unit INTEGER, photo TEXT NOT NULL,
  left_method TEXT NOT NULL, right_method TEXT NOT NULL, shown REAL NOT NULL,
  choice TEXT CHECK (choice IN ('left', 'right', 'tie')), milliseconds INTEGER, answered REAL, zoomed INTEGER,
  agent TEXT, undone INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (rater, place));
CREATE INDEX answers_by_unit ON answers (unit);
"""


@dataclass(frozen=True)
class Answer:
    """One answer: which side, after how long, whether the rater had zoomed, and from what kind of device."""

    choice: str
    milliseconds: int
    zoomed: bool
    agent: str


class Results:
    """An open results file. Safe to use from several threads; every change is on disk when its call returns.

    Args:
        path: made if missing.
        pictures, settings: what the study is; a file of another study is refused.

    Raises:
        OutputError: it cannot be made or written.
        DataError: it is no results file, or of other pictures.
        ConfigError: it was begun with other settings.
    """

    def __init__(self, path: str | os.PathLike[str], pictures: Pictures, settings: StudySettings) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        new = not self.path.exists() or self.path.stat().st_size == 0
        try:
            self._database = sqlite3.connect(self.path, timeout=10, check_same_thread=False, isolation_level=None)
            if not new:
                self._check(pictures, settings)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            if new:
                self._begin(pictures, settings)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from error
        self.secret = read_study(self._database, self.path)["secret"]

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def join(self, agent: str) -> str:
        """A new rater's token, by which they go on later; random."""
        token = secrets.token_urlsafe(12)
        with self._writing() as database:
            database.execute("INSERT INTO raters (token, joined, agent) VALUES (?, ?, ?)", (token, time.time(), agent))
        return token

    def rater(self, token: str) -> int | None:
        """The number of the rater with this token, from 1, or None."""
        found = self._row("SELECT rater FROM raters WHERE token = ?", token)
        return None if found is None else found[0]

    def open_question(self, rater: int) -> tuple[int, Question] | None:
        """The place of the first question that this rater was shown and has not answered, and the question."""
        found = self._row(
            "SELECT place, unit, photo, left_method, right_method FROM answers WHERE rater = ? AND choice IS NULL"
            " ORDER BY place",
            rater,
        )
        return None if found is None else (found[0], Question(*found[1:]))

    def shown(self, rater: int) -> list[int | None]:
        """The units that this rater was shown, in order; None for attention checks."""
        with self._lock:
            query = "SELECT unit FROM answers WHERE rater = ? ORDER BY place"
            return [unit for (unit,) in self._database.execute(query, (rater,))]

    def counts(self) -> dict[int, int]:
        """Answers by unit, questions that somebody looks at now included."""
        query = (
            "SELECT unit, COUNT(*) FROM answers WHERE unit IS NOT NULL AND (choice IS NOT NULL OR shown > ?)"
            " GROUP BY unit"
        )
        with self._lock:
            return dict(self._database.execute(query, (time.time() - _PENDING_S,)).fetchall())

    def show(self, rater: int, place: int, question: Question) -> None:
        """Note that this question is put to the rater at this place."""
        values = (rater, place, question.unit, question.photo, question.left, question.right, time.time())
        with self._writing() as database:
            database.execute(
                "INSERT OR IGNORE INTO answers (rater, place, unit, photo, left_method, right_method, shown)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def answer(self, rater: int, place: int, answer: Answer) -> bool:
        """Write an answer; False, and nothing is written, where that question is not open."""
        values = (answer.choice, answer.milliseconds, time.time(), int(answer.zoomed), answer.agent, rater, place)
        with self._writing() as database:
            changed = database.execute(
                "UPDATE answers SET choice = ?, milliseconds = ?, answered = ?, zoomed = ?, agent = ?"
                " WHERE rater = ? AND place = ? AND choice IS NULL",
                values,
            )
            return changed.rowcount == 1

    def undo(self, rater: int) -> bool:
        """Open this rater's last answered question again; False if there is none."""
        with self._writing() as database:
            changed = database.execute(
                "UPDATE answers SET choice = NULL, milliseconds = NULL, answered = NULL, undone = undone + 1"
                " WHERE rater = ?1 AND place = (SELECT MAX(place) FROM answers WHERE rater = ?1 AND choice NOT NULL)",
                (rater,),
            )
            return changed.rowcount == 1

    def totals(self) -> tuple[int, int]:
        """Answers, attention checks included, and raters who gave them."""
        found = self._row("SELECT COUNT(*), COUNT(DISTINCT rater) FROM answers WHERE choice IS NOT NULL")
        assert found is not None
        return found[0], found[1]

    def _row(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            return self._database.execute(query, values).fetchone()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _begin(self, pictures: Pictures, settings: StudySettings) -> None:
        about = {
            "format": FORMAT,
            "secret": secrets.token_hex(32),
            "methods": json.dumps(pictures.methods),
            "photos": json.dumps([photo.name for photo in pictures.photos]),
            "pictures": pictures.digest,
            "settings": json.dumps(to_dict(settings)),
        }
        # One transaction, so that a file is either empty or a study.
        inserts = [f"INSERT INTO study VALUES ('{key}', {_quoted(value)});" for key, value in about.items()]
        self._database.executescript(f"BEGIN; {_SCHEMA} {' '.join(inserts)} COMMIT;")

    def _check(self, pictures: Pictures, settings: StudySettings) -> None:
        about = read_study(self._database, self.path)
        if about["pictures"] != pictures.digest:
            raise DataError(f"{self.path}: holds the answers of a study of other pictures; choose another --results")
        before, now = json.loads(about["settings"]), to_dict(settings)
        for key in now:
            if before.get(key) != now[key]:
                raise ConfigError(
                    f"{self.path}: was begun with {key} {before.get(key)!r}, not {now[key]!r}; give the same,"
                    " or choose another --results"
                )


def read_study(database: sqlite3.Connection, path: Path) -> dict[str, str]:
    """What the study is, by key: format, secret, methods, photos, pictures, settings (JSON where not plain).

    Raises:
        DataError: the database is no results file of this program.
    """
    try:
        about = dict(database.execute("SELECT key, value FROM study"))
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from error
    if about.get("format") != FORMAT:
        raise DataError(f"{path}: is not a results file of this version; name one that `resharp study serve` made")
    return about


def _unusable(path: Path, error: sqlite3.DatabaseError) -> DataError | OutputError:
    # Locked, read-only, no such folder: the place is at fault, and not what the file holds.
    if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
        return OutputError(f"{path}: cannot open it as a results file ({error}); choose another --results")
    return DataError(f"{path}: is not the results file of a study ({error}); name another")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
