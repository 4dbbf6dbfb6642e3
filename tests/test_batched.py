"""Samples drawn together beside the same drawn one after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from resharp.diffusion.sampler_names import SAMPLERS
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError
from resharp.fitting import choose_portions
from resharp.models.config import ModelConfig, TransformerConfig
from resharp.models.icdpm import ICDPM
from resharp.pipeline import DeblurPipeline
from resharp.serialization import Defaults
from resharp.tile_choice import tiles_for
from tiny import TINY, TINY_UNET, awake

# One scale, so that the smallest tiles are small.
UNET = replace(TINY_UNET, widths=(8,))
GUIDANCE = replace(TINY.guidance, scales=(1,))
WITH = replace(TINY, guidance=GUIDANCE, denoiser=UNET, predictor=UNET)
BLOCKS = replace(UNET, transformer=TransformerConfig(head_channels=8))
CONFIGS = {
    "predictor": WITH,
    "no predictor": replace(WITH, predictor=None, residual_scale=1.0, prediction_type="eps"),
    "no guidance": replace(WITH, guidance=None, prediction_type="v"),
    "Restormer's blocks": replace(WITH, denoiser=BLOCKS, predictor=BLOCKS),
}


def made(config: ModelConfig) -> DeblurPipeline:
    return DeblurPipeline(awake(ICDPM(config)), NoiseSchedule(), Defaults(output="diffusion", steps=3))


def random_photo(count: int = 1, size: tuple[int, int] = (13, 22)) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pipeline() -> DeblurPipeline:
    return made(WITH)


def samples_of(pipeline: DeblurPipeline, photo: torch.Tensor, **asked) -> torch.Tensor:
    """(samples, B, 3, H, W), in the order of their numbers."""
    samples: dict[int, torch.Tensor] = {}
    asked = {"samples": 5, "seed": 3, **asked}
    pipeline.restore(photo, on_sample=lambda i, sample: samples.update({i: sample.clone()}), **asked)
    assert list(samples) == list(range(asked["samples"]))
    return torch.stack(list(samples.values()))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sample_is_the_same_whatever_it_is_drawn_with(config, sampler):
    pipeline, photo = made(CONFIGS[config]), random_photo()
    alone = samples_of(pipeline, photo, sampler=sampler, batch=1)
    assert float(alone.std(dim=0).mean()) > 1e-3
    for batch in (2, 5):
        torch.testing.assert_close(samples_of(pipeline, photo, sampler=sampler, batch=batch), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_in_tiles(pipeline, sampler):
    photo, asked = random_photo(size=(171, 229)), {"sampler": sampler, "samples": 3, "steps": 2}
    assert len(tiles_for(WITH, (1, 1)).plan(171, 229)) >= 4
    alone = samples_of(pipeline, photo, tile=(1, 1), **asked)
    together = samples_of(pipeline, photo, tile=(1, 1), batch=2, **asked)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("tile", [None, (1, 1)])
def test_several_pictures(pipeline, sampler, tile):
    """Each picture and sample comes back to its own place; 3 x 13 x 22 numbers are no multiple of 16."""
    photos = random_photo(2)
    alone = samples_of(pipeline, photos, sampler=sampler, samples=3, tile=tile)
    together = samples_of(pipeline, photos, sampler=sampler, samples=3, tile=tile, batch=2)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_mean_spread_and_fidelity(pipeline):
    asked = {"samples": 4, "fidelity": 0.4, "seed": 2}
    alone, together = (pipeline.restore(random_photo(), batch=batch, **asked) for batch in (1, 3))
    assert (alone.batch, together.batch) == (1, 3)
    torch.testing.assert_close(together.image, alone.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.spread, alone.spread, atol=1e-5, rtol=0)


def test_the_same_batch_gives_the_same_bytes(pipeline):
    first, again = (samples_of(pipeline, random_photo(), batch=2, sampler="ddpm") for _ in range(2))
    assert torch.equal(first, again)


def test_the_network_is_called_once_for_a_batch_and_that_is_told(pipeline, monkeypatch):
    steps, previews, calls = [], [], []
    forward = ICDPM.forward

    def counted(self, x_t, *rest):
        calls.append(len(x_t))
        return forward(self, x_t, *rest)

    monkeypatch.setattr(ICDPM, "forward", counted)
    photo = random_photo()
    watching = {"on_step": lambda done, n: steps.append((done, n)), "on_preview": previews.append}
    samples = samples_of(pipeline, photo, steps=2, batch=2, **watching)
    assert calls == [2, 2, 2, 2, 1, 1]
    assert steps == [(i, 6) for i in range(1, 7)]
    assert all(each.shape == photo.shape for each in previews)
    for last, number in zip(previews[1::2], (0, 2, 4), strict=True):
        torch.testing.assert_close(last, samples[number], atol=1e-5, rtol=0)


def test_only_as_many_as_there_are(pipeline):
    assert pipeline.restore(random_photo(), samples=2, batch=9).batch == 2
    assert pipeline.restore(random_photo(), output="predictor", batch=9).batch == 1
    assert pipeline.restore(random_photo(), samples=3).batch == 1  # the default on a CPU


@pytest.mark.parametrize("batch", [0, -1, 1001])
def test_a_batch_that_cannot_be(pipeline, batch):
    with pytest.raises(ConfigError, match=f"batch is {batch}; allowed: 1 to 1000"):
        pipeline.restore(random_photo(), output="input", batch=batch)


def test_memory_decides_on_the_batch_before_it_decides_on_tiles(monkeypatch):
    shipped = DeblurPipeline.from_pretrained()
    settings, shape = shipped.choose(steps=2, samples=8), (1, 3, 720, 1280)

    def chosen(gigabytes: float, device: str = "cuda", **asked):
        monkeypatch.setattr("resharp.fitting._room", lambda *_: gigabytes * 1e9)
        found = choose_portions(shipped.model, settings, shape, None, torch.device(device), **asked)
        return found.tiles is not None, found.batch

    assert chosen(100) == (False, 8)
    assert chosen(100, batch=3) == (False, 3)
    assert chosen(100, device="cpu") == (False, 1)
    assert chosen(100, device="cpu", batch=20) == (False, 8)
    batches = [chosen(room)[1] for room in (4, 3, 2, 1.2)]
    assert batches == sorted(batches, reverse=True)
    assert 8 > batches[0] > batches[-1] >= 1
    assert chosen(0.5) == (True, 1)
    assert chosen(0.5, tile=(600, 600), batch=4) == (True, 4)


def test_memory_running_out_leads_to_smaller_batches_and_then_to_tiles(pipeline, monkeypatch):
    photo = random_photo(size=(171, 229))
    asked = {"samples": 4, "steps": 1, "batch": 4}
    whole, seen, forward = pipeline.restore(photo, **asked), [], ICDPM.forward
    limit = [171 * 229 * 2.5]

    def limited(self, x_t, *rest):
        seen.append(x_t.shape[0] * x_t.shape[2] * x_t.shape[3])
        if seen[-1] > limit[0]:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return forward(self, x_t, *rest)

    monkeypatch.setattr(ICDPM, "forward", limited)
    fewer = pipeline.restore(photo, **asked)
    assert (fewer.tile, fewer.batch) == (None, 2)
    assert fewer.remark == "memory ran out, so it was made again with 2 samples at a time"
    limit[0] = 150 * 200
    tiled = pipeline.restore(photo, **asked)
    assert tiled.tile is not None
    assert tiled.batch == 1
    assert "in tiles of" in tiled.remark
    for each in (fewer, tiled):
        torch.testing.assert_close(each.image, whole.image, atol=1e-4, rtol=0)
