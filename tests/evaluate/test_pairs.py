"""Finding pairs in folders, and the protocols made from sharp photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resharp.errors import ConfigError, DataError, ImageError
from resharp.evaluate.protocols import OUT_OF_DOMAIN, out_of_domain_pairs, paired_folder


def save(path: Path, width: int = 40, height: int = 34, seed: int = 0, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def test_marked_names_in_one_folder(tmp_path):
    for name, blurry, sharp in (("b", "_blur.png", "_sharp.png"), ("a_1", "_blur.jpg", "_sharp.PNG")):
        save(tmp_path / f"{name}{blurry}", seed=1)
        save(tmp_path / f"{name}{sharp}", seed=2)
    save(tmp_path / "unrelated.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._b_blur.png").write_text("not a photo: hidden")
    pairs = paired_folder(tmp_path)
    assert [pair.name for pair in pairs] == ["a_1", "b"]
    assert pairs[0].blurry_path == tmp_path / "a_1_blur.jpg"
    assert pairs[0].sharp_path == tmp_path / "a_1_sharp.PNG"
    blurry, sharp = pairs[1].load()
    assert blurry.shape == sharp.shape == (1, 3, 34, 40)
    assert blurry.dtype == torch.float32
    assert not torch.equal(blurry, sharp)


def test_equal_names_in_two_subfolders(tmp_path):
    save(tmp_path / "blurry" / "x.jpg")
    save(tmp_path / "sharp" / "x.png")
    assert paired_folder(str(tmp_path)) == [("x", tmp_path / "blurry" / "x.jpg", tmp_path / "sharp" / "x.png")]


@pytest.mark.parametrize(("present", "missing"), [("a_blur.png", "sharp"), ("a_sharp.png", "blurry")])
def test_a_missing_partner_is_an_error(tmp_path, present, missing):
    save(tmp_path / "ok_blur.png")
    save(tmp_path / "ok_sharp.png")
    save(tmp_path / present)
    with pytest.raises(DataError, match=rf"{present}: has no {missing} partner"):
        paired_folder(tmp_path)


def test_a_missing_partner_in_a_subfolder_is_an_error(tmp_path):
    save(tmp_path / "blurry" / "x.png")
    (tmp_path / "sharp").mkdir()
    with pytest.raises(DataError, match=r"x\.png: has no sharp partner; expected photos named blurry/NAME"):
        paired_folder(tmp_path)


def test_unequal_sizes_are_an_error_and_orientation_counts(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turn by a quarter
    save(tmp_path / "a_blur.jpg", 40, 34, exif=exif)
    save(tmp_path / "a_sharp.png", 34, 40)
    pair = paired_folder(tmp_path)[0]
    assert pair.load()[0].shape == (1, 3, 40, 34)
    save(tmp_path / "a_sharp.png", 40, 34)
    with pytest.raises(DataError, match=r"a_blur\.jpg: is 34x40, but a_sharp\.png is 40x34"):
        paired_folder(tmp_path)
    with pytest.raises(DataError, match="is 34x40"):
        pair.load()


def test_folders_without_pairs_are_an_error(tmp_path):
    with pytest.raises(DataError, match="no pairs in this folder; expected photos named NAME_blur"):
        paired_folder(tmp_path)
    with pytest.raises(DataError, match="cannot list"):
        paired_folder(tmp_path / "none")
    (tmp_path / "blurry").mkdir()
    (tmp_path / "sharp").mkdir()
    with pytest.raises(DataError, match="no pairs"):
        paired_folder(tmp_path)


def test_a_broken_photo_and_a_doubled_name_are_errors(tmp_path):
    (tmp_path / "a_blur.png").write_text("text")
    save(tmp_path / "a_sharp.png")
    with pytest.raises(ImageError, match=r"a_blur\.png"):
        paired_folder(tmp_path)
    save(tmp_path / "a_sharp.jpg")
    with pytest.raises(DataError, match="same name as"):
        paired_folder(tmp_path)


@pytest.mark.parametrize("pipeline", OUT_OF_DOMAIN)
def test_out_of_domain_pairs_are_decided_by_seed_and_name(tmp_path, pipeline):
    for seed, name in enumerate("abc"):
        save(tmp_path / f"{name}.png", 64, 60, seed=seed)
    pairs = out_of_domain_pairs(tmp_path, 7, pipeline)
    assert [pair.name for pair in pairs] == ["a", "b", "c"]
    first, sharp = pairs[1].load()
    assert first.shape == sharp.shape == (1, 3, 60, 64)
    assert torch.equal(first, pairs[1].load()[0])
    (tmp_path / "a.png").unlink()
    assert torch.equal(first, out_of_domain_pairs(tmp_path, 7, pipeline)[0].load()[0])
    assert not torch.equal(first, out_of_domain_pairs(tmp_path, 8, pipeline)[0].load()[0])
    with Image.open(tmp_path / "b.png") as image:
        stored = torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)
    torch.testing.assert_close(sharp[0], stored)


def test_out_of_domain_errors(tmp_path):
    with pytest.raises(DataError, match="no photos"):
        out_of_domain_pairs(tmp_path)
    with pytest.raises(ConfigError, match="no blur pipeline 'x'; known: kodak-motion"):
        out_of_domain_pairs(tmp_path, 0, "x")
    with pytest.raises(ConfigError, match="negative"):
        out_of_domain_pairs(tmp_path, -1)
    save(tmp_path / "tiny.png", 2, 2)
    with pytest.raises(DataError, match=r"tiny\.png: a photo of 2x2 is too small"):
        out_of_domain_pairs(tmp_path)[0].load()
