"""A video file as it is: what is told of it, and its packets and frames one after the other, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from resharp.data.frames import VIDEO_SUFFIXES
from resharp.errors import DataError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Transfer characteristics of ITU-T H.273: PQ and HLG.
_HDR = (16, 18)


@dataclass(frozen=True)
class ClipFacts:
    """What only reading all of it tells.

    frames: their number.
    display_matrix: nine numbers by which players turn it, or None.
    """

    frames: int
    width: int
    height: int
    display_matrix: tuple[int, ...] | None


def is_video(path: str) -> bool:
    """By the name; a folder is none."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES and not Path(path).is_dir()


def pyav() -> ModuleType:
    """PyAV, or a DataError that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise DataError("videos need PyAV; install it with: pip install 'resharp[video]'") from error
    return av


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its main video stream; FFmpeg's errors, while it is open, become a DataError.

    Raises:
        DataError: not a video, damaged, in high dynamic range, interlaced or with transparency; or PyAV is missing.
    """
    av = pyav()
    try:
        # Without "file:" a name with a colon would be taken for an address.
        with av.open(f"file:{path}") as container:
            stream = container.streams.best("video")
            if stream is None:
                raise DataError(f"{path}: has no pictures; give a video")
            if stream.codec_context.color_trc in _HDR:
                raise DataError(f"{path}: is in high dynamic range (PQ or HLG); convert it to SDR first")
            yield container, stream
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"{path}: not a video, or a damaged one ({reason}); get a fresh copy") from error


def packets_and_frames(
    path: Path, container: InputContainer, main: VideoStream
) -> Iterator[tuple[Packet, list[VideoFrame]]]:
    """Every packet in the file's order; with those of the main stream the frames that came out of its decoder.

    At the end comes a packet without data for each stream.

    Raises:
        DataError: a damaged frame, or fewer than the header promises.
    """
    # Left at slice threads: with frame threads FFmpeg keeps an error at the end of a cut file to itself.
    count = packets = 0
    end_s = 0.0
    for packet in container.demux():
        frames: list[Any] = []
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == main.index:
            packets += packet.size > 0
            if packet.is_corrupt:
                raise DataError(f"{path}: is cut short or damaged after frame {count}; get a fresh copy")
            frames = list(packet.decode())
        for frame in frames:
            if frame.is_corrupt:
                raise DataError(f"{path}: frame {count} is damaged; cut the video before it, or get a fresh copy")
            count += 1
        yield packet, frames
    if packets < main.frames:
        raise DataError(f"{path}: is cut short: {packets} of {main.frames} frames are there; get a fresh copy")
    # Matroska's header has no number of frames.
    promised_s = (container.duration or 0) / 1e6 if container.format.name.startswith("matroska") else 0.0
    if promised_s - end_s > max(0.25, 0.01 * promised_s):
        raise DataError(f"{path}: is cut short: {end_s:.1f} of {promised_s:.1f} s are there; get a fresh copy")


def check_frame(path: Path, frame: VideoFrame, facts: ClipFacts | None) -> None:
    """Refuse what would not come back as it is.

    Raises:
        DataError: interlaced, with transparency, or of another size than the first.
    """
    if frame.interlaced_frame:
        raise DataError(f"{path}: is interlaced; deinterlace it first")
    if any(component.is_alpha for component in frame.format.components):
        raise DataError(f"{path}: has transparency, which would be lost; convert it to one without")
    if facts is not None and (frame.width, frame.height) != (facts.width, facts.height):
        raise DataError(f"{path}: changes its size within; cut it where it does")


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """Of a frame of the file."""
    stored: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if stored is None else tuple(np.frombuffer(bytes(stored), dtype=np.int32)[:9].tolist())
