"""LPIPS with a random trunk, against a plain numpy computation; its agreement with the `lpips` package, which
needs the real weights, is stated in the module's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import save_file

import resharp.metrics.lpips as module
from resharp.errors import ModelError
from resharp.metrics.lpips import LPIPS, load_lpips

SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def random_trunk() -> dict[str, torch.Tensor]:
    """Weights by torchvision's names, scaled so that activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for index, shape in SHAPES.items():
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"features.{index}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        state[f"features.{index}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    return state


@pytest.fixture(scope="module")
def trunk() -> dict[str, torch.Tensor]:
    return random_trunk()


@pytest.fixture(scope="module")
def weights(trunk, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "alexnet.safetensors"
    save_file(trunk, path)
    return path


@pytest.fixture(scope="module")
def lpips(weights: Path) -> LPIPS:
    return load_lpips(weights)


def images(height: int = 37, width: int = 52) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sharp = torch.rand(2, 3, height, width, generator=generator)
    return (sharp + 0.2 * torch.randn(sharp.shape, generator=generator)).clamp(0, 1), sharp


def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
    """(C, H, W) -> (C, H', W', size, size)."""
    return sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def plain_distance(trunk: dict, heads: dict, a: np.ndarray, b: np.ndarray) -> float:
    """LPIPS of two (3, H, W) float64 images in [0, 1], by the paper's formula."""
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    both = [((2 * x - 1) - shift[:, None, None]) / scale[:, None, None] for x in (a, b)]
    total = 0.0
    for layer, (index, shape) in enumerate(SHAPES.items()):
        weight = trunk[f"features.{index}.weight"].double().numpy()
        bias = trunk[f"features.{index}.bias"].double().numpy()
        stride, pad = (4, 2) if index == 0 else (1, shape[2] // 2)
        for i in (0, 1):
            x = both[i]
            if index in (3, 6):
                x = windows(x, 3, 2).max(axis=(3, 4))
            patches = windows(np.pad(x, ((0, 0), (pad, pad), (pad, pad))), shape[2], stride)
            x = np.tensordot(weight, patches, axes=((1, 2, 3), (0, 3, 4))) + bias[:, None, None]
            both[i] = np.maximum(x, 0)
        first, second = (x / (np.linalg.norm(x, axis=0) + 1e-10) for x in both)
        head = heads[f"lin{layer}.model.1.weight"].double().numpy().reshape(-1, 1, 1)
        total += float((head * (first - second) ** 2).sum(axis=0).mean())
    return total


def test_agrees_with_a_plain_computation(lpips, trunk):
    restored, sharp = images()
    heads = torch.load(module.torchmetrics_file("lpips_models", "alex.pth"), weights_only=True, map_location="cpu")
    ours = lpips(restored, sharp)
    assert ours.shape == (2,)
    for image in range(2):
        expected = plain_distance(trunk, heads, restored[image].double().numpy(), sharp[image].double().numpy())
        assert expected > 0.01
        assert ours[image].item() == pytest.approx(expected, rel=1e-4)


def test_equal_images_are_at_distance_zero_and_order_does_not_matter(lpips):
    restored, sharp = images()
    assert lpips(sharp, sharp).tolist() == [0, 0]
    torch.testing.assert_close(lpips(restored, sharp), lpips(sharp, restored))


def test_more_noise_is_farther(lpips):
    _, sharp = images()
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(2))
    near, far = (lpips((sharp + sigma * noise).clamp(0, 1), sharp) for sigma in (0.02, 0.3))
    assert (near < far).all()


def test_a_published_checkpoint_with_its_classifier_is_read_too(lpips, trunk, tmp_path):
    path = tmp_path / "alexnet.pth"
    torch.save(trunk | {"classifier.1.weight": torch.zeros(2, 2)}, path)
    restored, sharp = images()
    assert torch.equal(load_lpips(path)(restored, sharp), lpips(restored, sharp))


def test_nothing_is_trained_through_it(lpips):
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_the_smallest_image_works_and_smaller_ones_are_refused(lpips):
    assert torch.isfinite(lpips(*images(31, 31))).all()
    with pytest.raises(ValueError, match="at least 31 px"):
        lpips(*images(30, 40))
    with pytest.raises(ValueError, match="one shape"):
        lpips(images(40, 40)[0], images(40, 41)[0])


def test_a_missing_file_names_what_to_fetch(tmp_path):
    with pytest.raises(ModelError, match=r"none\.pth: no AlexNet weights.*fetch https://.*alexnet-owt"):
        load_lpips(tmp_path / "none.pth")


def bad_files(folder: Path) -> dict[str, Path]:
    trunk = random_trunk()
    cut = trunk | {"features.6.weight": torch.zeros(384, 192, 5, 5)}
    lacking = {key: value for key, value in trunk.items() if key != "features.10.bias"}
    files = {name: folder / name for name in ("text.pth", "text.safetensors", "empty.pth", "half.safetensors")}
    files["text.pth"].write_text("not weights")
    files["text.safetensors"].write_text("not weights")
    files["empty.pth"].touch()
    save_file(trunk, folder / "whole.safetensors")
    whole = (folder / "whole.safetensors").read_bytes()
    files["half.safetensors"].write_bytes(whole[: len(whole) // 2])
    for name, content in {
        "cut.pth": cut,
        "lacking.pth": lacking,
        "list.pth": [1, 2],
        "model.pth": LPIPS(),
        "numbers.pth": trunk | {"features.0.bias": 3},
    }.items():
        files[name] = folder / name
        torch.save(content, files[name])
    return files


def test_files_that_are_not_alexnet_are_refused_in_one_line(tmp_path):
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(ModelError) as caught:
            load_lpips(path)
        message = str(caught.value)
        assert message.startswith(str(path)), name
        assert "fetch https://" in message, name
        assert "\n" not in message, name


def test_a_wrong_shape_is_named(tmp_path):
    path = bad_files(tmp_path)["cut.pth"]
    with pytest.raises(ModelError, match=r"features\.6\.weight is \(384, 192, 5, 5\).*needs \(384, 192, 3, 3\)"):
        load_lpips(path)
