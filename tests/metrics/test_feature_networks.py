"""The networks behind Frechet distances: figures that other implementations gave for the same made weights.

torch-fidelity 0.4.0 and efficientnet-lite-pytorch 0.1.0 computed them once, from `made_state` and `made_image`; they
need torchvision, so they are no dependency. `tools/metrics_crosscheck.py` repeats the comparison beside them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from made_weights import made_image, made_state
from resharp.errors import ModelError
from resharp.metrics.efficientnet import EfficientNetLite0, load_efficientnet
from resharp.metrics.inception import Inception, enlarge, load_inception

INCEPTION_PLACES = [0, 500, 1000, 1500, 2047]
INCEPTION_FIGURES = [[3.50321, 0.102652, 5.029504, 1.974397, 0.0], [3.510803, 0.097906, 5.026586, 1.938507, 0.0]]
LITE_PLACES = [0, 300, 600, 900, 1279]
LITE_FIGURES = [[0.666667, 0.18163, 0.0, 0.0, 0.0], [0.962875, 0.137767, 0.0, 0.24191, 0.0]]


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory) -> Path:
    """As published: with a classifier, and without the counters of later versions of torch."""
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(made_state(Inception().state_dict()) | {"fc.weight": torch.zeros(1008, 2048)}, path)
    return path


def test_inception_features_are_those_of_torch_fidelity(inception_file):
    features = load_inception(inception_file)(made_image(96, 80, batch=2))
    assert features.shape == (2, 2048)
    torch.testing.assert_close(features[:, INCEPTION_PLACES], torch.tensor(INCEPTION_FIGURES), rtol=1e-4, atol=1e-4)
    assert float(features.mean()) == pytest.approx(1.548797, rel=1e-4)
    assert float(features.std()) == pytest.approx(2.080476, rel=1e-4)


def test_efficientnet_features_are_those_of_another_implementation(tmp_path):
    path = tmp_path / "lite.pth"
    model = EfficientNetLite0()
    torch.save(model.state_dict() | made_state(model.state_dict()), path)
    features = load_efficientnet(path)(made_image(96, 80, batch=2))
    assert features.shape == (2, 1280)
    torch.testing.assert_close(features[:, LITE_PLACES], torch.tensor(LITE_FIGURES), rtol=1e-4, atol=1e-4)
    assert float(features.mean()) == pytest.approx(1.666766, rel=1e-4)
    assert float(features.std()) == pytest.approx(1.653774, rel=1e-4)


def test_images_are_rounded_to_8_bits_and_stand_alone(inception_file):
    model = load_inception(inception_file)
    image = made_image(64, 64, batch=2)
    torch.testing.assert_close(model(image + 0.3 / 255), model(image), rtol=0, atol=0)
    torch.testing.assert_close(model(image)[1:], model(image[1:]), rtol=1e-4, atol=1e-4)


def test_enlarging_starts_at_the_corner_and_repeats_the_edge():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    expected = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]  # at i / 2, where torch's own would give -0.25, 0.25, 0.75 ...
    torch.testing.assert_close(enlarge(ramp, 8)[0, 0, 0], torch.tensor(expected))
    torch.testing.assert_close(enlarge(ramp.transpose(2, 3), 8)[0, 0, :, 0], torch.tensor(expected))
    assert torch.equal(enlarge(ramp, 4), ramp)


def test_the_last_block_takes_a_maximum_and_the_one_before_an_average():
    """A bright spot in an otherwise dark map, as the pooling branch alone sees it."""
    model = Inception()
    spot = torch.zeros(1, 2048, 8, 8)
    spot[..., 0, 0] = 9.0
    for block, pooled in ((model.Mixed_7c, 9.0), (model.Mixed_7b, 9.0 / 4)):
        conv = block.branch_pool
        torch.nn.init.zeros_(conv.conv.weight)
        conv.conv.weight[0, 0] = 1.0
        value = block(spot[:, : conv.conv.in_channels])[0, -192, 0, 0]
        # Four of nine places lie inside the map; those outside count neither way.
        assert float(value) == pytest.approx(pooled / (1 + 0.001) ** 0.5, rel=1e-5)


@pytest.mark.parametrize(("load", "model"), [(load_inception, Inception), (load_efficientnet, EfficientNetLite0)])
def test_other_files_are_refused(load, model, tmp_path):
    path = tmp_path / "weights.pth"
    state = model().state_dict()
    name = next(key for key in state if key.endswith("weight"))
    torch.save({key: value for key, value in state.items() if key != name}, path)
    with pytest.raises(ModelError, match="is missing or has another shape"):
        load(path)
    path.write_text("not weights")
    with pytest.raises(ModelError, match=r"weights\.pth: not a weights file"):
        load(path)
