"""The page served in this process by a tiny model, and visitors who speak its protocol."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from resharp.diffusion.schedule import NoiseSchedule
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin
from resharp.serialization import Defaults
from resharp.web.limits import Limits
from tiny import TINY, awake

SETTINGS = ["standard", 1, 1, 2, 0, False, False]
EXAMPLES = Path(__file__).parents[1] / "examples"


class Visitor:
    """A browser without a window: cookies, uploads, events, files."""

    def __init__(self, address: str, language: str = "en") -> None:
        import httpx

        self.http = httpx.Client(base_url=address, timeout=60, headers={"accept-language": language})
        self.session = secrets.token_hex(6)
        self.page = self.http.get("/")
        self.config = self.http.get("/config").json()

    def upload(self, path: Path) -> str:
        answer = self.http.post("/photo", params={"name": path.name}, content=path.read_bytes())
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def body(self, name: str, data: list, event: object = None) -> dict:
        (number,) = [each["id"] for each in self.config["dependencies"] if each["api_name"] == name]
        return {"data": data, "event_data": event, "fn_index": number, "trigger_id": None, "session_hash": self.session}

    def call(self, name: str, data: list, event: object = None) -> list[list]:
        """The data of every message of an event that goes through Gradio's queue, the last one last."""
        joined = self.http.post("/gradio_api/queue/join", json=self.body(name, data, event))
        assert joined.status_code == 200, joined.text
        found = []
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] in ("process_generating", "process_completed"):
                    assert message["success"], message
                    found.append(message["output"]["data"])
                if message["msg"] == "process_completed":
                    return found
        raise AssertionError("the event never ended")

    def at_once(self, name: str, data: list) -> list:
        """The data of an event without a queue."""
        answer = self.http.post("/gradio_api/run/predict", json=self.body(name, data))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def drop(self, path: Path, language: str = "en") -> list[list]:
        return self.call("dropped", [language, *SETTINGS], {"ids": [self.upload(path)]})

    def sharpen(self, language: str = "en", settings: list = SETTINGS) -> list[list]:
        return self.call("sharpen", [language, *settings])

    def file(self, path: str):
        return self.http.get(f"/gradio_api/file={path}")


def paths_in(content: object) -> list[str]:
    """Every file that an answer names."""
    if isinstance(content, dict):
        own = [content["path"]] if isinstance(content.get("path"), str) else []
        return own + [path for value in content.values() for path in paths_in(value)]
    return [path for value in content for path in paths_in(value)] if isinstance(content, list) else []


def result_path(answers: list) -> str:
    """The download of a last answer."""
    (path,) = {path for path in paths_in(answers[-1]) if ".deblurred." in path}
    return path


def texts_in(content: object) -> str:
    """Every string of an answer."""
    return json.dumps(content, ensure_ascii=False)


@contextmanager
def serving(host: str = "127.0.0.1", **limits: object):
    """The page with these limits; the server, listening and calibrated."""
    from resharp.web.server import WebServer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = awake(ICDPM(TINY))
    pipeline = DeblurPipeline(model, NoiseSchedule(), Defaults(output="predictor", steps=2))
    server = WebServer(pipeline, Origin("tiny", "0" * 64), Limits(**limits), host, 0)
    with server.running():
        end = time.monotonic() + 60
        while server.service.estimator is None:
            assert time.monotonic() < end, "the machine was never measured"
            time.sleep(0.02)
        yield server
