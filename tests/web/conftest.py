"""Servers of the page, and a photo to drop on it."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from web_visitors import serving

sys.path.insert(0, str(Path(__file__).parents[1] / "assessment"))

pytest.importorskip("gradio", reason="the web extra is not installed")


@pytest.fixture
def serve():
    """Serve the page with limits, or a pipeline, of one's own."""
    with ExitStack() as running:
        yield lambda **limits: running.enter_context(serving(**limits))


@pytest.fixture(scope="module")
def shared():
    """A server with the usual limits, for tests that leave it as it is."""
    with serving() as server:
        yield server


@pytest.fixture
def blurry(tmp_path) -> Path:
    """A photo with motion blur, as a JPEG with EXIF and a profile."""
    from hard_cases import blurry_shapes

    pixels = (blurry_shapes()[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[306] = "2026:01:02 03:04:05"
    path = tmp_path / "blurry photo.jpg"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(path, quality=95, exif=exif, icc_profile=icc)
    return path


@pytest.fixture
def copy_of(tmp_path):
    """A copy of a file under another name."""

    def call(path: Path, name: str) -> Path:
        (tmp_path / "copies").mkdir(exist_ok=True)
        return Path(shutil.copy(path, tmp_path / "copies" / name))

    return call
