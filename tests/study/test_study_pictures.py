"""Finding pictures of several methods, and what of them reaches the browser."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from resharp.errors import DataError, ImageError
from resharp.images.colour import srgb_profile
from resharp.study.encoding import BLURRED, INPUT, SHARP, PictureStore, blur_px, encode_versions, pad_png
from resharp.study.pictures import find_pictures, method_folders
from studies import METHODS


def found(pairs):
    return find_pictures(*method_folders(pairs))


def test_every_photo_with_every_two_methods_is_a_question(pairs):
    pictures = found(pairs)
    assert pictures.methods == tuple(sorted(METHODS))
    assert [photo.name for photo in pictures.photos] == ["p0", "p1", "p2", "p3"]
    assert all(photo.size == (48, 32) and photo.blurry and photo.sharp for photo in pictures.photos)
    units = [(unit.photo.name, *unit.methods) for unit in pictures.units]
    assert len(set(units)) == 4 * 3
    assert all(first < second for _, first, second in units)


def test_results_of_deblur_belong_to_their_photo(pairs):
    for path in (pairs / "tall-oak").iterdir():
        path.rename(path.with_name(f"{path.stem}.deblurred.png"))
    assert len(found(pairs).photos) == 4


def test_digest_follows_files_and_names(pairs):
    before = found(pairs).digest
    assert found(pairs).digest == before
    (pairs / "tall-oak" / "p1.png").write_bytes((pairs / "wet-sand" / "p1.png").read_bytes())
    changed = found(pairs).digest
    (pairs / "tall-oak").rename(pairs / "old-oak")
    assert len({before, changed, found(pairs).digest}) == 3


def test_mistakes_name_the_file(pairs):
    with pytest.raises(DataError, match="two methods or more, found quiet-fox"):
        find_pictures({"quiet-fox": pairs / "quiet-fox"})
    with pytest.raises(DataError, match="nowhere: cannot list"):
        found(pairs / "nowhere")
    Image.new("RGB", (47, 32)).save(pairs / "tall-oak" / "p2.png")
    with pytest.raises(DataError, match=r"tall-oak/p2.png: is 47x32, but .*quiet-fox/p2.png is 48x32"):
        found(pairs)
    (pairs / "tall-oak" / "p2.png").unlink()
    with pytest.raises(DataError, match=r"quiet-fox/p2.png: has no partner in .*tall-oak"):
        found(pairs)
    for method in METHODS:
        (pairs / method / "p2.png").unlink(missing_ok=True)
    (pairs / "sharp" / "p1.png").unlink()
    with pytest.raises(DataError, match=r"quiet-fox/p1.png: has no partner in .*sharp"):
        found(pairs)


def test_a_damaged_file_is_found_before_the_study(pairs):
    path = pairs / "wet-sand" / "p3.png"
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(ImageError, match="wet-sand/p3.png"):
        found(pairs)


def test_versions_have_the_right_pixels_and_one_length(pairs):
    photo = found(pairs).photos[0]
    files = encode_versions(photo)
    assert set(files) == {*METHODS, INPUT, SHARP, BLURRED}
    assert len({len(file) for file in files.values()}) == 1
    for method, path in photo.by_method.items():
        sent = Image.open(io.BytesIO(files[method]))
        sent.load()
        assert sent.info == {}
        np.testing.assert_array_equal(np.asarray(sent), np.asarray(Image.open(path)))
    sharp, blurred = (np.asarray(Image.open(io.BytesIO(files[name])), dtype=float) for name in (SHARP, BLURRED))
    assert blurred.std() < sharp.std() / 5


def test_blur_of_checks_grows_with_the_photo():
    assert blur_px((48, 32)) == 4
    assert blur_px((3000, 2000)) == pytest.approx(30)


def test_padding_is_a_sound_chunk():
    file = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(file, format="PNG")
    original = file.getvalue()
    padded = pad_png(original, len(original) + 100)
    assert len(padded) == len(original) + 100
    start = padded.index(b"paDd")
    length = int.from_bytes(padded[start - 4 : start], "big")
    checksum = int.from_bytes(padded[start + 4 + length : start + 8 + length], "big")
    assert zlib.crc32(padded[start : start + 4 + length]) == checksum
    assert Image.open(io.BytesIO(padded)).getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(ValueError, match="cannot pad"):
        pad_png(original, len(original) + 11)


def test_names_are_opaque_and_each_study_has_its_own(pairs):
    photos = found(pairs).photos
    store, other = PictureStore(photos, "secret"), PictureStore(photos, "another")
    name = store.name("p0", "tall-oak")
    assert len(name) == 32
    assert name != other.name("p0", "tall-oak")
    assert store.png(name) == encode_versions(photos[0])["tall-oak"]
    assert other.png(name) is None


def test_colour_profile_is_kept(pairs):
    path = pairs / "tall-oak" / "p0.png"
    Image.open(path).save(path, icc_profile=srgb_profile())
    sent = encode_versions(found(pairs).photos[0])["tall-oak"]
    assert Image.open(io.BytesIO(sent)).info["icc_profile"] == srgb_profile()
