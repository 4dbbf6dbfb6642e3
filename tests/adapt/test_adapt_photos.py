"""Which photos can be used, how they were stored, and which ones judge."""

from __future__ import annotations

import pytest
import torch

from resharp.adapt.photos import LEAST_HELD_OUT, LEAST_PHOTOS, open_photos
from resharp.errors import DataError, ImageError
from shaken_scenes import blurry_folder, scene, shaken, sharp_folder, write


def test_the_last_photos_are_held_out_and_bad_ones_are_named(tmp_path):
    folder = blurry_folder(tmp_path / "in", 10)
    (folder / "03b.jpg").write_text("no photo")
    write(folder / "zz_small.png", shaken(scene(50))[..., :100, :100])
    write(folder / "zz_sharp.png", scene(51))
    photos = open_photos(folder, 512, 0.25)
    assert [photo.name for photo in photos.fit] == [f"{i:02d}.png" for i in range(6)]
    assert [photo.name for photo in photos.held_out] == [f"{i:02d}.png" for i in range(6, 10)]
    reasons = "\n".join(photos.left_out)
    assert "03b.jpg: not a photo" in reasons
    assert "100x100 is too small" in reasons
    assert "zz_sharp.png: shows no motion blur" in reasons
    assert len(photos.left_out) == 3
    assert photos.fit[0].window.shape == (1, 3, 224, 224)


def test_a_larger_share_is_held_out_but_some_are_left_to_fit(tmp_path):
    photos = open_photos(blurry_folder(tmp_path / "in", 10), 160, 0.5)
    assert (len(photos.fit), len(photos.held_out)) == (5, 5)
    assert photos.fit[0].window.shape == (1, 3, 160, 160)


@pytest.mark.parametrize(("quality", "chroma"), [(60, 2), (75, 0), (93, 2), (100, 0)])
def test_jpeg_level_is_that_of_the_file(tmp_path, quality, chroma):
    folder = blurry_folder(tmp_path / "in", 7)
    write(folder / "zz.jpg", shaken(scene(9)), quality=quality, subsampling=chroma)
    photos = open_photos(folder, 512, 0.25)
    last = photos.held_out[-1]
    assert (last.name, last.jpeg_quality, last.jpeg_subsampled) == ("zz.jpg", quality, chroma == 2)
    assert photos.fit[0].jpeg_quality is None


def test_too_few_sharp_only_none_and_no_folder_are_told_apart(tmp_path):
    few = blurry_folder(tmp_path / "few", LEAST_PHOTOS - 1)
    with pytest.raises(DataError, match=f"7 usable blurry photos; at least {LEAST_PHOTOS} .* {LEAST_HELD_OUT} judge"):
        open_photos(few, 512, 0.25)
    with pytest.raises(DataError, match="no motion blur found in any of its 8 photos"):
        open_photos(sharp_folder(tmp_path / "sharp"), 512, 0.25)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no photos in this folder"):
        open_photos(tmp_path / "empty", 512, 0.25)
    with pytest.raises(ImageError, match="no such file"):
        open_photos(tmp_path / "missing", 512, 0.25)
    with pytest.raises(DataError, match="is a file; name a folder"):
        open_photos(few / "00.png", 512, 0.25)


def test_the_window_is_the_busiest_part(tmp_path):
    folder = blurry_folder(tmp_path / "in", 7)
    busy = shaken(scene(3))
    wide = torch.full((1, 3, 224, 600), 0.5)
    wide[..., 376:] = busy
    write(folder / "00a.png", wide)
    photos = open_photos(folder, 224, 0.25)
    found = next(photo for photo in photos.fit if photo.name == "00a.png")
    assert torch.allclose(found.window, (busy * 255).round() / 255)
