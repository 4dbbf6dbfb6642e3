"""The page in a real browser: drop, progress, slider, download, two people, languages, a phone."""

from __future__ import annotations

import base64
import io
import os
import time

import numpy as np
import pytest
from PIL import Image

from chromium import Chromium, find_chromium
from resharp.images.receipts import read_receipt
from resharp.picture import restore_file
from resharp.web import views
from web_visitors import serving

PROGRAM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium found; Debian's package is called chromium"),
]
OPENED = "document.querySelector('.rs-drop strong').textContent.length > 3"
PICTURE, CARD = "!!document.querySelector('#rs-picture img')", "!!document.querySelector('#rs-remark .rs-card')"
SOURCES = "[...document.querySelectorAll('#rs-slider img')].map((image) => image.src)"
CLIP = "document.querySelector('#rs-slider img.fixed').style.clipPath"
SCALE = "new DOMMatrix(document.querySelector('#rs-slider img.fixed').style.transform).a"


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    chromium = Chromium(PROGRAM)
    yield chromium
    chromium.close()


def open_page(browser, server, **options):
    page = browser.page(**options)
    page.open(server.address)
    page.wait(OPENED, 60)
    return page


def drop(page, path):
    page.choose_files("#rs-drop input", path)
    page.wait(PICTURE, 60)


def press(page, selector: str):
    """A click that waits until the button can be clicked and has come to rest."""
    page.wait(f"document.querySelector('{selector}').disabled === false", 30)
    page.run(f"document.querySelector('{selector}').click()")


def sharpen(page):
    press(page, "#rs-start")
    page.wait(CARD, 60)
    page.wait(f"{SOURCES}.length === 2", 60)


def set_range(page, number: int, value: float):
    """Move one of the sliders of the first tab, as a hand does."""
    page.run(
        f"(() => {{ const range = document.querySelectorAll('#rs-one input[type=range], .rs-side input[type=range]')"
        f"[{number}]; range.value = {value}; for (const kind of ['input', 'change', 'pointerup'])"
        f" range.dispatchEvent(new Event(kind, {{ bubbles: true }})); }})()"
    )


def fetched(page, url: str) -> tuple[int, bytes]:
    """What the page gets from an address: the code and the body."""
    code, body = page.run(
        f"fetch('{url}').then(async (answer) => {{ const bytes = new Uint8Array(await answer.arrayBuffer());"
        " let text = ''; for (const each of bytes) text += String.fromCharCode(each);"
        " return [answer.status, btoa(text)] })"
    )
    return code, base64.b64decode(body)


def assert_quiet(page, server):
    """No error in the console, and nothing asked of anyone else."""
    assert page.events("Runtime.exceptionThrown") == []
    assert page.events("Log.entryAdded") == []
    asked = [each["request"]["url"] for each in page.events("Network.requestWillBeSent")]
    assert {url for url in asked if not url.startswith((server.address, "data:", "blob:"))} == set()


def test_from_the_drop_to_the_file_on_disk(browser, server, blurry, tmp_path):
    page = open_page(browser, server)
    page.wait("document.querySelector('#rs-start').disabled", 30)
    drop(page, blurry)
    page.wait("document.querySelector('.rs-expected').textContent.includes('256 x 256')", 60)
    sharpen(page)
    folder = tmp_path / "downloads"
    folder.mkdir()
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    press(page, "#rs-download")
    end = time.monotonic() + 30
    while not (found := [path for path in folder.iterdir() if path.suffix == ".jpg"]):
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.1)
    (saved,) = found
    assert saved.name == "blurry photo.deblurred.jpg"
    expected, service = tmp_path / "expected.jpg", server.service
    settings = {"quality": "standard", "seed": 0}
    restore_file(service.pipeline, blurry, expected, settings, origin=service.origin, guard=True)
    assert saved.read_bytes() == expected.read_bytes()
    assert read_receipt(saved) is not None
    with Image.open(saved) as image:
        assert image.getexif()[271] == "Maker"
        assert image.info["icc_profile"]
    assert_quiet(page, server)


def test_progress_and_previews_are_seen_before_the_end(browser, server, blurry, monkeypatch):
    plain = server.service.pipeline.restore

    def slow(*words, on_step, on_preview, **options):
        def step(done, total):
            time.sleep(0.8)
            on_step(done, total)

        return plain(*words, on_step=step, on_preview=on_preview, **options)

    monkeypatch.setattr(server.service.pipeline, "restore", slow)
    monkeypatch.setattr(views, "_MOST_GUESSED", 0.05)  # a fast machine would guess that most is done before it is told
    page = open_page(browser, server)
    drop(page, blurry)
    set_range(page, 1, 2)
    page.run(
        "(() => { window.seen = []; window.shown = new Set(); setInterval(() => {"
        " const bar = document.querySelector('#rs-progress [role=progressbar]');"
        " if (bar) window.seen.push(Number(bar.getAttribute('aria-valuenow')));"
        " const image = document.querySelector('#rs-picture img'); if (image) window.shown.add(image.src); }, 50) })()"
    )
    sharpen(page)
    seen = page.run("window.seen")
    assert len({each for each in seen if 0 < each < 100}) >= 2
    assert seen == sorted(seen)
    assert len([url for url in page.run("[...window.shown]") if url.endswith("preview.jpg")]) >= 2
    names = page.run("[...document.querySelectorAll('#rs-results [role=tab]')].map((tab) => tab.textContent.trim())")
    assert names == ["Before and after", "Versions", "Where versions differ"]
    page.run("document.querySelectorAll('#rs-results [role=tab]')[2].click()")
    page.wait("document.querySelector('#rs-trust img').naturalWidth === 256", 30)
    page.run("document.querySelectorAll('#rs-results [role=tab]')[1].click()")
    page.wait("document.querySelectorAll('#rs-versions img').length === 2", 30)


def test_the_line_is_dragged_and_the_wheel_zooms(browser, server, blurry):
    page = open_page(browser, server)
    drop(page, blurry)
    sharpen(page)
    page.wait(f"{CLIP}.includes('50%')", 30)
    time.sleep(0.5)
    x, y = page.middle("#rs-slider .outer .icon-wrap")
    page.mouse("mousePressed", x, y)
    page.mouse("mouseMoved", x - 60, y, buttons=1)
    page.mouse("mouseReleased", x - 60, y)
    page.wait(f"!{CLIP}.includes('50%')", 10)
    before, after = page.run(SOURCES)
    pixels = [np.asarray(Image.open(io.BytesIO(fetched(page, url)[1])), dtype=float) for url in (before, after)]
    assert pixels[0].shape == pixels[1].shape
    with Image.open(blurry) as image:
        assert np.abs(pixels[0] - np.asarray(image, dtype=float)).mean() < 3
    assert np.abs(pixels[0] - pixels[1]).max() > 5
    page.mouse("mouseWheel", *page.middle("#rs-slider img"), deltaX=0, deltaY=-200)
    page.wait(f"{SCALE} > 1.04", 10)


def test_two_people_at_once_see_their_own_photos_only(browser, server, blurry, tmp_path):
    other = tmp_path / "other.png"
    with Image.open(blurry) as image:
        image.rotate(90).resize((200, 120)).save(other)
    one, two = open_page(browser, server), open_page(browser, server)
    drop(one, blurry)
    drop(two, other)
    press(one, "#rs-start")
    sharpen(two)
    one.wait(f"{SOURCES}.length === 2", 60)
    mine, theirs = one.run(SOURCES), two.run(SOURCES)
    sizes = [Image.open(io.BytesIO(fetched(page, urls[1])[1])).size for page, urls in ((one, mine), (two, theirs))]
    assert sizes == [(256, 256), (200, 120)]
    for url in mine:
        assert fetched(one, url)[0] == 200
        code, body = fetched(two, url)
        assert code == 403
        assert len(body) < 100


def test_300_mb_are_refused_in_words_and_never_sent(browser, server, tmp_path):
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        os.truncate(file.fileno(), 300_000_000)
    page = open_page(browser, server)
    page.choose_files("#rs-drop input", large)
    page.wait("document.querySelector('.rs-drop-state').textContent.includes('large.jpg is larger than 50 MB')", 30)
    assert not [each for each in page.events("Network.requestWillBeSent") if "/photo" in each["request"]["url"]]


def test_what_is_no_photo_is_said_and_the_next_one_works(browser, server, blurry, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo at all")
    page = open_page(browser, server)
    page.choose_files("#rs-drop input", bad)
    page.wait("document.querySelector('#rs-remark').textContent.includes('bad.jpg: not a photo')", 30)
    drop(page, blurry)
    press(page, "#rs-another")
    page.wait("!!document.querySelector('#rs-drop input')", 30)
    drop(page, blurry)
    assert_quiet(page, server)


def test_the_language_is_switched_with_a_result_on_the_screen(browser, server, blurry):
    page = open_page(browser, server)
    drop(page, blurry)
    sharpen(page)
    assert page.run("document.querySelector('#rs-start').textContent.trim()") == "Sharpen"
    page.run("document.querySelectorAll('#rs-language input')[1].click()")
    page.wait("document.querySelector('#rs-start').textContent.includes('선명하게')", 30)
    page.wait("document.documentElement.lang === 'ko'", 10)
    page.wait("document.querySelector('#rs-remark').textContent.includes('설명합니다')", 10)
    assert page.run("document.querySelector('#rs-download').textContent.trim()") == "결과 내려받기"


def test_a_korean_browser_on_a_phone(browser, server, blurry):
    page = browser.page(width=390, height=844, phone=True)
    page.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": "ko-KR,ko;q=0.9"})
    page.open(server.address)
    page.wait("document.querySelector('.rs-drop strong').textContent.includes('사진')", 60)
    drop(page, blurry)
    sharpen(page)
    page.wait("!!document.querySelector('#rs-download') && !!document.querySelector('#rs-another')", 30)
    assert page.run("document.documentElement.scrollWidth <= 390")
    stage, side = (f"document.querySelector('{part}').getBoundingClientRect()" for part in (".rs-stage", ".rs-side"))
    assert page.run(f"{stage}.bottom <= {side}.top + 1")
    buttons = "['#rs-start', '#rs-download', '#rs-another'].map((id) => document.querySelector(id))"
    assert page.run(f"Math.min(...{buttons}.map((each) => each.getBoundingClientRect().height))") >= 44
    labels = "[...document.querySelectorAll('#rs-language label, .rs-quality label')].filter((l) => l.offsetParent)"
    assert page.run(f"Math.min(...{labels}.map((each) => each.getBoundingClientRect().height))") >= 44


def test_several_photos_become_a_zip(browser, server, blurry, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo at all")
    page = open_page(browser, server)
    page.run("[...document.querySelectorAll('#rs-tabs > .tab-wrapper [role=tab]')][1].click()")
    page.wait("!!document.querySelector('#rs-drop-many input')", 30)
    page.choose_files("#rs-drop-many input", blurry, bad)
    press(page, "#rs-start-many")
    page.wait("document.querySelector('.rs-failures').textContent.includes('bad.jpg: not a photo')", 60)
    page.wait("document.querySelector('#rs-download-many').offsetParent !== null", 10)
