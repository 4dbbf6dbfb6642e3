"""The model in the package: present, small, described, and no harm to the example it is shown with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from resharp.hub import SHIPPED
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


def test_size_is_what_an_installation_can_carry():
    assert 2e6 < (SHIPPED / "model.safetensors").stat().st_size < 20e6


def test_card_names_the_weights_it_speaks_of():
    digest = hashlib.sha256((SHIPPED / "model.safetensors").read_bytes()).hexdigest()
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert digest in card


def test_card_and_configuration_agree_on_the_default(pipeline):
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert f"Default output: `{pipeline.defaults.output}`" in card


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
