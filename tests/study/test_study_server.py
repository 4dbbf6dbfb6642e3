"""The study over HTTP, as a browser or somebody else would ask for it."""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pytest

from resharp.errors import ConfigError
from resharp.study.answers import read_answers
from resharp.study.server import StudyServer, agent_class
from studies import METHODS

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Mobile/15E148 Safari/604"


class Client:
    """A browser without a window: keeps its cookie."""

    def __init__(self, address: str, agent: str = "Mozilla/5.0 (X11; Linux)") -> None:
        self.place = urllib.parse.urlsplit(address)
        self.agent, self.cookie = agent, ""
        self.seen: list[bytes] = []

    def ask(self, method: str, path: str, body: object = None, **headers: str):
        connection = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=20)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"User-Agent": self.agent, "Cookie": self.cookie, "Content-Type": "application/json", **headers}
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if cookie := answer.getheader("Set-Cookie"):
            self.cookie = cookie.split(";")[0]
        self.seen += [str(answer.getheaders()).encode(), content]
        return answer, content

    def post(self, path: str, body: object) -> dict:
        answer, content = self.ask("POST", path, body)
        return {"code": answer.status, **json.loads(content)}

    def state(self) -> dict:
        return json.loads(self.ask("GET", "/api/state")[1])


@pytest.fixture
def address(open_study, serve):
    return serve(open_study())


def rate(client: Client, state: dict, choice: str = "left", limit: int = 10_000) -> dict:
    while not state["finished"] and limit:
        body = {"place": state["place"], "choice": choice, "milliseconds": 700, "zoomed": True}
        state, limit = client.post("/api/answer", body), limit - 1
    return state


def test_a_whole_session_and_what_is_stored(address, tmp_path):
    client = Client(address, PHONE)
    assert client.state()["rater"] is False
    state = client.post("/api/join", {})
    assert state["questions"] == 13
    assert rate(client, state)["finished"]
    given = read_answers(tmp_path / "study.sqlite").rows
    assert len(given) == 13
    assert {(row.choice, row.milliseconds, row.zoomed, row.agent) for row in given} == {("left", 700, True, "phone")}


def test_the_browser_never_learns_of_methods(address):
    client = Client(address)
    state = client.post("/api/join", {})
    while not state["finished"]:
        sizes = set()
        for name in state["pictures"].values():
            answer, content = client.ask("GET", f"/picture/{name}.png")
            assert answer.getheader("Content-Type") == "image/png"
            assert not {"ETag", "Last-Modified"} & set(dict(answer.getheaders()))
            sizes.add(len(content))
        assert len(sizes) == 1
        state = rate(client, state, limit=1)
    for path in ("/", "/study.js", "/view.js", "/study.css", "/nothing", "/picture/x.png", "/?quiet", "/favicon.ico"):
        client.ask("GET", path)
    everything = b"\n".join(client.seen).lower()
    for word in (*METHODS, "p0.png", "blurred", "*sharp", "unit"):
        assert word.encode() not in everything, word


def test_the_page_asks_nobody_else(address):
    client = Client(address)
    page = files("resharp.study").joinpath("page")
    for path in ("index.html", "study.css", "study.js", "view.js"):
        text = page.joinpath(path).read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), path
    policy = client.ask("GET", "/")[0].getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'self';")


def test_several_raters_at_once_have_their_own_sessions(address, tmp_path):
    def whole(_):
        client = Client(address)
        rate(client, client.post("/api/join", {}))
        return client.cookie

    with ThreadPoolExecutor(8) as pool:
        cookies = list(pool.map(whole, range(8)))
    assert len(set(cookies)) == 8
    given = read_answers(tmp_path / "study.sqlite").rows
    assert len({(row.rater, row.place) for row in given}) == len(given) == 8 * 13


def test_cookie_or_link_go_on_after_a_restart(open_study, serve):
    study = open_study()
    client = Client(serve(study))
    state = client.post("/api/join", {})
    rate(client, state, limit=4)
    before = client.state()
    assert before["place"] == 4
    serve.stop()
    study.results.close()
    again = serve(open_study())
    client.place = urllib.parse.urlsplit(again)
    assert client.state() == before
    other = Client(again)
    resumed = other.post("/api/join", {"token": state["token"]})
    assert {key: resumed[key] for key in before} == before
    assert other.cookie == client.cookie


def test_undo(address):
    client = Client(address)
    first = client.post("/api/join", {})
    rate(client, first, limit=1)
    assert client.post("/api/undo", {})["pictures"] == first["pictures"]


@pytest.mark.parametrize(
    "body",
    [
        {"place": 0, "choice": "up", "milliseconds": 1},
        {"place": 0, "choice": "tie", "milliseconds": 1},
        {"place": "0", "choice": "left", "milliseconds": 1},
        {"place": 0, "choice": "left", "milliseconds": -1},
        {"place": 0, "choice": ["left"], "milliseconds": 1},
        {},
    ],
)
def test_answers_that_are_none(address, tmp_path, body):
    client = Client(address)
    client.post("/api/join", {})
    assert client.post("/api/answer", body)["code"] == 400
    assert read_answers(tmp_path / "study.sqlite").rows == ()


def test_strangers_and_nonsense(address):
    client = Client(address)
    assert client.post("/api/answer", {"place": 0, "choice": "left", "milliseconds": 1})["code"] == 403
    assert client.post("/api/join", {"token": "guessed"})["code"] == 403
    assert client.post("/api/join", {"token": ["x"]})["code"] == 403
    for body in (b"not json", b"[]", b"\xff\xfe", b"{" + b" " * 5000 + b"}"):
        assert client.ask("POST", "/api/join", body)[0].status == 400
    # What a form on another site could send.
    assert client.ask("POST", "/api/join", {}, **{"Content-Type": "text/plain"})[0].status == 400
    for path in ("/../results.py", "/page/index.html", "/picture/" + "0" * 32 + ".png", "/study.sqlite", "//etc"):
        assert client.ask("GET", path)[0].status == 404
    assert client.ask("DELETE", "/")[0].status == 501
    client.cookie = 'resharp_study="; a=\\'
    assert client.state()["rater"] is False


def test_head_has_no_body(address):
    answer, content = Client(address).ask("HEAD", "/")
    assert answer.status == 200
    assert int(answer.getheader("Content-Length")) > 1000
    assert content == b""


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(address):
    answer, _ = Client(address).ask("POST", "/api/join", {})
    cookie = answer.getheader("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_port_in_use_is_said(address):
    port = urllib.parse.urlsplit(address).port
    with pytest.raises(ConfigError, match=rf"127.0.0.1:{port}: cannot listen here .*choose another --host or --port"):
        StudyServer("127.0.0.1", port)


def test_kinds_of_device():
    assert agent_class(PHONE) == "phone"
    assert agent_class("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/150 Mobile Safari") == "phone"
    assert agent_class("Mozilla/5.0 (Linux; Android 14; SM-X900) Chrome/150 Safari") == "tablet"
    assert agent_class("Mozilla/5.0 (iPad; CPU OS 17_0) Mobile/15E148") == "tablet"
    assert agent_class("Mozilla/5.0 (Windows NT 10.0) Firefox/140") == "desktop"
