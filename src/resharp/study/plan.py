"""Which question a rater gets next, and on which sides: balanced over raters, random by a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resharp.errors import ConfigError
from resharp.study.encoding import BLURRED, SHARP
from resharp.study.pictures import StudyPhoto, Unit

QUESTION = "Which picture is better?"


@dataclass(frozen=True)
class StudySettings:
    """How a study asks; fixed once it has begun.

    question: shown above the pictures.
    ties: whether "no difference" is an answer.
    attention: attention checks as a share of a rater's questions, 0 for none.
    seed: of orders, sides and the places of checks.
    per_rater: questions for each rater, checks not counted; None for all.

    Raises:
        ConfigError: a value outside what is allowed.
    """

    question: str = QUESTION
    ties: bool = False
    attention: float = 0.1
    seed: int = 0
    per_rater: int | None = None

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise ConfigError("the question is empty")
        if not 0 <= self.attention <= 0.5:
            raise ConfigError(f"attention is {self.attention:g}; allowed: 0 to 0.5")
        if self.per_rater is not None and self.per_rater < 1:
            raise ConfigError(f"per_rater is {self.per_rater}; allowed: 1 or more")


@dataclass(frozen=True)
class Question:
    """What is shown: a photo's two versions, left and right; `unit` is None for an attention check."""

    unit: int | None
    photo: str
    left: str
    right: str


def check_places(settings: StudySettings, units: int, rater: int) -> list[bool]:
    """For each of a rater's places, whether it is an attention check.

    There are round(attention * questions) checks, at least one unless attention is 0: one at a random place in each
    of as many equal parts, so that no part of a session goes unchecked.
    """
    asked = min(units, settings.per_rater or units)
    checks = max(1, round(settings.attention * asked)) if settings.attention else 0
    total = asked + checks
    draw = _random(settings, rater, "checks")
    places = [False] * total
    for part in range(checks):
        places[draw.randrange(part * total // checks, (part + 1) * total // checks)] = True
    return places


def pick_unit(
    settings: StudySettings,
    units: Sequence[Unit],
    counts: Mapping[int, int],
    done: Sequence[int],
    rater: int,
    place: int,
) -> Question:
    """The next pair for a rater: one with the fewest answers so far that they have not had, on random sides.

    Among these, not the photo that they had last, if possible; then at random.

    Args:
        counts: answers by index in `units`, of all raters; 0 where missing.
        done: indices that this rater has had, in order; not all of them.
        place: of the question among the rater's, from 0.
    """
    draw = _random(settings, rater, place)
    left_over = sorted(set(range(len(units))) - set(done))
    last = units[done[-1]].photo.name if done else None
    rank = {index: (counts.get(index, 0), units[index].photo.name == last) for index in left_over}
    lowest = min(rank.values())
    index = draw.choice([index for index in left_over if rank[index] == lowest])
    left, right = draw.sample(units[index].methods, 2)
    return Question(index, units[index].photo.name, left, right)


def pick_check(
    settings: StudySettings, photos: Sequence[StudyPhoto], places: Sequence[bool], rater: int, place: int
) -> Question:
    """An attention check: a photo's sharp version, or else a method's, against a heavily blurred one.

    The right answer is on the left in half of a rater's checks, so that who always presses one side fails the others.

    Args:
        places: as of `check_places`.
    """
    draw = _random(settings, rater, place)
    photo = draw.choice(list(photos))
    right_answer = SHARP if photo.sharp else draw.choice(list(photo.by_method))
    sides = [number % 2 == 0 for number in range(sum(places))]
    order = _random(settings, rater, "sides")
    order.shuffle(sides)
    swap = order.random() < 0.5  # of an odd number, either side may have one more
    on_left = sides[sum(places[:place])] != swap
    left, right = (right_answer, BLURRED) if on_left else (BLURRED, right_answer)
    return Question(None, photo.name, left, right)


def _random(settings: StudySettings, rater: int, purpose: object) -> random.Random:
    return random.Random(f"{settings.seed}/{rater}/{purpose}")
