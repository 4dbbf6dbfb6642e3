"""Tone curves, highlights and sensor noise against their formulae."""

from __future__ import annotations

import pytest
import torch

from resharp.data.sensor import ToneCurve, boost_highlights, noise_variances, sensor_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("is_srgb", [False, True])
def test_tone_curves_invert_and_keep_the_ends(is_srgb):
    curve, values = ToneCurve(torch.tensor([is_srgb])), torch.linspace(0, 1, 300).view(1, 3, 10, 10)
    light = curve.to_linear(values)
    torch.testing.assert_close(curve.to_encoded(light), values, atol=1e-5, rtol=0)
    assert light[0, 0, 0, 0] == 0
    assert light[0, 2, 9, 9] == pytest.approx(1, abs=1e-6)
    middle = curve.to_linear(torch.full((1, 3, 1, 1), 0.5))[0, 0, 0, 0].item()
    assert middle == pytest.approx(0.21404 if is_srgb else 0.5**2.2, abs=1e-4)


def test_highlights_get_brighter_than_white():
    encoded = torch.tensor([0.5, 0.95, 1.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    light = boost_highlights(encoded**2.2, encoded, torch.tensor([4.0]), threshold=0.9)[0, 0, 0]
    torch.testing.assert_close(light, torch.tensor([0.5**2.2, 0.95**2.2 * 2, 5.0]))


def test_noise_has_the_variance_and_correlation_asked_for():
    level = torch.tensor([0.05, 0.18, 0.6])
    light = level.view(3, 1, 1, 1).expand(3, 3, 200, 200)
    sigma, share = torch.full((3,), 0.02), torch.full((3,), 0.25)
    shot, read = noise_variances(sigma, share)
    noise = sensor_noise(light, shot, read, torch.full((3,), 0.4), seeded()) - light
    torch.testing.assert_close(noise.var(dim=(1, 2, 3)), shot * level + read, rtol=0.03, atol=0)
    torch.testing.assert_close(read / (shot * 0.18 + read), share)
    colours = torch.corrcoef(noise[0].flatten(1))
    assert colours[0, 1].item() == pytest.approx(0.4, abs=0.02)
