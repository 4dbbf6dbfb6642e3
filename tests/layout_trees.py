"""Folder trees of data sets, as empty as they can be: files that are never opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from resharp.data.layouts import find_listing
from resharp.errors import DataError

J, R = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref"


def make(root: Path, *names: str) -> Path:
    """Files that are never opened, so their content does not matter."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(listing) -> list[str]:
    return [entry.name for entry in listing.entries]


def partners(listing) -> dict[str, str]:
    """From the sharp to the blurry path, both below the root."""
    below = [(entry.sharp, entry.blurry) for entry in listing.entries]
    return {s.relative_to(listing.root).as_posix(): b.relative_to(listing.root).as_posix() for s, b in below}


def refusal(path: Path, split: str = "train", **choices) -> str:
    """The line with which it is refused."""
    with pytest.raises(DataError) as caught:
        find_listing(path, split, **choices)
    line = str(caught.value)
    assert "\n" not in line
    return line


def make_gopro(root: Path, parts: tuple[str, ...] = ("blur", "blur_gamma", "sharp")) -> Path:
    frames = {"train/GOPR0372_07_00": (47, 48), "train/GOPR0374_11_01": (1,), "test/GOPR0384_11_00": (1, 2)}
    return make(root, *(f"{s}/{part}/{n:06}.png" for s, ns in frames.items() for part in parts for n in ns))


def make_hide(root: Path) -> Path:
    make(root, "train/1fromGOPR0950.png", "train/2fromGOPR0950.png")
    make(root, "test/test-close-ups/15fromGOPR1085.png", "test/test-long-shot/10fromGOPR1096.png")
    sharp = ("1fromGOPR0950", "2fromGOPR0950", "15fromGOPR1085", "10fromGOPR1096")
    return make(root, *(f"GT/{name}.png" for name in sharp))


def make_realblur(root: Path, *folders: str) -> Path:
    for folder in folders:
        for split, scene in (("train", 2), ("test", 1)):
            pairs = [tuple(f"{folder}/scene{scene:03}/{p}/{p}_{n}.png" for p in ("gt", "blur")) for n in (1, 2, 10)]
            make(root, *(name for pair in pairs for name in pair))
            lines = "".join(f"{sharp} {blurry}\n" for sharp, blurry in pairs)
            (root / f"RealBlur_{folder[9]}_{split}_list.txt").write_text(lines)
    return make(root, *(f"{folder}/scene001/gif/a.gif" for folder in folders))


def make_reds(root: Path, *kinds: str, place: str = "{split}/") -> Path:
    frames = {"train": [("000", 0), ("000", 1), ("001", 9)], "val": [("000", n) for n in range(20)] + [("001", 99)]}
    for split, numbers in frames.items():
        for kind in kinds:
            suffix = "jpg" if kind == "blur_jpeg" else "png"
            folder = place.format(split=split) + f"{split}_{kind}"
            make(root, *(f"{folder}/{sequence}/{n:08}.{suffix}" for sequence, n in numbers))
    return root
