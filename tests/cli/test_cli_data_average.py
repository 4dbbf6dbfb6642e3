"""`resharp data average` on small sequences: what it makes, how it goes on, and what it refuses."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resharp import __version__
from resharp.data.averaging import average_frames
from resharp.evaluate.pairs import paired_folder
from resharp.images import writing

HEIGHT, WIDTH = 24, 32


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def write_frames(folder: Path, pixels: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(pixels, start=1):
        Image.fromarray(frame).save(folder / f"frame{i}.png")
    return folder


def load(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def clip(tmp_path) -> Path:
    """40 frames, named so that the alphabet's order is not theirs."""
    return write_frames(tmp_path / "clip", noise(40))


def test_pairs_are_means_and_middles_and_training_reads_them(resharp, clip, tmp_path):
    ran = resharp("data", "average", clip, "-n", 11, "-o", tmp_path / "deep" / "out")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{tmp_path / 'deep' / 'out'}: 3 pairs from 1 sequence\n"
    pixels, out = noise(40), tmp_path / "deep" / "out"
    pairs = paired_folder(out)
    assert [pair.name for pair in pairs] == ["clip_000001_n11", "clip_000002_n11", "clip_000003_n11"]
    for i, pair in enumerate(pairs):
        assert np.array_equal(load(pair.blurry_path), average_frames(pixels[11 * i : 11 * i + 11], "gamma"))
        assert np.array_equal(load(pair.sharp_path), pixels[11 * i + 5])
    assert {path.name for path in out.iterdir()} == {"blurry", "sharp", "pairs.json"}
    record = json.loads((out / "pairs.json").read_text())
    assert (record["resharp"], record["finished"], record["too_short"]) == (__version__, True, {})
    chosen = {"frames_per_pair": [11], "stride": None, "curve": "gamma", "seed": 0, "format": "png"}
    assert record["settings"] == chosen
    row = {"sequence": "clip", "first_frame": 11, "frames": 11, "sharp_frame": 16, "curve": "gamma"}
    assert record["pairs"][1] == {"name": "clip_000002_n11", **row}


def test_the_record_is_enough_to_make_the_set_again(resharp, tmp_path):
    """Sequences in folders, a range, a stride, another curve; JPEG is lossy, so only nearly the same."""
    sequences = {"a": noise(30, 1), "b2": noise(35, 2), "b10": noise(4, 3)}
    for name, pixels in sequences.items():
        write_frames(tmp_path / "all" / name, pixels)
    out = tmp_path / "out"
    words = ["-n", "7..15", "--stride", 6, "--curve", "srgb", "--seed", 5, "--format", "jpg", "-o", out]
    ran = resharp("data", "average", tmp_path / "all", *words)
    assert (ran.code, ran.err) == (0, "b10: skipped, its 4 frames are too few for its first pair\n")
    record = json.loads((out / "pairs.json").read_text())
    assert record["too_short"] == {"b10": 4}
    assert {row["sequence"] for row in record["pairs"]} == {"a", "b2"}
    assert len({row["frames"] for row in record["pairs"]}) > 1
    assert {path.stem for path in (out / "blurry").iterdir()} == {row["name"] for row in record["pairs"]}
    for row in record["pairs"]:
        pixels, first, count = sequences[row["sequence"]], row["first_frame"], row["frames"]
        assert (first % 6, row["sharp_frame"]) == (0, first + count // 2)
        assert row["name"] == f"{row['sequence']}_{first // 6 + 1:06d}_n{count}"
        blurry = load(out / "blurry" / f"{row['name']}.jpg").astype(int)
        assert np.abs(blurry - average_frames(pixels[first : first + count], "srgb")).mean() < 4
        assert np.abs(load(out / "sharp" / f"{row['name']}.jpg").astype(int) - pixels[first + count // 2]).mean() < 6


def test_seeds_draw_differently_and_repeat_themselves(resharp, clip, tmp_path):
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert resharp("data", "average", clip, "-n", "3..9", "--seed", seed, "-o", tmp_path / name).code == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "again")
    assert tree(tmp_path / "one").keys() != tree(tmp_path / "two").keys()


def test_pairs_come_from_a_video_as_from_its_frames(resharp, clip, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=240)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for pixels in noise(40):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for source, name in ((clip, "frames"), (tmp_path / "clip.mkv", "video")):
        assert resharp("data", "average", source, "-n", "5..9", "-o", tmp_path / name).code == 0
    frames, video = tree(tmp_path / "frames"), tree(tmp_path / "video")
    assert frames.keys() == video.keys()
    assert all(frames[name] == video[name] for name in frames if name != "pairs.json")


def test_json(resharp, clip, tmp_path):
    words = ["data", "average", clip, "-n", 7, "-o", tmp_path / "out", "--json"]
    first, second = resharp(*words), resharp(*words)
    expected = {"out": str(tmp_path / "out"), "pairs": 5, "sequences": 1, "too_short": []}
    assert json.loads(first.out) == {**expected, "made": 5, "there_before": 0}
    assert json.loads(second.out) == {**expected, "made": 0, "there_before": 5}
    assert first.err == second.err == ""


def test_what_was_deleted_is_made_again_and_nothing_else(resharp, clip, tmp_path):
    out = tmp_path / "out"
    words = ["data", "average", clip, "-n", "3..7", "-o", out]
    assert resharp(*words).code == 0
    whole = tree(out)
    blurry, sharp = sorted((out / "blurry").iterdir()), sorted((out / "sharp").iterdir())
    blurry[1].unlink()
    sharp[3].unlink()
    untouched = {path: path.stat().st_ino for i, path in enumerate(blurry) if i not in (1, 3)}
    ran = resharp(*words)
    assert ran.code == 0
    assert ran.out.endswith(f"{len(blurry)} pairs from 1 sequence, {len(blurry) - 2} there before\n")
    assert tree(out) == whole
    assert {path: path.stat().st_ino for path in untouched} == untouched


@pytest.mark.parametrize("stop_at", [1, 2, 5, 6])
def test_an_interrupted_run_goes_on_to_the_same_set(resharp, clip, tmp_path, monkeypatch, stop_at):
    """Stopped at a write: before the first photograph, between the two of a pair, and between pairs."""
    out, write_photo = tmp_path / "out", writing.write_photo
    assert resharp("data", "average", clip, "-n", "3..9", "-o", tmp_path / "whole").code == 0
    done = 0

    def interrupted(photo, path, **options):
        nonlocal done
        done += 1
        if done == stop_at:
            raise KeyboardInterrupt
        write_photo(photo, path, **options)

    monkeypatch.setattr(writing, "write_photo", interrupted)
    assert resharp("data", "average", clip, "-n", "3..9", "-o", out).code == 130
    record = json.loads((out / "pairs.json").read_text())
    assert (record["finished"], len(record["pairs"])) == (False, (stop_at - 1) // 2)
    assert len(list(out.glob("*/*"))) == stop_at - 1
    monkeypatch.undo()
    ran = resharp("data", "average", clip, "-n", "3..9", "-o", out)
    assert ran.code == 0
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-n", "9"], "frames_per_pair [7], not [9]"),
        (["-n", "7", "--stride", "2"], "stride null, not 2"),
        (["-n", "7", "--curve", "linear"], 'curve "gamma", not "linear"'),
        (["-n", "7", "--seed", "1"], "seed 0, not 1"),
        (["-n", "7", "--format", "jpg"], 'format "png", not "jpg"'),
    ],
)
def test_a_set_made_otherwise_is_refused(resharp, clip, tmp_path, words, named):
    out = tmp_path / "out"
    assert resharp("data", "average", clip, "-n", 7, "-o", out).code == 0
    whole = tree(out)
    ran = resharp("data", "average", clip, *words, "-o", out)
    assert ran.code == 1
    assert ran.line == f"resharp: {out}: holds pairs made with {named}; choose another place"
    assert tree(out) == whole


def test_a_set_made_from_other_frames_is_refused(resharp, clip, tmp_path):
    out = tmp_path / "out"
    assert resharp("data", "average", clip, "-n", 7, "-o", out).code == 0
    Image.fromarray(noise(1)[0]).save(clip / "frame41.png")
    ran = resharp("data", "average", clip, "-n", 7, "-o", out)
    assert (ran.code, ran.line) == (1, f"resharp: {out}: holds pairs made from other frames; choose another place")


@pytest.mark.parametrize("record", [None, "no json", "[]", '{"made_by": "somebody"}', '{"made_by": 1, "settings": 2}'])
def test_a_folder_with_other_things_is_refused(resharp, clip, tmp_path, record):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    if record is not None:
        (out / "pairs.json").write_text(record)
    before = tree(out)
    ran = resharp("data", "average", clip, "-n", 7, "-o", out)
    assert ran.code == 1
    assert ran.line == f"resharp: {out}: holds other things, and no pairs.json of this command; choose a new folder"
    assert tree(out) == before


def test_a_file_in_the_way_is_refused(resharp, clip, tmp_path):
    (tmp_path / "out").write_text("")
    ran = resharp("data", "average", clip, "-n", 7, "-o", tmp_path / "out")
    assert ran.code == 1
    assert "cannot be a folder" in ran.line


def test_where_no_pair_is_made_nothing_is_left(resharp, clip, tmp_path):
    ran = resharp("data", "average", clip, "-n", 41, "-o", tmp_path / "out")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "clip: skipped, its 40 frames are too few for its first pair",
        f"resharp: {clip}: no pair was made, since no sequence has frames enough; choose a smaller -n",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-n", "8"], 1, "8 is even, so no frame is in the middle; take 7 or 9"),
        (["-n", "7..x"], 1, "give a number such as 11, or a range 7..15"),
        (["-n", "7", "--curve", "log"], 1, "unknown curve 'log'; allowed: gamma, linear, srgb"),
        (["-n", "7", "--format", "gif"], 1, "unknown format 'gif'; allowed: png, jpg"),
        (["-n", "7", "--stride", "0"], 2, "'--stride'"),
        ([], 2, "Missing option '-n'"),
    ],
)
def test_bad_options_are_refused(resharp, clip, tmp_path, words, code, said):
    ran = resharp("data", "average", clip, *words, "-o", tmp_path / "out")
    assert ran.code == code
    assert said in ran.line
    assert not (tmp_path / "out").exists()


def test_a_frame_of_another_size_is_named_each_time(resharp, clip, tmp_path):
    Image.new("RGB", (8, 8)).save(clip / "frame20.png")
    for _ in range(2):
        ran = resharp("data", "average", clip, "-n", 7, "-o", tmp_path / "out")
        assert ran.code == 1
        assert f"{clip / 'frame20.png'}: is 8x8, but the sequence began with {WIDTH}x{HEIGHT}" in ran.line
        assert len(paired_folder(tmp_path / "out")) == 2


def test_missing_input_is_named(resharp, tmp_path):
    ran = resharp("data", "average", tmp_path / "none", "-n", 7, "-o", tmp_path / "out")
    assert (ran.code, "none: no such file or folder" in ran.line) == (1, True)


def test_a_full_disk_is_one_line_and_leaves_whole_files(resharp, clip, tmp_path, monkeypatch):
    write, done = Path.write_bytes, 0

    def until_full(self, data):
        nonlocal done
        done += 1
        if done <= 3:
            return write(self, data)
        write(self, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", until_full)
    ran = resharp("data", "average", clip, "-n", 7, "-o", tmp_path / "out")
    assert ran.code == 1
    assert "No space left on device" in ran.line
    monkeypatch.undo()
    photos = list((tmp_path / "out").glob("*/*"))
    assert len(photos) == 3
    assert all(load(path).shape == (HEIGHT, WIDTH, 3) for path in photos)
    assert resharp("data", "average", clip, "-n", 7, "-o", tmp_path / "out").code == 0
    assert len(paired_folder(tmp_path / "out")) == 5
