"""The study's page in a real browser: keys, mouse, touch, zoom, going on, two raters at once."""

from __future__ import annotations

import base64
import time

import pytest

from chromium import Chromium, find_chromium
from resharp.study.answers import read_answers
from studies import METHODS, make_pairs

PROGRAM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium found; Debian's package is called chromium"),
]
PHONE = {"width": 390, "height": 844, "phone": True}
TRANSFORMS = "[...document.querySelectorAll('.pane img')].map((image) => image.style.transform)"
SCALE = "new DOMMatrix(document.querySelector('.pane img').style.transform).a"


@pytest.fixture
def pairs(tmp_path):
    return make_pairs(tmp_path / "pairs", size=(240, 160))


@pytest.fixture(scope="module")
def browser():
    chromium = Chromium(PROGRAM)
    yield chromium
    chromium.close()


def at(place: int) -> str:
    """True on the page when this question, counted from 1, is open for an answer."""
    shown = f"document.getElementById('count').textContent.startsWith('{place} /')"
    return f"!document.getElementById('choose-left').disabled && {shown}"


def begin(page, address: str):
    page.open(address)
    page.wait("!document.getElementById('welcome').hidden")
    page.press("Tab")
    page.press("Enter")
    page.wait(at(1))
    return page


def stored(tmp_path):
    return [(row.rater, row.place, row.choice) for row in read_answers(tmp_path / "study.sqlite").rows]


def assert_no_errors(page):
    assert page.events("Runtime.exceptionThrown") == []
    assert page.events("Log.entryAdded") == []


def test_time_is_that_of_looking(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study()))
    time.sleep(0.6)
    page.press("ArrowLeft")
    page.wait(at(2))
    page.click("#pause")
    page.wait("!document.getElementById('paused').hidden")
    time.sleep(2)
    page.click("#go-on")
    page.press("ArrowLeft")
    page.wait(at(3))
    looked, paused = (row.milliseconds for row in read_answers(tmp_path / "study.sqlite").rows)
    assert looked >= 600
    assert paused < 2000


def test_keys(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study(ties=True)))
    for number, key in enumerate(["ArrowLeft", "2", "0", "ArrowRight", "1", "ArrowDown"], start=2):
        page.press(key)
        page.wait(at(number))
    choices = ["left", "right", "tie", "right", "left", "tie"]
    assert [choice for *_, choice in stored(tmp_path)] == choices
    page.press("Backspace")
    page.wait(at(6))
    assert len(stored(tmp_path)) == 5
    page.press("ArrowLeft")
    page.wait(at(7))
    assert stored(tmp_path)[-1] == (1, 5, "left")
    assert all(
        50 < row.milliseconds < 20_000 or row.milliseconds >= 0 for row in read_answers(tmp_path / "study.sqlite").rows
    )
    assert_no_errors(page)


def test_to_the_end_and_back(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study(per_rater=3)))
    for place in range(2, 6):
        page.press("ArrowLeft")
        page.wait(at(place) if place < 5 else "!document.getElementById('finished').hidden")
    assert len(stored(tmp_path)) == 4
    page.reload()
    page.wait("!document.getElementById('finished').hidden")
    page.press("Backspace")
    page.wait(at(4))
    assert len(stored(tmp_path)) == 3
    assert_no_errors(page)


def test_without_ties_there_is_no_such_answer(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study()))
    assert page.run("document.getElementById('choose-tie').hidden")
    page.press("0")
    page.press("ArrowDown")
    page.press("ArrowRight")
    page.wait(at(2))
    assert stored(tmp_path) == [(1, 0, "right")]


def test_zoom_moves_both_pictures_together(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study()))
    fit = page.run(SCALE)
    page.press(" ")
    assert page.run(SCALE) > 1.5 * fit
    left, right = page.run(TRANSFORMS)
    assert left == right
    x, y = page.middle("#pane-right")
    page.mouse("mousePressed", x, y)
    page.mouse("mouseMoved", x - 60, y - 40, buttons=1)
    page.mouse("mouseReleased", x - 60, y - 40)
    moved = page.run(TRANSFORMS)
    assert moved[0] == moved[1] != left
    before = page.run(SCALE)
    page.mouse("mouseWheel", *page.middle("#pane-left"), deltaX=0, deltaY=-100)
    page.wait(f"{SCALE} > {before}")
    assert len(set(page.run(TRANSFORMS))) == 1
    page.press("ArrowLeft")
    page.wait(at(2))
    assert page.run(SCALE) == pytest.approx(fit)
    page.press("ArrowLeft")
    page.wait(at(3))
    assert [row.zoomed for row in read_answers(tmp_path / "study.sqlite").rows] == [True, False]
    assert_no_errors(page)


def test_zoom_keeps_the_point_under_the_pointer(browser, open_study, serve):
    page = begin(browser.page(), serve(open_study()))
    page.press(" ")
    page.wait("document.getElementById('zoom').ariaPressed === 'true'")
    x, y = page.middle("#pane-left")
    point = (
        f"(() => {{ const image = document.querySelector('#pane-left img').getBoundingClientRect();"
        f" return [({x + 50} - image.x) / image.width, ({y - 30} - image.y) / image.height] }})()"
    )
    time.sleep(0.3)  # the zoom glides
    before, scale = page.run(point), page.run(SCALE)
    page.mouse("mouseWheel", x + 50, y - 30, deltaX=0, deltaY=-100)
    page.wait(f"{SCALE} > {1.2 * scale}")
    assert page.run(point) == pytest.approx(before, abs=0.01)


def test_the_blurry_input_is_shown_while_a_key_is_held(browser, open_study, serve):
    page = begin(browser.page(), serve(open_study()))
    page.press("b", release=False)
    page.wait("document.querySelectorAll('img.over').length === 2")
    assert len(set(page.run(TRANSFORMS))) == 1
    page.release("b")
    page.wait("document.querySelectorAll('img.over').length === 0")


def test_mouse_and_space_after_it(browser, open_study, serve, tmp_path):
    page = begin(browser.page(), serve(open_study()))
    page.click("#choose-right")
    page.wait(at(2))
    page.press(" ")  # zooms, and does not press the button again
    page.wait("document.getElementById('zoom').ariaPressed === 'true'")
    time.sleep(0.2)
    assert stored(tmp_path) == [(1, 0, "right")]
    page.click("#undo")
    page.wait(at(1))
    assert stored(tmp_path) == []
    page.click("#pane-left")
    assert page.run(SCALE) > 0
    assert page.run("document.getElementById('zoom').ariaPressed") == "true"


def test_phone(browser, open_study, serve, tmp_path):
    page = browser.page(**PHONE)
    page.open(serve(open_study(ties=True)))
    page.wait("!document.getElementById('welcome').hidden")
    page.tap("#begin")
    page.wait(at(1))
    boxes = "[...document.querySelectorAll('#rating button')].map((button) => button.getBoundingClientRect())"
    assert page.run(f"Math.min(...{boxes}.flatMap((box) => [box.width, box.height]))") >= 44
    assert page.run("document.documentElement.scrollWidth <= 390 && document.documentElement.scrollHeight <= 844")
    x, y = page.middle("#pane-left")
    fit = page.run(SCALE)
    page.touch("touchStart", (x - 20, y), (x + 20, y))
    page.touch("touchMove", (x - 60, y), (x + 60, y))
    page.touch("touchEnd")
    page.wait(f"{SCALE} > {1.5 * fit}")
    pinched = page.run(TRANSFORMS)
    assert pinched[0] == pinched[1]
    page.touch("touchStart", (x, y))
    page.touch("touchMove", (x + 40, y + 10))
    page.touch("touchEnd")
    dragged = page.run(TRANSFORMS)
    assert dragged[0] == dragged[1] != pinched[0]
    for place, button in enumerate(("#choose-right", "#choose-tie", "#choose-left"), start=2):
        page.tap(button)
        page.wait(at(place))
    rows = read_answers(tmp_path / "study.sqlite").rows
    assert [row.choice for row in rows] == ["right", "tie", "left"]
    assert {row.agent for row in rows} == {"phone"}
    assert_no_errors(page)


@pytest.mark.parametrize(("width", "height", "stacked"), [(1280, 500, False), (390, 844, True), (844, 390, False)])
def test_pictures_stand_where_they_are_largest(browser, open_study, serve, width, height, stacked):
    page = begin(browser.page(width, height), serve(open_study()))
    left, right = page.middle("#pane-left"), page.middle("#pane-right")
    assert (left[1] < right[1]) == stacked
    assert (left[0] < right[0]) != stacked


def test_reload_restart_and_link(browser, open_study, serve, tmp_path):
    study = open_study()
    address = serve(study)
    page = begin(browser.page(), address)
    for place in (2, 3):
        page.press("ArrowLeft")
        page.wait(at(place))
    sources = "[...document.querySelectorAll('.pane img')].map((image) => image.src)"
    before = page.run(sources)
    page.reload()
    page.wait(at(3))
    assert page.run(sources) == before
    page.click("#pause")
    link = page.run("document.getElementById('link').value")
    page.click("#go-on")
    serve.stop()
    study.results.close()
    page.press("ArrowRight")
    page.wait("document.getElementById('status').textContent.startsWith('No connection')")
    serve(open_study(), int(address.rsplit(":", 1)[1]))
    page.wait(at(4))
    assert stored(tmp_path) == [(1, 0, "left"), (1, 1, "left"), (1, 2, "right")]
    other = browser.page()
    other.open(link)
    other.wait(at(4))
    assert other.run("location.hash") == ""
    assert other.run(sources) == page.run(sources)


def test_two_raters_at_once(browser, open_study, serve, tmp_path):
    address = serve(open_study())
    one, two = begin(browser.page(), address), begin(browser.page(), address)
    for place in range(2, 6):
        one.press("ArrowLeft")
        two.press("ArrowRight")
        one.wait(at(place))
        two.wait(at(place))
    found = stored(tmp_path)
    assert found == [(1, place, "left") for place in range(4)] + [(2, place, "right") for place in range(4)]


def test_nothing_that_the_browser_gets_names_a_method(browser, open_study, serve):
    address = serve(open_study())
    page = begin(browser.page(), address)
    for place in range(2, 14):
        page.press("ArrowLeft")
        page.wait(at(place))
    page.press("ArrowLeft")
    page.wait("!document.getElementById('finished').hidden")
    finished = {each["requestId"] for each in page.events("Network.loadingFinished")}
    answers = [each for each in page.events("Network.responseReceived") if each["requestId"] in finished]
    assert len(answers) > 30
    assert {each["response"]["url"].startswith(address) for each in answers} == {True}
    for each in answers:
        body = page.call("Network.getResponseBody", requestId=each["requestId"])
        content = base64.b64decode(body["body"]) if body["base64Encoded"] else body["body"].encode()
        content += str(each["response"]).encode()
        assert not [name for name in METHODS if name.encode() in content.lower()]


@pytest.mark.parametrize("motion", [True, False])
def test_motion_only_where_it_is_wanted(browser, open_study, serve, motion):
    page = begin(browser.page(motion=motion), serve(open_study()))
    page.press(" ")
    duration = page.run("getComputedStyle(document.querySelector('.gliding img')).transitionDuration")
    assert (float(duration.removesuffix("s")) > 0) == motion


def test_everything_has_a_name_for_screen_readers(browser, open_study, serve):
    page = begin(browser.page(), serve(open_study(ties=True)))
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]
    for expected in [("image", "Picture 1"), ("image", "Picture 2"), ("button", "1 is better"), ("button", "Zoom")]:
        assert expected in named
    assert ("progressbar", "Questions answered") in named
    assert all(name for role, name in named if role in ("button", "image", "progressbar", "group"))
