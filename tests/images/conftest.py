"""Small pictures made from arrays; no photograph is stored in the repository."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def scene():
    """(24, 40, 3) uint8: smooth colour, so that lossy formats stay close, and no two corners alike."""
    down, across = np.mgrid[0:24, 0:40]
    return np.stack([across * 6, down * 10, (across + down) * 2 + 60], axis=2).astype(np.uint8)


@pytest.fixture
def camera_exif():
    """An EXIF block in which a camera, an exposure, a place and orientation 6 are recorded."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0110] = "Model X"
    exif[0x0112] = 6
    exif[0x8769] = {0x829A: 0.5, 0x9003: "2024:05:06 07:08:09", 0x927C: b"maker note \x00\x01"}
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    return exif
