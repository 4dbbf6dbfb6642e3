"""The process in which spandrel runs: another environment's Python, and what it says."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resharp.errors import ModelError
from resharp.evaluate import spandrel_worker

ENVIRONMENT = (
    "python -m venv peers && peers/bin/pip install spandrel spandrel_extra_arches, then --peer-python peers/bin/python"
)


@dataclass(frozen=True)
class SpandrelPeer:
    """A checkpoint, and the Python that runs it."""

    name: str
    checkpoint: Path
    python: str


def work_through(
    peer: SpandrelPeer, jobs: Sequence[dict[str, str]], device: str, scratch: Path, on_done: Callable[[int], None]
) -> dict[str, str]:
    """Run the worker to its end; what it said about the network.

    Args:
        jobs: as in `spandrel_worker`; none only loads the checkpoint.
        scratch: a folder for files of this run.
        on_done: called with how many pictures are done.

    Raises:
        ModelError: spandrel is missing there, the checkpoint is none it can run, or the network failed on a picture.
    """
    listed = scratch / "jobs.json"
    listed.write_text(json.dumps(jobs), encoding="utf-8")
    worker = str(Path(spandrel_worker.__file__).absolute())
    # Other devices are not known to do what every network needs.
    arguments = [str(peer.checkpoint.absolute()), str(listed), "cuda" if device == "cuda" else "cpu"]
    found: dict[str, str] = {}
    done = 0
    with (scratch / "stderr").open("w+", encoding="utf-8", errors="replace") as stderr:
        with _running([peer.python, worker, *arguments], stderr) as process:
            for line in _lines(process):
                if "error" in line:
                    raise ModelError(_refusal(peer, str(line["error"])))
                if "architecture" in line:
                    found = {name: str(line[name]) for name in ("architecture", "versions")}
                if "done" in line:
                    done = int(line["done"])
                    on_done(done)
            code = process.wait()
        stderr.seek(0)
        words = [" ".join(text.split()) for text in stderr.read().splitlines() if text.strip()]
    if code or not found or done < len(jobs):
        at = f" at {jobs[done]['photo']}" if found and done < len(jobs) else ""
        raise ModelError(f"{peer.checkpoint}: {peer.python} ended{at} before it was done ({_why(code, words)})")
    return found


@contextmanager
def _running(command: Sequence[str], stderr: Any) -> Iterator[subprocess.Popen[str]]:
    """The process; it does not outlive the block."""
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise ModelError(f"{command[0]}: cannot be run ({error.strerror}); {ENVIRONMENT}") from error
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What the process says in JSON; other lines are chatter."""
    for text in process.stdout or ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _why(code: int, words: Sequence[str]) -> str:
    if code == -signal.SIGKILL:
        return "killed, as systems do when memory is short; give it smaller pictures or a machine with more"
    said = words[-1][:200] if words else "it said nothing"
    return f"killed by signal {-code}: {said}" if code < 0 else said


def _refusal(peer: SpandrelPeer, error: str) -> str:
    if error == "has no spandrel":
        return f"{peer.python}: has no spandrel; make an environment that has: {ENVIRONMENT}"
    # Other refusals name the photo or the checkpoint.
    return f"{peer.python}: {error}" if error.startswith("cannot import") else error
