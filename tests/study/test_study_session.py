"""Raters in a study: balance, sides, checks, going on, going back; and the results file."""

from __future__ import annotations

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from resharp.errors import ConfigError, DataError, OutputError
from resharp.study.answers import read_answers, summarise_raters
from resharp.study.encoding import BLURRED, SHARP
from resharp.study.pictures import find_pictures, method_folders
from resharp.study.plan import StudySettings, check_places
from resharp.study.results import Answer, Results
from resharp.study.session import Study
from studies import METHODS, make_pairs

LEFT = Answer("left", 1200, False, "desktop")


def join(study) -> int:
    return study.results.rater(study.results.join("desktop"))


def answer_all(study, rater, choose=lambda question: "left", limit=10_000) -> int:
    count = 0
    while count < limit and not (state := study.state(rater))["finished"]:
        _, question = study.results.open_question(rater)
        study.answer(rater, state["place"], Answer(choose(question), 900, False, "desktop"))
        count += 1
    return count


def rows(study):
    return read_answers(study.results.path).rows


def test_a_rater_gets_every_question_once_and_checks_between(open_study):
    study = open_study(attention=0.25)
    assert answer_all(study, join(study)) == 12 + 3
    given = rows(study)
    asked = [(row.photo, frozenset((row.left_method, row.right_method))) for row in given if row.unit is not None]
    assert len(asked) == len(set(asked)) == 12
    checks = [row for row in given if row.unit is None]
    assert len(checks) == 3
    assert all({row.left_method, row.right_method} == {SHARP, BLURRED} for row in checks)


def test_who_always_presses_one_side_fails_half_of_the_checks(open_study):
    study = open_study(attention=0.33)
    for _ in range(20):
        answer_all(study, join(study))
    raters = summarise_raters(rows(study))
    assert len(raters) == 20
    assert {(each.checks, each.checks_right, each.kept) for each in raters} == {(4, 2, False)}
    checks = [row for row in rows(study) if row.unit is None]
    assert len({tuple(row.left_method for row in checks if row.rater == rater.rater) for rater in raters}) > 2


@pytest.mark.parametrize(("attention", "per_rater", "checks"), [(0, None, 0), (0.1, 5, 1), (0.1, 100, 10), (0.5, 8, 4)])
def test_checks_are_spread_over_a_session(attention, per_rater, checks):
    settings = StudySettings(attention=attention, per_rater=per_rater)
    for rater in range(1, 20):
        places = check_places(settings, 100, rater)
        assert sum(places) == checks
        assert len(places) == (per_rater or 100) + checks
        for part in range(checks):
            bounds = part * len(places) // checks, (part + 1) * len(places) // checks
            assert sum(places[slice(*bounds)]) == 1


def test_pairs_with_fewest_answers_come_first(open_study):
    study = open_study(per_rater=4, attention=0)
    for _ in range(9):
        answer_all(study, join(study))
    assert set(Counter(row.unit for row in rows(study)).values()) == {3}


def test_raters_at_once_are_balanced_too(open_study):
    study = open_study(per_rater=4, attention=0)
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: answer_all(study, join(study)), range(9)))
    assert counts == [4] * 9
    assert set(Counter(row.unit for row in rows(study)).values()) == {3}


def test_an_open_question_counts_as_taken(open_study):
    study = open_study(attention=0, per_rater=1)
    shown = []
    for _ in range(12):
        rater = join(study)
        study.state(rater)
        shown.append(study.results.open_question(rater)[1].unit)
    assert sorted(shown) == list(range(12))


def test_sides_and_orders_are_random_and_follow_from_the_seed(open_study):
    def orders(file, seed):
        study = open_study(file, seed=seed)
        for _ in range(10):
            answer_all(study, join(study))
        return [(row.rater, row.place, row.photo, row.left_method, row.right_method) for row in rows(study)]

    first, again, other = orders("a", 0), orders("b", 0), orders("c", 1)
    assert first == again
    assert first != other
    share = sum(left < right for *_, left, right in first) / len(first)
    assert 0.35 < share < 0.65  # 130 draws: 3.4 standard deviations
    assert len({tuple(row[2:] for row in first if row[0] == rater) for rater in range(1, 11)}) == 10


def test_no_photo_twice_in_a_row_while_there_is_another(open_study):
    study = open_study(attention=0)
    answer_all(study, join(study), limit=8)
    photos = [row.photo for row in rows(study)]
    assert all(one != next_ for one, next_ in zip(photos, photos[1:], strict=False))


def test_state_says_nothing_about_methods(open_study):
    study = open_study()
    state = study.state(join(study))
    assert set(state) == {"finished", "place", "questions", "width", "height", "pictures"}
    assert not any(method in str(state) for method in METHODS)
    assert set(state["pictures"]) == {"left", "right", "input"}


def test_a_restart_goes_on_with_the_same_question(open_study):
    study = open_study()
    token = study.results.join("phone")
    rater = study.results.rater(token)
    answer_all(study, rater, limit=5)
    before = study.state(rater)
    study.results.close()
    again = open_study()
    assert again.results.rater(token) == rater
    assert again.state(rater) == before
    assert again.results.rater("somebody else") is None


def test_an_answer_counts_once(open_study):
    study = open_study()
    rater = join(study)
    study.state(rater)
    after = study.answer(rater, 0, LEFT)
    assert after["place"] == 1
    assert study.answer(rater, 0, Answer("right", 5, True, "phone")) == after
    assert study.answer(rater, 7, LEFT) == after
    (row,) = rows(study)
    assert (row.choice, row.milliseconds, row.zoomed, row.agent, row.undone) == ("left", 1200, False, "desktop", 0)


def test_undo_goes_back_one_by_one_and_then_forward_through_the_same_questions(open_study):
    study = open_study()
    rater = join(study)
    states = [study.state(rater)]
    for place in range(3):
        states.append(study.answer(rater, place, LEFT))
    assert study.undo(rater) == states[2]
    assert study.undo(rater) == states[1]
    assert study.answer(rater, 1, Answer("right", 400, True, "desktop")) == states[2]
    assert study.answer(rater, 2, LEFT) == states[3]
    second = rows(study)[1]
    assert (second.choice, second.milliseconds, second.undone) == ("right", 400, 1)
    for _ in range(5):
        state = study.undo(rater)
    assert state == states[0]


def test_what_is_no_answer_is_refused(open_study):
    study, with_ties = open_study(), open_study("ties", ties=True)
    assert study.accepts("left", 5)
    assert not study.accepts("tie", 5)
    assert with_ties.accepts("tie", 5)
    for choice, milliseconds in [("middle", 5), ("left", -1), ("left", 1.5), ("left", None), (None, 5), ("left", 1e9)]:
        assert not with_ties.accepts(choice, milliseconds)


def test_without_sharp_photos_a_method_is_the_right_answer(tmp_path):
    pictures = find_pictures(*method_folders(make_pairs(tmp_path / "bare", extra=False)))
    results = Results(tmp_path / "bare.sqlite", pictures, StudySettings())
    study = Study(pictures, StudySettings(), results)
    assert not study.about()["input"]
    answer_all(study, join(study))
    (check,) = [row for row in rows(study) if row.unit is None]
    assert {check.left_method, check.right_method} - {BLURRED} < set(METHODS)
    results.close()


def test_a_file_of_another_study_is_refused(open_study, pairs, tmp_path):
    open_study(seed=3).results.close()
    with pytest.raises(ConfigError, match=r"study.sqlite: was begun with seed 3, not 4; give the same"):
        open_study(seed=4)
    (pairs / "wet-sand").rename(pairs / "dry-sand")
    with pytest.raises(DataError, match=r"study.sqlite: holds the answers of a study of other pictures"):
        open_study(seed=3)
    (tmp_path / "text").write_text("no database at all, and long enough to be looked at")
    with pytest.raises(DataError, match="is not the results file of a study"):
        open_study("text")
    sqlite3.connect(tmp_path / "foreign").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(DataError, match="is not the results file of a study"):
        open_study("foreign")
    with pytest.raises(OutputError, match="cannot open it"):
        open_study("no/such/folder")
    with pytest.raises(DataError, match="no such file"):
        read_answers(tmp_path / "none")


@pytest.mark.parametrize("bad", [{"question": " "}, {"attention": 0.6}, {"attention": -1}, {"per_rater": 0}])
def test_settings_outside_what_is_allowed(bad):
    with pytest.raises(ConfigError):
        StudySettings(**bad)
