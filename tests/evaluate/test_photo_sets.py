"""Names of a set's photos, which pictures made elsewhere belong to them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resharp.errors import ConfigError, DataError, ImageError
from resharp.evaluate.photo_sets import OFFICIAL, PhotoSet, open_photo_set, pictures_of


def picture(path: Path, size=(8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 128, dtype=np.uint8)).save(path)
    return path


def gopro(root: Path) -> Path:
    for split, clip in (("train", "GOPR0372_07_00"), ("test", "GOPR0384_11_00"), ("test", "GOPR0385_11_01")):
        for frame in ("000001", "000002"):
            for part in ("blur", "sharp"):
                picture(root / split / clip / part / f"{frame}.png")
    return root


def names(photo_set: PhotoSet) -> list[str]:
    return [photo.name for photo in photo_set.photos]


def test_gopro_is_its_test_split_named_by_clip_and_frame(tmp_path):
    found = open_photo_set(f"gopro:{gopro(tmp_path)}")
    clips = ("GOPR0384_11_00", "GOPR0385_11_01")
    assert names(found) == [f"{clip}/{frame}" for clip in clips for frame in ("000001", "000002")]
    assert all("/blur/" in photo.blurry.as_posix() and "/sharp/" in photo.sharp.as_posix() for photo in found.photos)
    assert (found.split, found.total, found.official, found.complete) == ("test", 4, 1111, False)
    assert names(open_photo_set(f"gopro:{tmp_path}", "train")) == ["GOPR0372_07_00/000001", "GOPR0372_07_00/000002"]


def test_a_limit_takes_the_first_and_is_no_whole_set(tmp_path):
    found = open_photo_set(f"gopro:{gopro(tmp_path)}", limit=3)
    assert len(found.photos) == 3
    assert found.total == 4


def test_a_set_is_whole_with_as_many_photos_as_its_authors_count(tmp_path, monkeypatch):
    monkeypatch.setitem(OFFICIAL, "gopro", 4)
    gopro(tmp_path)
    assert open_photo_set(f"gopro:{tmp_path}").complete
    assert not open_photo_set(f"gopro:{tmp_path}", limit=3).complete
    assert not open_photo_set(f"gopro:{tmp_path}", "train").complete


def test_pairs_side_by_side_lose_their_marks(tmp_path):
    for name in ("b", "a"):
        picture(tmp_path / f"{name}_blur.png")
        picture(tmp_path / f"{name}_sharp.png")
    found = open_photo_set(f"pairs:{tmp_path}")
    assert names(found) == ["a", "b"]
    assert found.official is None


def test_pictures_made_elsewhere_are_found_by_any_of_their_names(tmp_path):
    photo_set = open_photo_set(f"gopro:{gopro(tmp_path / 'set')}")
    ways = {
        "as here": "{clip}/{frame}.png",
        "as the blurry photo": "{clip}/blur/{frame}.png",
        "joined": "{clip}_{frame}.png",
        "joined with the part": "{clip}-blur-{frame}.jpg",
        "as resharp names results": "{clip}/{frame}.deblurred.png",
    }
    for way, form in ways.items():
        for photo in photo_set.photos:
            clip, frame = photo.name.split("/")
            picture(tmp_path / way / form.format(clip=clip, frame=frame))
        picture(tmp_path / way / "another.png")
        found, others = pictures_of(photo_set, tmp_path / way)
        assert list(found) == names(photo_set)
        assert others == 1
        for name, path in found.items():
            clip, frame = name.split("/")
            assert clip in path.as_posix()
            assert frame in path.name


def test_a_file_name_that_two_clips_have_is_no_name(tmp_path):
    photo_set = open_photo_set(f"gopro:{gopro(tmp_path / 'set')}")
    for frame in ("000001", "000002"):
        picture(tmp_path / "flat" / f"{frame}.png")
    with pytest.raises(DataError, match=r"no picture GOPR0384_11_00/000001 \(4 of 4 are missing\)"):
        pictures_of(photo_set, tmp_path / "flat")


def test_one_missing_picture_is_named(tmp_path):
    photo_set = open_photo_set(f"gopro:{gopro(tmp_path / 'set')}")
    for photo in photo_set.photos[:3]:
        picture(tmp_path / "peer" / f"{photo.name}.png")
    with pytest.raises(DataError, match=r"no picture GOPR0385_11_01/000002 \(1 of 4 are missing\)"):
        pictures_of(photo_set, tmp_path / "peer")


def test_photos_of_unequal_size_are_refused(tmp_path):
    picture(tmp_path / "a_blur.png", (8, 6))
    picture(tmp_path / "a_sharp.png", (6, 8))
    with pytest.raises(DataError, match=r"a_blur\.png: is 8x6, but .*a_sharp\.png is 6x8"):
        open_photo_set(f"pairs:{tmp_path}")


def test_a_photo_without_partner_is_refused(tmp_path):
    for name in ("a_blur", "a_sharp", "b_blur"):
        picture(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"b_blur\.png: has no sharp partner"):
        open_photo_set(f"pairs:{tmp_path}")


def test_a_header_that_cannot_be_read_is_refused(tmp_path):
    picture(tmp_path / "a_sharp.png")
    (tmp_path / "a_blur.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"a_blur\.png"):
        open_photo_set(f"pairs:{tmp_path}")


@pytest.mark.parametrize(
    ("word", "error", "says"),
    [
        ("gopro", ConfigError, "expected KIND:PATH"),
        ("gopro:", ConfigError, "expected KIND:PATH"),
        ("set5:{root}", ConfigError, "expected KIND:PATH"),
        ("hide:{root}", DataError, "looks like GOPRO_Large, not HIDE; give it as pairs:"),
        ("gopro:{root}/none", DataError, "no such folder"),
        ("pairs:{root}/empty", DataError, "nothing"),
        ("pairs:{root}/train/GOPR0372_07_00/sharp", DataError, "sharp photos alone"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path, word, error, says):
    gopro(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=says):
        open_photo_set(word.format(root=tmp_path))


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="no split 'val'"):
        open_photo_set(f"gopro:{gopro(tmp_path)}", "val")
