"""Folders of pairs, sharp photographs, and folders that are neither."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layout_trees import make, make_gopro, make_hide, names, partners, refusal
from resharp.data.layouts import available_splits, find_listing
from resharp.errors import ConfigError, DataError

# Folders of pairs


@pytest.mark.parametrize(
    ("blurry", "sharp"),
    [("blurry", "sharp"), ("blur", "sharp"), ("input", "target"), ("blur", "gt"), ("Input", "GT")],
)
@pytest.mark.parametrize("above", ["", "train/"])
def test_two_subfolders(tmp_path, blurry, sharp, above):
    root = make(tmp_path, f"{above}{blurry}/a.jpg", f"{above}{sharp}/a.png", f"{above}{blurry}/s/t/b.png")
    make(root, f"{above}{sharp}/s/t/b.tif", f"{above}{sharp}/notes.txt", f"{above}{sharp}/.hidden.png")
    make(root, f"{above}{blurry}/.thumbnails/c.png", f"{above}{blurry}/a.deblurred.png")
    listing = find_listing(root)
    assert (listing.layout, listing.split) == ("folders of pairs", "train" if above else "all")
    assert partners(listing) == {
        f"{above}{sharp}/a.png": f"{above}{blurry}/a.jpg",
        f"{above}{sharp}/s/t/b.tif": f"{above}{blurry}/s/t/b.png",
    }


def test_splits_above_and_below_the_two_folders(tmp_path):
    above = make(tmp_path / "above", *(f"{s}/{p}/{s}.png" for s in ("train", "test") for p in ("input", "target")))
    below = make(tmp_path / "below", *(f"{p}/{s}/{s}.png" for s in ("train", "test") for p in ("input", "target")))
    for root in (above, below):
        assert available_splits(root) == ("train", "test")
        assert [Path(name).name for name in names(find_listing(root, "test"))] == ["test.png"]


def test_sequences_of_pairs_that_are_not_gopro(tmp_path):
    root = make(tmp_path, *(f"train/{s}/{p}/1.png" for s in ("a", "b") for p in ("blur", "sharp")), "train/c/x.png")
    listing = find_listing(root)
    assert (listing.layout, names(listing)) == ("folders of pairs", ["train/a/sharp/1.png", "train/b/sharp/1.png"])


def test_endings_of_names_in_one_folder(tmp_path):
    root = make(tmp_path, "x_blur.jpg", "x_sharp.png", "a_b_blur.png", "a_b_sharp.png", "other.png")
    listing = find_listing(root)
    assert partners(listing) == {"a_b_sharp.png": "a_b_blur.png", "x_sharp.png": "x_blur.jpg"}
    (root / "x_sharp.png").unlink()
    assert refusal(root).startswith(f"{root / 'x_blur.jpg'}: has no sharp partner")
    (root / "a_b_sharp.png").unlink()
    assert "none named NAME_sharp" in refusal(root)


@pytest.mark.parametrize("name", ["blurry", "blur", "input", "sharp", "target", "gt"])
def test_half_of_a_folder_of_pairs(tmp_path, name):
    side, other = ("blurry", "sharp") if name in ("blurry", "blur", "input") else ("sharp", "blurry")
    for above in ("", "train/"):
        line = refusal(make(tmp_path / f"in_{above}", f"{above}{name}/a.png"))
        assert f"has {side} photographs ({name}) but no {other} ones beside them" in line


@pytest.mark.parametrize("stems", [("blur_1", "blur_1"), ("blur_1", "sharp_1"), ("x_1", "x_1")])
def test_names_may_begin_with_the_name_of_their_folder(tmp_path, stems):
    blurry, sharp = stems
    root = make(tmp_path, f"blur/s/{blurry}.png", f"sharp/s/{sharp}.png")
    assert partners(find_listing(root)) == {f"sharp/s/{sharp}.png": f"blur/s/{blurry}.png"}


def test_two_folders_of_sharp_photographs(tmp_path):
    root = make(tmp_path, "blur/a.png", "sharp/a.png", "gt/a.png")
    assert "has gt/ and sharp/, and only one of them can be used" in refusal(root)


def test_two_photographs_of_one_name(tmp_path):
    root = make(tmp_path, "blur/a.png", "blur/a.jpg", "sharp/a.png")
    assert refusal(root) == f"{root / 'blur' / 'a.png'}: same name as a.jpg; keep one of the two"


def test_pair_folders_without_photographs(tmp_path):
    (tmp_path / "blur").mkdir()
    (tmp_path / "sharp").mkdir()
    assert "no photograph in all" in refusal(tmp_path)


def test_links_are_followed_and_do_not_go_round_in_circles(tmp_path):
    make(tmp_path / "far", "blur/s/a.png", "sharp/s/a.png")
    root = tmp_path / "near"
    (root / "train").mkdir(parents=True)
    for part in ("blur", "sharp"):
        (root / "train" / part).symlink_to(tmp_path / "far" / part)
        (tmp_path / "far" / part / "s" / "again").symlink_to(tmp_path / "far" / part)
    assert partners(find_listing(root)) == {"train/sharp/s/a.png": "train/blur/s/a.png"}


@pytest.mark.parametrize("parts", [("blur", "sharp"), ("photos",)])
def test_a_link_that_leads_nowhere(tmp_path, parts):
    make(tmp_path, *(f"{part}/a.png" for part in parts))
    link = tmp_path / parts[-1] / "b.png"
    link.symlink_to(tmp_path / "gone.png")
    assert refusal(tmp_path).startswith(f"{link}: a link that leads nowhere")


# Sharp photographs


def test_any_other_folder_is_sharp_photographs(tmp_path):
    root = make(tmp_path, "b.jpg", "trip/a.png", "trip/day 2/c.TIFF", "trip/train.txt", ".cache/d.png")
    listing = find_listing(root)
    assert (listing.layout, listing.split, listing.kind) == ("sharp photographs", "all", "sharp")
    assert names(listing) == ["b.jpg", "trip/a.png", "trip/day 2/c.TIFF"]
    assert [entry.sharp for entry in listing.entries] == [root / name for name in names(listing)]
    assert find_listing(root, "all") == listing


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train/a.png", "test/b.png"), ("train", "test")),
        (("train/a.png", "test/b.png", "extra/c.png"), ("train", "test")),
        (("train/a.png",), ("train",)),
        (("train/a.png", "planes/b.png"), ("all",)),
    ],
)
def test_splits_of_sharp_photographs(tmp_path, files, splits):
    root = make(tmp_path, *files)
    assert available_splits(root) == splits
    expected = sorted(files) if splits == ("all",) else ["train/a.png"]
    assert names(find_listing(root)) == expected


@pytest.mark.parametrize(
    "files",
    [
        ("a/b/GOPR0372_07_00/blur/1.png", "a/b/GOPR0372_07_00/sharp/1.png"),
        ("a/b/input/1.png", "a/b/target/1.png"),
        ("a/b/val_blur_jpeg/000/1.jpg", "a/b/val_sharp/000/1.png"),
        ("a/test/test_blur/000/1.png",),
        ("a/b/x_blur.png", "a/b/x_sharp.png"),
    ],
)
def test_blurry_photographs_further_below_are_not_taken_for_sharp_ones(tmp_path, files):
    line = refusal(make(tmp_path, *files))
    assert "blurry photographs, and " in line
    assert "no layout fits; found a/" in line or f"give {tmp_path / 'a'}" in line


@pytest.mark.parametrize("name", ["blur", "blurry", "blur_gamma", "input"])
def test_the_blurry_half_given_alone_is_refused(tmp_path, name):
    root = make(tmp_path, f"{name}/1.png", "sharp/1.png") / name
    assert "give the folder above it" in refusal(root)


def test_one_folder_too_high(tmp_path):
    make_gopro(tmp_path / "GOPRO_Large")
    make_hide(tmp_path / "HIDE")
    line = refusal(tmp_path)
    assert f"give {tmp_path / 'GOPRO_Large'} or {tmp_path / 'HIDE'}" in line


# Wrong paths and splits


def test_wrong_paths(tmp_path):
    line = refusal(tmp_path / "nowhere")
    assert "no such folder" in line
    assert "GOPRO_Large, HIDE, RealBlur-J and -R, REDS" in line
    assert "is a file" in refusal(make(tmp_path, "photo.png") / "photo.png")


def test_a_folder_without_photographs_says_what_is_there(tmp_path):
    make(tmp_path, "docs/a.txt", "b.txt", "c.csv")
    line = refusal(tmp_path)
    assert "no photos in this folder; found docs/, 2 files. resharp knows GOPRO_Large" in line
    (tmp_path / "empty").mkdir()
    assert "found nothing." in refusal(tmp_path / "empty")


def test_a_split_that_is_not_there(tmp_path):
    root = make_gopro(tmp_path / "a")
    assert "has no split 'val'; there is: train, test" in refusal(root, "val")
    assert "has no split 'all'; there is: train, test" in refusal(root, "all")
    assert "there is: all (it is not divided" in refusal(make(tmp_path / "b", "x.png"), "test")
    with pytest.raises(ConfigError, match="split is 'tset'; allowed: train, val, test, all"):
        find_listing(root, "tset")


@pytest.mark.skipif(os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="root may list anything")
def test_a_folder_that_cannot_be_listed(tmp_path):
    root = make(tmp_path, "blur/a.png", "sharp/a.png")
    (root / "sharp").chmod(0)
    try:
        assert "cannot list this folder" in refusal(root)
    finally:
        (root / "sharp").chmod(0o700)


# For all trees

STEMS = st.text("abc_9", min_size=1, max_size=4)
PLACES = st.lists(st.sampled_from(("s", "t", "u/v")), max_size=1).map(lambda parts: "".join(f"{p}/" for p in parts))
KEYS = st.builds(str.__add__, PLACES, STEMS)
SUFFIXES = st.sampled_from((".png", ".jpg", ".JPG", ".tiff"))


@settings(max_examples=60, deadline=None)
@given(
    sharp=st.dictionaries(KEYS, SUFFIXES, max_size=8),
    blurry=st.dictionaries(KEYS, SUFFIXES, max_size=8),
    names_of=st.sampled_from((("blurry", "sharp"), ("input", "target"))),
    shuffled=st.randoms(use_true_random=False),
)
def test_every_photograph_is_in_one_pair_or_named_as_unpaired(sharp, blurry, names_of, shuffled: random.Random):
    blur_folder, sharp_folder = names_of
    files = [f"{sharp_folder}/{key}{suffix}" for key, suffix in sharp.items()]
    files += [f"{blur_folder}/{key}{suffix}" for key, suffix in blurry.items()]
    both = sharp.keys() & blurry.keys()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        for place, order in ((one, files), (two, shuffled.sample(files, len(files)))):
            (Path(place) / sharp_folder).mkdir()
            (Path(place) / blur_folder).mkdir()
            make(Path(place), *order)
        if not both:
            with pytest.raises(DataError):
                find_listing(one, strict=False)
            return
        first, second = find_listing(one, strict=False), find_listing(two, strict=False)
        assert partners(first) == {
            f"{sharp_folder}/{key}{sharp[key]}": f"{blur_folder}/{key}{blurry[key]}" for key in both
        }
        assert len(first.entries) == len(both)
        assert names(first) == names(second) == sorted(names(first))
        assert partners(first) == partners(second)
        assert first.fingerprint() == second.fingerprint()
        if sharp.keys() == blurry.keys():
            assert find_listing(one) == first
        else:
            count = len(sharp.keys() ^ blurry.keys())
            with pytest.raises(DataError, match=rf"partner \({count} such file"):
                find_listing(one)
