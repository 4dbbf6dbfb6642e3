"""The page's jobs under limits of one's own: time, turns, mistakes, the end."""

from __future__ import annotations

import socket
import threading
import time

import httpx
from PIL import Image

from resharp.web.visitors import COOKIE
from web_visitors import SETTINGS, Visitor, serving, texts_in


def test_expected_seconds_are_told_before_and_grow(serve, blurry):
    server = serve()
    visitor = Visitor(server.address)
    assert "256 x 256 pixels" in texts_in(visitor.drop(blurry)[-1])
    server.service.estimator.costs = type(server.service.estimator.costs)(100.0, 1000.0, 1.0)
    few = visitor.at_once("expected", ["en", *SETTINGS])
    assert "About 7 s" in texts_in(few)
    more = visitor.at_once("expected", ["ko", "best", 0.5, 2, 4, 0, False, False])
    assert "약 10분" in texts_in(more)


def test_what_would_take_too_long_is_refused_and_said(serve, blurry):
    server = serve(timeout_s=30)
    visitor = Visitor(server.address)
    visitor.drop(blurry)
    server.service.estimator.costs = type(server.service.estimator.costs)(1e4, 1e4, 1.0)
    assert "longer than the about 30 s" in texts_in(visitor.sharpen()[-1])


def test_a_job_that_takes_too_long_is_ended(serve, blurry):
    server = serve(timeout_s=0.2)
    visitor = Visitor(server.address)
    visitor.drop(blurry)
    plain = server.service.pipeline.restore

    def slow(*words, on_step, **options):
        for number in range(100):
            time.sleep(0.05)
            on_step(number, 100)
        return plain(*words, **options)

    server.service.pipeline.restore = slow
    server.service.estimator = None
    started = time.monotonic()
    assert "longer than" in texts_in(visitor.sharpen()[-1])
    assert time.monotonic() - started < 4


def test_one_at_a_time_and_a_full_line_is_said(serve, blurry):
    server = serve(max_waiting=0)
    one, two = Visitor(server.address), Visitor(server.address)
    one.drop(blurry)
    two.drop(blurry)
    go, plain = threading.Event(), server.service.pipeline.restore

    def held(*words, **options):
        go.wait(20)
        return plain(*words, **options)

    server.service.pipeline.restore = held
    found = []
    thread = threading.Thread(target=lambda: found.append(one.sharpen()))
    thread.start()
    while not server.service.line._working:
        time.sleep(0.02)
    assert "Too many photos are waiting" in texts_in(two.sharpen()[-1])
    go.set()
    thread.join()
    assert ".deblurred." in texts_in(found[0][-1])
    assert ".deblurred." in texts_in(two.sharpen()[-1])


def test_stop_ends_a_job(serve, blurry):
    server = serve()
    visitor, finger = Visitor(server.address), None
    visitor.drop(blurry)
    plain = server.service.pipeline.restore

    def slow(*words, on_step, **options):
        for number in range(400):
            time.sleep(0.05)
            on_step(number, 400)
        return plain(*words, **options)

    server.service.pipeline.restore = slow
    found = []
    thread = threading.Thread(target=lambda: found.append(visitor.sharpen()))
    thread.start()
    while not server.service.line._working:
        time.sleep(0.02)
    finger = Visitor(server.address)  # another connection of the same browser and page
    finger.http.cookies, finger.session = visitor.http.cookies, visitor.session
    finger.at_once("stopped", [])
    thread.join(10)
    assert "Stopped" in texts_in(found[0][-1])


def test_a_mistake_of_the_program_shows_no_traceback(serve, blurry, capfd):
    server = serve()
    visitor = Visitor(server.address)
    visitor.drop(blurry)
    server.service.pipeline.restore = lambda *words, **options: 1 / 0
    said = texts_in(visitor.sharpen()[-1])
    assert "Something went wrong" in said
    assert "ZeroDivision" not in said
    assert "Traceback" not in said
    assert "unexpected error (ZeroDivisionError: division by zero)" in capfd.readouterr().err


def test_too_many_pixels_are_refused_from_the_header(serve, tmp_path):
    source = tmp_path / "large.png"
    Image.new("L", (3000, 3000)).save(source)
    said = texts_in(Visitor(serve(max_pixels=1_000_000).address).drop(source)[-1])
    assert "more than 1 megapixels" in said


def test_a_batch_is_bounded(serve, blurry):
    visitor = Visitor(serve(max_photos=2).address)
    said = visitor.call("dropped_1", ["en", *SETTINGS], {"ids": [visitor.upload(blurry) for _ in range(3)]})
    assert "Up to 2 photos at once" in texts_in(said[-1])


def test_uploads_are_bounded_by_what_is_announced_and_by_what_comes(serve, tmp_path):
    server = serve(max_upload_bytes=100_000)
    visitor = Visitor(server.address)
    with socket.create_connection(("127.0.0.1", server.port)) as raw:  # 300 MB that never have to be sent
        cookie = f"{COOKIE}={visitor.http.cookies[COOKIE]}"
        head = (
            f"POST /photo?name=a.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nContent-Length: 300000000\r\n"
        )
        raw.sendall(f"{head}\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")

    def pieces():
        for _ in range(3000):
            yield b"x" * 1000

    try:
        code = visitor.http.post("/photo?name=a.jpg", content=pieces()).status_code
    except httpx.HTTPError:  # cut off while it was still sending
        code = 413
    assert code == 413
    assert not [path for path in server.visitors.root.rglob("*") if path.is_file()]
    assert visitor.http.post("/gradio_api/queue/join", content=b"x" * 10**6).status_code == 413


def test_nothing_is_left_when_the_server_ends(blurry):
    with serving() as server:
        visitor = Visitor(server.address)
        visitor.drop(blurry)
        assert [path for path in server.visitors.root.rglob("*") if path.is_file()]
    assert not server.visitors.root.exists()
