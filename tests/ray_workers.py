"""Workers that write down what they do, and die at chosen moments, each once. Ray imports them in its processes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from resharp.engines import stores
from resharp.engines.worker import Worker

LOG = "RESHARP_TEST_LOG"


def write_down(line: str) -> None:
    """One line, whole, whichever process writes it."""
    with open(Path(os.environ[LOG]) / "log", "a", encoding="utf-8") as file:
        file.write(line + "\n")


def lines(folder: Path, word: str) -> list[str]:
    """What the lines that begin with `word` say after it."""
    found = (line.split(" ", 1) for line in (folder / "log").read_text(encoding="utf-8").splitlines())
    return [rest for first, rest in found if first == word]


def die_once(moment: str, place: str) -> None:
    """SIGKILL this process at the first of these moments."""
    if not Path(place).name.startswith(moment):
        return
    try:
        (Path(os.environ[LOG]) / moment).touch(exist_ok=False)
    except FileExistsError:
        return
    write_down(f"killed {moment}")
    os.kill(os.getpid(), signal.SIGKILL)


class MortalWorker(Worker):
    """Dies while it has a photo called before_*, in the middle of writing middle_*, and with after_* written."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        publish, copy = stores.publish, shutil.copyfile

        def publish_and_say(made: Path, place: str, token: str) -> None:
            die_once("before", place)
            publish(made, place, token)
            write_down(f"wrote {place}")
            die_once("after", place)

        def copy_and_die(source: Path, target: Path) -> None:
            if Path(source).name.startswith("middle"):
                Path(target).write_bytes(Path(source).read_bytes()[:100])
                die_once("middle", str(source))
            copy(source, target)

        stores.publish, shutil.copyfile = publish_and_say, copy_and_die


class PoisonedWorker(Worker):
    """Dies of photos called poison."""

    def __call__(self, task):
        if Path(task.source).name.startswith("poison"):
            write_down(f"killed {task.source}")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task)
