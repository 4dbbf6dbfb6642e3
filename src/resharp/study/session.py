"""A running study: raters join, get questions, answer, go back. Knows nothing of HTTP."""

from __future__ import annotations

import threading
from typing import Any

from resharp.study.encoding import INPUT, PictureStore
from resharp.study.pictures import Pictures
from resharp.study.plan import Question, StudySettings, check_places, pick_check, pick_unit
from resharp.study.results import Answer, Results

_LONGEST_MS = 24 * 3600 * 1000


class Study:
    """What the web page talks to.

    Args:
        results: open, and of these pictures and settings.
    """

    def __init__(self, pictures: Pictures, settings: StudySettings, results: Results) -> None:
        self.pictures, self.settings, self.results = pictures, settings, results
        self.store = PictureStore(pictures.photos, results.secret)
        self._units = pictures.units
        self._photos = {photo.name: photo for photo in pictures.photos}
        # Two raters who ask at once must not both get the pair with the fewest answers.
        self._choosing = threading.Lock()

    def about(self) -> dict[str, Any]:
        """What the page shows before the first question."""
        questions = len(check_places(self.settings, len(self._units), 0))
        blurry = self.pictures.photos[0].blurry is not None
        return {
            "question": self.settings.question,
            "ties": self.settings.ties,
            "questions": questions,
            "input": blurry,
        }

    def state(self, rater: int) -> dict[str, Any]:
        """The rater's open question, for the page: opaque names alone; or that there are no more."""
        with self._choosing:
            found = self.results.open_question(rater)
            places = check_places(self.settings, len(self._units), rater)
            shown = self.results.shown(rater)
            if found is None and len(shown) < len(places):
                place = len(shown)
                question = self._next(rater, place, places, [unit for unit in shown if unit is not None])
                self.results.show(rater, place, question)
                found = place, question
        if found is None:
            return {"finished": True, "place": len(places), "questions": len(places)}
        place, question = found
        return {"finished": False, "place": place, "questions": len(places), **self._for_page(question)}

    def answer(self, rater: int, place: int, answer: Answer) -> dict[str, Any]:
        """Take an answer, if that question is open, and give the next one. A repeated answer changes nothing."""
        self.results.answer(rater, place, answer)
        return self.state(rater)

    def undo(self, rater: int) -> dict[str, Any]:
        """Go back to the rater's last answer."""
        self.results.undo(rater)
        return self.state(rater)

    def accepts(self, choice: object, milliseconds: object) -> bool:
        """Whether this is an answer that the page can have sent."""
        known = choice in ("left", "right") or (choice == "tie" and self.settings.ties)
        whole = isinstance(milliseconds, int) and not isinstance(milliseconds, bool)
        return known and whole and 0 <= milliseconds <= _LONGEST_MS  # type: ignore[operator]

    def _next(self, rater: int, place: int, places: list[bool], done: list[int]) -> Question:
        if places[place]:
            return pick_check(self.settings, self.pictures.photos, places, rater, place)
        return pick_unit(self.settings, self._units, self.results.counts(), done, rater, place)

    def _for_page(self, question: Question) -> dict[str, Any]:
        photo = self._photos[question.photo]
        pictures = {"left": question.left, "right": question.right}
        if photo.blurry is not None:
            pictures["input"] = INPUT
        width, height = photo.size
        names = {side: self.store.name(photo.name, version) for side, version in pictures.items()}
        return {"width": width, "height": height, "pictures": names}
