"""A study opened and served in this process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from resharp.study.pictures import find_pictures, method_folders
from resharp.study.plan import StudySettings
from resharp.study.results import Results
from resharp.study.server import StudyServer
from resharp.study.session import Study
from studies import make_pairs


@pytest.fixture
def pairs(tmp_path) -> Path:
    return make_pairs(tmp_path / "pairs")


@pytest.fixture
def open_study(tmp_path, pairs):
    """Open the study of `pairs` with these settings; opened again, it is the same one."""
    opened = []

    def call(file: str = "study.sqlite", **settings: object) -> Study:
        pictures = find_pictures(*method_folders(pairs))
        chosen = StudySettings(**settings)
        results = Results(tmp_path / file, pictures, chosen)
        opened.append(results)
        return Study(pictures, chosen, results)

    yield call
    for results in opened:
        results.close()


@pytest.fixture
def serve():
    """Serve a study; the address, without the last slash."""
    running = []

    def call(study: Study, port: int = 0) -> str:
        server = StudyServer("127.0.0.1", port)
        server.study = study
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    def stop() -> None:
        while running:
            server, thread = running.pop()
            server.shutdown()
            server.server_close()
            thread.join()

    call.stop = stop
    yield call
    stop()
