"""`--skip-done` and `--failures`: work is done again where, and only where, anything about it has changed."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def again(resharp, model):
    """Run `deblur --skip-done` with these words; how many were restored, skipped and failed."""

    def call(*words, folder=model):
        answer = json.loads(resharp("deblur", *words, "--model", folder, "--skip-done", "--json").out)
        return tuple(answer[name] for name in ("restored", "skipped", "failed"))

    return call


def sharp_photo(path):
    """Random squares with hard edges: a photo without motion blur."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_the_same_work_is_skipped_and_its_file_untouched(again, photo, tmp_path, suffix):
    source, result = photo(f"a.{suffix}"), tmp_path / f"a.deblurred.{suffix}"
    assert again(source) == (1, 0, 0)
    before = result.stat().st_ino, result.stat().st_mtime_ns
    assert again(source) == (0, 1, 0)
    assert again(source, "--overwrite") == (0, 1, 0)
    assert (result.stat().st_ino, result.stat().st_mtime_ns) == before


def test_bmp_has_no_receipt_and_is_never_done(again, photo):
    source = photo("a.bmp")
    assert again(source) == (1, 0, 0)
    assert again(source) == (0, 0, 1)
    assert again(source, "--overwrite") == (1, 0, 0)


@pytest.mark.parametrize("words", [["--seed", 1], ["--steps", 3], ["--force"], ["--part", "predictor"]])
def test_other_settings_are_other_work(again, photo, tmp_path, words):
    source = photo("a.png")
    again(source)
    kept = (tmp_path / "a.deblurred.png").read_bytes()
    assert again(source, *words) == (0, 0, 1)
    assert (tmp_path / "a.deblurred.png").read_bytes() == kept
    assert again(source, *words, "--overwrite") == (1, 0, 0)
    assert again(source, *words) == (0, 1, 0)


def test_another_photo_or_model_is_other_work(again, photo, models):
    source = photo("a.png")
    again(source)
    photo("a.png", width=41)
    assert again(source) == (0, 0, 1)
    assert again(source, "--overwrite") == (1, 0, 0)
    assert again(source, "--part", "diffusion", folder=models["plain"]) == (0, 0, 1)


def test_a_result_without_receipt_or_damaged_is_made_again(resharp, again, photo, model, tmp_path):
    source, result = photo("a.png"), tmp_path / "a.deblurred.png"
    assert resharp("deblur", source, "--model", model, "--no-receipt").code == 0
    assert again(source) == (0, 0, 1)
    assert again(source, "--overwrite") == (1, 0, 0)
    result.write_bytes(result.read_bytes()[:100])
    assert again(source, "--overwrite") == (1, 0, 0)


def test_a_photo_that_is_passed_through_is_done_by_its_bytes(again, models, tmp_path):
    source = sharp_photo(tmp_path / "a.jpg")
    assert again(source) == (1, 0, 0)
    assert (tmp_path / "a.deblurred.jpg").read_bytes() == source.read_bytes()
    assert again(source) == (0, 1, 0)
    assert again(source, "--force") == (0, 0, 1)  # then it is restored
    assert again(source, folder=models["input"]) == (0, 1, 0)
    # Written in another format the same photo has a receipt.
    out = ["-o", tmp_path / "b.png"]
    assert again(source, *out) == (1, 0, 0)
    assert again(source, *out) == (0, 1, 0)
    assert again(source, *out, "--force") == (0, 0, 1)


def test_a_copy_of_a_blurred_photo_is_not_its_result(again, photo, tmp_path):
    source = photo("a.jpg", width=200, height=150)
    shutil.copy(source, tmp_path / "a.deblurred.jpg")
    assert again(source) == (0, 0, 1)


def test_a_result_with_a_place_is_not_one_without(again, photo, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    source = photo("a.jpg", exif=exif)
    assert again(source) == (1, 0, 0)
    assert again(source, "--strip-gps") == (0, 0, 1)
    assert again(source, "--strip-gps", "--overwrite") == (1, 0, 0)
    assert again(source, "--strip-gps") == (0, 1, 0)
    assert not Image.open(tmp_path / "a.deblurred.jpg").getexif().get_ifd(0x8825)


def test_a_folder_goes_on_where_it_was_stopped(resharp, again, photo, model, tmp_path):
    for name in "abc":
        photo(f"in/{name}.png")
    assert resharp("deblur", tmp_path / "in" / "b.png", "--model", model).code == 0
    ran = resharp("deblur", tmp_path / "in", "--model", model, "--skip-done")
    assert ran.err.splitlines()[-1] == "restored 2, skipped 1, failed 0"
    assert "b.png" not in ran.out
    assert again(tmp_path / "in") == (0, 3, 0)


@pytest.mark.parametrize("words", [["--no-receipt"], ["--samples", 2, "--spread", "s.png"]])
def test_what_does_not_go_with_it(resharp, photo, model, words):
    ran = resharp("deblur", photo("a.png"), "--model", model, "--skip-done", *words)
    assert ran.code == 1
    assert "--skip-done goes by receipts" in ran.line


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_the_table_of_failures(resharp, photo, model, tmp_path, suffix):
    photo("in/a.png")
    (tmp_path / "in" / "b, c.jpg").write_text("no picture at all, this one is")
    table = tmp_path / "new" / f"failures.{suffix}"
    words = ["deblur", tmp_path / "in", tmp_path / "gone.jpg", "--model", model, "--failures", table]
    assert resharp(*words).code == 1
    text = table.read_text()
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    assert [row["photo"] for row in rows] == [str(tmp_path / "gone.jpg"), str(tmp_path / "in" / "b, c.jpg")]
    assert [list(row) for row in rows] == [["photo", "error"]] * 2
    assert "no such file" in rows[0]["error"]
    # A run without failures leaves a table without rows.
    assert resharp("deblur", tmp_path / "in" / "a.png", "--model", model, "--overwrite", "--failures", table).code == 0
    assert table.read_text() == ("[]\n" if suffix == "json" else "photo,error\n")


def test_a_table_of_another_kind_is_refused(resharp, photo, model, files):
    ran = resharp("deblur", photo("a.png"), "--model", model, "--failures", "failures.txt")
    assert ran.code == 1
    assert "give .csv or .json" in ran.line
    assert files() == {"a.png"}
