"""Measurements of restoring: the photo they use, what they count, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from resharp.analysis.cost_count import Size, counted, for_image
from resharp.assessment import assess_input
from resharp.bench.launch import launched
from resharp.bench.restoring import made_photo, opened, pipeline_for
from resharp.bench.restoring_spec import RestoringSpec
from resharp.bench.training import flops_of
from resharp.errors import ConfigError, ResharpError
from resharp.models.sizes import SIZES

MODULE = "resharp.bench.restoring"


def test_the_photo_is_not_passed_through_as_sharp():
    photo = torch.from_numpy(made_photo(300, 200)).permute(2, 0, 1)[None]
    assert photo.shape == (1, 3, 200, 300)
    assert assess_input(photo).motion_blur == "some"


def test_a_measurement():
    way = {"output": "diffusion", "steps": 2}
    spec = RestoringSpec("msgd-fast", width=250, height=130, repeats=1, images=1, **way)
    row = launched(spec, MODULE)
    count = counted(SIZES["msgd-fast"], Size(250, 130))
    pipeline = pipeline_for(spec)
    y = torch.zeros(1, 3, 256, 256)[..., : 130 + -130 % pipeline.model.size_multiple, :]
    with torch.no_grad():
        h = pipeline.model.guide(y)
        # Made in the first of the two steps, and not again.
        spared = flops_of(lambda: pipeline.model.prepare(y, h, y)) / 2
    # The embedding of the noise level is computed once a step, whatever the size.
    expected = for_image(count.macs, pipeline.choose(**way)) - spared
    assert row["multiply_adds"] == pytest.approx(expected, rel=1e-4)
    assert spared > 1e-3 * expected
    assert row["seconds"] > row["restore_s"] > 0
    assert row["share_of_matrix_rate"] == pytest.approx(
        2 * row["multiply_adds"] / row["seconds"] / row["matrix_rate_flops"]
    )
    assert 0 < row["share_of_matrix_rate"] < 1
    assert 0 < row["processor_share"] <= 1
    assert row["peak_memory_bytes"] > 10**8
    assert row["tile"] is None


def test_exported_graphs_do_the_same_work():
    pytest.importorskip("onnxruntime")
    torch_row, row = (
        launched(RestoringSpec(width=96, height=64, repeats=1, backend=name), MODULE) for name in ("torch", "onnx")
    )
    assert row["backend"] == "onnx"
    assert row["multiply_adds"] == torch_row["multiply_adds"]
    assert row["seconds"] > row["restore_s"] > 0
    spec = RestoringSpec(backend="onnx")
    assert opened(spec, pipeline_for(spec)).backend == "onnx"


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ConfigError, match="unknown model size"):
        RestoringSpec("huge")
    with pytest.raises(ConfigError, match="icdpm-s has no initial predictor"):
        RestoringSpec("icdpm-s")
    with pytest.raises(ConfigError, match="unknown sampler"):
        RestoringSpec(output="diffusion", sampler="euler")
    with pytest.raises(ConfigError, match="width is 0"):
        RestoringSpec(width=0)
    with pytest.raises(ConfigError, match="measure msgd-s on cpu with torch"):
        RestoringSpec("msgd-s", backend="onnx")
    with pytest.raises(ConfigError, match="allowed: torch, onnx, openvino"):
        RestoringSpec(backend="tensorflow")
    with pytest.raises(ResharpError, match="the predictor needs about"):
        launched(RestoringSpec(width=64, height=64, memory="1MB"), MODULE)
