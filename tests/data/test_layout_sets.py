"""GOPRO_Large, HIDE, RealBlur and REDS: whole, incomplete, and mistaken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from layout_trees import J, R, make, make_gopro, make_hide, make_realblur, make_reds, names, partners, refusal
from resharp.data.layouts import available_splits, find_listing
from resharp.errors import ConfigError

# GOPRO_Large


def test_gopro(tmp_path):
    root = make_gopro(tmp_path)
    listing = find_listing(root)
    assert (listing.layout, listing.root, listing.split, listing.kind) == ("GOPRO_Large", root, "train", "pairs")
    assert partners(listing) == {
        "train/GOPR0372_07_00/sharp/000047.png": "train/GOPR0372_07_00/blur/000047.png",
        "train/GOPR0372_07_00/sharp/000048.png": "train/GOPR0372_07_00/blur/000048.png",
        "train/GOPR0374_11_01/sharp/000001.png": "train/GOPR0374_11_01/blur/000001.png",
    }
    assert names(listing) == sorted(partners(listing))
    assert len(find_listing(str(root), "test").entries) == 2
    assert available_splits(root) == ("train", "test")


def test_gopro_with_gamma(tmp_path):
    root = make_gopro(tmp_path)
    linear, gamma = find_listing(root), find_listing(root, gopro_blur="blur_gamma")
    assert names(gamma) == names(linear)
    assert [e.blurry for e in gamma.entries] == [
        Path(str(e.blurry).replace("blur", "blur_gamma")) for e in linear.entries
    ]


def test_gopro_train_folder_alone_has_no_splits(tmp_path):
    root = make_gopro(tmp_path) / "train"
    listing = find_listing(root)
    assert (listing.layout, listing.split, len(listing.entries)) == ("GOPRO_Large", "all", 3)
    assert names(listing)[0] == "GOPR0372_07_00/sharp/000047.png"


@pytest.mark.parametrize(
    ("parts", "choice", "expected"),
    [
        (("blur", "blur_gamma"), "blur", "no sharp ones beside them: expected a folder named sharp"),
        (("sharp",), "blur", "no blurry ones beside them: expected a folder named blur"),
        (("blur_gamma", "sharp"), "blur", "no blurry ones beside them: expected a folder named blur"),
        (("blur", "sharp"), "blur_gamma", "expected a folder named blur_gamma"),
    ],
)
def test_gopro_without_one_of_its_parts(tmp_path, parts, choice, expected):
    line = refusal(make_gopro(tmp_path, parts), gopro_blur=choice)
    assert line.startswith(f"{tmp_path / 'train'}: has ")
    assert expected in line


def test_gopro_one_frame_missing(tmp_path):
    root = make_gopro(tmp_path)
    gone = root / "train/GOPR0372_07_00/sharp/000047.png"
    gone.unlink()
    (root / "train/GOPR0374_11_01/blur/000001.png").unlink()
    line = refusal(root)
    assert line.startswith(f"{root / 'train/GOPR0372_07_00/blur/000047.png'}: has no sharp partner (2 such files in ")
    lenient = find_listing(root, strict=False)
    assert names(lenient) == ["train/GOPR0372_07_00/sharp/000048.png"]
    assert len(find_listing(root, "test").entries) == 2  # the other split is whole


def test_gamma_is_refused_where_it_has_no_meaning(tmp_path):
    assert "no folders blur_gamma" in refusal(make(tmp_path / "a", "x.png"), gopro_blur="blur_gamma")
    assert "no folders blur_gamma" in refusal(make_hide(tmp_path / "b"), gopro_blur="blur_gamma")
    with pytest.raises(ConfigError, match="gopro_blur is 'gamma'; allowed: blur, blur_gamma"):
        find_listing(tmp_path, gopro_blur="gamma")


# HIDE


def test_hide(tmp_path):
    root = make_hide(tmp_path)
    assert available_splits(root) == ("train", "test")
    assert find_listing(root).layout == "HIDE"
    assert partners(find_listing(root)) == {
        "GT/1fromGOPR0950.png": "train/1fromGOPR0950.png",
        "GT/2fromGOPR0950.png": "train/2fromGOPR0950.png",
    }
    assert partners(find_listing(root, "test")) == {
        "GT/10fromGOPR1096.png": "test/test-long-shot/10fromGOPR1096.png",
        "GT/15fromGOPR1085.png": "test/test-close-ups/15fromGOPR1085.png",
    }


def test_hide_without_its_sharp_photographs(tmp_path):
    root = make_hide(tmp_path)
    for path in (root / "GT").iterdir():
        path.unlink()
    assert "has no sharp partner (2 such files in train" in refusal(root)
    (root / "GT").rmdir()
    assert "GT/ is missing" in refusal(root)


@pytest.mark.parametrize("part", ["test", "train"])
def test_blurry_part_of_hide_is_not_taken_for_sharp(tmp_path, part):
    assert "blurry photographs" in refusal(make_hide(tmp_path) / part)


def test_hide_with_one_name_twice(tmp_path):
    root = make(make_hide(tmp_path), "test/test-close-ups/10fromGOPR1096.png")
    assert "keep one of the two" in refusal(root, "test")


# RealBlur


@pytest.mark.parametrize(("folder", "layout"), [(J, "RealBlur-J"), (R, "RealBlur-R")])
@pytest.mark.parametrize("both", [False, True])
def test_realblur(tmp_path, folder, layout, both):
    make_realblur(tmp_path, *((J, R) if both else (folder,)))
    root, prefix = (tmp_path / folder, "") if both else (tmp_path, f"{folder}/")
    listing = find_listing(root, "test")
    assert (listing.layout, listing.root, available_splits(root)) == (layout, root, ("train", "test"))
    assert partners(listing) == {
        f"{prefix}scene001/gt/gt_{n}.png": f"{prefix}scene001/blur/blur_{n}.png" for n in (1, 2, 10)
    }
    assert names(listing) == sorted(partners(listing))
    assert all("scene002" in name for name in names(find_listing(root)))


def test_realblur_subfolder_beside_its_lists_when_it_is_the_only_one(tmp_path, monkeypatch):
    make_realblur(tmp_path, J)
    expected = [f"scene002/gt/gt_{n}.png" for n in (1, 10, 2)]
    assert names(find_listing(tmp_path / J)) == expected
    monkeypatch.chdir(tmp_path / J)
    listing = find_listing(".")
    assert names(listing) == expected
    assert all(entry.blurry.is_file() for entry in listing.entries)


def test_realblur_with_both_kinds_must_be_told_which(tmp_path):
    line = refusal(make_realblur(tmp_path, J, R))
    assert str(tmp_path / J) in line
    assert str(tmp_path / R) in line


def test_realblur_without_lists(tmp_path):
    make_realblur(tmp_path, J)
    (tmp_path / "RealBlur_J_train_list.txt").unlink()
    assert available_splits(tmp_path) == ("test",)
    line = refusal(tmp_path)
    assert "no split 'train'; there is: test" in line
    assert f"{tmp_path / 'RealBlur_J_train_list.txt'} is missing" in line
    (tmp_path / "RealBlur_J_test_list.txt").unlink()
    for root in (tmp_path, tmp_path / J):
        assert f"RealBlur_J_train_list.txt and RealBlur_J_test_list.txt in {tmp_path}" in refusal(root)


def test_realblur_lists_without_photographs(tmp_path):
    (tmp_path / "RealBlur_R_test_list.txt").write_text("")
    assert "has RealBlur_R_test_list.txt but no folder RealBlur-R_*/" in refusal(tmp_path)


def test_realblur_photographs_that_the_list_names_and_the_disk_lacks(tmp_path):
    root = make_realblur(tmp_path, J)
    gone = root / J / "scene002" / "blur" / "blur_2.png"
    gone.unlink()
    assert refusal(root).startswith(f"{gone}: is in RealBlur_J_train_list.txt but not on disk (1 such file in train")
    assert names(find_listing(root, strict=False)) == [f"{J}/scene002/gt/gt_{n}.png" for n in (1, 10)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("one.png", "line 1 should have the paths"),
        ("/etc/a.png b.png", "line 1 names /etc/a.png, which is not a path below"),
        ("a.png ../b.png", "names ../b.png, which is not a path below"),
        ("a/b.png c.png\n\na/b.png c.png", "line 3 names a/b.png for the second time"),
    ],
)
def test_realblur_broken_list(tmp_path, line, expected):
    root = make_realblur(tmp_path, J)
    path = root / "RealBlur_J_train_list.txt"
    path.write_text(line)
    refused = refusal(root)
    assert refused.startswith(f"{path}: ")
    assert expected in refused


def test_realblur_list_of_another_folder(tmp_path):
    make_realblur(tmp_path, J)
    (tmp_path / "RealBlur_J_train_list.txt").write_text("other/gt_1.png other/blur_1.png\n")
    assert f"line 1 names other/gt_1.png, which is not in {tmp_path / J}" in refusal(tmp_path / J)


def test_realblur_tele_has_no_lists(tmp_path):
    folder = "RealBlur-J-Tele_ECC_IMCORR_centroid_itensity_ref"
    root = make(tmp_path, *(f"{folder}/scene001/{p}/{p}_{n}.png" for p in ("gt", "blur") for n in (1, 2))) / folder
    listing = find_listing(root)
    assert listing.split == "all"
    assert partners(listing) == {f"scene001/gt/gt_{n}.png": f"scene001/blur/blur_{n}.png" for n in (1, 2)}


# REDS


@pytest.mark.parametrize("place", ["{split}/", ""])
@pytest.mark.parametrize(("kind", "suffix"), [("blur", "png"), ("blur_jpeg", "jpg")])
def test_reds(tmp_path, place, kind, suffix):
    root = make_reds(tmp_path, kind, "sharp", place=place)
    assert available_splits(root) == ("train", "val", "test")
    listing = find_listing(root)
    assert listing.layout == f"REDS ({kind})"
    folder = place.format(split="train")
    assert partners(listing) == {
        f"{folder}train_sharp/{name}.png": f"{folder}train_{kind}/{name}.{suffix}"
        for name in ("000/00000000", "000/00000001", "001/00000009")
    }
    assert len(find_listing(root, "val").entries) == 21


def test_reds_test_is_every_frame_of_val_that_ends_in_nine(tmp_path):
    root = make_reds(tmp_path, "blur_jpeg", "sharp")
    assert [name.removeprefix("val/val_sharp/") for name in names(find_listing(root, "test"))] == [
        "000/00000009.png",
        "000/00000019.png",
        "001/00000099.png",
    ]


def test_reds_300_of_a_whole_val_split(tmp_path):
    frames = [f"{s:03}/{n:08}" for s in range(30) for n in range(100)]
    root = make(tmp_path, *(f"val/val_{kind}/{frame}.png" for kind in ("blur", "sharp") for frame in frames))
    assert len(find_listing(root, "val").entries) == 3000
    assert len(find_listing(root, "test").entries) == 300


def test_reds_with_both_kinds_of_blur(tmp_path):
    root = make_reds(tmp_path, "blur", "blur_jpeg", "sharp")
    assert find_listing(root).layout == "REDS (blur)"
    jpeg = find_listing(root, reds_blur="blur_jpeg")
    assert jpeg.layout == "REDS (blur_jpeg)"
    assert {entry.blurry.suffix for entry in jpeg.entries} == {".jpg"}


def test_reds_frames_in_one_folder(tmp_path):
    frames = [f"000_{n:08}" for n in range(10)]
    root = make(tmp_path, *(f"val/val_sharp/{frame}.png" for frame in frames))
    make(root, *(f"val/val_blur_jpeg/{frame}.jpg" for frame in frames))
    assert names(find_listing(root, "test")) == ["val/val_sharp/000_00000009.png"]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ("blur",),
            "has blurry photographs (train_blur) but no sharp ones beside them: expected a folder named train_s",
        ),
        (("sharp",), "has sharp photographs (train_sharp) but no blurry ones beside them: expected a folder named tra"),
        (("blur_comp", "sharp"), "expected a folder named train_blur"),
    ],
)
def test_reds_without_one_of_its_parts(tmp_path, kinds, expected):
    assert expected in refusal(make_reds(tmp_path, *kinds))


def test_sharp_frames_of_reds_can_be_given_alone(tmp_path):
    root = make_reds(tmp_path, "sharp")
    assert f"give {root / 'train' / 'train_sharp'}" in refusal(root)
    assert find_listing(root / "train" / "train_sharp").kind == "sharp"
