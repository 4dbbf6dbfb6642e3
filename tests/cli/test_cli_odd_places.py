"""Links, odd names, devices, read-only and full disks: a clear line, no half file, no temporary file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sample_photos import scene

POSIX = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")
EVERY = [".png", ".jpg", ".webp", ".tif", ".bmp", ".heic", ".avif"]


@pytest.fixture
def deblur(resharp, models):
    """Call `resharp deblur` with the tiny model."""
    return lambda *words: resharp("deblur", *words, "--model", models["predictor"], "--force")


def no_temporaries(folder: Path) -> bool:
    return not list(folder.rglob(".resharp-*"))


# Links


@POSIX
def test_a_link_to_a_photo_is_followed_and_stays(deblur, photo, tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(photo("a.png"))
    assert deblur(link).code == 0
    assert link.is_symlink()
    assert (tmp_path / "link.deblurred.png").is_file()


@POSIX
def test_a_link_to_nowhere_or_to_itself(deblur, tmp_path):
    for name, goal in (("nowhere.png", "gone.png"), ("loop.png", "loop.png")):
        (tmp_path / name).symlink_to(tmp_path / goal)
        ran = deblur(tmp_path / name)
        assert ran.code == 1
        assert name in ran.line


@POSIX
@pytest.mark.parametrize("goal", ["elsewhere.png", "gone.png", "out.png"])
def test_a_result_never_goes_through_a_link(deblur, photo, tmp_path, goal):
    source, out, other = photo("a.png"), tmp_path / "out.png", photo("elsewhere.png")
    before = other.read_bytes()
    out.symlink_to(tmp_path / goal)
    ran = deblur(source, "-o", out)
    assert ran.code == 1
    assert "exists already and is kept; add --overwrite" in ran.line
    assert deblur(source, "-o", out, "--overwrite").code == 0
    assert not out.is_symlink()  # the link was replaced
    assert Image.open(out).size == (40, 28)
    assert other.read_bytes() == before
    assert no_temporaries(tmp_path)


@POSIX
def test_a_link_to_the_photo_is_the_photo(deblur, photo, tmp_path):
    source = photo("a.png")
    (tmp_path / "out.png").symlink_to(source)
    os.link(source, tmp_path / "hard.png")
    for name in ("out.png", "hard.png"):
        assert "is the photo itself" in deblur(source, "-o", tmp_path / name, "--overwrite").line


@POSIX
def test_folders_that_lead_back_to_themselves_are_walked_once(deblur, photo, tmp_path):
    photo("in/a.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    ran = deblur(tmp_path / "in", "-o", tmp_path / "out")
    assert ran.code == 0
    assert ran.out.count("->") == 1


# Names


@pytest.mark.parametrize(
    "name", ["ü日本😀.png", "a b 'c' \"d\" $(e) [f].png", "-o.png", "a\nb.png", "a\tb\r.png", ".png.png"]
)
def test_any_name_works(deblur, photo, tmp_path, name):
    source = photo(name)
    ran = deblur(source)
    assert ran.code == 0, ran.err
    result = tmp_path / (source.stem + ".deblurred" + source.suffix)
    assert Image.open(result).size == (40, 28)
    refused = deblur(source)
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1  # also where the name has two


@POSIX
def test_names_at_the_limit(deblur, photo, tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    fits = photo("a" * (longest - len(".deblurred.png")) + ".png")
    assert deblur(fits).code == 0
    over = photo("b" * (longest - len(".png")) + ".png")
    ran = deblur(over)
    assert ran.code == 1
    assert "cannot have this name (File name too long); choose another" in ran.line
    assert deblur(over, "-o", tmp_path / "short.png").code == 0
    assert "File name too long" in deblur(tmp_path / ("c" * 300 + ".png")).line
    assert "File name too long" in deblur(fits, "-o", tmp_path / ("d" * 300 + ".png")).line
    assert no_temporaries(tmp_path)


def test_one_long_name_does_not_stop_a_folder(deblur, photo, tmp_path):
    photo("in/a.png")
    photo("in/" + "b" * 250 + ".png")
    ran = deblur(tmp_path / "in")
    assert ran.code == 1
    assert ran.out.count("->") == 1
    assert ran.err.splitlines()[-1] == "restored 1, failed 1"


@pytest.mark.parametrize(
    "words", [["info"], ["evaluate", "."], ["analyze", "ablations"], ["data", "check"], ["verify"]]
)
def test_long_names_of_other_commands(resharp, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = resharp(*words, "x" * 300)
    assert ran.code == 1
    assert "unexpected" not in ran.line


# What is no file


@POSIX
def test_pipes_devices_and_standard_input_are_refused(deblur, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for place in (tmp_path / "pipe.jpg", "/dev/zero", "/dev/null", "/dev/stdin", "/dev/random"):
        if not os.path.exists(place):
            continue
        ran = deblur(place)
        assert ran.code == 1
        assert "ordinary file" in ran.line or "empty" in ran.line or "no such file" in ran.line
    assert "no such file" in deblur("-").line
    for place in ("/dev/null", "/dev/zero", tmp_path / "pipe.jpg"):
        assert deblur("a.jpg", "-o", place).code == 1


@POSIX
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_a_place_where_nothing_can_be_written(deblur, photo):
    for words in (["-o", "/proc/out.png"], ["-o", "/proc/new/folder/"]):
        ran = deblur(photo("a.png"), *words)
        assert ran.code == 1
        assert "unexpected" not in ran.line
        assert "/proc" in ran.line


def test_a_folder_that_is_read_only(models, photo, tmp_path):
    source = photo("in/a.png")
    source.parent.chmod(0o555)
    words = [sys.executable, "-m", "resharp", "deblur", str(source), "--model", str(models["predictor"]), "--force"]
    if os.geteuid() == 0:  # who may write everywhere
        pytest.skip("needs another user than root")
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
    source.parent.chmod(0o755)
    assert ran.returncode == 1
    assert "no permission to write here" in ran.stderr


# Full disks

_LIMITED = (
    "import resource, sys\n"
    "from resharp.cli.main import run\n"
    "from resharp.hub import locate_model\n"
    "import torch, resharp.pipeline, resharp.picture\n"
    "limit = int(sys.argv[1])\n"
    "codes = []\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
    "for out in sys.argv[4:]:\n"
    "    codes.append(run(['deblur', sys.argv[2], '-o', out, '--model', sys.argv[3], '--force', '--overwrite']))\n"
    "print(codes)\n"
)


@POSIX
def test_files_that_may_not_grow_as_on_a_full_disk(models, tmp_path):
    """Every writer is stopped in the middle by the system: the old results stay, and nothing else is there."""
    pytest.importorskip("pillow_heif")
    source = tmp_path / "in.png"
    Image.effect_noise((160, 120), 90).convert("RGB").save(source)
    out = tmp_path / "out"
    out.mkdir()
    targets = [out / f"a{suffix}" for suffix in EVERY]
    for target in targets:
        target.write_bytes(b"old")
    words = [sys.executable, "-c", _LIMITED, "2000", str(source), str(models["predictor"]), *map(str, targets)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert json.loads(ran.stdout.splitlines()[-1]) == [1] * len(targets), ran.stderr
    complaints = [line for line in ran.stderr.splitlines() if line.startswith("resharp: ")]
    assert len(complaints) == len(targets)
    assert all("cannot write it (" in line for line in complaints), complaints
    assert {path.name for path in out.iterdir()} == {target.name for target in targets}
    assert {target.read_bytes() for target in targets} == {b"old"}


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk: Linux, as root")
@pytest.mark.parametrize("suffix", EVERY)
def test_a_disk_that_is_full(deblur, tmp_path, suffix):
    pytest.importorskip("pillow_heif")
    source, disk = tmp_path / "in.png", tmp_path / "disk"
    Image.effect_noise((320, 240), 90).convert("RGB").save(source)
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        ran = deblur(source, "-o", disk / f"a{suffix}")
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert ran.code == 1
    assert "cannot write it (No space left on device)" in ran.line
    assert left == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk: Linux, as root")
def test_a_disk_that_is_read_only(deblur, photo, tmp_path):
    source, disk = photo("a.png"), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        lines = [deblur(source, "-o", disk / name).line for name in ("a.png", "new/a.png")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert all("no permission to write here" in line or "Read-only" in line for line in lines), lines


# Two at once


@POSIX
def test_two_programs_on_one_folder(models, tmp_path):
    """The same photos into the same folder, started together: whole results, the same as one alone makes."""
    photos = tmp_path / "in"
    photos.mkdir()
    for i in range(6):
        Image.fromarray(scene(64 + i, 48)).save(photos / f"{i}.jpg")
    start = [
        sys.executable,
        "-m",
        "resharp",
        "deblur",
        str(photos),
        "--model",
        str(models["predictor"]),
        "--force",
        "-o",
    ]
    together = [
        subprocess.Popen(
            [*start, str(tmp_path / "out"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for words in ([], ["--overwrite"])
    ]
    said = [process.communicate(timeout=240) for process in together]
    assert subprocess.run([*start, str(tmp_path / "alone")], capture_output=True, timeout=240).returncode == 0
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert no_temporaries(tmp_path)
    assert together[1].returncode == 0, said[1]
    lost = [line for line in said[0][1].splitlines() if line.startswith("resharp: ")]
    assert all("exists already and is kept" in line for line in lost), lost
    assert together[0].returncode == (1 if lost else 0)
