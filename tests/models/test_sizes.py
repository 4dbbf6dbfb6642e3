"""The named sizes against the published parameter counts and costs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from resharp.errors import ConfigError
from resharp.models.icdpm import ICDPM
from resharp.models.sizes import SIZES, size


def on_meta(name: str) -> ICDPM:
    with torch.device("meta"):
        return ICDPM(size(name))


@pytest.mark.parametrize(("name", "millions"), [("icdpm-s", 6.73), ("icdpm-l", 26.91)])
def test_parameter_counts_are_the_published_ones(name, millions):
    assert on_meta(name).parameter_count() == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize(("name", "giga_mac"), [("icdpm-s", 39), ("icdpm-l", 156)])
def test_cost_per_step_is_the_published_one(name, giga_mac):
    model = on_meta(name)
    image, alpha_bar = torch.empty(1, 3, 256, 256, device="meta"), torch.empty(1, device="meta")
    with FlopCounterMode(display=False) as counter:
        model(image, image, alpha_bar, {})
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga_mac, rel=0.01)


def test_guide_l_has_about_25_million_parameters_and_64_features():
    guidance = on_meta("msgd-l").guidance
    assert guidance is not None
    assert sum(p.numel() for p in guidance.parameters()) == pytest.approx(25e6, rel=0.1)
    assert guidance.config.features == 64


def test_fast_size_fits_a_laptop():
    model = on_meta("msgd-fast")
    assert 1.8e6 <= model.parameter_count() <= 7.1e6
    # The stem must not squeeze the noise: p^2 * 3 channels of it arrive.
    assert model.denoiser.stem.out_channels >= 3 * model.config.patch_size**2


def test_wide_size_fits_a_file_of_16_mib_in_half_precision():
    model = on_meta("msgd-wide")
    assert model.parameter_count() == pytest.approx(7.0e6, rel=0.01)
    assert 2 * model.parameter_count() < 16 * 2**20 - 2**20
    assert model.denoiser.stem.out_channels >= 3 * model.config.patch_size**2


def test_there_is_no_attention_and_no_normalisation():
    for name in SIZES:
        kinds = {type(module).__name__ for module in on_meta(name).modules()}
        assert not any("Norm" in kind or "Attention" in kind for kind in kinds)


def test_unknown_size_names_the_known_ones():
    with pytest.raises(ConfigError, match="msgd-fast"):
        size("msgd-xl")
