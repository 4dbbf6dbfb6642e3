"""Other people's methods: folders of pictures made elsewhere, and checkpoints that spandrel runs.

spandrel (chaiNNer-org/spandrel, MIT) knows the published restoration networks by their weights. It needs torchvision,
which resharp must not depend on, so it runs in a process of its own, with the Python of an environment of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from resharp.data.shard_bytes import sha256_of
from resharp.errors import ConfigError, ModelError, OutputError
from resharp.evaluate import spandrel_worker
from resharp.evaluate.folder_scores import OnImage
from resharp.evaluate.photo_sets import PhotoSet, check_size, pictures_of
from resharp.images.exif import orientation_of
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo

ENVIRONMENT = "python -m venv peers && peers/bin/pip install spandrel, then --peer-python peers/bin/python"


@dataclass(frozen=True)
class FolderPeer:
    """Pictures that another method made."""

    name: str
    folder: Path


@dataclass(frozen=True)
class SpandrelPeer:
    """A checkpoint, and the Python that runs it."""

    name: str
    checkpoint: Path
    python: str


def peers_of(named: Sequence[str], python: str | None) -> list[FolderPeer | SpandrelPeer]:
    """`folder:DIR[=NAME]`, `NAME=DIR`, `spandrel:CHECKPOINT[=NAME]`; a name not given is that of the folder or file.

    Args:
        python: of the environment that has spandrel; None takes the one that runs now.

    Raises:
        ConfigError: another word, or no such Python.
        ModelError: no such checkpoint.
    """
    peers: list[FolderPeer | SpandrelPeer] = []
    for word in named:
        kind, _, rest = word.partition(":")
        if kind not in ("folder", "spandrel"):
            name, sign, rest = word.partition("=")
            kind, rest = "folder", f"{rest}={name}" if name and sign and rest else ""
        if not rest:
            raise ConfigError(f"--peer {word}: expected NAME=FOLDER, folder:DIR[=NAME] or spandrel:CHECKPOINT[=NAME]")
        path, name = Path(rest), ""
        if not path.exists() and "=" in rest:
            before, _, name = rest.rpartition("=")
            path = Path(before)
        if kind == "folder":
            peers.append(FolderPeer(name or path.resolve().name, path))
            continue
        if not path.is_file():
            raise ModelError(f"{path}: no such checkpoint; check the name")
        found = shutil.which(python or sys.executable)
        if found is None:
            raise ConfigError(f"--peer-python {python}: no such program; {ENVIRONMENT}")
        peers.append(SpandrelPeer(name or path.stem, path, found))
    return peers


@dataclass(frozen=True)
class PeerPictures:
    """The peer's picture of every photo, by the photo's name; and plain values that say how they were made."""

    files: Mapping[str, Path]
    about: Mapping[str, object]


def folder_pictures(peer: FolderPeer, photo_set: PhotoSet) -> PeerPictures:
    """The peer's picture of every photo; errors as in `pictures_of` and `check_size`."""
    files, others = pictures_of(photo_set, peer.folder)
    for photo in photo_set.photos:
        check_size(photo, files[photo.name])
    about: dict[str, object] = {"pictures": "made elsewhere"}
    if others:
        about["others in the folder, not of this set"] = others
    return PeerPictures(files, about)


def check_spandrel(peer: SpandrelPeer, device: str) -> dict[str, str]:
    """Load the checkpoint and nothing more: its architecture, and the versions that run it.

    Raises:
        ModelError: spandrel is missing there, or the checkpoint is none it can run.
    """
    with tempfile.TemporaryDirectory(prefix="resharp-") as scratch:
        return _work(peer, [], device, Path(scratch), lambda done: None)


def run_spandrel(
    peer: SpandrelPeer, photo_set: PhotoSet, place: Path, device: str, on_image: OnImage | None
) -> PeerPictures:
    """Restore every blurry photo into `PLACE/NAME/`, but those that this checkpoint has made already.

    Args:
        device: "cuda" where both environments have it; else the CPU.

    Raises:
        ModelError: as in `check_spandrel`, or the network failed on a picture.
        ImageError: a blurry photo that cannot be read.
        OutputError: the folder cannot be written.
    """
    folder = place / re.sub(r"[^\w.+]+", "-", peer.name)
    checkpoint = sha256_of(peer.checkpoint)
    files = {photo.name: folder / f"{photo.name}.png" for photo in photo_set.photos}
    tags = {photo.name: f"{checkpoint} {sha256_of(photo.blurry)}" for photo in photo_set.photos}
    missing = [photo for photo in photo_set.photos if _tag_of(files[photo.name]) != tags[photo.name]]
    with tempfile.TemporaryDirectory(prefix="resharp-") as scratch:
        jobs = []
        for number, photo in enumerate(missing):
            source = _as_png(photo.blurry, Path(scratch) / f"{number}.png")
            # The other process may be somewhere else.
            paths = {"input": str(source.absolute()), "output": str(files[photo.name].absolute())}
            jobs.append({**paths, "tag": tags[photo.name]})
        kept = len(files) - len(missing)

        def on_done(done: int) -> None:
            if on_image is not None:
                on_image(f"{peer.name}: restoring", kept + done, len(files), missing[done - 1].name)

        found = _work(peer, jobs, device, Path(scratch), on_done)
    about = {"network": found["architecture"], "weights": f"SHA-256 {checkpoint[:8]}", "made with": found["versions"]}
    return PeerPictures(files, about)


def _work(
    peer: SpandrelPeer, jobs: Sequence[dict[str, str]], device: str, scratch: Path, on_done: Callable[[int], None]
) -> dict[str, str]:
    """Run the worker to its end; what it said about the network."""
    listed = scratch / "jobs.json"
    listed.write_text(json.dumps(jobs), encoding="utf-8")
    worker = str(Path(spandrel_worker.__file__).absolute())
    command = [peer.python, worker, str(peer.checkpoint.absolute()), str(listed), device]
    found: dict[str, str] = {}
    done = 0
    with (scratch / "stderr").open("w+", encoding="utf-8") as stderr:
        for line in _lines(command, stderr):
            if "error" in line:
                raise ModelError(_refusal(peer, str(line["error"])))
            if "architecture" in line:
                found = {name: str(line[name]) for name in ("architecture", "versions")}
            if "done" in line:
                done = int(line["done"])
                on_done(done)
        stderr.seek(0)
        last = next((text for text in reversed(stderr.read().splitlines()) if text.strip()), "it said nothing")
    if not found or done < len(jobs):
        raise ModelError(f"{peer.checkpoint}: {peer.python} ended before it was done ({' '.join(last.split())[:200]})")
    return found


def _lines(command: Sequence[str], stderr: Any) -> Iterator[dict[str, Any]]:
    """What the process says in JSON; other lines are chatter. It does not outlive the iteration."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{command[0]}: cannot be run ({error.strerror}); {ENVIRONMENT}") from error
    try:
        assert process.stdout is not None
        for text in process.stdout:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _refusal(peer: SpandrelPeer, error: str) -> str:
    if error == "has no spandrel":
        return f"{peer.python}: has no spandrel; make an environment that has: {ENVIRONMENT}"
    return error if error.startswith(("/", str(peer.checkpoint))) else f"{peer.python}: {error}"


def _tag_of(path: Path) -> str | None:
    """What the worker wrote into a picture, if it is there and whole."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            tag = image.info.get(spandrel_worker.TAG)
    except Exception:  # a decoder given a damaged file may raise nearly anything; it is made again
        return None
    return None if tag is None else str(tag)


def _as_png(path: Path, copy: Path) -> Path:
    """The photo itself where it is an 8-bit RGB PNG, upright; else a copy that is, so that all see the same pixels."""
    try:
        with Image.open(path) as image:
            if image.format == "PNG" and image.mode == "RGB" and orientation_of(image) == 1:
                return path
    except Exception:  # reading it says what is wrong
        pass
    try:
        write_photo(Photo(read_photo(path).pixels), copy)
    except OSError as error:
        raise OutputError(f"{copy}: cannot write it ({error.strerror})") from error
    return copy
