"""The page's server by its protocol: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from resharp.images.receipts import read_receipt
from resharp.picture import restore_file
from resharp.web.visitors import COOKIE
from web_visitors import SETTINGS, Visitor, paths_in, result_path, texts_in


def test_a_photo_comes_back_as_the_program_would_write_it(shared, blurry, tmp_path):
    server = shared
    visitor = Visitor(server.address)
    visitor.drop(blurry)
    answers = visitor.sharpen()
    path = result_path(answers)
    assert Path(path).name == "blurry photo.deblurred.jpg"
    got = visitor.file(path)
    assert got.status_code == 200
    assert got.headers["cache-control"] == "private, no-store"
    service = server.service
    expected = tmp_path / "expected.jpg"
    restore_file(
        service.pipeline, blurry, expected, {"quality": "standard", "seed": 0}, origin=service.origin, guard=True
    )
    assert got.content == expected.read_bytes()
    with Image.open(io.BytesIO(got.content)) as image, Image.open(blurry) as before:
        assert image.getexif()[271] == "Maker"
        assert image.info["icc_profile"] == before.info["icc_profile"]
        assert image.size == before.size
    saved = tmp_path / "saved.jpg"
    saved.write_bytes(got.content)
    receipt = read_receipt(saved)
    assert receipt is not None
    assert '"model":"tiny"' in receipt
    assert "rs-card" in texts_in(answers[-1])


def test_sixteen_bits_stay_sixteen(shared, blurry, tmp_path):
    with Image.open(blurry) as image:
        deep = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    source = tmp_path / "deep.png"
    Image.fromarray(deep).save(source)
    visitor = Visitor(shared.address)
    visitor.drop(source)
    got = visitor.file(result_path(visitor.sharpen())).content
    with Image.open(io.BytesIO(got)) as image:
        assert image.mode == "I;16"
        assert (np.asarray(image) % 257 != 0).any()


def test_samples_are_shown_side_by_side_with_a_map_of_their_spread(shared, blurry):
    visitor = Visitor(shared.address)
    visitor.drop(blurry)
    answers = visitor.sharpen(settings=["draft", 1, 3, 2, 5, False, False])
    names = [Path(path).name for path in paths_in(answers)]
    assert {"version-1.jpg", "version-2.jpg", "version-3.jpg", "where-versions-differ.jpg"} <= set(names)
    assert "preview.jpg" in names
    for path in paths_in(answers[-1]):
        assert visitor.file(path).status_code == 200
    assert "Version 3" in texts_in(answers[-1])


def test_a_part_is_tried_and_gives_no_download(shared, tmp_path, blurry):
    with Image.open(blurry) as image:
        wide = image.resize((1400, 900), Image.Resampling.BICUBIC)
    source = tmp_path / "wide.png"
    wide.save(source)
    visitor = Visitor(shared.address)
    answers = visitor.drop(source)
    assert "Tap the picture" in texts_in(answers[-1])
    answers = visitor.call("try", ["en", *SETTINGS], {"index": [1390, 10], "value": None})
    after = [path for path in paths_in(answers[-1]) if Path(path).name.startswith("after")]
    with Image.open(io.BytesIO(visitor.file(after[0]).content)) as image:
        assert image.size == (512, 512)
    before = [path for path in paths_in(answers[-1]) if Path(path).name.startswith("before")]
    with Image.open(io.BytesIO(visitor.file(before[0]).content)) as image:
        shown = np.asarray(image, dtype=float)
    assert np.abs(shown - np.asarray(wide, dtype=float)[:512, 888:]).mean() < 3
    assert not [path for path in paths_in(answers) if path.startswith("wide.deblurred")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jpg", b"", "empty.jpg: is empty"),
        ("text.png", b"no photo at all", "text.png: not a photo"),
        ("half.jpg", None, "half.jpg: damaged or cut short"),
    ],
)
def test_what_is_no_photo_is_one_line_that_names_no_folder(shared, blurry, tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(blurry.read_bytes()[:2000] if content is None else content)
    server = shared
    said = texts_in(Visitor(server.address).drop(path)[-1])
    assert words in said
    assert str(server.visitors.root) not in said
    korean = texts_in(Visitor(server.address).drop(path, "ko")[-1])
    assert "처리할 수 없습니다" in korean


def test_a_batch_is_a_zip_with_a_list_of_failures(shared, blurry, copy_of, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo at all")
    visitor = Visitor(shared.address)
    photos = [blurry, copy_of(blurry, "blurry photo.jpg"), bad]
    dropped = visitor.call("dropped_1", ["en", *SETTINGS], {"ids": [visitor.upload(photo) for photo in photos]})
    assert "3 photos" in texts_in(dropped[-1])
    answers = visitor.call("sharpen_many", ["en", *SETTINGS])
    assert "2 sharpened, 1 failed" in texts_in(answers[-1])
    (path,) = {path for path in paths_in(answers[-1]) if path.endswith(".zip")}
    with zipfile.ZipFile(io.BytesIO(visitor.file(path).content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert "blurry photo.deblurred.jpg" in names
        assert len(set(names)) == 3
        assert "bad.jpg: not a photo" in archive.read("failures.txt").decode()
        assert "resharp-web-" not in archive.read("failures.txt").decode()
        with Image.open(io.BytesIO(archive.read("blurry photo.deblurred.jpg"))) as image:
            assert image.getexif()[271] == "Maker"


def test_nobody_sees_the_files_or_sessions_of_another(shared, blurry, copy_of):
    server = shared
    one, two = Visitor(server.address), Visitor(server.address)
    ours = paths_in(one.drop(blurry)) + paths_in(one.sharpen())
    assert len(set(ours)) > 3
    for path in set(ours):
        assert one.file(path).status_code == 200
        assert two.file(path).status_code == 403
        assert two.file(path + "/..").status_code == 403
    stranger = httpx.Client(base_url=server.address)
    assert stranger.get(f"/gradio_api/file={ours[0]}").status_code == 403
    stolen = two.body("sharpen", ["en", *SETTINGS]) | {"session_hash": one.session}
    assert two.http.post("/gradio_api/queue/join", json=stolen).status_code == 403
    assert two.http.get("/gradio_api/queue/data", params={"session_hash": one.session}).status_code == 403
    assert two.http.get(f"/gradio_api/heartbeat/{one.session}").status_code == 403
    key = one.upload(copy_of(blurry, "mine.jpg"))
    taken = two.call("dropped", ["en", *SETTINGS], {"ids": [key]})
    assert "no longer here" in texts_in(taken[-1])
    assert paths_in(taken[-1]) == []


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/file=..%2F..%2F..%2F..%2F..%2Fetc%2Fhostname",
        "/gradio_api/file=http://127.0.0.1/",
        "/gradio_api/file=/tmp",
    ],
)
def test_no_other_file_and_no_folder_is_served(shared, path):
    assert Visitor(shared.address).http.get(path).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
        ("GET", "/gradio_api/runs"),
        ("POST", "/gradio_api/vibe-edit/"),
        ("POST", "/gradio_api/call/sharpen"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/monitoring"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    ],
)
def test_routes_that_the_page_does_not_use_are_closed(shared, method, path):
    assert Visitor(shared.address).http.request(method, path).status_code == 404


def test_without_a_cookie_of_ours_nothing_is_taken(shared):
    for cookies in ({}, {COOKIE: "made.up"}):
        stranger = httpx.Client(base_url=shared.address, cookies=cookies)
        assert stranger.post("/photo?name=a.jpg", content=b"x").status_code == 403


def test_cookies_and_headers(shared):
    page = Visitor(shared.address).page
    assert {"httponly", "samesite=strict"} <= {each.strip().lower() for each in page.headers["set-cookie"].split(";")}
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy.replace("https", "http").replace("'", "")
    assert page.headers["referrer-policy"] == "no-referrer"


def test_a_name_that_points_here_from_elsewhere_is_refused(shared):
    visitor = Visitor(shared.address)
    assert visitor.http.get("/", headers={"host": "evil.example:80"}).status_code == 421
    assert visitor.http.get("/", headers={"host": "localhost:1"}).status_code == 200


def test_the_page_asks_for_korean_or_english(shared):
    server = shared
    for language, words in (("ko-KR,ko;q=0.9", "선명하게"), ("fr", "Sharpen")):
        visitor = Visitor(server.address, language)
        assert f'"{words}"' in texts_in(visitor.at_once("opened", []))


def test_gradio_neither_shares_nor_asks_home(shared):
    visitor = Visitor(shared.address)
    config = visitor.config
    assert config["analytics_enabled"] is False
    assert config.get("share_url") is None
    assert "fonts.googleapis" not in visitor.page.text
    assert "fonts.googleapis" not in visitor.http.get("/theme.css").text
