"""NIQE against a plain computation of its equations with scipy, and its parts against known distributions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import torch

from made_weights import made, made_image
from resharp.errors import ModelError
from resharp.metrics.full_reference import luma
from resharp.metrics.niqe import Niqe, block_features, fit_aggd, half_size, load_niqe

WINDOW_1D = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)
WINDOW = np.outer(WINDOW_1D, WINDOW_1D) / WINDOW_1D.sum() ** 2


def parameters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A mean and a covariance that are nobody's, with a spectrum from 1 to 1/36."""
    turn = np.linalg.qr(made((36, 36), 1).double().numpy())[0]
    return made((1, 36), 2).double().numpy(), turn @ np.diag(1 / np.arange(1, 37)) @ turn.T, WINDOW


@pytest.fixture(scope="module")
def niqe() -> Niqe:
    return Niqe(*parameters())


def resize_matrix(length: int) -> np.ndarray:
    """imresize by 0.5 as a dense matrix, from the definition of the cubic and mirrored places."""

    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    matrix = np.zeros((length // 2, length))
    for row in range(length // 2):
        centre = 2 * row + 0.5
        for place in range(math.floor(centre) - 5, math.floor(centre) + 7):
            inside = -1 - place if place < 0 else 2 * length - 1 - place if place >= length else place
            matrix[row, inside] += cubic((centre - place) / 2)
    return matrix / matrix.sum(axis=1, keepdims=True)


def plain_fit(x: np.ndarray) -> tuple[float, float, float]:
    shapes = np.arange(0.2, 10.001, 0.001)
    gamma = scipy.special.gamma
    moments = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    left, right = np.sqrt((x[x < 0] ** 2).mean()), np.sqrt((x[x > 0] ** 2).mean())
    ratio = left / right
    wanted = np.abs(x).mean() ** 2 / (x**2).mean() * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = shapes[np.abs(moments - wanted).argmin()]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


def plain_niqe(y: np.ndarray) -> float:
    """Equations 1 to 10 of the paper for whole luma values (H, W), block after block."""
    gamma = scipy.special.gamma
    rows, columns = y.shape[0] // 96, y.shape[1] // 96
    y = y[: rows * 96, : columns * 96]
    scales = []
    for side in (96, 48):
        mu = scipy.ndimage.correlate(y, WINDOW, mode="nearest")
        sigma = np.sqrt(np.abs(scipy.ndimage.correlate(y**2, WINDOW, mode="nearest") - mu**2))
        normal = (y - mu) / (sigma + 1)
        rows_of_features = []
        for row in range(rows):
            for column in range(columns):
                block = normal[row * side : (row + 1) * side, column * side : (column + 1) * side]
                shape, left, right = plain_fit(block)
                features = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = plain_fit(block * np.roll(block, shift, axis=(0, 1)))
                    features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
                rows_of_features.append(features)
        scales.append(np.array(rows_of_features))
        y = resize_matrix(y.shape[0]) @ y @ resize_matrix(y.shape[1]).T
    features = np.concatenate(scales, axis=1)
    mean, covariance, _ = parameters()
    difference = mean[0] - features.mean(axis=0)
    return math.sqrt(difference @ np.linalg.pinv((covariance + np.cov(features.T)) / 2) @ difference)


def test_agrees_with_a_plain_computation(niqe):
    for seed, (height, width) in enumerate(((192, 288), (250, 200))):
        image = made_image(height, width, seed)
        y = np.round(luma(image.double())[0, 0].numpy() * 255)
        assert niqe(image) == pytest.approx(plain_niqe(y), rel=1e-6)


def test_incomplete_blocks_do_not_count(niqe):
    image = made_image(280, 290)
    assert niqe(image) == niqe(image[..., :192, :288])
    assert niqe(image) != niqe(image[..., 8:200, :288])


@pytest.mark.parametrize(("shape", "left", "right"), [(0.6, 1.0, 1.0), (1.0, 0.5, 2.0), (2.0, 1.5, 0.7)])
def test_the_fit_finds_the_distribution_that_samples_come_from(shape, left, right):
    """|x|^shape of each side is a gamma variable, and a side's share is its width's."""
    rng = np.random.default_rng(0)
    sides = np.where(rng.random(400_000) < left / (left + right), -left, right)
    x = torch.from_numpy(sides * rng.gamma(1 / shape, size=sides.size) ** (1 / shape))[None]
    found = [float(value) for value in fit_aggd(x)]
    assert found == pytest.approx([shape, left, right], rel=0.02)


def test_the_fit_agrees_with_a_search_over_the_whole_grid():
    x = made((6, 500), 3).double() * torch.tensor([1.0, 0.1, 5.0, 1.0, 1.0, 1.0])[:, None].double()
    x[3:] = x[3:].sign() * x[3:].abs() ** torch.tensor([2.0, 4.0, 0.2]).double()[:, None]
    found = torch.stack(fit_aggd(x), dim=1).numpy()
    np.testing.assert_allclose(found, [plain_fit(row) for row in x.numpy()], rtol=1e-10)


def test_half_size_is_the_matrix_of_its_definition():
    y = made((24, 40), 4).double()
    expected = resize_matrix(24) @ y.numpy() @ resize_matrix(40).T
    np.testing.assert_allclose(half_size(y).numpy(), expected, rtol=0, atol=1e-12)


def test_a_flat_block_leaves_the_others_be(niqe):
    """Its widths are undefined; like the release, it counts with the shape of 0.2 for the means alone."""
    image = made_image(192, 288)
    image[..., :108, :108] = 0.5  # wider than the block, whose edge sees its neighbours
    features = niqe.features(image).numpy()
    assert np.isnan(features[0]).any()
    assert not np.isnan(features[-1]).any()
    assert features[0, 0] == pytest.approx(0.2) or not np.isnan(features[0, 1])
    assert math.isfinite(niqe(image))


def test_a_block_without_negative_values_has_no_widths():
    alpha, left, _ = fit_aggd(torch.ones(1, 10, dtype=torch.float64))
    assert float(alpha) == pytest.approx(0.2)
    assert math.isnan(float(left))
    assert block_features(torch.zeros(48, 48, dtype=torch.float64), 48).isnan().any()


def test_images_without_texture_or_size_are_refused(niqe):
    with pytest.raises(ValueError, match="flat"):
        niqe(torch.full((1, 3, 192, 192), 0.5))
    with pytest.raises(ValueError, match="at least 192 px a side, got 300x191"):
        niqe(torch.zeros(1, 3, 191, 300))
    with pytest.raises(ValueError, match="one RGB image"):
        niqe(torch.zeros(2, 3, 192, 192))


def test_parameters_are_read_from_a_file(tmp_path: Path, niqe):
    mean, covariance, window = parameters()
    path = tmp_path / "niqe_pris_params.npz"
    np.savez(path, mu_pris_param=mean, cov_pris_param=covariance, gaussian_window=window)
    assert load_niqe(path)(made_image(192, 192)) == niqe(made_image(192, 192))
    np.savez(path, mu_pris_param=mean[:, :5], cov_pris_param=covariance, gaussian_window=window)
    for bad in (path, tmp_path / "none.npz"):
        with pytest.raises(ModelError, match=r"npz: not the NIQE parameters.*metrics_weights\.py"):
            load_niqe(bad)
    path.write_text("nothing")
    with pytest.raises(ModelError, match="damaged file"):
        load_niqe(path)
