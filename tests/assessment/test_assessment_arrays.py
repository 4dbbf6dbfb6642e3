"""The checks' numpy operations against torch's, and the checks without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resharp.assessment import assess_input
from resharp.assessment.arrays import cell_means, enlarged, window_maxima, window_means
from resharp.assessment.kernel_fit import blur

SIZES = [(1, 1), (3, 8), (4, 4), (7, 13), (61, 50), (96, 128)]


def picture(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    return np.random.default_rng(size[0]).random((1, channels, *size), dtype=np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_cells_windows_and_enlarging_are_those_of_torch(size):
    image = picture(size)
    tensor = torch.from_numpy(image)
    pairs = {
        "cells": (cell_means(image, 4), F.avg_pool2d(tensor, 4, ceil_mode=True, count_include_pad=False)),
        "means": (window_means(image, 5), F.avg_pool2d(tensor, 5, 1, 2, count_include_pad=False)),
        "maxima": (window_maxima(image, 4), F.max_pool2d(tensor, 9, 1, 4)),
        "enlarged": (
            enlarged(image, 4, (4 * size[0] - 1, 4 * size[1] - 2)),
            F.interpolate(tensor, scale_factor=4.0, mode="bilinear", align_corners=False)[..., :-1, :-2],
        ),
    }
    for name, (ours, theirs) in pairs.items():
        assert ours.dtype == np.float32
        assert ours.shape == tuple(theirs.shape), name
        assert np.allclose(ours, theirs.numpy(), atol=1e-6), name


def test_blur_is_a_convolution():
    tiles, kernels = picture((40, 33), 4)[0], picture((7, 7), 4)[0]
    theirs = F.conv2d(torch.from_numpy(tiles)[None], torch.from_numpy(kernels).flip(1, 2)[:, None], groups=4)[0]
    assert np.allclose(blur(tiles, kernels), theirs.numpy(), atol=1e-4)


def test_tensors_and_arrays_give_the_same_report():
    image = picture((90, 120))
    assert assess_input(image) == assess_input(torch.from_numpy(image))
    assert assess_input(image) == assess_input(torch.from_numpy(image).requires_grad_())


def test_the_checks_run_without_torch():
    code = """
import sys
import numpy as np
from resharp.assessment import assess_input, make_safe
photo = np.random.default_rng(0).random((1, 3, 80, 90), dtype=np.float32)
safe = make_safe(photo, photo[..., ::-1], assess_input(photo))
print(safe.image.shape, "torch" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "(1, 3, 80, 90) False"
