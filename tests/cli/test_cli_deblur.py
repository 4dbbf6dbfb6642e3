"""`resharp deblur` where all is well."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from resharp.cli.deblur import deblur
from resharp.diffusion.presets import ENSEMBLES, MAX_SAMPLES, QUALITIES
from resharp.diffusion.sampler_names import SAMPLERS
from resharp.diffusion.schedule import MAX_STEPS
from resharp.pipeline import DeblurPipeline


def pixels(path):
    return np.asarray(Image.open(path))


def test_result_lies_beside_the_photo_and_is_the_pipelines(resharp, photo, model, tmp_path):
    source = photo("a.png", width=41, height=27)
    ran = resharp("deblur", source, "--model", model, "--seed", 3, "--force")
    assert ran.code == 0
    result = tmp_path / "a.deblurred.png"
    assert ran.out.startswith(f"{source} -> {result} (41x27, ")
    expected = np.asarray(DeblurPipeline.from_pretrained(model)(source, seed=3))
    assert np.array_equal(pixels(result), expected)
    assert not np.array_equal(expected, pixels(source))


def test_same_seed_same_bytes_and_another_seed_differs(resharp, photo, model, tmp_path):
    source = photo("a.png")
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert resharp("deblur", source, "-o", tmp_path / f"{name}.png", "--seed", seed, "--model", model).code == 0
    one, again, two = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "again", "two"))
    assert one == again
    assert one != two


def test_every_sampler_and_the_final_variance_run(resharp, photo, model, tmp_path):
    source, made = photo("a.png", width=16, height=16), set()
    for sampler in SAMPLERS:
        out = tmp_path / f"{sampler}.png"
        words = ["--sampler", sampler, "--steps", 6, "--final-variance", 0.3, "--json"]
        ran = resharp("deblur", source, "-o", out, *words, "--model", model)
        assert json.loads(ran.out)["results"][0]["sampler"] == sampler
        made.add(out.read_bytes())
    assert len(made) >= 3  # the two second-order ones may agree after rounding to 8 bits


def test_help_names_the_limits_that_the_library_has():
    options = deblur.__annotations__
    assert "|".join(SAMPLERS) in options["sampler"]
    assert f"1 to {MAX_STEPS}" in options["steps"]
    assert f"1 to {MAX_SAMPLES}" in options["samples"]
    assert "|".join(QUALITIES) in options["quality"]
    assert "|".join(map(str, ENSEMBLES)) in options["ensemble"]


@pytest.mark.parametrize(("default", "words"), [("predictor", "initial predictor"), ("input", "unchanged")])
def test_a_default_other_than_diffusion_is_told_once(resharp, photo, models, default, words):
    photo("in/a.png")
    photo("in/b.png")
    ran = resharp("deblur", photo("in/a.png").parent, "--model", models[default])
    assert ran.code == 0
    assert ran.err.count(words) == 1
    assert ran.err.splitlines()[-1] == "restored 2, failed 0"


def test_asking_for_steps_or_a_part_overrides_the_default(resharp, photo, models):
    source, model = photo("a.png"), models["predictor"]
    for words, part in ((["--steps", 2], "diffusion"), (["--part", "predictor"], "predictor"), ([], "predictor")):
        ran = resharp("deblur", source, "--model", model, "--overwrite", "--json", *words)
        assert json.loads(ran.out)["results"][0]["part"] == part
        assert ("initial predictor" in ran.err) == (not words)


def test_passing_through_keeps_the_file_byte_for_byte(resharp, photo, models, tmp_path):
    source = photo("a.jpg", quality=50)
    assert resharp("deblur", source, "--model", models["input"]).code == 0
    assert (tmp_path / "a.deblurred.jpg").read_bytes() == source.read_bytes()
    assert resharp("deblur", source, "-o", tmp_path / "b.png", "--model", models["input"]).code == 0
    assert np.array_equal(pixels(tmp_path / "b.png"), pixels(source))


def test_metadata_alpha_and_depth_stay(resharp, photo, model, tmp_path):
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Model X", 6
    source = photo("a.jpg", exif=exif)
    assert resharp("deblur", source, "--model", model).code == 0
    result = Image.open(tmp_path / "a.deblurred.jpg")
    assert result.getexif()[0x0110] == "Model X"
    assert result.getexif().get(0x0112, 1) == 1
    assert result.size == (28, 40)  # turned upright

    alpha = np.arange(28 * 40, dtype=np.uint16).reshape(28, 40).astype(np.uint8)
    Image.fromarray(np.dstack([pixels(photo("b.png")), alpha])).save(tmp_path / "c.png")
    assert resharp("deblur", tmp_path / "c.png", "--model", model).code == 0
    assert np.array_equal(pixels(tmp_path / "c.deblurred.png")[:, :, 3], alpha)

    Image.fromarray(alpha.astype(np.uint16) * 257).save(tmp_path / "d.png")
    assert resharp("deblur", tmp_path / "d.png", "--model", model).code == 0
    assert Image.open(tmp_path / "d.deblurred.png").mode == "I;16"


def test_folders_are_walked_and_mirrored(resharp, photo, model, tmp_path, files):
    for name in ("in/a.png", "in/deep/a.png", "in/deep/b.jpg", "in/.hidden/c.png", "in/old.deblurred.png"):
        photo(name)
    before = files()
    ran = resharp("deblur", tmp_path / "in", "-o", tmp_path / "out" / "new", "--model", model)
    assert ran.code == 0
    made = {"a.deblurred.png", "deep/a.deblurred.png", "deep/b.deblurred.jpg"}
    assert files() - before == {f"out/new/{name}" for name in made}
    assert ran.err.splitlines()[-1] == "restored 3, failed 0"


def test_a_folder_without_o_gets_results_beside_the_photos(resharp, photo, model, tmp_path, files):
    photo("in/a.png")
    photo("in/deep/a.png")
    for _ in range(2):  # the second run finds the same photos, and not the first one's results
        assert resharp("deblur", tmp_path / "in", "--model", model, "--overwrite").code == 0
    assert files() == {"in/a.png", "in/a.deblurred.png", "in/deep/a.png", "in/deep/a.deblurred.png"}


@pytest.mark.parametrize(
    ("out", "made"),
    [
        ("b.jpg", "b.jpg"),
        ("new/deep/b.webp", "new/deep/b.webp"),
        ("folder", "folder/a.deblurred.png"),
        ("there.v2", "there.v2/a.deblurred.png"),
        ("new.v2/", "new.v2/a.deblurred.png"),
    ],
)
def test_where_a_single_result_goes(resharp, photo, model, tmp_path, files, out, made):
    source = photo("a.png")
    (tmp_path / "there.v2").mkdir()
    assert resharp("deblur", source, "-o", f"{tmp_path}/{out}", "--model", model).code == 0
    assert files() == {"a.png", made}


def test_a_photo_named_twice_is_restored_once(resharp, photo, model, tmp_path):
    source = photo("in/a.png")
    ran = resharp("deblur", source, tmp_path / "in" / ".." / "in" / "a.png", tmp_path / "in", "--model", model)
    assert ran.code == 0
    assert ran.out.count("->") == 1


def test_spread_is_a_gray_png_scaled_to_white(resharp, photo, model, tmp_path):
    source, spread = photo("a.png"), tmp_path / "maps" / "spread.png"
    ran = resharp("deblur", source, "--samples", 3, "--spread", spread, "--model", model)
    assert ran.code == 0
    image = Image.open(spread)
    assert (image.mode, image.size) == ("L", (40, 28))
    assert np.asarray(image).max() == 255
    _, expected = DeblurPipeline.from_pretrained(model)(source, samples=3, return_spread=True)
    assert f"white is {expected.max():.4f} of 1" in ran.out
    assert np.abs(np.asarray(image) / 255 - expected / expected.max()).max() <= 0.5 / 255 + 1e-6


def test_json_is_one_object_with_the_settings_used(resharp, photo, models, tmp_path):
    words = ["--steps", 3, "--samples", 2, "--seed", 5, "--sampler", "ddim", "--json"]
    ran = resharp("deblur", photo("a.png"), *words, "--model", models["predictor"])
    answer = json.loads(ran.out)
    (result,) = answer["results"]
    assert result.pop("seconds") >= 0
    assert result.pop("assessment")["motion_blur"] in ("none", "some", "unsure")
    assert result.pop("trust")["level"] in ("good", "doubtful", "poor")
    assert "smaller than 32 px" in result.pop("remark")
    assert result.pop("receipt")["seed"] == 5
    assert result == {
        "input": str(tmp_path / "a.png"),
        "output": str(tmp_path / "a.deblurred.png"),
        "width": 40,
        "height": 28,
        "frames": None,
        "part": "diffusion",
        "restores": ["motion blur"],
        "seed": 5,
        "steps": 3,
        "samples": 2,
        "sampler": "ddim",
        "final_variance": None,
        "fidelity": None,
        "ensemble": None,
        "tile": None,
        "spread_maximum": None,
        "dropped": [],
        "skipped": False,
        "error": None,
    }
    assert (answer["restored"], answer["failed"], answer["error"]) == (1, 0, None)


def test_json_without_diffusion_has_no_diffusion_settings(resharp, photo, models):
    ran = resharp("deblur", photo("a.png"), "--json", "--model", models["predictor"])
    (result,) = json.loads(ran.out)["results"]
    assert [result[name] for name in ("seed", "steps", "samples", "sampler")] == [None] * 4


def test_qualities_fidelity_and_ensemble_are_the_pipelines(resharp, photo, models, tmp_path):
    source, out = photo("a.png"), tmp_path / "out.png"
    pipeline = DeblurPipeline.from_pretrained(models["predictor"])
    asked = [
        ({"quality": "best"}, {"part": "predictor", "ensemble": 8, "fidelity": None, "steps": None}),
        ({"quality": "standard"}, {"part": "predictor", "ensemble": 1}),
        ({"quality": "best", "steps": 3}, {"part": "diffusion", "ensemble": None, "steps": 3}),
        ({"ensemble": 2}, {"part": "predictor", "ensemble": 2}),
        ({"fidelity": 0.5}, {"part": "diffusion", "ensemble": None, "fidelity": 0.5, "steps": 2, "seed": 0}),
        ({"fidelity": 0.5, "ensemble": 4}, {"part": "diffusion", "ensemble": 4, "fidelity": 0.5}),
        ({"fidelity": 1.0}, {"part": "predictor", "fidelity": None, "seed": None}),
    ]
    for options, used in asked:
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        words += ["--force", "--overwrite", "--json", "-o", out]
        ran = resharp("deblur", source, "--model", models["predictor"], *words)
        (result,) = json.loads(ran.out)["results"]
        assert {name: result[name] for name in used} == used
        assert "default" not in ran.err
        assert np.array_equal(pixels(out), np.asarray(pipeline(source, **options)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--quality", "good"], "unknown quality 'good'; allowed: draft, standard, best"),
        (["--fidelity", "1.2"], "fidelity is 1.2; allowed: 0 to 1"),
        (["--ensemble", "5"], "ensemble is 5; allowed: 1, 2, 4, 8"),
        (["--ensemble", "8", "--steps", "2"], "an ensemble is of the predictor"),
        (["--fidelity", "0.5", "--part", "predictor"], "between predictor and diffusion"),
        (["--fidelity", "1", "--samples", "3", "--spread", "s.png"], "add --samples 2 or more"),
        (["--quality", "best", "--spread", "s.png"], "add --samples 2 or more"),
        (["--model", "one-stop"], "not a shipped model (default"),
    ],
)
def test_settings_that_cannot_be_are_one_line(resharp, photo, models, files, monkeypatch, tmp_path, words, says):
    source = photo("a.png")
    monkeypatch.chdir(tmp_path)
    ran = resharp("deblur", source, "--model", models["predictor"], *words)
    assert ran.code == 1
    assert says in ran.line
    assert files() == {"a.png"}


def test_passing_through_is_told_at_every_quality(resharp, photo, models):
    ran = resharp("deblur", photo("a.png"), "--quality", "best", "--model", models["input"])
    assert ran.code == 0
    assert "passes photos through unchanged" in ran.err
