"""A video file like another: its pictures encoded anew, everything else copied packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resharp.errors import ConfigError, DataError
from resharp.files import atomic_path, make_folder
from resharp.images.xmp import KEY
from resharp.video.clip import ClipFacts, pyav

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Encoder:
    """name: FFmpeg's. crf: the constant rate factor by default, None where there is none. options: further ones."""

    name: str
    crf: int | None
    options: tuple[tuple[str, str], ...] = ()


_H264 = Encoder("libx264", 16, (("preset", "medium"),))
# By what the input is in; the crf keep what was gained, at some two to three times a camera's usual rate.
_ENCODERS = {
    "hevc": Encoder("libx265", 18, (("preset", "medium"), ("x265-params", "log-level=none"))),
    "vp8": Encoder("libvpx-vp9", 20, (("b", "0"), ("cpu-used", "4"), ("row-mt", "1"))),
    "vp9": Encoder("libvpx-vp9", 20, (("b", "0"), ("cpu-used", "4"), ("row-mt", "1"))),
    "av1": Encoder("libsvtav1", 20, (("preset", "6"),)),
    "prores": Encoder("prores_ks", None, (("profile", "hq"),)),
    "ffv1": Encoder("ffv1", None),
}
_HIGHEST_CRF = {"libx264": 51, "libx265": 51, "libvpx-vp9": 63, "libsvtav1": 63}
_CONTAINERS = {".m4v": "mp4", ".mts": "mpegts", ".m2ts": "mpegts"}  # what these names are, FFmpeg takes otherwise
# Written by the muxer itself, or no longer true of pictures encoded anew.
_NOT_COPIED = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", KEY)
_STATISTICS = ("bps", "number_of_", "_statistics_")
_PLACES = ("location", "gps", "xyz")


@dataclass
class ClipWriter:
    """An open output file.

    dropped: in words, what the input has and this has not.
    """

    container: OutputContainer
    main: Any
    copies: dict[int, Any]
    dropped: tuple[str, ...]

    def copy(self, packet: Any) -> None:
        """Put a packet of another stream, or with nothing encoded of any, into the file."""
        stream = self.copies.get(packet.stream_index)
        if stream is not None and packet.size:
            packet.stream = stream
            self.container.mux(packet)

    def encode(self, frame: VideoFrame | None) -> None:
        """A frame at its own time; None at the end."""
        self.container.mux(self.main.encode(frame))


def pixel_format(source: VideoStream, encoder: Encoder) -> str:
    """The input's where the encoder knows it, else the one nearest to it that loses least."""
    from av.codec import Codec

    wanted = source.codec_context.pix_fmt
    known = [format.name for format in Codec(encoder.name, "w").video_formats or ()]
    if wanted in known:
        return wanted
    deep = max(component.bits for component in source.format.components) > 8
    for name in ("yuv422p10le", "yuv420p10le", "yuv444p", "yuv420p") if deep else ("yuv420p",):
        if name in known:
            return name
    return known[0]


def encoder_for(source: VideoStream, crf: int | None) -> Encoder:
    """The encoder for what the input is in, H.264 for what nobody should write any more.

    Raises:
        ConfigError: a crf that the encoder has not.
    """
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    encoder = _ENCODERS.get(source.codec_context.name, _H264)
    try:
        Codec(encoder.name, "w")
    except UnknownCodecError:  # of a PyAV built without it
        encoder = _H264
    if crf is None:
        return encoder
    highest = _HIGHEST_CRF.get(encoder.name)
    if highest is None:
        raise ConfigError(f"--crf is not for {encoder.name}, in which this video is written; leave it out")
    if not 0 <= crf <= highest:
        raise ConfigError(f"crf is {crf}; allowed for {encoder.name}: 0 to {highest}")
    return Encoder(encoder.name, crf, encoder.options)


@contextmanager
def clip_writer(
    target: Path,
    source: InputContainer,
    video: VideoStream,
    facts: ClipFacts,
    encoder: Encoder | None,
    *,
    strip_gps: bool = False,
    receipt: str | None = None,
) -> Iterator[ClipWriter]:
    """Write a file beside its place, and put it there when the block ends without an error.

    Args:
        encoder: for the pictures; None copies them too.
        strip_gps: leave out places in metadata, and streams of data, which cameras write their way into.
        receipt: how it is made, for its metadata.

    Raises:
        DataError: the file's kind cannot hold what is to go into it.
        OutputError: it cannot be written.
    """
    av = pyav()
    make_folder(target.parent)
    with atomic_path(target) as temporary:
        writer = None
        # Streams of data are often of a kind that FFmpeg reads and does not write.
        for with_data in (True, False) if not strip_gps else (False,):
            container = av.open(f"file:{temporary}", "w", **_container_options(target))
            try:
                writer = _prepared(container, source, video, facts, encoder, with_data, strip_gps)
                container.metadata.update({} if receipt is None else {KEY: receipt})
                container.start_encoding()
                break
            except (ValueError, av.error.FFmpegError) as error:
                _abandon(container)
                if not with_data:
                    reason = " ".join(str(error).split())[:160]
                    raise DataError(f"{target}: cannot hold this video ({reason}); give -o NAME.mkv") from error
        assert writer is not None
        try:
            yield writer
            writer.container.close()
        except BaseException:
            _abandon(writer.container)
            raise


def _container_options(target: Path) -> dict[str, Any]:
    suffix = target.suffix.lower()
    options: dict[str, Any] = {}
    if suffix in _CONTAINERS:
        options["format"] = _CONTAINERS[suffix]
    if suffix in (".mp4", ".m4v", ".mov"):  # else what phones write under names of their own would be lost
        options["options"] = {"movflags": "use_metadata_tags"}
    return options


def _abandon(container: OutputContainer) -> None:
    with suppress(Exception):
        container.close()


def _prepared(
    container: OutputContainer,
    source: InputContainer,
    video: VideoStream,
    facts: ClipFacts,
    encoder: Encoder | None,
    with_data: bool,
    strip_gps: bool,
) -> ClipWriter:
    """All streams and metadata set, nothing written."""
    container.metadata.update(_kept(source.metadata, strip_gps))
    if source.chapters():
        container.set_chapters(source.chapters())
    copies: dict[int, Any] = {}
    dropped: list[str] = []
    main = None
    for stream in source.streams:
        if stream.index == video.index and encoder is not None:
            main = _encoding_stream(container, video, facts, encoder)
            made = main
        elif stream.type == "data" and not with_data:
            dropped.append("a stream of data")
            continue
        else:
            try:
                made = container.add_stream_from_template(stream, **({"opaque": True} if stream.codec_context else {}))
            except ValueError:
                if stream.type == "audio" or stream.index == video.index:
                    raise
                dropped.append(f"a stream of {stream.type}")
                continue
            copies[stream.index] = made
        made.metadata.update(_kept(stream.metadata, strip_gps))
        made.disposition = stream.disposition
    return ClipWriter(container, main, copies, tuple(dropped))


def _encoding_stream(container: OutputContainer, video: VideoStream, facts: ClipFacts, encoder: Encoder) -> Any:
    from av.codec.context import Flags

    options = dict(encoder.options) | ({} if encoder.crf is None else {"crf": str(encoder.crf)})
    made: Any = container.add_stream(encoder.name, rate=video.average_rate or video.guessed_rate or 30, options=options)
    made.width, made.height = facts.width, facts.height
    made.pix_fmt = pixel_format(video, encoder)
    made.time_base = made.codec_context.time_base = video.time_base
    old, new = video.codec_context, made.codec_context
    new.color_primaries, new.color_trc = old.color_primaries, old.color_trc
    new.colorspace, new.color_range = old.colorspace, old.color_range
    new.flags |= Flags.frame_duration  # else the last frame's would be guessed
    if video.sample_aspect_ratio:
        new.sample_aspect_ratio = video.sample_aspect_ratio
    if encoder.name == "libx265" and container.format.name in ("mp4", "mov"):
        new.codec_tag = "hvc1"  # Apple's players know no other
    if facts.display_matrix is not None:
        made.set_display_matrix(facts.display_matrix)
    return made


def _kept(metadata: dict[str, str], strip_gps: bool) -> dict[str, str]:
    def stays(key: str) -> bool:
        key = key.lower()
        if key in _NOT_COPIED or key.startswith(_STATISTICS):
            return False
        return not (strip_gps and any(word in key for word in _PLACES))

    return {key: value for key, value in metadata.items() if stays(key)}
