"""Counted costs against closed forms, a second counter, the pipeline itself, and figures from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resharp.analysis.cost import count_rows, named_size, saved_model
from resharp.analysis.cost_count import LiveBytes, Size, calls, counted, for_image, works
from resharp.analysis.cost_reference import REFERENCES, Reference, compared
from resharp.diffusion.presets import Defaults, Preset
from resharp.diffusion.schedule import NoiseSchedule
from resharp.errors import ConfigError, ModelError
from resharp.models.config import GuidanceConfig, ModelConfig, UNetConfig
from resharp.models.icdpm import ICDPM
from resharp.models.sizes import SIZES
from resharp.pipeline import DeblurPipeline
from tiny import TINY, awake


def hooked(module: nn.Module, work) -> int:
    """A counter that shares nothing with torch's: the shapes that arrive at convolutions and dense layers."""
    total = 0

    def on_layer(layer: nn.Module, arrived: tuple[torch.Tensor], left: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += left.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, nn.Linear):
            total += left.numel() * layer.in_features

    hooks = [each.register_forward_hook(on_layer) for each in module.modules()]
    work()
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("name", SIZES)
def test_a_second_counter_finds_the_same(name):
    size = Size(128, 64)
    with torch.device("meta"):
        model = ICDPM(SIZES[name])
    count = counted(SIZES[name], size)
    found = works(model, torch.empty(1, 3, size.height, size.width, device="meta"))
    assert list(found) == list(count.macs)
    for part, work in found.items():
        assert hooked(model, work) == count.macs[part]
    assert sum(count.parameters.values()) == model.parameter_count()


def test_the_guidance_is_its_closed_form():
    """H on one channel: a stem, `blocks` ResBlocks of two convolutions, the last one narrower and with a 1x1 skip."""
    blocks, width, features, side = 3, 8, 4, 64
    config = ModelConfig(guidance=GuidanceConfig(width=width, blocks=blocks, features=features), denoiser=UNetConfig())
    pixels = sum((side // 2**k) ** 2 for k in (1, 2, 3))
    last = 9 * width * features + 9 * features**2 + width * features
    each_pixel = 9 * width + (blocks - 1) * 2 * 9 * width**2 + last
    assert counted(config, Size(side, side)).macs["guidance"] == pixels * each_pixel


def test_a_network_of_one_level_is_its_closed_form():
    c, side = 4, 16
    unet = UNetConfig(widths=(c,), encoder_blocks=1, decoder_blocks=2, middle_blocks=1)
    config = ModelConfig(guidance=None, denoiser=unet)
    plain, skipped = 2 * 9 * c * c, 9 * 2 * c * c + 9 * c * c + 2 * c * c
    each_pixel = 6 * c + 2 * plain + 2 * skipped + 9 * c * 3
    # The perceptron of the noise level, and its shift in each of the four blocks.
    once = 2 * c * c + 4 * c * c
    count = counted(config, Size(side, side))
    assert count.macs == {"step": side * side * each_pixel + once}
    biases = c + (2 + 2) * 2 * c + 2 * c + 3 + 2 * c + 4 * c
    assert count.parameters == {"step": each_pixel + once + biases}


def test_sides_are_padded_as_restoration_pads_them():
    assert counted(TINY, Size(15, 33)).macs == counted(TINY, Size(16, 36)).macs
    assert counted(TINY, Size(16, 40)).macs != counted(TINY, Size(16, 36)).macs


WAYS = [
    Preset(output="input"),
    Preset(output="predictor"),
    Preset(output="predictor", ensemble=4),
    Preset(steps=3, samples=2),
    Preset(steps=2, fidelity=0.5, ensemble=2),
    Preset(steps=2, fidelity=0.5),
]


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_a_picture_takes_what_the_pipeline_takes(settings):
    """The sum over parts against torch's counter on a whole restoration, which projects h once for all steps."""
    pipeline = DeblurPipeline(awake(ICDPM(TINY)), NoiseSchedule(), Defaults())
    # Square, so that a quarter turn is as large.
    blurry = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    asked = {"output": settings.output, "ensemble": settings.ensemble if settings.ensemble > 1 else None}
    if settings.output == "diffusion":
        asked |= {"steps": settings.steps, "samples": settings.samples, "fidelity": settings.fidelity}
    with FlopCounterMode(display=False) as counter:
        pipeline.restore(blurry, **asked)
    y = torch.zeros(1, 3, 16, 16)
    h = pipeline.model.guide(y)
    with FlopCounterMode(display=False) as once:
        pipeline.model.prepare(y, h, y)
    assert once.get_total_flops() > 0
    spared = once.get_total_flops() * (settings.steps - 1) * settings.samples if settings.output == "diffusion" else 0
    assert 2 * for_image(counted(TINY, Size(16, 16)).macs, settings) == counter.get_total_flops() + spared


def test_calls_without_a_predictor():
    assert calls(Preset(steps=5, samples=3), has_predictor=False) == {"guidance": 1, "predictor": 1, "step": 15}
    (row,) = count_rows([named_size("icdpm-s", steps=4)], [Size(32, 32)])
    assert row.image_macs == 4 * row.count.macs["step"]


def test_live_bytes_follow_tensors_to_their_end():
    early = torch.zeros(100)
    with LiveBytes() as live:
        a = early + 1
        assert live.live == 800
        b = a.view(10, 10)
        del a
        assert live.live == 800  # the view keeps it
        c = b * 2
        assert live.live == live.peak == 1200
        del b, c
    assert (live.live, live.peak) == (400, 1200)


def test_tensor_bytes_grow_with_the_picture_and_not_with_the_weights():
    small, large = counted(SIZES["msgd-s"], Size(256, 256)), counted(SIZES["msgd-s"], Size(512, 512))
    for part, held in small.tensor_bytes.items():
        assert large.tensor_bytes[part] == pytest.approx(4 * held, rel=0.01)
    # The finest decoder block holds at least its two inputs, their concatenation and the result of swish on it.
    assert small.tensor_bytes["step"] > 4 * 256 * 256 * (32 + 32 + 64 + 64)


def test_ours_agree_with_the_references():
    rows = count_rows(
        [named_size(name) for name in ("icdpm-s", "icdpm-l", "msgd-l")], [Size(256, 256), Size(1280, 720)]
    )
    found = compared({(row.subject.name, row.size): row.count for row in rows})
    assert [each.reference for each in found] == list(REFERENCES)
    for each in found:
        assert abs(each.share) < (0.07 if each.reference.approximate else 0.005), each
    # Nothing is compared that was not counted.
    assert {each.reference.name for each in compared({("icdpm-s", Size(8, 8)): rows[0].count})} == {"icdpm-s"}
    (other,) = compared(
        {("icdpm-s", Size(256, 256)): rows[0].count}, [Reference("icdpm-s", "step", Size(256, 256), 2e9, "")]
    )
    assert other.share == pytest.approx(rows[0].count.macs["step"] / 2e9 - 1)


def test_subjects_are_sizes_and_models(tmp_path):
    from resharp.serialization import save_model

    assert named_size("msgd-s").settings == Preset()
    assert named_size("msgd-s", steps=8).settings.steps == 8
    save_model(tmp_path / "m", awake(ICDPM(TINY)), NoiseSchedule(), Defaults(output="predictor", ensemble=2))
    assert saved_model("m", tmp_path / "m").settings == Preset(output="predictor", ensemble=2)
    # Steps ask for the diffusion, as they do in `resharp deblur`.
    assert saved_model("m", tmp_path / "m", steps=3).settings == Preset(output="diffusion", steps=3)
    regression = replace(TINY, denoiser=None)
    save_model(tmp_path / "r", awake(ICDPM(regression)), NoiseSchedule(), Defaults(output="predictor"))
    assert saved_model("r", tmp_path / "r", steps=3).settings.output == "predictor"
    with pytest.raises(ConfigError, match="msgd-xl.*msgd-wide"):
        named_size("msgd-xl")
    with pytest.raises(ModelError, match="config.json: no such file"):
        saved_model("x", tmp_path)
    with pytest.raises(ConfigError, match="steps is 0"):
        named_size("msgd-s", steps=0)
    with pytest.raises(ConfigError, match="sides from 1"):
        Size(0, 10)
