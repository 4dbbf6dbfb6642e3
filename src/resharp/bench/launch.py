"""Measurements in processes of their own: memory is counted afresh for each, and one that dies takes nothing along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from resharp.bench.restoring_spec import RestoringSpec
from resharp.bench.spec import Spec
from resharp.errors import ResharpError, TrainingError

# A launcher that is told to end needs this long to end its processes.
PATIENCE_S = 40.0


class MeasurementError(TrainingError):
    """A measurement ended without figures: of one size, where others may still work."""


def launched(spec: Spec | RestoringSpec, module: str = "resharp.bench.training") -> dict[str, Any]:
    """Measure in fresh processes, and wait for them; see `measure` of the module for the figures.

    Args:
        module: what is run, `python -m MODULE SPEC RESULT`.

    Raises:
        ResharpError: data, settings or device cannot be used.
        MeasurementError: the processes ended early, for want of memory, say.
    """
    with tempfile.TemporaryDirectory(prefix="resharp-bench-") as name:
        folder = Path(name)
        spec_path, result_path, words_path = (folder / part for part in ("spec.json", "result.json", "stderr.txt"))
        spec_path.write_text(json.dumps(asdict(spec)), encoding="utf-8")
        with words_path.open("wb") as words:
            code = _run([*_launcher(spec.processes, module), str(spec_path), str(result_path)], spec.threads, words)
        result = json.loads(result_path.read_text(encoding="utf-8")) if result_path.exists() else {}
        if "error" in result:
            raise ResharpError(result["error"])
        if code or not result:
            raise MeasurementError(_why(spec, code, words_path.read_text(encoding="utf-8", errors="replace")))
        return result


def _launcher(processes: int, module: str) -> list[str]:
    if processes == 1:
        return [sys.executable, "-m", module]
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return [sys.executable, *together, "-m", module]


def _run(command: list[str], threads: int, words: Any) -> int:
    """Run a command to its end; if this process is told to end, end the command first."""
    # Threads by variable too: libraries read it before torch is told.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        environment.pop(name, None)
    with _terminating(), subprocess.Popen(command, stdout=words, stderr=words, env=environment) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


@contextmanager
def _terminating() -> Iterator[None]:
    """Within the block SIGTERM raises SystemExit, as Ctrl-C raises KeyboardInterrupt."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _why(spec: Spec | RestoringSpec, code: int, words: str) -> str:
    """One line: what died, and the last error that it printed."""
    lines = [line.strip() for line in words.splitlines()]
    errors = [line for line in lines if "Error" in line.split(":")[0] and "ChildFailedError" not in line]
    said = (errors or [line for line in lines if line] or ["nothing"])[-1]
    processes = f"{spec.processes} process{'es' * (spec.processes > 1)}"
    return (
        f"{spec.size} with {processes}: ended with code {code} before it was measured; where memory is short, try "
        f"{spec.SMALLER} (last words: {said[:200]})"
    )
