"""Other people's methods: folders of pictures made elsewhere, and checkpoints that spandrel runs.

spandrel (chaiNNer-org/spandrel, MIT) knows the published restoration networks by their weights. It needs torchvision,
which resharp must not depend on, so it runs in a process of its own, with the Python of an environment of its own.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from resharp.data.shard_bytes import sha256_of
from resharp.errors import ConfigError, ModelError, OutputError
from resharp.evaluate.folder_scores import OnImage
from resharp.evaluate.photo_sets import PhotoSet, check_size, pictures_of
from resharp.evaluate.spandrel_process import ENVIRONMENT, SpandrelPeer, work_through
from resharp.evaluate.spandrel_worker import TAG
from resharp.images.exif import orientation_of
from resharp.images.photo import Photo
from resharp.images.reading import read_photo
from resharp.images.writing import write_photo


@dataclass(frozen=True)
class FolderPeer:
    """Pictures that another method made."""

    name: str
    folder: Path


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
        return work_through(peer, [], device, Path(scratch), lambda done: None)


def run_spandrel(
    peer: SpandrelPeer, photo_set: PhotoSet, place: Path, device: str, on_image: OnImage | None
) -> PeerPictures:
    """Restore every blurry photo into `PLACE/NAME/`, but those that this checkpoint has made already.

    Args:
        device: "cuda" is used where both environments have it; anything else is the CPU.

    Raises:
        ModelError: as in `check_spandrel`, or the network failed on a picture.
        ImageError: a blurry photo that cannot be read.
        OutputError: the folder cannot be written.
    """
    checkpoint = sha256_of(peer.checkpoint)
    # The digits keep apart what has nearly the same name.
    folder = place / (re.sub(r"[^\w.+]+", "-", peer.name)[:150] + f"-{checkpoint[:8]}")
    files = {photo.name: folder / f"{photo.name}.png" for photo in photo_set.photos}
    tags = {photo.name: f"{checkpoint} {sha256_of(photo.blurry)}" for photo in photo_set.photos}
    missing = [photo for photo in photo_set.photos if _tag_of(files[photo.name]) != tags[photo.name]]
    with tempfile.TemporaryDirectory(prefix="resharp-") as scratch:
        jobs = []
        for number, photo in enumerate(missing):
            source = _as_png(photo.blurry, Path(scratch) / f"{number}.png")
            # The other process may be somewhere else.
            paths = {"input": str(source.absolute()), "output": str(files[photo.name].absolute())}
            jobs.append({**paths, "photo": str(photo.blurry), "tag": tags[photo.name]})
        kept = len(files) - len(missing)

        def on_done(done: int) -> None:
            if on_image is not None:
                on_image(f"{peer.name}: restoring", kept + done, len(files), missing[done - 1].name)

        found = work_through(peer, jobs, device, Path(scratch), on_done)
    about = {"network": found["architecture"], "weights": f"SHA-256 {checkpoint[:8]}", "made with": found["versions"]}
    return PeerPictures(files, about)


def _tag_of(path: Path) -> str | None:
    """What the worker wrote into a picture, if it is there and whole."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            tag = image.info.get(TAG)
    except Exception:  # a decoder given a damaged file may raise nearly anything; it is made again
        return None
    return None if tag is None else str(tag)


def _as_png(path: Path, copy: Path) -> Path:
    """The photo itself where it is an 8-bit RGB PNG, upright; else a copy that is, so that all see the same pixels."""
    try:
        with Image.open(path) as image:
            upright_rgb = image.format == "PNG" and image.mode == "RGB" and orientation_of(image) == 1
        with path.open("rb") as file:
            # Pillow calls 16 bits RGB too, and cuts off the lower 8. The depth is the header's 25th byte.
            if upright_rgb and file.read(25)[24] == 8:
                return path
    except Exception:  # reading it says what is wrong
        pass
    try:
        write_photo(Photo(read_photo(path).pixels), copy)
    except OSError as error:
        raise OutputError(f"{copy}: cannot write it ({error.strerror})") from error
    return copy
