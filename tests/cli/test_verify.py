"""`resharp verify`, and the receipts that `resharp deblur` writes for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from resharp.images.reading import read_photo
from resharp.images.receipts import read_receipt
from resharp.images.writing import samples_for, write_photo
from resharp.receipt import Receipt, file_sha256, pixels_digest
from resharp.serialization import Defaults, load_model, save_defaults

WORDS = ["--steps", 2, "--seed", 3]


@pytest.fixture
def made(resharp, photo, model, tmp_path):
    """Restore a photo of this name and give the result's path."""

    def make(name="a.png", *words, out=None):
        source = tmp_path / name
        source = source if source.exists() else photo(name)
        place = source.with_name(out or f"{source.stem}.deblurred{source.suffix}")
        ran = resharp("deblur", source, "-o", place, "--model", model, "--force", *(words or WORDS))
        assert ran.code == 0, ran.err
        return place

    return make


@pytest.fixture
def verdict(resharp, model):
    """Verify, and give the parsed `--json`."""

    def check(result, *words):
        ran = resharp("verify", result, "--model", model, "--json", *words)
        answer = json.loads(ran.out)
        assert ran.code == (0 if answer["verified"] else 1)
        return answer

    return check


def receipt_in(path) -> Receipt:
    return Receipt.from_text(read_receipt(path), str(path))


def rewrite(path, pixels=None, **changes):
    """Replace pixels and fields of the receipt of a file."""
    receipt, photo = receipt_in(path), read_photo(path)
    photo = photo if pixels is None else photo.with_pixels(pixels)
    write_photo(photo, path, receipt_for=lambda samples: replace(receipt, **changes).to_text())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("words", [WORDS, ["--part", "predictor"], ["--samples", 2, "--fidelity", 0.4]])
def test_a_result_is_verified(made, resharp, model, suffix, words):
    result = made(f"a{suffix}", *words)
    ran = resharp("verify", result, "--model", model)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{result}: verified: identical; made again, its pixels are the same bytes\n"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_verified_to_the_last(made, verdict, tmp_path, suffix, channels):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (20, 24, channels)).astype(np.float32) / 65535
    colours = np.repeat(values[:, :, :1], 3, axis=2) if channels == 1 else values[:, :, :3]
    kind = {1: "gray", 3: "rgb", 4: "rgba"}[channels]
    photo = read_photo_of(tmp_path, colours, values[:, :, 3] if channels == 4 else None, kind)
    write_photo(photo, tmp_path / f"deep{suffix}")
    result = made(f"deep{suffix}")
    assert read_photo(result).meta.bit_depth == 16
    found = verdict(result)
    assert (found["verdict"], found["largest_difference"], found["psnr_db"]) == ("identical", 0, None)
    pixels = read_photo(result).pixels.copy()
    pixels[5, 6] += 1 / 65535 * np.where(pixels[5, 6] > 0.5, -1, 1)
    rewrite(result, pixels)
    assert verdict(result)["verdict"] == "changed pixels"


def read_photo_of(folder, colours, alpha, kind):
    from resharp.images.photo import Photo, PhotoMeta

    return Photo(np.ascontiguousarray(colours), alpha, PhotoMeta(kind=kind, bit_depth=16))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_counts(made, verdict, tmp_path, suffix):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (20, 24, 4)).astype(np.uint8)).save(tmp_path / f"b{suffix}")
    result = made(f"b{suffix}")
    assert verdict(result)["verdict"] == "identical"
    photo, text = read_photo(result), read_receipt(result)
    alpha = 1 - photo.alpha
    write_photo(replace(photo, alpha=alpha), result, receipt_for=lambda samples: text)
    assert not verdict(result)["verified"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_turned_photo_with_exif(made, verdict, photo, suffix):
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Model X", 6
    photo("c.jpg", exif=exif)
    result = made("c.jpg", out=f"c.deblurred{suffix}")
    with Image.open(result) as image:
        assert image.getexif()[0x0110] == "Model X"
        assert image.size == (28, 40)
    assert verdict(result)["verdict"] == "identical"


@pytest.mark.parametrize("sampler", ["dpm++", "ddpm"])
def test_samples_drawn_together_are_verified_together(made, verdict, resharp, photo, model, tmp_path, sampler):
    words = ["--steps", 2, "--samples", 3, "--sampler", sampler]
    for batch, number in ((1, 1), (2, 3), (3, 3)):
        result = made("a.png", *words, "--batch", batch, out=f"{batch}.png")
        receipt = receipt_in(result)
        assert (receipt.batch, receipt.format) == (batch, number)
        assert ("batch" in json.loads(read_receipt(result))) == (batch > 1)
        assert verdict(result)["verdict"] == "identical"
    # The same work, so a run that goes on leaves it alone.
    source = tmp_path / "a.png"
    again = ["deblur", source, "-o", tmp_path / "3.png", "--model", model, "--force", *words, "--skip-done"]
    assert "skipped 1" in resharp(*again).err


def test_a_batch_that_cannot_be(made, resharp, photo, model):
    ran = resharp("deblur", photo("b.png"), "--model", model, "--batch", 0)
    assert ran.code == 1
    assert "batch is 0; allowed: 1 to 1000" in ran.line
    result = made()
    rewrite(result, batch=10**9, format=3)
    assert "batch is 1000000000; allowed: 1 to 1000" in resharp("verify", result, "--model", model).line


def test_the_receipt_says_how_and_keeps_folders_to_itself(made, model, tmp_path):
    photos = tmp_path / "private place"
    photos.mkdir()
    result = made("private place/a.png")
    receipt = receipt_in(result)
    assert (receipt.part, receipt.seed, receipt.photo, receipt.device) == ("diffusion", 3, "a.png", "cpu")
    assert receipt.settings["steps"] == 2
    assert receipt.photo_sha256 == file_sha256(photos / "a.png")
    assert receipt.weights_sha256 == file_sha256(model / "model.safetensors")
    assert receipt.pixels_sha256 == pixels_digest(np.asarray(Image.open(result)))
    assert receipt.model == model.name
    assert b"private place" not in result.read_bytes()
    assert b"models" not in result.read_bytes()


def test_json_of_deblur_holds_the_receipt(resharp, photo, model, tmp_path):
    for suffix in (".png", ".bmp"):
        source = photo(f"a{suffix}")
        answer = json.loads(resharp("deblur", source, "--model", model, "--json").out)
        receipt = answer["results"][0]["receipt"]
        stored = read_receipt(tmp_path / f"a.deblurred{suffix}")
        assert receipt == (None if stored is None else {"tile": None, "batch": 1, **json.loads(stored)})
        assert (receipt is None) == (suffix == ".bmp")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_changed_pixel_is_found(made, verdict, suffix):
    result = made(f"a{suffix}")
    pixels = read_photo(result).pixels.copy()
    pixels[3, 4, 0] += (1 if pixels[3, 4, 0] < 0.5 else -1) / 255
    rewrite(result, pixels)
    found = verdict(result)
    assert found["verdict"] == "changed pixels"
    assert found["largest_difference"] == pytest.approx(1 / 255)
    assert found["psnr_db"] == pytest.approx(10 * np.log10(40 * 28 * 3 * 255**2))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_painted_spot_is_found_in_a_lossy_file(made, verdict, suffix):
    result = made(f"a{suffix}")
    pixels = read_photo(result).pixels.copy()
    pixels[8:12, 8:12] = 1 - pixels[8:12, 8:12]
    rewrite(result, pixels)
    assert verdict(result)["verdict"] == "changed pixels"


def test_another_size_is_found(made, verdict):
    result = made()
    text = read_receipt(result)
    photo = read_photo(result)
    cut = replace(photo, samples=np.ascontiguousarray(photo.pixels[:-1]))
    write_photo(cut, result, receipt_for=lambda samples: text)
    found = verdict(result)
    assert (found["verdict"], found["largest_difference"]) == ("changed pixels", None)
    assert "40x27" in found["reason"]
    assert "40x28" in found["reason"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("change", [{"seed": 4}, {"settings": {"steps": 3}}, {"part": "predictor"}])
def test_an_edited_receipt_is_found(made, verdict, suffix, change):
    result = made(f"a{suffix}")
    if "settings" in change:
        change = {"settings": receipt_in(result).settings | change["settings"]}
    rewrite(result, **change)
    assert not verdict(result)["verified"]


def test_an_edit_without_effect_on_pixels_is_found_too(made, verdict):
    result = made("a.png", "--part", "predictor")
    for change in ({"seed": 4}, {"settings": {"steps": 3}}):
        original = result.read_bytes()
        rewrite(result, **change)
        assert verdict(result)["verdict"] == "changed receipt"
        result.write_bytes(original)
    assert verdict(result)["verified"]


def test_settings_that_are_not_known_are_named(made, resharp, model):
    result = made()
    rewrite(result, settings={"stebs": 3})
    ran = resharp("verify", result, "--model", model)
    assert ran.code == 1
    assert f"{result}: settings in its receipt: unknown key 'stebs'; did you mean 'steps'?" in ran.line
    rewrite(result, settings={"steps": 10**9})
    assert "10000" in resharp("verify", result, "--model", model).line


@pytest.mark.parametrize(
    ("suffix", "levels", "expected"),
    [
        (".png", 1, "equal up to rounding"),
        (".tif", 2, "equal up to rounding"),
        (".png", 3, "not the result"),
        (".jpg", 1, "equal up to rounding"),
        (".jpg", 30, "not the result"),
        (".webp", 1, "equal up to rounding"),
        (".webp", 30, "not the result"),
    ],
)
def test_results_of_a_machine_that_rounds_otherwise(made, verdict, suffix, levels, expected):
    """Every twentieth sample differs by so many levels, and the receipt was written for that."""
    result, exact = made(f"a{suffix}"), made(f"a{suffix}", out="exact.png")
    samples = np.array(Image.open(exact), dtype=np.int16)
    every = samples.reshape(-1)[::20]
    every += np.where(every > 128, -levels, levels).astype(np.int16)
    photo = read_photo(result).with_pixels(samples.astype(np.float32) / 255)
    digest = pixels_digest(samples_for(photo, photo.meta.format))
    rewrite(result, photo.pixels, torch="1.0", device="cuda", pixels_sha256=digest)
    found = verdict(result)
    assert found["verdict"] == expected
    assert found["made_with"] == {**found["checked_with"], "torch": "1.0", "device": "cuda"}
    assert "made with resharp" in found["reason"]
    if suffix in (".png", ".tif") and expected == "equal up to rounding":
        assert found["largest_difference"] == pytest.approx(levels / 255)


def test_the_photo_is_looked_for_beside_the_result_or_given(made, resharp, model, photo, tmp_path):
    result = made()
    source, moved = tmp_path / "a.png", tmp_path / "elsewhere.png"
    source.rename(moved)
    ran = resharp("verify", result, "--model", model)
    assert ran.code == 1
    assert ran.line == (
        f"resharp: {source}: no such file; it is the photo the receipt names: put it there, or give it with --photo"
    )
    assert resharp("verify", result, "--model", model, "--photo", moved).code == 0
    other = photo("a.png", width=41)
    ran = resharp("verify", result, "--model", model)
    assert ran.code == 1
    assert file_sha256(other) in ran.line
    assert file_sha256(moved) in ran.line
    assert resharp("verify", result, "--model", model, "--photo", moved).code == 0


def test_another_model_is_refused_with_both_digests(made, resharp, models, model, tmp_path):
    result = made()
    copy = tmp_path / "other"
    shutil.copytree(model, copy)
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    save_file({name: value + 1e-6 for name, value in weights.items()}, copy / "model.safetensors")
    ran = resharp("verify", result, "--model", copy)
    assert ran.code == 1
    for folder in (copy, model):
        assert file_sha256(folder / "model.safetensors") in ran.line


def test_a_changed_default_of_the_model_does_no_harm(made, verdict, model, tmp_path, resharp):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    result = made("a.png", "--seed", 1)
    save_defaults(copy, Defaults(output="diffusion", steps=3, samples=2, fidelity=0.5, final_variance=0.2))
    assert load_model(copy)[2].steps == 3
    ran = resharp("verify", result, "--model", copy)
    assert (ran.code, ran.err) == (0, "")


def test_a_truncated_receipt(made, resharp, model):
    result = made()
    text = read_receipt(result)
    for end in (0, 1, len(text) // 2, len(text) - 1):
        write_photo(read_photo(result), result, receipt_for=lambda samples, end=end: text[:end])
        ran = resharp("verify", result, "--model", model)
        assert ran.code == 1
        assert f"{result}: its receipt is damaged or cut short" in ran.line


def test_a_damaged_result_says_so(made, resharp, model):
    result = made()
    result.write_bytes(result.read_bytes()[:-300])
    ran = resharp("verify", result, "--model", model)
    assert ran.code == 1
    assert "damaged or cut short" in ran.line


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_without_a_receipt(made, verdict, suffix):
    result = made(f"a{suffix}", "--no-receipt")
    assert read_receipt(result) is None
    found = verdict(result)
    assert found["verdict"] == "not checked"
    assert ("BMP has no place" if suffix == ".bmp" else "made with --no-receipt") in found["reason"]


def test_no_receipt_leaves_the_pixels_as_they_are(made):
    assert np.array_equal(Image.open(made()), Image.open(made("a.png", *WORDS, "--no-receipt", out="plain.png")))


def test_a_photo_that_was_passed_through_is_recognised(resharp, photo, models, tmp_path):
    source = photo("a.jpg")
    assert resharp("deblur", source, "--model", models["input"]).code == 0
    result = tmp_path / "a.deblurred.jpg"
    assert result.read_bytes() == source.read_bytes()
    ran = resharp("verify", result, "--model", models["input"])
    assert ran.code == 1
    assert "passed through unchanged" in ran.line
    result.rename(tmp_path / "b.jpg")
    assert "give it with --photo" in resharp("verify", tmp_path / "b.jpg").line
    assert "passed through unchanged" in resharp("verify", tmp_path / "b.jpg", "--photo", source).line
    # In another format there is something to write down.
    assert resharp("deblur", source, "-o", tmp_path / "c.png", "--model", models["input"]).code == 0
    assert receipt_in(tmp_path / "c.png").part == "input"
    assert resharp("verify", tmp_path / "c.png", "--model", models["input"]).code == 0


def test_a_receipt_that_claims_a_copy_is_refused(made, verdict):
    result = made()
    rewrite(result, part="input", settings={}, seed=None)
    assert verdict(result)["verdict"] == "not the result"


def test_a_result_restored_again_has_a_receipt_of_its_own(made, verdict):
    first = made()
    second = made(first.name, *WORDS, out="second.png")
    assert receipt_in(second).photo == first.name
    assert receipt_in(second).photo_sha256 == file_sha256(first)
    assert read_receipt(made(first.name, "--no-receipt", out="third.png")) is None
    assert verdict(second)["verdict"] == verdict(first)["verdict"] == "identical"


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_guard_is_on_again_where_it_was(resharp, verdict, model, tmp_path, suffix):
    source, result = tmp_path / f"a{suffix}", tmp_path / f"a.deblurred{suffix}"
    # Gray, which the tiny model does not leave gray, and with edges as wide as motion makes them.
    ramp = np.clip(np.abs(np.arange(160) % 80 - 40) * 12.0 - 110, 0, 255)
    Image.fromarray(np.repeat(np.tile(ramp, (96, 1))[:, :, None], 3, axis=2).astype(np.uint8)).save(source)
    assert resharp("deblur", source, "--model", model).code == 0
    receipt = receipt_in(result)
    assert receipt.guard
    assert verdict(result)["verdict"] == "identical"
    rewrite(result, guard=False)
    assert not verdict(result)["verified"]
    assert resharp("deblur", source, "--model", model, "--force", "--overwrite").code == 0
    assert not receipt_in(result).guard
    assert receipt_in(result).pixels_sha256 != receipt.pixels_sha256
    assert verdict(result)["verdict"] == "identical"


def test_names_from_anywhere(made, verdict):
    assert verdict(made("Größe <a> 'b'; & 写真.jpg"))["verdict"] == "identical"


def test_without_model_the_shipped_one_is_meant(made, resharp):
    result = made()
    ran = resharp("verify", result)
    assert ran.code == 1
    assert ran.line.startswith("resharp: default: not the model ")
