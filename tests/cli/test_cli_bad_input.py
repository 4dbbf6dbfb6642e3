"""Bad input to `resharp deblur`: one clear line, a non-zero exit, and nothing written."""

from __future__ import annotations

import json
import shutil
import struct
import zlib

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from resharp.pipeline import DeblurPipeline


@pytest.fixture
def refused(resharp, model, files):
    """Run `resharp deblur` with these words; the line it refuses them with."""

    def call(*words, folder=model):
        before = files()
        ran = resharp("deblur", *words, "--model", folder)
        assert ran.code == 1
        assert ran.out == ""
        assert files() == before
        return ran.line

    return call


def huge_png(path):
    """A header that promises 40,000 x 40,000 pixels, and one row of none."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )
    return path


def test_missing_file(refused, tmp_path):
    assert refused(tmp_path / "none.jpg").endswith("none.jpg: no such file; check the name")


def test_empty_name(refused):
    assert "an input is empty" in refused("")


def test_folder_without_photos(refused, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    assert "no photos in this folder" in refused(tmp_path / "in")


def test_text_renamed_to_jpg(refused, tmp_path):
    (tmp_path / "a.jpg").write_text("not a picture, but long enough to look at")
    assert "a.jpg: not a photo, or a damaged one" in refused(tmp_path / "a.jpg")


def test_truncated_jpeg(refused, photo):
    whole = photo("a.jpg", width=200, height=200)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "a.jpg: damaged or cut short" in refused(whole)


def test_empty_file(refused, tmp_path):
    (tmp_path / "a.jpg").touch()
    assert "a.jpg: is empty (0 bytes)" in refused(tmp_path / "a.jpg")


def test_a_header_of_40000_by_40000(refused, tmp_path):
    assert "megapixels, the limit" in refused(huge_png(tmp_path / "a.png"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sampler", "euler"], "unknown sampler 'euler'; allowed: dpm++, ddim, ddpm, unipc"),
        (["--steps", 0], "steps is 0; allowed: 1 to 10000"),
        (["--steps", 10_001], "steps is 10001; allowed: 1 to 10000"),
        (["--samples", 0], "samples is 0; allowed: 1 to 1000"),
        (["--seed", -1], "seed is -1; allowed: 0 to"),
        (["--final-variance", 2], "final_variance is 2.0; allowed:"),
        (["--final-variance", "nan"], "final_variance is nan; allowed:"),
        (["--part", "guidance"], "unknown part 'guidance'; allowed: predictor, diffusion"),
        (["--part", "predictor", "--steps", 3], "--steps is for the diffusion"),
        (["--device", "abacus"], "unknown device 'abacus'; allowed: auto, cpu, cuda, mps"),
        (["--spread", "s.png"], "--spread shows how samples differ: add --samples 2 or more"),
        (["--spread", "s.png", "--samples", 1], "add --samples 2 or more"),
        (["--spread", "s.jpg", "--samples", 2], "a name ending in .png"),
        (["-o", "b.gif"], "cannot write .gif; choose .png"),
    ],
)
def test_options_that_cannot_be(refused, photo, words, says, monkeypatch):
    source = photo("a.png")
    monkeypatch.setattr("resharp.images.reading.read_photo", None)  # no picture is worked on
    assert says in refused(source, *words)


def test_a_device_this_machine_has_not(refused, photo, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "device 'cuda' is not available here; allowed: auto, " in refused(photo("a.png"), "--device", "cuda")


def test_a_part_this_model_has_not(refused, photo, models):
    assert "no initial predictor" in refused(photo("a.png"), "--part", "predictor", folder=models["plain"])


def test_spread_is_for_one_photo(refused, photo, tmp_path):
    photo("in/a.png")
    words = ["--samples", 2, "--spread", tmp_path / "s.png"]
    assert "one photo at a time" in refused(photo("b.png"), photo("c.png"), *words)
    assert "one photo at a time" in refused(tmp_path / "in", *words)


def test_spread_over_the_photo_or_its_result(refused, photo, tmp_path):
    words = ["--samples", 2, "--overwrite", "--spread"]
    for name in ("a.png", "a.deblurred.png"):
        assert "choose another name for --spread" in refused(photo("a.png"), *words, tmp_path / name)


def test_unwritable_output(refused, photo, tmp_path):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "deep"
    assert "cannot be a folder" in refused(photo("a.png"), "-o", below / "b.png")
    assert "cannot be a folder" in refused(photo("a.png"), photo("b.png"), "-o", below)
    words = ["--samples", 2, "--spread", below / "s.png"]
    assert "cannot be a folder" in refused(photo("a.png"), *words)


def test_output_without_permission(refused, photo, monkeypatch):
    source = photo("a.png")
    monkeypatch.setattr("os.access", lambda *_: False)  # these tests may run as root, who may all
    assert "no permission to write here" in refused(source)


def test_a_full_disk(refused, photo, monkeypatch):
    source = photo("a.png")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    assert "cannot write it (No space left on device)" in refused(source)


def test_several_photos_into_a_file(refused, photo, tmp_path):
    line = refused(photo("a.png"), photo("b.png"), "-o", tmp_path / "c.jpg")
    assert "give a folder after -o" in line


def test_two_photos_into_one_result(refused, photo, tmp_path):
    line = refused(photo("one/a.png"), photo("two/a.png"), "-o", tmp_path / "out")
    assert "would go here" in line
    assert str(tmp_path / "one" / "a.png") in line


def test_a_result_over_another_input(refused, photo):
    line = refused(photo("a.png"), photo("a.deblurred.png"), "--overwrite")
    assert "is an input too, which is never overwritten" in line


def test_a_result_over_its_own_photo(refused, photo):
    source = photo("a.png")
    assert "is the photo itself" in refused(source, "-o", source, "--overwrite")


def test_an_existing_result_is_kept_unless_told(resharp, refused, photo, model, tmp_path):
    source, result = photo("a.png"), tmp_path / "a.deblurred.png"
    result.write_bytes(b"kept")
    assert "exists already and is kept; add --overwrite" in refused(source)
    assert result.read_bytes() == b"kept"
    assert resharp("deblur", source, "--model", model, "--overwrite").code == 0
    assert Image.open(result).size == (40, 28)


def test_one_broken_file_does_not_stop_the_rest(resharp, photo, model, tmp_path, files):
    good = [photo(f"in/{name}.png") for name in "ace"]
    (tmp_path / "in" / "b.jpg").write_text("no picture at all, this one is")
    words = ["deblur", tmp_path / "in", tmp_path / "gone.jpg", "--model", model]
    ran = resharp(*words)
    assert ran.code == 1
    assert ran.out.count("->") == len(good)
    errors = ran.err.splitlines()
    assert errors[-1] == "restored 3, failed 2"
    assert sorted(line.split(": ")[1] for line in errors[:-1] if line.startswith("resharp: ")) == [
        str(tmp_path / "gone.jpg"),
        str(tmp_path / "in" / "b.jpg"),
    ]
    assert {f"in/{name}.deblurred.png" for name in "ace"} <= files()

    answer = json.loads(resharp(*words, "--overwrite", "--json").out)
    assert (answer["restored"], answer["failed"]) == (3, 2)
    assert [result["error"] is None for result in answer["results"]].count(False) == 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_out_of_memory_names_the_photo_and_the_remedy(refused, photo, monkeypatch, error):
    whole = DeblurPipeline.restore

    def restore(self, blurry, **options):
        if blurry.shape[-1] > 1:
            raise error
        return whole(self, blurry, **options)

    monkeypatch.setattr(DeblurPipeline, "restore", restore)
    assert refused(photo("a.png")).endswith("a.png: not enough memory for 40x28; give a smaller picture")


def test_a_bug_in_one_photo_does_not_stop_the_rest(resharp, photo, model, monkeypatch):
    monkeypatch.setattr("resharp.picture.read_photo", lambda path: 1 / 0)
    ran = resharp("deblur", photo("a.png"), photo("b.png"), "--model", model)
    assert ran.code == 1
    assert ran.err.count("unexpected error (ZeroDivisionError: division by zero)") == 2
    assert "Traceback" not in ran.err


def test_a_missing_model(refused, photo):
    assert "/no/such/folder: no such folder" in refused(photo("a.png"), folder="/no/such/folder")


@pytest.fixture
def own_model(model, tmp_path):
    """A copy of the model to spoil."""
    return shutil.copytree(model, tmp_path / "model")


def test_corrupt_weights(refused, photo, own_model):
    weights = own_model / "model.safetensors"
    for spoilt in (weights.read_bytes()[:200], b"\xff" * 64, b""):
        weights.write_bytes(spoilt)
        assert "not a readable safetensors file" in refused(photo("a.png"), folder=own_model)


def test_foreign_weights(refused, photo, own_model):
    save_file({"layer.weight": torch.zeros(3)}, own_model / "model.safetensors")
    assert "these weights belong to another model" in refused(photo("a.png"), folder=own_model)


def test_model_configuration_with_an_unknown_key(refused, photo, own_model):
    config = own_model / "config.json"
    config.write_text(config.read_text().replace('"patch_size"', '"patchsize"'))
    assert "unknown key 'patchsize'; did you mean 'patch_size'?" in refused(photo("a.png"), folder=own_model)
