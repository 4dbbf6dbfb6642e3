"""Whether a call behaved: one line for a failure, a clean exit code, nothing half done, bounded memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from fuzz.families import Stock, make_case

# Of memory on top of what was there before: pictures of some megapixels come out of spoilt headers.
MEMORY_BYTES = 1536 << 20
SECONDS_OF_PROCESSOR = 20.0
LONGEST_LINE = 4000
_OF_LIBRARIES = re.compile(r"TIFF|libpng|libtiff|Corrupt JPEG|Premature|Invalid SOS|\w+: Warning")
_HELP = {"--help", "-h", "--version"}
_TEXT = {"encoding": "utf-8", "errors": "backslashreplace"}


def judge(family: str, number: int, stock: Stock, place: Path) -> list[str]:
    """What was wrong with one input; an empty list if nothing was."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        case = make_case(family, number, Path(folder), stock)
        before = {path: path.read_bytes() for path in case.untouched}
        wrong: list[str] = []
        code = None
        started, resident = time.process_time(), _peak_bytes(reset=True)
        with _captured() as said:
            try:
                code = case.call()
            except BaseException:
                wrong.append(f"raised\n{traceback.format_exc()}")
        out, err = said
        if time.process_time() - started > SECONDS_OF_PROCESSOR:
            wrong.append(f"took {time.process_time() - started:.0f} s")
        if _peak_bytes() - resident > MEMORY_BYTES:
            wrong.append(f"took {(_peak_bytes() - resident) >> 20} MB")
        wrong += _of_words(code, out, err, case.said, case.as_json)
        wrong += [f"{path} was changed" for path, data in before.items() if path.read_bytes() != data]
        wrong += [f"{path} was left" for path in Path(folder).rglob(".resharp-*")]
        return [f"{family} {number}: {line}\n  {case.said[:500]}" for line in wrong]


def _of_words(code: object, out: str, err: str, said: str, as_json: bool) -> list[str]:
    wrong = []
    if code is not None and (type(code) is not int or code not in (0, 1, 2)):
        wrong.append(f"exit code {code!r}")
    if "--debug" in said.split():  # asked for
        err = err.replace("Traceback", "")
    for sign in ("Traceback", "unexpected error", "Warning:", "not enough memory"):
        if sign in err or sign in out:
            wrong.append(f"said {sign!r}: {err[-800:]}")
    wrong += [f"a library said: {line}" for line in err.splitlines() if _OF_LIBRARIES.match(line)]
    wrong += [f"a line of {len(line)} letters: {line[:300]}" for line in err.splitlines() if len(line) > LONGEST_LINE]
    own = [line for line in err.splitlines() if line.startswith("resharp: ")]
    if code == 2 and len(own) != 1:
        wrong.append(f"{len(own)} lines for exit code 2: {err[-800:]}")
    if as_json and code != 2 and out and not _HELP & set(said.split()):
        try:
            json.loads(out)
        except ValueError:
            wrong.append(f"no JSON: {out[:300]}")
    return wrong


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """What is written meanwhile to standard output and error, by libraries in C too; filled at the end."""
    said: list[str] = []
    kept = sys.stdout, sys.stderr
    numbers = [os.dup(number) for number in (1, 2)]
    with tempfile.TemporaryFile("w+", **_TEXT) as out, tempfile.TemporaryFile("w+", **_TEXT) as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = out, err
        try:
            yield said
        finally:
            sys.stdout, sys.stderr = kept
            for number, saved in enumerate(numbers, start=1):
                os.dup2(saved, number)
                os.close(saved)
            for file in (out, err):
                file.seek(0)
                said.append(file.read())


def _peak_bytes(*, reset: bool = False) -> int:
    """The most memory this process has held since the last reset; 0 where the system does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0
