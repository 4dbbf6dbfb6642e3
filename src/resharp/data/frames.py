"""Where frames come from: photographs in a folder, or a video file. Frames are read one at a time."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from resharp.errors import DataError
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.images.reading import read_photo

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Videos are known by these suffixes when a folder is searched; a file named by itself may have any.
VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv"))
_EXPECTED = "expected photos, folders of photos, or videos"
# Transfer characteristics of ITU-T H.273: PQ and HLG.
_HDR = (16, 18)


class Frame(NamedTuple):
    """A frame that is there to be read.

    place: named in errors.
    read: gives (H, W, 3) uint8, a fresh array, upright; may raise ImageError or DataError.
    """

    place: str
    read: Callable[[], np.ndarray]


class FrameSequence(Protocol):
    """Consecutive frames of one camera."""

    @property
    def name(self) -> str:
        """Unique among those found together, and fit to begin a file's name."""

    def frames(self) -> Iterator[Frame]:
        """All frames in order; each must be read before the next is asked for."""

    def length(self) -> int:
        """How many frames there are, for a progress bar; 0 where only reading them all would tell."""

    def fingerprint(self) -> str:
        """Changes when a file is added, removed, renamed or gets another size."""


@dataclass(frozen=True)
class PhotoSequence:
    """Photographs that are the frames, in this order. 16 bits are rounded to 8, transparency is left off."""

    name: str
    files: tuple[Path, ...]

    def frames(self) -> Iterator[Frame]:
        """See `FrameSequence`."""
        for file in self.files:
            yield Frame(str(file), partial(_read_frame, file))

    def length(self) -> int:
        """The number of files."""
        return len(self.files)

    def fingerprint(self) -> str:
        """Of names and sizes."""
        return _fingerprint(self.files)


@dataclass(frozen=True)
class VideoSequence:
    """The frames of a video file as they are stored, whatever their times, turned as its display matrix says."""

    name: str
    path: Path

    def frames(self) -> Iterator[Frame]:
        """See `FrameSequence`.

        Raises:
            DataError: not a video, one in high dynamic range, a damaged frame, or PyAV is missing.
        """
        with _opened(self.path) as (container, stream):
            # Left at slice threads: with frame threads FFmpeg keeps an error at the end of a cut file to itself.
            for i, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    raise DataError(f"{self.path}: frame {i} is damaged; cut the video before it, or get a fresh copy")
                yield Frame(f"{self.path}: frame {i}", partial(_video_pixels, frame, self.path))

    def length(self) -> int:
        """What the file's header says; 0 if nothing. Raises as `frames`."""
        with _opened(self.path) as (_, stream):
            return stream.frames

    def fingerprint(self) -> str:
        """Of name and size."""
        return _fingerprint([self.path])


def find_sequences(path: str | os.PathLike[str]) -> list[FrameSequence]:
    """The sequences that `path` names, in natural order: `clip2` before `clip10`.

    A folder of photos is one sequence; so is a video file; of a folder of such folders and videos each is one.
    Hidden files and folders are skipped. No video is opened here.

    Raises:
        DataError: nothing of this kind, photos beside folders of photos or videos, or two of one name.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() in FORMAT_BY_SUFFIX:
            raise DataError(f"{path}: is a single photo; name the folder of frames it is in")
        return [VideoSequence(_sequence_name(path.stem), path)]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; {_EXPECTED}")
    photos = _photos(path)
    found: list[FrameSequence] = []
    for entry in _entries(path):
        if entry.is_dir():
            inside = _photos(entry)
            found += [PhotoSequence(entry.name, inside)] if inside else []
        elif entry.suffix.lower() in VIDEO_SUFFIXES:
            found.append(VideoSequence(entry.stem, entry))
    if photos and found:
        raise DataError(f"{path}: holds frames and also sequences such as {found[0].name!r}; name one or the other")
    if photos:
        return [PhotoSequence(_sequence_name(path.resolve().name), photos)]
    if not found:
        raise DataError(f"{path}: no frames in this folder; {_EXPECTED}")
    _refuse_equal(path, (sequence.name for sequence in found))
    return found


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts names with numbers as people count: `frame2` before `frame10`."""
    parts = re.split(r"([0-9]+)", name)
    # Text and numbers take turns, so that equal places always hold equal types.
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _sequence_name(name: str) -> str:
    """Not hidden: photos that begin with a dot are skipped by training."""
    return name.lstrip(".") or "frames"


def _entries(folder: Path) -> list[Path]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot list this folder ({error.strerror})") from error
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def _photos(folder: Path) -> tuple[Path, ...]:
    files = [file for file in _entries(folder) if file.suffix.lower() in FORMAT_BY_SUFFIX and file.is_file()]
    # frame1.png beside frame1.jpg is one frame twice, which would weigh double.
    _refuse_equal(folder, (file.stem for file in files))
    return tuple(files)


def _refuse_equal(folder: Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{folder}: two files or folders are called {name!r}; keep one of the two")
        seen.add(name)


def _fingerprint(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read_frame(file: Path) -> np.ndarray:
    return np.rint(read_photo(file).pixels * np.float32(255)).astype(np.uint8)


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise DataError("reading a video needs PyAV; install it with: pip install 'resharp[video]'") from error
    return av


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its main video stream; FFmpeg's errors, while it is open, become a DataError."""
    av = _pyav()
    try:
        # Without "file:" a name with a colon would be taken for an address.
        with av.open(f"file:{path}") as container:
            stream = container.streams.best("video")
            if stream is None:
                raise DataError(f"{path}: has no pictures; {_EXPECTED}")
            if stream.codec_context.color_trc in _HDR:
                raise DataError(f"{path}: is in high dynamic range (PQ or HLG); convert it to SDR first")
            yield container, stream
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"{path}: not a video, or a damaged one ({reason}); {_EXPECTED}") from error


def _video_pixels(frame: VideoFrame, path: Path) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    # A stored point (p, q) is shown at (a p + c q, b p + d q), up to a shift; rows of the matrix are (a, b), (c, d).
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if b == c == 0 and a and d:
        flip_across, flip_down = a < 0, d < 0
    elif a == d == 0 and b and c:
        pixels = pixels.transpose(1, 0, 2)
        flip_across, flip_down = c < 0, b < 0
    else:
        raise DataError(f"{path}: is shown turned by other than a quarter turn; convert it to an upright video")
    return np.ascontiguousarray(pixels[:: -1 if flip_down else 1, :: -1 if flip_across else 1])
