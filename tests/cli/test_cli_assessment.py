"""`resharp deblur` on photos that need no restoring, and on pictures that it cannot judge: what is done and said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "assessment"))
from hard_cases import CASES, blurry_shapes, eight_bit, random, sharp_shapes

from resharp.assessment import assess_input
from resharp.assessment.flat import flat_weights

LEVEL = 1 / 255
OUTSIDE = {
    "lights": "night with bright lights",
    "dark noise": "too dark",
    "text": "drawn, text or a screenshot",
    "screenshot": "drawn, text or a screenshot",
    "scan": "strong noise or grain",
}


def save(picture: torch.Tensor, path: Path) -> Path:
    pixels = (picture[0].permute(1, 2, 0) * 255).round().byte().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))
    return path


def load(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float() / 255


def moved(picture: torch.Tensor, length: int = 13) -> torch.Tensor:
    """Horizontal motion in linear light."""
    light = F.pad(picture.pow(2.2), (length // 2, length // 2, 0, 0), mode="replicate")
    return eight_bit(F.avg_pool2d(light, (1, length), 1).pow(1 / 2.2))


def sharp_photo() -> torch.Tensor:
    """With a little noise, without which shapes are taken for a drawing."""
    return eight_bit(sharp_shapes() * 0.9 + 0.05 + 0.01 * random((1, 3, 256, 256)))


def only(ran) -> dict:
    (result,) = json.loads(ran.out)["results"]
    return result


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("default", ["predictor", "diffusion"])
def test_a_sharp_photo_comes_back_byte_for_byte_and_is_told(resharp, models, tmp_path, suffix, default):
    source = save(sharp_photo(), tmp_path / f"a.{suffix}")
    ran = resharp("deblur", source, "--model", models[default])
    assert ran.code == 0
    assert (tmp_path / f"a.deblurred.{suffix}").read_bytes() == source.read_bytes()
    assert ran.err.splitlines() == [
        f"{source}: no motion blur found, so the photo is passed through unchanged; --force restores it all the same"
    ]


def test_force_restores_a_sharp_photo_and_says_that_it_should_not_be(resharp, models, tmp_path):
    source = save(sharp_photo(), tmp_path / "a.png")
    ran = resharp("deblur", source, "--force", "--json", "--model", models["predictor"])
    result = only(ran)
    assert result["part"] == "predictor"
    assert not torch.equal(load(tmp_path / "a.deblurred.png"), load(source))
    assert result["assessment"]["motion_blur"] == "none"
    assert result["assessment"]["kept_share"] == 1
    assert "no motion blur found" in result["trust"]["reasons"]
    assert "no motion blur found" in result["remark"]


def test_a_blurry_photo_is_restored_and_the_shipped_model_needs_no_remark(resharp, tmp_path):
    source = save(blurry_shapes(9), tmp_path / "a.png")
    result = only(resharp("deblur", source, "--json"))
    assert result["part"] != "input"
    assert result["assessment"]["motion_blur"] == "some"
    assert 4 < result["assessment"]["blur_extent_px"] < 10
    assert result["assessment"]["outside"] == []
    assert (result["trust"]["level"], result["trust"]["reasons"], result["remark"]) == ("good", [], None)
    assert 0.75 < result["trust"]["explained"] <= 1
    assert result["trust"]["spread"] is None
    assert not torch.equal(load(tmp_path / "a.deblurred.png"), load(source))


@pytest.mark.parametrize("case", OUTSIDE)
def test_pictures_unlike_photos_are_warned_of_in_one_line(resharp, tmp_path, case):
    source = save(CASES[case](), tmp_path / "a.png")
    ran = resharp("deblur", source, "--part", "predictor")
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert line.startswith(f"{source}: ")
    assert OUTSIDE[case] in line
    assert len(ran.out.splitlines()) == 1
    # A blurred one is restored, and still warned of.
    source = save(moved(CASES["text"]()), tmp_path / "b.png")
    assert "drawn, text or a screenshot" in only(resharp("deblur", source, "--json"))["remark"]


def test_where_blur_is_not_sure_the_change_is_small_and_told(resharp, models, tmp_path):
    rng = torch.Generator().manual_seed(0)
    texture = F.interpolate(torch.rand(1, 3, 16, 16, generator=rng), size=(96, 96), mode="bicubic") * 0.1 + 0.4
    source = save(eight_bit(texture), tmp_path / "a.png")
    ran = resharp("deblur", source, "--model", models["predictor"], "--part", "predictor")
    (line,) = ran.err.splitlines()
    assert "motion blur is not sure: only a small change was made" in line
    changed, photo = load(tmp_path / "a.deblurred.png"), load(source)
    assert not torch.equal(changed, photo)
    assert float(-10 * (changed - photo).square().mean().log10()) >= 40


def test_samples_give_their_spread_as_a_figure_of_trust(resharp, models, tmp_path):
    source = save(blurry_shapes(), tmp_path / "a.png")
    result = only(resharp("deblur", source, "--samples", 3, "--json", "--model", models["diffusion"]))
    from resharp.pipeline import DeblurPipeline

    _, spread = DeblurPipeline.from_pretrained(models["diffusion"])(source, samples=3, return_spread=True)
    assert result["trust"]["spread"] == pytest.approx(float(spread.mean()), rel=1e-4)
    assert result["trust"]["spread"] > 0
    alone = only(resharp("deblur", source, "--samples", 1, "--json", "--overwrite", "--model", models["diffusion"]))
    assert alone["trust"]["spread"] is None


def test_a_noisy_result_is_said_to_be_worse_than_its_photo(resharp, models, tmp_path):
    """The tiny model is untrained: what it makes does not explain the photo."""
    source = save(blurry_shapes(), tmp_path / "a.png")
    ran = resharp("deblur", source, "--model", models["diffusion"], "--force")
    (line,) = ran.err.splitlines()
    assert "the result " in line
    assert "blurred again it explains" in line


def harmless(result: torch.Tensor, photo: torch.Tensor) -> None:
    """No cast, no coloured squares and no grain where the photo is flat; gray stays gray."""
    assert result.shape == photo.shape
    if float(photo.amax(dim=1).sub(photo.amin(dim=1)).max()) == 0:
        assert float((result.amax(dim=1) - result.amin(dim=1)).max()) <= LEVEL
    sure = torch.from_numpy(flat_weights(photo, assess_input(photo).noise_sigma) >= 1).float()
    sure = 1 - F.max_pool2d(1 - sure, 5, 1, 2)
    mask = sure.repeat_interleave(4, 2).repeat_interleave(4, 3)[..., : photo.shape[-2], : photo.shape[-1]]
    change = (result - photo) * mask
    # Taking noise away is no harm: it moves a pixel by the noise, and a mean over 8x8 px by an eighth of that.
    noise = assess_input(photo).noise_sigma
    if min(photo.shape[-2:]) >= 32:
        squares = F.avg_pool2d(change, 8)
        assert float(squares.abs().max()) <= 2 * LEVEL + 3 * noise / 8  # a square is not a mean over the picture
    if float(mask.sum()) > 400:
        mean = change.sum(dim=(2, 3)) / mask.sum()
        assert float(mean.abs().max()) <= LEVEL
        assert float((change.square().sum() / (3 * mask.sum())).sqrt()) <= 1.5 * LEVEL + noise
        before, after = (float((grain(image) * mask).square().sum() / (3 * mask.sum())) for image in (photo, result))
        assert after <= before + LEVEL**2


def grain(image: torch.Tensor) -> torch.Tensor:
    """What differs from the mean over 21 px around."""
    return image - F.avg_pool2d(image, 21, 1, 10, count_include_pad=False)


@pytest.mark.parametrize("words", [[], ["--part", "diffusion", "--steps", 2]], ids=["default", "diffusion"])
def test_the_shipped_model_does_no_harm_to_hard_cases(resharp, tmp_path, words):
    pictures = {name.replace(" ", "_"): make() for name, make in CASES.items()}
    for name in ("drawing", "text", "screenshot", "lights", "gradient"):
        pictures[f"{name}_moved"] = moved(CASES[name]())
    for name, picture in pictures.items():
        save(picture, tmp_path / "in" / f"{name}.png")
    ran = resharp("deblur", tmp_path / "in", "-o", tmp_path / "out", "--json", *words)
    results = {Path(result["input"]).stem: result for result in json.loads(ran.out)["results"]}
    assert (ran.code, results.keys()) == (0, pictures.keys())
    restored = [name for name, result in results.items() if result["part"] != "input"]
    assert {"text_moved", "drawing_moved", "lights_moved", "blurry", "teal"} <= set(restored)
    for name, picture in pictures.items():
        harmless(load(tmp_path / "out" / f"{name}.deblurred.png"), picture)
