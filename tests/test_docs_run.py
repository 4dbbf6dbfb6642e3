"""Every Python block of the documents runs, a document's one after the other, beside small files of the names they use.

A block that cannot run has a line `<!-- not run: why -->` before it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*.md"))]
DOCUMENTS += [*sorted(ROOT.glob("integrations/**/*.md")), *sorted(ROOT.glob("src/resharp/weights/*/README.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (.+) -->\n)?^( *)```(?:python|py)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def runnable(text: str) -> str:
    """All blocks that are not excepted, as one program."""
    return "\n".join(textwrap.dedent(code) for reason, _, code in BLOCK.findall(text) if not reason)


PROGRAMS = {path: runnable(path.read_text(encoding="utf-8")) for path in DOCUMENTS}
PROGRAMS = {path: program for path, program in PROGRAMS.items() if program}


def test_blocks_are_found_and_exceptions_need_a_reason():
    text = "```python\na = 1\n```\n\n<!-- not run: needs b -->\n```python\nb()\n```\n\n    ```py\n    c = 2\n    ```\n"
    assert runnable(text) == "a = 1\n\nc = 2\n"
    assert "d()" in runnable("<!-- not run: -->\n```python\nd()\n```\n")
    assert ROOT / "README.md" in PROGRAMS


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a small photo under every name that the documents use, and a tiny set of shards."""
    (tmp_path / "examples").mkdir()
    with Image.open(ROOT / "examples" / "blurry.jpg") as photo:
        small = photo.resize((96, 64))
    for name in ("examples/blurry.jpg", "photo.jpg"):
        small.save(tmp_path / name)
    return tmp_path


@pytest.fixture
def shards(place):
    """shards/gopro, as docs/data.md reads it."""
    from resharp.cli.main import run

    photos = place / "GOPRO"
    photos.mkdir()
    for i in range(4):
        with Image.open(ROOT / "examples" / "sharp.jpg") as photo:
            photo.save(photos / f"{i}.jpg")
    assert run(["data", "pack", str(photos), "--out", str(place / "shards" / "gopro")]) == 0
    shutil.rmtree(photos)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_documents_runs(path, place, request):
    if "shards/" in PROGRAMS[path]:
        request.getfixturevalue("shards")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAMS[path]], cwd=place, capture_output=True, text=True, env=environment, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
