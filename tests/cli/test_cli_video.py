"""`deblur` of videos: pictures change, everything else is kept, and mistakes leave nothing behind."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import weakref
from fractions import Fraction

import numpy as np
import pytest

from clips import TITLE, facts, moving, packets, pictures, play, times, write_clip
from resharp.pipeline import DeblurPipeline

av = pytest.importorskip("av")
LOSSLESS = {"codec": "ffv1", "format": "bgr0", "options": {}, "audio": None, "colours": (2, 2, 0, 0)}
UNEVEN = [0, 512, 1124, 1836, 2348, 2960, 3672, 4184]


@pytest.fixture
def deblur(resharp, models):
    """Run `deblur --force` with these words and a tiny predictor."""
    return lambda *words: resharp("deblur", *words, "--model", models["predictor"], "--force")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mp4", {"codec": "libx265", "times": UNEVEN, "options": {"x265-params": "log-level=none"}}),
        ("a.mov", {"audio": "pcm_s16le", "times": UNEVEN, "rotation": 270}),
        ("a.mkv", {"audio": "libopus", "times": UNEVEN, "colours": (5, 6, 6, 1)}),
        ("a.m4v.mp4", {"format": "yuvj420p", "colours": (1, 13, 1, 2), "rotation": 0}),
        ("a.mkv", {"format": "yuv420p10le", "codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("a.webm", {"codec": "libvpx-vp9", "audio": "libopus", "rotation": 0}),
        ("a.mkv", {"codec": "ffv1", "options": {}, "format": "yuv422p"}),
    ],
)
def test_all_but_the_pictures_is_kept(deblur, tmp_path, name, options):
    source = write_clip(tmp_path / name, moving(8), **options)
    result = source.with_name(f"{source.stem}.deblurred{source.suffix}")
    ran = deblur(source)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{source} -> {result} (8 frames of 64x48, ")
    assert facts(result) == facts(source)
    assert times(result) == times(source)
    assert len(packets(source)[0]) > 8
    assert packets(result) == packets(source)
    before, after = pictures(source), pictures(result)
    assert 0.001 < np.abs(after - before).mean() < 0.3
    assert {path.name for path in tmp_path.iterdir()} == {source.name, result.name}


def test_frames_are_the_pipelines_and_in_order(deblur, models, tmp_path):
    source = write_clip(tmp_path / "a.mkv", moving(5), **LOSSLESS)
    assert deblur(source).code == 0
    pipeline = DeblurPipeline.from_pretrained(models["predictor"])
    expected = [pipeline(frame, seed=0) for frame in moving(5)]
    assert np.abs(pictures(tmp_path / "a.deblurred.mkv") * 255 - np.stack(expected)).max() <= 1


def test_same_seed_same_file(deblur, tmp_path):
    # FFV1, since x264 was seen to give other bytes for the same frames; packets, since Matroska numbers at random.
    source = write_clip(tmp_path / "a.mkv", moving(4), **LOSSLESS)
    words = [source, "--steps", 2, "--seed"]
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert deblur(*words, seed, "-o", tmp_path / f"{name}.mkv").code == 0
    one, again, two = (packets(tmp_path / f"{name}.mkv", "video") for name in ("one", "again", "two"))
    assert one == again
    assert one != two


def test_every_frame_starts_from_the_same_noise(deblur, tmp_path):
    still = np.repeat(moving(1), 6, axis=0)
    source = write_clip(tmp_path / "a.mkv", still, **LOSSLESS)
    assert deblur(source, "--part", "diffusion", "--sampler", "ddpm").code == 0
    after = pictures(tmp_path / "a.deblurred.mkv")
    assert not np.array_equal(after[0], pictures(source)[0])
    assert all(np.array_equal(frame, after[0]) for frame in after)


def test_chapters_subtitles_and_a_second_sound(deblur, tmp_path):
    def prepare(container):
        container.add_stream("flac", rate=48000).metadata["language"] = "fra"
        chapter = {"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
        container.set_chapters([chapter])

    source = write_clip(tmp_path / "a.mkv", moving(6), prepare=prepare)
    assert deblur(source).code == 0
    found = facts(tmp_path / "a.deblurred.mkv")
    assert found == facts(source)
    assert [name for _, name, _ in found["streams"]] == ["h264", "aac", "flac"]
    assert found["chapters"] == [(0, {"title": "One"})]


def test_metadata_of_phones_stays_and_places_go_if_asked(resharp, models, tmp_path):
    tags = {"com.apple.quicktime.make": "Maker", "com.apple.quicktime.location.ISO6709": "+52.5+013.4/"}
    source = write_clip(tmp_path / "a.mov", moving(3), metadata=tags)
    assert tags.items() <= facts_of(source).items()
    for words in (["--force"], []):  # the second time it may be passed through
        for strip in ([], ["--strip-gps"]):
            words = [*words, *strip, "--overwrite", "--model", models["predictor" if words else "input"]]
            assert resharp("deblur", source, *words).code == 0
            found = facts_of(tmp_path / "a.deblurred.mov")
            assert found["com.apple.quicktime.make"] == "Maker"
            assert ("com.apple.quicktime.location.ISO6709" in found) == (not strip)
            assert found["title"] == TITLE["title"]
            assert packets(tmp_path / "a.deblurred.mov") == packets(source)


def facts_of(path):
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_a_clip_without_motion_blur_is_copied(resharp, models, tmp_path):
    rng = np.random.default_rng(0)
    sharp = np.kron(rng.integers(0, 256, (1, 16, 16, 3)), np.ones((1, 16, 16, 1))).astype(np.uint8)
    source = write_clip(tmp_path / "a.mp4", np.repeat(sharp, 3, axis=0), options={"crf": "1"})
    ran = resharp("deblur", source, "--model", models["predictor"])
    assert ran.code == 0
    assert "no motion blur found, so the video is passed through unchanged" in ran.err
    assert (tmp_path / "a.deblurred.mp4").read_bytes() == source.read_bytes()
    assert resharp("deblur", source, "-o", tmp_path / "b.mkv", "--model", models["predictor"]).code == 0
    assert packets(tmp_path / "b.mkv", "video")[0][0][1] == packets(source, "video")[0][0][1]


def test_memory_holds_few_frames(deblur, tmp_path, monkeypatch):
    source = write_clip(tmp_path / "a.mp4", moving(40))
    alive: list[weakref.ref] = []
    most = []
    whole = DeblurPipeline.restore

    def restore(self, blurry, **options):
        restored = whole(self, blurry, **options)
        alive.append(weakref.ref(restored.image))
        gc.collect()
        most.append(sum(each() is not None for each in alive))
        return restored

    monkeypatch.setattr(DeblurPipeline, "restore", restore)
    assert deblur(source).code == 0
    assert len(most) == 40
    assert max(most) <= 3


@pytest.mark.parametrize("format", ["yuv444p", "yuv420p", "yuv420p10le"])
def test_odd_sizes(deblur, tmp_path, format):
    source = write_clip(tmp_path / "a.mkv", moving(2, 41, 27), codec="ffv1", options={}, format=format, audio=None)
    assert deblur(source).code == 0
    found = facts(tmp_path / "a.deblurred.mkv")
    assert found == facts(source)
    assert (found["size"], found["format"]) == ((41, 27), format)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError("a bug"), MemoryError])
def test_interruptions_and_errors_leave_nothing(deblur, tmp_path, files, monkeypatch, stop):
    source = write_clip(tmp_path / "a.mp4", moving(6))
    whole, calls = DeblurPipeline.restore, []

    def restore(self, blurry, **options):
        calls.append(1)
        if len(calls) == 4:
            raise stop
        return whole(self, blurry, **options)

    monkeypatch.setattr(DeblurPipeline, "restore", restore)
    ran = deblur(source)
    assert ran.code == (130 if stop is KeyboardInterrupt else 1)
    assert len(ran.err.splitlines()) == 1
    assert files() == {"a.mp4"}


def test_broken_files_are_one_line(deblur, tmp_path, files):
    whole = write_clip(tmp_path / "whole.mp4", moving(30), options={"crf": "12", "g": "5"})
    data = whole.read_bytes()
    matroska = write_clip(tmp_path / "whole.mkv", moving(30)).read_bytes()
    spoilt = {
        "text.mp4": b"no video at all, this one is" * 20,
        "empty.mp4": b"",
        "cut.mp4": data[: len(data) // 2],
        "photo.mp4": b"\xff\xd8\xff\xe0" + bytes(100),
        "hole.mp4": data[: len(data) // 4] + bytes(len(data) // 4) + data[len(data) // 2 :],
    }
    for name, content in spoilt.items():
        (tmp_path / name).write_bytes(content)
        before = files()
        ran = deblur(tmp_path / name)
        assert ran.code == 1, name
        assert name in ran.line
        assert files() == before
    (tmp_path / "cut.mkv").write_bytes(matroska[: len(matroska) // 2])
    ran = deblur(tmp_path / "cut.mkv")
    assert ran.code == 1
    assert not (tmp_path / "cut.deblurred.mkv").exists()


def test_sound_alone_is_no_video(deblur, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        play(container, container.add_stream("aac", rate=48000), 10)
    assert "has no pictures" in deblur(tmp_path / "a.mp4").line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gone.mp4"], "gone.mp4: no such file"),
        (["a.mp4", "b.png"], "b.png: is no video"),
        (["a.mp4", "-o", "a.mp4", "--overwrite"], "is an input, which is never overwritten"),
        (["a.mp4", "-o", "b.jpg"], "b.jpg: is no video's name"),
        (["a.mp4", "--crf", 60], "crf is 60; allowed for libx264: 0 to 51"),
        (["a.mp4", "--skip-done", "--no-receipt"], "--skip-done goes by receipts"),
        (["a.mp4", "--samples", 2, "--spread", "s.png"], "--spread is for photos, and a video is given"),
        (["a.mp4", "-o", "there.mp4", "--skip-done"], "is not what a.mp4 gives with this model and these settings"),
        (["a.mp4", "-o", "b.webm"], "b.webm: cannot hold this video"),
        (["a.mp4", "-o", "there.mp4"], "there.mp4: exists already and is kept"),
    ],
)
def test_what_cannot_be(deblur, tmp_path, files, monkeypatch, words, says):
    write_clip(tmp_path / "a.mp4", moving(2))
    (tmp_path / "there.mp4").write_bytes(b"kept")
    monkeypatch.chdir(tmp_path)
    before = files()
    ran = deblur(*words)
    assert ran.code == 1
    assert says in ran.line
    assert files() == before


def test_high_dynamic_range_interlacing_and_transparency_are_refused(deblur, tmp_path):
    clips = {
        "pq.mkv": ({"colours": (9, 16, 9, 1)}, "high dynamic range"),
        "alpha.mkv": ({"codec": "ffv1", "options": {}, "format": "yuva420p"}, "has transparency"),
        "fields.mkv": ({"options": {"x264-params": "tff=1"}}, "is interlaced"),
    }
    for name, (options, says) in clips.items():
        write_clip(tmp_path / name, moving(3), audio=None, **options)
        assert says in deblur(tmp_path / name).line


def test_crf_decides_the_size(deblur, tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving(8), audio=None)
    for crf in (5, 40):
        assert deblur(source, "--crf", crf, "-o", tmp_path / f"{crf}.mp4").code == 0
    assert (tmp_path / "5.mp4").stat().st_size > 1.5 * (tmp_path / "40.mp4").stat().st_size


def test_several_and_json(resharp, models, tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving(3))
    other = shutil.copy(source, tmp_path / "b.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    words = [
        source,
        other,
        tmp_path / "bad.mp4",
        "-o",
        tmp_path / "out",
        "--steps",
        2,
        "--seed",
        4,
        "--force",
        "--json",
    ]
    answer = json.loads(resharp("deblur", *words, "--model", models["predictor"]).out)
    assert (answer["restored"], answer["failed"]) == (2, 1)
    first = answer["results"][0]
    assert (first["frames"], first["width"], first["height"], first["seed"], first["steps"]) == (3, 64, 48, 4, 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.deblurred.mp4", "b.deblurred.mp4"}


@pytest.fixture
def again(resharp, models):
    """Run `deblur --skip-done` with these words; how many were restored, skipped and failed."""

    def call(*words, model="predictor"):
        answer = json.loads(resharp("deblur", *words, "--model", models[model], "--skip-done", "--json").out)
        return tuple(answer[name] for name in ("restored", "skipped", "failed"))

    return call


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.m4v", "a.mkv"])
def test_the_same_work_is_skipped_and_its_file_untouched(again, tmp_path, name):
    source = write_clip(tmp_path / name, moving(3), audio=None, metadata={"comment": "mine"})
    result = source.with_name(f"a.deblurred{source.suffix}")
    assert again(source, "--force") == (1, 0, 0)
    before = result.stat().st_ino, result.stat().st_mtime_ns
    assert again(source, "--force") == (0, 1, 0)
    assert again(source, "--force", "--overwrite") == (0, 1, 0)
    assert (result.stat().st_ino, result.stat().st_mtime_ns) == before
    assert {key.lower(): value for key, value in facts_of(result).items()}["comment"] == "mine"


def test_other_work_is_done_again(again, tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving(3), audio=None)
    last = ["--force"]
    again(source, *last)
    for words in (["--crf", 30], ["--steps", 1], ["--steps", 1, "--seed", 5], ["--strip-gps"]):
        words = ["--force", *words]
        assert again(source, *words) == (0, 0, 1)
        assert again(source, *words, "--overwrite") == (1, 0, 0)
        assert again(source, *words) == (0, 1, 0)
        assert again(source, *last) == (0, 0, 1)
        last = words
    assert again(source, *last, model="plain") == (0, 0, 1)
    write_clip(source, moving(4), audio=None)
    assert again(source, *last) == (0, 0, 1)
    assert again(source, *last, "--overwrite") == (1, 0, 0)


def test_results_without_a_receipt_of_theirs_are_not_taken_for_done(resharp, models, again, tmp_path):
    source = write_clip(tmp_path / "a.mp4", moving(3), audio=None)
    result = tmp_path / "a.deblurred.mp4"
    words = ["deblur", source, "--force", "--model", models["predictor"]]
    assert resharp(*words, "--no-receipt").code == 0
    assert again(source, "--force") == (0, 0, 1)
    assert resharp(*words, "--overwrite").code == 0
    whole = result.read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"", whole.replace(b'{"resharp":', b'{"resharq":')):
        result.write_bytes(spoilt)
        assert again(source, "--force") == (0, 0, 1)
        assert result.read_bytes() == spoilt
    # A result restored again says what it was made from itself, with or without a receipt.
    result.write_bytes(whole)
    assert resharp("deblur", result, "--force", "--no-receipt", "--model", models["predictor"]).code == 0
    assert "resharp:receipt" not in facts_of(tmp_path / "a.deblurred.deblurred.mp4")


def test_a_container_without_a_place_is_never_done(again, tmp_path):
    source = write_clip(tmp_path / "a.mts", moving(3), audio=None, rotation=0)
    assert again(source, "--force") == (1, 0, 0)
    assert again(source, "--force") == (0, 0, 1)
    assert again(source, "--force", "--overwrite") == (1, 0, 0)


def test_a_clip_that_is_passed_through_is_done(again, tmp_path):
    rng = np.random.default_rng(0)
    sharp = np.kron(rng.integers(0, 256, (1, 16, 16, 3)), np.ones((1, 16, 16, 1))).astype(np.uint8)
    source = write_clip(tmp_path / "a.mp4", np.repeat(sharp, 3, axis=0), options={"crf": "1"}, audio=None)
    for words in ([], ["-o", tmp_path / "b.mkv"], ["-o", tmp_path / "c.mp4", "--strip-gps"]):
        assert again(source, *words) == (1, 0, 0)
        assert again(source, *words) == (0, 1, 0)
        assert again(source, *words, model="input") == (0, 1, 0) if not words else (0, 0, 1)
        assert again(source, *words, "--force") == (0, 0, 1)


def test_the_receipt_says_how(resharp, models, tmp_path):
    source = write_clip(tmp_path / "a.mkv", moving(3), audio=None)
    words = ["--steps", 2, "--samples", 2, "--batch", 2, "--memory", "20GB", "--seed", 4, "--force", "--json"]
    answer = json.loads(resharp("deblur", source, *words, "--model", models["predictor"]).out)
    receipt = answer["results"][0]["receipt"]
    stored = {key.lower(): value for key, value in facts_of(tmp_path / "a.deblurred.mkv").items()}
    assert json.loads(stored["resharp:receipt"]) == receipt
    assert (receipt["part"], receipt["seed"], receipt["settings"]["samples"]) == ("diffusion", 4, 2)
    assert (receipt["video"], receipt["encoder"], receipt["crf"]) == ("a.mkv", "libx264", 16)
    assert receipt["video_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    ran = resharp("verify", tmp_path / "a.deblurred.mkv")
    assert ran.code == 1
    assert "is a video, and those are not made again" in ran.line
