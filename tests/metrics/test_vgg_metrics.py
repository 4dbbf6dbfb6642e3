"""LPIPS with VGG16 and DISTS with made weights, against plain numpy computations in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import save_file

from made_weights import made_image, made_state
from resharp.errors import ModelError
from resharp.metrics.dists import load_dists
from resharp.metrics.lpips import LPIPS, load_lpips, torchmetrics_file
from resharp.metrics.trunks import VGG

# Of each convolution of torchvision's vgg16, and after which the metrics look.
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    convs = VGG.build()
    shapes = {}
    for conv, index in zip(convs, VGG.index, strict=True):
        shapes |= {f"features.{index}.weight": conv.weight, f"features.{index}.bias": conv.bias}
    return made_state(shapes)


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(state, path)
    return path


def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    return sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def padded(x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (1, 1), (1, 1)))


def plain_stages(state: dict, x: np.ndarray, pool) -> list[np.ndarray]:
    outputs = []
    for stage, indices in enumerate(STAGES):
        x = pool(x) if stage else x
        for index in indices:
            weight, bias = (state[f"features.{index}.{part}"].double().numpy() for part in ("weight", "bias"))
            x = np.tensordot(weight, windows(padded(x), 3, 1), axes=((1, 2, 3), (0, 3, 4))) + bias[:, None, None]
            x = np.maximum(x, 0)
        outputs.append(x)
    return outputs


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return made_image(21, 34, seed=1, batch=2), made_image(21, 34, seed=2, batch=2)


def normalised(image: torch.Tensor, mean: list[float], std: list[float]) -> np.ndarray:
    return (image.double().numpy() - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]


def test_lpips_with_vgg_agrees_with_a_plain_computation(state, weights):
    restored, sharp = pair()
    ours = load_lpips(weights, "vgg")(restored, sharp)
    heads = torch.load(torchmetrics_file("lpips_models", "vgg.pth"), map_location="cpu", weights_only=True)
    for image in range(2):
        stages = []
        for each in (restored, sharp):
            x = normalised(each[image] * 2 - 1, [-0.030, -0.088, -0.188], [0.458, 0.448, 0.450])
            stages.append(plain_stages(state, x, lambda x: windows(x, 2, 2).max(axis=(3, 4))))
        expected = 0.0
        for layer, (a, b) in enumerate(zip(*stages, strict=True)):
            a, b = (x / (np.linalg.norm(x, axis=0) + 1e-10) for x in (a, b))
            head = heads[f"lin{layer}.model.1.weight"].double().numpy().reshape(-1, 1, 1)
            expected += float((head * (a - b) ** 2).sum(axis=0).mean())
        assert expected > 1e-3
        assert ours[image].item() == pytest.approx(expected, rel=1e-4)


def l2_pool(x: np.ndarray) -> np.ndarray:
    window = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    return np.sqrt((windows(padded(x) ** 2, 3, 2) * window).sum(axis=(3, 4)) + 1e-12)


def test_dists_agrees_with_a_plain_computation(state, weights):
    restored, sharp = pair()
    ours = load_dists(weights)(restored, sharp)
    layers = torch.load(torchmetrics_file("dists_models", "weights.pt"), weights_only=True)
    alphas, betas = (layers[name].double().numpy().reshape(-1) for name in ("alpha", "beta"))
    total = alphas.sum() + betas.sum()
    bounds = np.cumsum([3, 64, 128, 256, 512])
    for image in range(2):
        stages = []
        for each in (restored, sharp):
            x = normalised(each[image], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            stages.append([each[image].double().numpy(), *plain_stages(state, x, l2_pool)])
        similarity = 0.0
        for alpha, beta, a, b in zip(np.split(alphas, bounds), np.split(betas, bounds), *stages, strict=True):
            a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
            mean_a, mean_b = a.mean(axis=1), b.mean(axis=1)
            covariance = (a * b).mean(axis=1) - mean_a * mean_b
            similarity += (alpha * (2 * mean_a * mean_b + 1e-6) / (mean_a**2 + mean_b**2 + 1e-6)).sum()
            similarity += (beta * (2 * covariance + 1e-6) / (a.var(axis=1) + b.var(axis=1) + 1e-6)).sum()
        expected = 1 - similarity / total
        assert expected > 1e-3
        assert ours[image].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("load", [load_dists, lambda path: load_lpips(path, "vgg")], ids=["dists", "lpips"])
def test_equal_images_are_at_distance_zero_and_small_ones_refused(load, weights):
    model = load(weights)
    restored, sharp = pair()
    assert model(sharp, sharp).abs().max() < 1e-6
    assert torch.isfinite(model(restored[..., :16, :16], sharp[..., :16, :16])).all()
    with pytest.raises(ValueError, match="at least 16 px"):
        model(restored[..., :15], sharp[..., :15])
    with pytest.raises(ValueError, match="one shape"):
        model(restored, sharp[..., 1:])


def test_weights_of_the_other_trunk_are_refused(weights, tmp_path):
    with pytest.raises(ModelError, match=r"features\.0\.weight is \(64, 3, 3, 3\).*\(64, 3, 11, 11\)"):
        load_lpips(weights)
    with pytest.raises(ModelError, match=r"none\.pth: no VGG16 weights for DISTS here; fetch https://.*vgg16"):
        load_dists(tmp_path / "none.pth")
    with pytest.raises(ModelError, match=r"no VGG16 weights for LPIPS"):
        load_lpips(tmp_path / "none.pth", "vgg")


def test_alexnet_is_the_default():
    assert LPIPS().trunk.backbone.title == "AlexNet"
