"""The folder trees of GOPRO_Large, HIDE and REDS.

What these trees look like was checked against the authors' repositories where they say so, and against public
code that reads the data sets where they do not. Each function says which. The data sets themselves were not at
hand.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from resharp.data.layout_files import ALL, SPLITS, Choices, Contents, Layout, folders_in, pair, photos_below
from resharp.data.layout_pairs import Parts, read_parts, sequences_in
from resharp.errors import DataError

GOPRO_COUNTS = {"train": 2103, "test": 1111}
HIDE_COUNTS = {"train": 6397, "test": 2025}
REDS_COUNTS = {"train": 24_000, "val": 3_000, "test": 300}

_HIDE_TEST = ("test-close-ups", "test-long-shot")


def gopro(root: Path, choices: Choices) -> Layout | None:
    """GOPRO_Large: `{train,test}/GOPRNNNN_NN_NN/{blur,blur_gamma,sharp}/NNNNNN.png`.

    The authors' repository (DeepDeblur_release) states the tree and the counts, 2,103 pairs of 22 sequences and
    1,111 of 11. `blur_gamma` was averaged with gamma 2.2 for the camera's response, `blur` as if that were
    linear. The train or test folder alone is understood too, as a data set without splits. What tells this tree
    from other sequences of pairs is that sequences' names begin with GOPR.
    """
    below = folders_in(root)
    found = {name: _gopro_sequences(below[name], choices) for name in SPLITS if name in below}
    found = {name: sequences for name, sequences in found.items() if sequences}
    if not found:
        found = {ALL: _gopro_sequences(root, choices)}
    if not any(found.values()):
        return None
    wanted = ((choices.gopro_blur,), ("sharp",))
    splits = {
        name: partial(read_parts, root, root if name == ALL else below[name], sequences, wanted)
        for name, sequences in found.items()
    }
    return Layout("GOPRO_Large", splits, {} if ALL in splits else GOPRO_COUNTS)


def hide(root: Path, choices: Choices) -> Layout | None:
    """HIDE: blurry ones in `train/` and `test/{test-close-ups,test-long-shot}/`, sharp ones in `GT/`.

    The authors' repository (HA_deblur) states the counts, 6,397 pairs to train and 2,025 to test, and not the
    tree. The tree is what several public readers of HIDE_dataset agree on: partners have the same file name, and
    `GT` holds those of both splits. So a photograph in `GT` that neither split has is no error.

    Raises:
        DataError: the blurry photographs of HIDE without `GT`, or one of its parts given alone.
    """
    below = folders_in(root)
    if any(name in below for name in _HIDE_TEST):
        raise DataError(f"{root}: holds blurry photographs of HIDE; give the folder above it, which holds GT/ too")
    sharp = next((path for name, path in below.items() if name.lower() == "gt"), None)
    there = {name: below[name] for name in ("train", "test") if name in below}
    if sharp is None:
        if "test" in there and any(name in folders_in(there["test"]) for name in _HIDE_TEST):
            raise DataError(f"{root}: HIDE expects sharp photographs in GT/ beside train/ and test/; GT/ is missing")
        return None
    if not there:
        return None
    splits = {name: partial(_hide_split, root, folder, sharp) for name, folder in there.items()}
    return Layout("HIDE", splits, HIDE_COUNTS)


def reds(root: Path, choices: Choices) -> Layout | None:
    """REDS: `{train,val}/{train,val}_{blur,blur_jpeg,sharp}/NNN/NNNNNNNN.png`, with or without the first folder.

    The frames may also lie in one folder as `NNN_NNNNNNNN.png`, and the blurry ones may be JPEG files. Counts are
    240 and 30 sequences of 100 frames. `choices.reds_blur` decides where both kinds of blur are there.

    The official test set has no public sharp frames. What the field calls the 300 images of REDS are the frames
    of val whose number ends in 9; this is the split "test" here. The rule is the one in the data preparation
    scripts of HINet and NAFNet, which take val_blur_jpeg. That the tree is the official one is known from those
    scripts and from the authors' reader (DeepDeblur-PyTorch), not from a statement of theirs.
    """
    found = {name: parts for name in ("train", "val") if any(parts := _reds_parts(root, name))}
    if not found:
        return None
    kinds = {kind for parts in found.values() for kind in parts if kind != "sharp"}
    kind = choices.reds_blur if choices.reds_blur in kinds or not kinds else min(kinds)
    splits = {name: partial(_reds_split, root, name, parts, kind) for name, parts in found.items()}
    if "val" in found:
        splits["test"] = partial(_reds_300, root, found["val"], kind)
    return Layout(f"REDS ({kind})", splits, REDS_COUNTS)


def _gopro_sequences(folder: Path, choices: Choices) -> dict[str, Parts]:
    """Those of its subfolders that are sequences of GOPRO_Large, whichever parts of them are there."""
    any_blur = sequences_in(folder, ("blur",), ("sharp",)) | sequences_in(folder, ("blur_gamma",), ("sharp",))
    wanted = sequences_in(folder, (choices.gopro_blur,), ("sharp",))
    names = [name for name in any_blur if name.startswith("GOPR")]
    return {name: wanted[name] for name in names if name in wanted}


def _hide_split(root: Path, folder: Path, sharp_folder: Path) -> Contents:
    sharp = {key.rpartition("/")[2]: path for key, path in photos_below(sharp_folder).items()}
    blurry: dict[str, Path] = {}
    for key, path in photos_below(folder).items():
        name = key.rpartition("/")[2]
        if name in blurry:
            raise DataError(f"{path}: same name as {blurry[name]}, and GT/ has one of that name; keep one of the two")
        blurry[name] = path
    return pair(root, {name: path for name, path in sharp.items() if name in blurry}, blurry)


def _reds_parts(root: Path, split: str) -> dict[str, Path]:
    """The folders of a split by what they hold: sharp, blur, blur_jpeg."""
    below = folders_in(root)
    inside = folders_in(below[split]) if split in below else {}
    names = {kind: f"{split}_{kind}" for kind in ("sharp", "blur", "blur_jpeg")}
    return {kind: {**inside, **below}[name] for kind, name in names.items() if name in below or name in inside}


def _reds_split(root: Path, split: str, parts: dict[str, Path], kind: str) -> Contents:
    found = Parts(parts.get(kind), parts.get("sharp"))
    if not any(found):
        raise DataError(f"{root}: REDS expects {split}_sharp/ and {split}_{kind}/; found only {', '.join(parts)}")
    place = next(path for path in found if path is not None).parent
    return read_parts(root, place, {"": found}, ((f"{split}_{kind}",), (f"{split}_sharp",)))


def _reds_300(root: Path, parts: dict[str, Path], kind: str) -> Contents:
    entries, unpaired = _reds_split(root, "val", parts, kind)
    return Contents(
        tuple(entry for entry in entries if entry.sharp.stem.endswith("9")),
        tuple(problem for problem in unpaired if problem.path.stem.endswith("9")),
    )
