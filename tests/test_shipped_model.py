"""The model in the package: present, small, described, and no harm to the example it is shown with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from resharp.hub import SHIPPED, SHIPPED_NAMES
from resharp.images.reading import read_photo
from resharp.images.tensors import photo_to_tensor
from resharp.metrics.full_reference import psnr
from resharp.pipeline import DeblurPipeline

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def pipeline() -> DeblurPipeline:
    return DeblurPipeline.from_pretrained()


def example(name: str) -> torch.Tensor:
    return photo_to_tensor(read_photo(EXAMPLES / name))


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_size_is_what_an_installation_can_carry(name):
    assert 2e6 < (SHIPPED.with_name(name) / "model.safetensors").stat().st_size < 20e6


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_card_names_the_weights_it_speaks_of(name):
    folder = SHIPPED.with_name(name)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert digest in card


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_card_and_configuration_agree_on_the_default(name):
    card = (SHIPPED.with_name(name) / "README.md").read_text(encoding="utf-8")
    assert f"Default output: `{DeblurPipeline.from_pretrained(name).defaults.output}`" in card


def test_the_student_does_in_one_step_about_what_its_teacher_does_in_two(pipeline):
    blurry = example("blurry.jpg")[..., 100:228, 200:328]
    student = DeblurPipeline.from_pretrained("one-step")
    assert student.defaults.steps == 1
    taught = pipeline.restore(blurry, output="diffusion", steps=2, seed=5).image
    learned = student.restore(blurry, output="diffusion", seed=5).image
    first = pipeline.restore(blurry, output="predictor").image
    assert psnr(learned, taught).item() > psnr(first, taught).item()
    assert psnr(learned, taught).item() > psnr(blurry, taught).item()


def test_default_does_not_make_the_example_worse(pipeline):
    blurry, sharp = example("blurry.jpg"), example("blurry_reference.jpg")
    restored = pipeline.restore(blurry)
    assert restored.output == pipeline.defaults.output
    assert psnr(restored.image, sharp).item() >= psnr(blurry, sharp).item()


def test_flat_colour_stays_what_it_is(pipeline):
    for level in (0.1, 0.5, 0.9):
        flat = torch.full((1, 3, 64, 64), level)
        assert (pipeline.restore(flat).image.mean() - level).abs() < 1 / 255


def test_diffusion_part_runs_when_asked(pipeline):
    blurry = example("blurry.jpg")[..., :64, :96]
    restored = pipeline.restore(blurry, steps=2, samples=2)
    assert restored.output == "diffusion"
    assert restored.image.shape == blurry.shape
    assert restored.spread is not None
