"""Tiny videos with sound, times of their own, turning, colour tags and metadata, and what is in a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TICKS = 15360  # a second
TITLE = {"title": "Über allem", "creation_time": "2020-01-02T03:04:05.000000Z"}


def moving(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(count, H, W, 3) uint8: waves that move by 3 px a frame."""
    down, across = np.mgrid[0:height, 0:width]
    frames = [
        np.stack([128 + 90 * np.sin((across + 3 * i) / 5), 128 + 90 * np.sin(down / 4), (across + down) % 200], axis=2)
        for i in range(count)
    ]
    return np.stack(frames).astype(np.uint8)


def write_clip(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    format: str = "yuv420p",
    audio: str | None = "aac",
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    rotation: int = 90,
    colours: tuple[int, int, int, int] = (1, 1, 1, 1),
    metadata: dict[str, str] | None = None,
    prepare: Any = None,
) -> Path:
    """A video of these frames.

    times: of the frames, in ticks; None is 30 a second.
    colours: primaries, transfer, matrix and range, as ITU-T H.273 numbers them.
    prepare: called with the container before anything is written.
    """
    av = pytest.importorskip("av")
    flags = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=flags) as container:
        container.metadata.update(TITLE | (metadata or {}))
        video = container.add_stream(codec, rate=30, options={"crf": "12"} if options is None else options)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = format
        video.time_base = video.codec_context.time_base = Fraction(1, TICKS)
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = colours
        context.sample_aspect_ratio = Fraction(4, 3)
        if rotation:
            video.set_display_rotation(rotation)
        sound = None if audio is None else container.add_stream(audio, rate=48000)
        if sound is not None:
            sound.metadata["language"] = "deu"
        if prepare is not None:
            prepare(container)
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format=format, dst_colorspace="ITU709", dst_color_range=colours[3] or 1)
            frame.colorspace, frame.color_range = colours[2:]
            frame.pts, frame.time_base = (512 * i if times is None else times[i]), Fraction(1, TICKS)
            container.mux(video.encode(frame))
        if sound is not None:
            play(container, sound, len(frames))
        container.mux(video.encode())
    return path


def play(container: Any, sound: Any, count: int) -> None:
    """Noise into a stream of sound, as long as `count` frames."""
    av = pytest.importorskip("av")
    rng = np.random.default_rng(0)
    for i in range(count * 1600 // 1024):
        noise = rng.normal(0, 0.1, (2, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, i * 1024, Fraction(1, 48000)
        if sound.format.name != "fltp":
            (frame,) = av.AudioResampler(format=sound.format.name, layout="stereo", rate=48000).resample(frame)
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def packets(path: Path, kind: str = "audio") -> list[list[tuple]]:
    """Of each stream of this kind: the time in seconds and the bytes of every packet."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        found: dict[int, list[tuple]] = {stream.index: [] for stream in streams}
        for packet in container.demux(streams):
            if packet.size:
                found[packet.stream_index].append((float(packet.pts * packet.time_base), bytes(packet)))
    return list(found.values())


def times(path: Path) -> list[Fraction]:
    """Of the frames, in seconds."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def pictures(path: Path) -> np.ndarray:
    """(count, H, W, 3) float32 in [0, 1], by FFmpeg's own conversion."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]) / np.float32(255)


def facts(path: Path) -> dict[str, Any]:
    """Everything about a file that restoring must keep."""
    av = pytest.importorskip("av")
    own = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "resharp:receipt")

    def kept(metadata: dict[str, str]) -> dict[str, str]:
        return {key.lower(): value for key, value in metadata.items() if key.lower() not in own}

    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        frame = next(container.decode(video))
        return {
            "metadata": kept(container.metadata),
            "streams": [
                (s.type, s.codec_context and s.codec_context.name, kept(s.metadata)) for s in container.streams
            ],
            "dispositions": [int(stream.disposition) for stream in container.streams],
            "chapters": [(c["start"] * c["time_base"], c["metadata"]) for c in container.chapters()],
            "colours": (context.color_primaries, context.color_trc, context.colorspace, context.color_range),
            "aspect": video.sample_aspect_ratio,
            "size": (frame.width, frame.height),
            "format": context.pix_fmt,
            "rotation": frame.rotation,
        }
