"""Frames found in folders in the order people count, and decoded from videos that the test writes."""

from __future__ import annotations

import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resharp.data.frames import PhotoSequence, VideoSequence, find_sequences, natural_key
from resharp.errors import DataError, ImageError

HEIGHT, WIDTH = 30, 40
TKHD_MATRIX_AT = 44  # from the type's first letter, in version 0 of the box: ISO/IEC 14496-12, 8.3.2
ONE, W = 1 << 16, 1 << 30


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def read_all(sequence: PhotoSequence | VideoSequence) -> list[np.ndarray]:
    return [frame.read() for frame in sequence.frames()]


def write_video(path: Path, frames: np.ndarray, codec: str = "ffv1", format: str = "bgr0", **context: object) -> Path:
    """FFV1 of RGB is lossless; the `context` goes to the encoder."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=240)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = format
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=format)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "names",
    [
        ["frame2.png", "frame10.png"],
        ["1", "02", "10", "010a"],
        ["a", "a1", "a1b", "a2", "b"],
        ["GX010003_9.png", "GX010003_10.png", "GX020003_1.png"],
        ["000009.png", "000010.png", "000100.png"],
    ],
)
def test_natural_order(names):
    assert sorted([*names[1:], names[0]], key=natural_key) == names


def test_a_folder_of_photos_is_one_sequence_in_natural_order(tmp_path):
    pixels = noise(12)
    for i in (11, 3, 0, 7, 1, 2, 10, 9, 8, 4, 6, 5):
        save(tmp_path / "clip" / f"frame{i}.png", pixels[i])
    save(tmp_path / "clip" / ".hidden.png", pixels[0])
    (tmp_path / "clip" / "notes.txt").write_text("240 fps")
    (sequence,) = find_sequences(tmp_path / "clip")
    assert (sequence.name, sequence.length()) == ("clip", 12)
    assert np.array_equal(read_all(sequence), pixels)
    assert [Path(frame.place).name for frame in sequence.frames()][8:] == [f"frame{i}.png" for i in (8, 9, 10, 11)]


def test_folders_and_videos_are_sequences_each(tmp_path):
    for name in ("clip10/a.png", "clip2/a.png", ".hidden/a.png"):
        save(tmp_path / name, noise(1)[0])
    (tmp_path / "empty").mkdir()
    (tmp_path / "clip3.MP4").write_bytes(b"not opened yet")
    (tmp_path / "readme.md").write_text("")
    found = find_sequences(tmp_path)
    assert [sequence.name for sequence in found] == ["clip2", "clip3", "clip10"]
    assert [type(sequence) for sequence in found] == [PhotoSequence, VideoSequence, PhotoSequence]


def test_names_do_not_hide_photos(tmp_path, monkeypatch):
    save(tmp_path / ".clip" / "a.png", noise(1)[0])
    assert find_sequences(tmp_path / ".clip")[0].name == "clip"
    monkeypatch.chdir(tmp_path / ".clip")
    assert find_sequences(".")[0].name == "clip"


def test_photos_are_read_upright_and_at_8_bits(tmp_path):
    pixels = noise(2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    save(tmp_path / "1.png", pixels[0], exif=exif)
    deep = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(WIDTH, HEIGHT).astype(np.uint16)
    save(tmp_path / "2.png", deep)
    first, second = read_all(find_sequences(tmp_path)[0])
    assert np.array_equal(first, np.rot90(pixels[0], -1))
    assert np.array_equal(second, np.repeat(np.rint(deep / 257).astype(np.uint8)[:, :, None], 3, axis=2))


def test_a_damaged_frame_is_named(tmp_path):
    save(tmp_path / "1.png", noise(1)[0])
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:500])
    with pytest.raises(ImageError, match=r"2\.png: damaged or cut short"):
        read_all(find_sequences(tmp_path)[0])


def test_what_is_no_sequence_is_refused(tmp_path):
    with pytest.raises(DataError, match="none: no such file or folder"):
        find_sequences(tmp_path / "none")
    with pytest.raises(DataError, match="no frames in this folder; expected photos, folders of photos, or videos"):
        find_sequences(tmp_path)
    photo = save(tmp_path / "clip" / "1.png", noise(1)[0])
    with pytest.raises(DataError, match=r"1\.png: is a single photo; name the folder"):
        find_sequences(photo)
    save(tmp_path / "stray.jpg", noise(1)[0])
    with pytest.raises(DataError, match="holds frames and also sequences such as 'clip'"):
        find_sequences(tmp_path)


def test_two_of_one_name_are_refused(tmp_path):
    save(tmp_path / "clip" / "1.png", noise(1)[0])
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(DataError, match="two files or folders are called 'clip'"):
        find_sequences(tmp_path)
    save(tmp_path / "clip" / "1.jpg", noise(1)[0])
    with pytest.raises(DataError, match="two files or folders are called '1'"):
        find_sequences(tmp_path / "clip")


def test_fingerprints_change_with_the_files(tmp_path):
    def fingerprint() -> str:
        return find_sequences(tmp_path)[0].fingerprint()

    save(tmp_path / "1.png", noise(1)[0])
    one = fingerprint()
    assert fingerprint() == one
    save(tmp_path / "2.png", noise(1)[0])
    two = fingerprint()
    (tmp_path / "2.png").rename(tmp_path / "3.png")
    three = fingerprint()
    save(tmp_path / "3.png", noise(1)[0] // 2)
    assert len({one, two, three, fingerprint()}) == 4


@pytest.mark.parametrize(
    ("name", "codec", "format"), [("a.mkv", "ffv1", "bgr0"), ("a.avi", "png", "rgb24"), ("a.mov", "qtrle", "rgb24")]
)
def test_lossless_video_gives_the_frames_it_was_made_of(tmp_path, name, codec, format):
    pixels = noise(9)
    video = write_video(tmp_path / name, pixels, codec, format)
    (sequence,) = find_sequences(video)
    assert sequence.name == "a"
    assert sequence.length() in (0, 9)
    assert np.array_equal(read_all(sequence), pixels)
    assert next(sequence.frames()).place == f"{video}: frame 0"


def test_compressed_video_gives_nearly_the_frames_it_was_made_of(tmp_path):
    """Inter-frame prediction: order, number and size, and values as far as MPEG-4 keeps them."""
    across = np.broadcast_to(np.linspace(20, 200, 64)[None, :, None], (48, 64, 3))
    pixels = np.stack([across + 4 * i for i in range(10)]).astype(np.uint8)
    got = read_all(VideoSequence("a", write_video(tmp_path / "a.mp4", pixels, "mpeg4", "yuv420p", bit_rate=10**8)))
    assert len(got) == 10
    assert np.abs(np.asarray(got).astype(int) - pixels).mean() < 2


# (a, b, c, d) of the display matrix, and what a viewer must then show.
TURNS = {
    "as stored": ((1, 0, 0, 1), lambda p: p),
    "half": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "counter-clockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down, mirrored": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed over the other diagonal": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


def turned_video(path: Path, pixels: np.ndarray, a: int, b: int, c: int, d: int) -> Path:
    """A QuickTime file with this matrix in the track's header, put there by hand."""
    data = bytearray(write_video(path, pixels, "png", "rgb24").read_bytes())
    at = data.index(b"tkhd") + TKHD_MATRIX_AT
    assert struct.unpack_from(">9i", data, at) == (ONE, 0, 0, 0, ONE, 0, 0, 0, W)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, W)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", TURNS)
def test_video_is_turned_as_its_display_matrix_says(tmp_path, turn):
    matrix, shown = TURNS[turn]
    pixels = noise(2)
    got = read_all(VideoSequence("a", turned_video(tmp_path / "a.mov", pixels, *(ONE * value for value in matrix))))
    for frame, stored in zip(got, pixels, strict=True):
        assert np.array_equal(frame, shown(stored))


def test_rotation_agrees_with_pyavs(tmp_path):
    """The same angle as `VideoFrame.rotation`, which turns counter-clockwise."""
    av = pytest.importorskip("av")
    pixels = noise(1)
    for a, b, c, d in (TURNS[turn][0] for turn in ("half", "clockwise", "counter-clockwise")):
        video = turned_video(tmp_path / "a.mov", pixels, ONE * a, ONE * b, ONE * c, ONE * d)
        with av.open(str(video)) as container:
            angle = next(container.decode(video=0)).rotation
        assert np.array_equal(read_all(VideoSequence("a", video))[0], np.rot90(pixels[0], angle // 90))


def test_other_turns_are_refused(tmp_path):
    video = turned_video(tmp_path / "a.mov", noise(1), ONE // 2, ONE // 2, -ONE // 2, ONE // 2)
    with pytest.raises(DataError, match=r"a\.mov: is shown turned by other than a quarter turn"):
        read_all(VideoSequence("a", video))


def test_colours_follow_the_videos_own_matrix(tmp_path):
    """BT.709 as high-definition cameras write it: Y = 100, Cb = 90, Cr = 170 of limited range."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=240)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        frame = av.VideoFrame(32, 32, "yuv444p")
        frame.colorspace, frame.color_range = 1, 1
        for plane, value in zip(frame.planes, (100, 90, 170), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    luma, blue, red = (100 - 16) / 219, (90 - 128) / 224, (170 - 128) / 224
    kr, kb = 0.2126, 0.0722
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    got = read_all(VideoSequence("a", tmp_path / "a.mkv"))[0]
    assert np.abs(got[5, 5] - 255 * np.array([r, g, b])).max() < 1.5


def test_high_dynamic_range_is_refused(tmp_path):
    for name, transfer in (("pq", 16), ("hlg", 18)):
        video = write_video(tmp_path / f"{name}.mkv", noise(1), color_trc=transfer)
        with pytest.raises(DataError, match="high dynamic range"):
            VideoSequence("a", video).length()


def test_a_damaged_video_is_named(tmp_path):
    good = write_video(tmp_path / "a.avi", noise(12), "mpeg4", "yuv420p").read_bytes()
    (tmp_path / "a.avi").write_bytes(good[: len(good) * 6 // 10])
    with pytest.raises(DataError, match=r"a\.avi: frame \d is damaged; cut the video before it"):
        read_all(VideoSequence("a", tmp_path / "a.avi"))
    good = write_video(tmp_path / "b.avi", noise(12), "png", "rgb24").read_bytes()
    (tmp_path / "b.avi").write_bytes(good[: len(good) * 6 // 10])
    with pytest.raises(DataError, match=r"b\.avi: not a video, or a damaged one"):
        read_all(VideoSequence("b", tmp_path / "b.avi"))


def test_what_is_no_video_is_named(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"a\.mp4: not a video, or a damaged one"):
        VideoSequence("a", tmp_path / "a.mp4").length()
    with wave.open(str(tmp_path / "b.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(DataError, match=r"b\.wav: has no pictures"):
        VideoSequence("b", tmp_path / "b.wav").length()


@pytest.mark.skipif(sys.platform == "win32", reason="names with a colon")
def test_a_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mkv", noise(3)).rename(tmp_path / "http:a.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(read_all(find_sequences("http:a.mkv")[0])) == 3


def test_missing_pyav_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").touch()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"needs PyAV; install it with: pip install 'resharp\[video\]'"):
        VideoSequence("a", tmp_path / "a.mp4").length()
