"""Counts, missing partners, sizes and damage, found in small data sets made here."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from resharp.data.inspection import inspect
from resharp.data.layouts import find_listing
from resharp.errors import DataError
from resharp.images.headers import decoded_size, upright_size
from resharp.images.reading import read_photo

TURNED = 6


def save(path: Path, width: int = 6, height: int = 4, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def cut_short(path: Path) -> Path:
    """Keep the header and lose a part of the pixels."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    return path


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


@pytest.fixture
def pairs(tmp_path) -> Path:
    """Two sequences in train and one in test, whole."""
    for place in ("train/a", "train/b", "test/c"):
        for part in ("blur", "sharp"):
            for i in range(2):
                save(tmp_path / place / part / f"{i}.png", 40, 30)
    return tmp_path


def test_a_whole_data_set(pairs):
    found = inspect(pairs)
    assert (found.root, found.layout, found.kind, found.read) == (pairs, "folders of pairs", "pairs", False)
    train, test = found.splits
    assert (train.split, train.found, train.official, train.sequences) == ("train", 4, None, 2)
    assert (test.split, test.found, test.official, test.sequences) == ("test", 2, None, 1)
    assert train.fingerprint == find_listing(pairs).fingerprint()
    assert test.fingerprint == find_listing(pairs, "test").fingerprint()
    assert found.problems == ()
    assert inspect(pairs, read=True).problems == ()


@pytest.mark.parametrize("read", [False, True])
def test_everything_that_can_be_wrong_at_once(pairs, read):
    (pairs / "train/a/sharp/0.png").unlink()
    save(pairs / "train/b/blur/0.png", 30, 40)
    (pairs / "train/b/sharp/1.png").write_text("not a photo")
    found = inspect(pairs, read=read)
    train, test = found.splits
    assert (train.found, test.found) == (3, 2)
    assert train.unpaired == ((pairs / "train/a/blur/0.png", "has no sharp partner"),)
    reason = "is 30x40, but its sharp partner train/b/sharp/0.png is 40x30"
    assert train.mismatched == ((pairs / "train/b/blur/0.png", reason),)
    ((path, why),) = train.unreadable
    assert path == pairs / "train/b/sharp/1.png"
    assert why.startswith("not a photo")
    assert test.problems == ()
    assert len(found.problems) == 3
    assert all("\n" not in line for line in found.problems)


def test_damage_behind_the_header_is_found_by_reading(pairs):
    broken = cut_short(pairs / "test/c/blur/1.png")
    assert inspect(pairs).problems == ()
    found = inspect(pairs, read=True)
    assert [problem.path for problem in found.splits[1].unreadable] == [broken]
    assert "damaged or cut short" in found.problems[0]


def test_counts_beside_the_official_ones(tmp_path):
    for part in ("blur", "sharp"):
        save(tmp_path / "test" / "GOPR0384_11_00" / part / "000001.png")
    found = inspect(tmp_path)
    (test,) = found.splits
    assert (found.layout, test.found, test.official, test.sequences) == ("GOPRO_Large", 1, 1111, 1)
    assert found.problems == ("test: 1 found, and the data set has 1,111",)


def test_a_frame_in_two_splits_is_one_problem(tmp_path):
    for n in (8, 9):
        save(tmp_path / "val_sharp" / "000" / f"{n:08}.png")
        save(tmp_path / "val_blur" / "000" / f"{n:08}.png", 6, 5)
    found = inspect(tmp_path)
    val, test = found.splits
    assert (val.found, val.official, test.found, test.official) == (2, 3000, 1, 300)
    assert set(test.mismatched) < set(val.mismatched)
    assert len(found.problems) == 2 + 2  # two counts, two frames


def test_sharp_photographs(tmp_path):
    for name in ("a.jpg", "b/c.png", "b/d.webp"):
        save(tmp_path / name)
    (report,) = inspect(tmp_path).splits
    assert (report.split, report.found, report.official, report.sequences) == ("all", 3, None, 2)
    assert inspect(tmp_path).kind == "sharp"


def test_one_split_that_cannot_be_listed_does_not_hide_the_other(pairs):
    for path in (pairs / "test/c/sharp").iterdir():
        path.unlink()
    (pairs / "test/c/sharp").rmdir()
    train, test = inspect(pairs).splits
    assert (train.problems, train.found) == ((), 4)
    assert "no sharp ones beside them" in test.problems[0]
    assert (test.found, test.fingerprint) == (0, None)


def test_realblur_without_one_of_its_lists(tmp_path):
    folder = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    sharp, blurry = (f"{folder}/scene001/{part}/{part}_1.png" for part in ("gt", "blur"))
    save(tmp_path / sharp)
    save(tmp_path / blurry)
    (tmp_path / "RealBlur_J_test_list.txt").write_text(f"{sharp} {blurry}\n")
    test, train = inspect(tmp_path).splits
    assert (test.split, test.found, test.official) == ("test", 1, 980)
    assert (train.split, train.found, train.official) == ("train", 0, 3758)
    assert "RealBlur_J_train_list.txt is missing" in train.problems[0]


def test_nothing_that_can_be_used_is_an_error(tmp_path):
    save(tmp_path / "blur" / "a.png")
    save(tmp_path / "sharp" / "b.png")
    with pytest.raises(DataError, match="nothing usable in it: .*has no sharp partner"):
        inspect(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        inspect(tmp_path / "nowhere")


@pytest.mark.parametrize("read", [False, True])
def test_progress_counts_every_file_once(pairs, read):
    seen = []
    inspect(pairs, read=read, on_file=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 12) for i in range(1, 13)]


def test_processes_find_the_same_as_one(tmp_path):
    for i in range(70):
        save(tmp_path / f"{i:02}.png", 40, 30)
    broken = [cut_short(tmp_path / name) for name in ("07.png", "69.png")]
    found = inspect(tmp_path, read=True, processes=2)
    assert found == inspect(tmp_path, read=True)
    assert [problem.path for problem in found.splits[0].unreadable] == broken


# Sizes from headers, against what reading the photograph gives


def read_size(path: Path) -> tuple[int, int]:
    height, width = read_photo(path).pixels.shape[:2]
    return width, height


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 5, 6, 8])
def test_size_from_the_header_is_the_upright_one(tmp_path, suffix, orientation):
    path = save(tmp_path / f"a.{suffix}", exif=exif(orientation))
    expected = (4, 6) if orientation >= 5 else (6, 4)
    assert upright_size(path) == decoded_size(path) == read_size(path) == expected


def test_orientation_behind_the_pixels_of_a_png(tmp_path):
    path = save(tmp_path / "a.png")
    content = path.read_bytes()
    end = content.index(b"IEND") - 4
    with (tmp_path / "block").open("wb") as file:
        PngImagePlugin.putchunk(file, b"eXIf", exif(TURNED)[6:])
    path.write_bytes(content[:end] + (tmp_path / "block").read_bytes() + content[end:])
    assert upright_size(path) == read_size(path) == (4, 6)


def test_header_of_a_large_png_is_not_decoded(tmp_path):
    path = save(tmp_path / "a.png", 2000, 1500)

    def fastest(size) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            assert size(path) == (2000, 1500)
            times.append(time.process_time() - start)
        return min(times)

    assert fastest(upright_size) < 0.2 * fastest(decoded_size)
