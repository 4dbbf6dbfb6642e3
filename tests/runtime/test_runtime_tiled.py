"""Tiles without torch: the picture as a whole, and within a limit of memory."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resharp.errors import ConfigError
from resharp.hub import locate_model
from resharp.model_files import read_config
from resharp.pipeline import DeblurPipeline
from resharp.runtime.opened import Graphs
from resharp.runtime.opening import open_graphs
from resharp.tile_choice import tiles_for

pytest.importorskip("onnxruntime")
CONFIG = read_config(locate_model(None))[0].model
LEAST = tiles_for(CONFIG, (1, 1)).most


@pytest.fixture(scope="module")
def pipeline():
    return open_graphs(locate_model(None), "onnx")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Wider than the smallest tile, in samples, with sides that are no multiples."""
    side = LEAST[1]
    wave = np.sin(np.arange(side + 205) / 7) + np.sin(np.arange(70) / 5)[:, None]
    noise = np.random.default_rng(0).normal(size=(1, 3, 70, side + 205))
    return np.clip(128 + 50 * wave + 20 * noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "asked", [{}, {"ensemble": 4}, {"steps": 2, "samples": 2}, {"steps": 1, "fidelity": 0.5}], ids=str
)
def test_tiled_is_whole(pipeline, photo, asked):
    steps: list[tuple[int, int]] = []
    whole = pipeline.restore(photo, memory="30GB", **asked)
    tiled = pipeline.restore(photo, tile=(1, 1), on_step=lambda *each: steps.append(each), **asked)
    assert whole.tile is None
    assert tiled.tile == LEAST
    assert np.abs(tiled.image - whole.image).max() < 1e-4
    if whole.spread is not None:
        assert np.abs(tiled.spread - whole.spread).max() < 1e-4
    assert steps[-1][0] == steps[-1][1]
    if not asked:
        assert len(steps) == len(tiles_for(CONFIG, (1, 1)).plan(*photo.shape[2:])) > 1


@pytest.mark.parametrize("sampler", ["dpm++", "ddpm"])
def test_samples_drawn_together_in_tiles(pipeline, photo, sampler):
    asked = {"tile": (1, 1), "steps": 2, "samples": 2, "sampler": sampler}
    alone, together = (pipeline.restore(photo, batch=batch, **asked) for batch in (1, 2))
    assert (together.tile, together.batch) == (LEAST, 2)
    assert np.abs(together.image - alone.image).max() < 1e-5
    assert np.abs(together.spread - alone.spread).max() < 1e-5


def test_tiles_are_those_of_torch(pipeline, photo):
    theirs = DeblurPipeline.from_pretrained().restore(photo, tile=(1, 1))
    ours = pipeline.restore(photo, tile=(1, 1))
    assert ours.tile == theirs.tile
    assert np.abs(ours.image - theirs.image.numpy()).max() < 1e-4


def test_memory_decides_on_tiles(pipeline, monkeypatch):
    monkeypatch.setattr("resharp.memory.resident_bytes", lambda: 0)
    settings, shape = pipeline.choose(), (1, 3, 3000, 4000)

    def chosen(memory, settings=settings, batch=None):
        return pipeline._portions(settings, shape, memory, None, batch)

    assert chosen("64GB").tiles is None
    some, fewer = (chosen(memory).tiles.most for memory in ("1GB", "2GB"))
    assert some[0] * some[1] < fewer[0] * fewer[1] < 3000 * 4000
    with pytest.raises(ConfigError, match="the predictor needs about"):
        chosen("10MB")
    several = pipeline.choose(samples=4)
    assert [chosen("90GB", several, batch).batch for batch in (None, 3, 9)] == [1, 3, 4]
    assert (chosen("24GB", several, 4).tiles, chosen("24GB", several, 4).batch) == (None, 2)
    monkeypatch.setattr("resharp.memory.free_bytes", lambda: 10**6)
    assert chosen(None).tiles.most == LEAST


def test_memory_running_out_leads_to_smaller_tiles(pipeline, photo):
    """The library's own error at the size of the whole, none at that of the smallest tile."""
    whole, seen = pipeline.restore(photo, memory="30GB"), []

    def limited(name, inputs):
        seen.append(inputs["y"].shape[-1])
        if seen[-1] > LEAST[1] + 100:
            raise Exception("bad allocation: std::bad_alloc")
        return pipeline.networks.run(name, inputs)

    def read(name, path):
        return lambda inputs: limited(name, inputs)

    small = copy.copy(pipeline)
    small.networks = replace(pipeline.networks, run=Graphs(dict.fromkeys(("guide", "predict"), Path()), read, "Runner"))
    restored = small.restore(photo, memory="30GB")
    assert seen[0] > LEAST[1] + 100 >= seen[-1]
    assert restored.tile == LEAST
    assert restored.remark == "memory ran out, so it was made again in tiles of {1}x{0} px".format(*LEAST)
    assert np.abs(restored.image - whole.image).max() < 1e-4
    assert whole.remark is None


@pytest.mark.parametrize("error", [MemoryError(), ValueError("no")], ids=repr)
def test_an_error_that_smaller_tiles_do_not_help_is_passed_on(pipeline, photo, error):
    calls = []

    def failing(name, inputs):
        calls.append(name)
        raise error

    broken = copy.copy(pipeline)
    broken.networks = replace(pipeline.networks, run=failing)
    with pytest.raises(type(error)):
        broken.restore(photo, memory="30GB")
    assert len(calls) == (2 if isinstance(error, MemoryError) else 1)  # whole, and in the smallest tiles
