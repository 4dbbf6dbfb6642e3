"""YCbCr and RGB against the formulae of ITU-T H.273 for single colours, and there and back for all."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")

from resharp.video.colours import from_rgb, to_rgb  # noqa: E402

BT709, BT601, BT2020, LIMITED, FULL = 1, 6, 9, 1, 2
MATRICES = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}


def flat(levels: tuple[int, int, int], matrix: int, range: int, format: str = "yuv420p") -> av.VideoFrame:
    """8x6 px of one Y, Cb, Cr."""
    frame = av.VideoFrame(8, 6, format)
    for plane, level in zip(frame.planes, levels, strict=True):
        deep = frame.format.components[0].bits > 8
        plane.update(np.full(plane.buffer_size // (2 if deep else 1), level, np.uint16 if deep else np.uint8).tobytes())
    frame.colorspace, frame.color_range = matrix, range
    frame.pts, frame.time_base = 0, Fraction(1, 30)
    return frame


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("range", [LIMITED, FULL])
@pytest.mark.parametrize(("format", "steps"), [("yuv420p", 1), ("yuv422p", 1), ("yuv444p", 1), ("yuv420p10le", 4)])
def test_single_colours(matrix, range, format, steps):
    k_r, k_b = MATRICES[matrix]
    for rgb in ([0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0.8, 0.3, 0.4], [0.1, 0.6, 0.9]):
        red, green, blue = rgb
        y = k_r * red + (1 - k_r - k_b) * green + k_b * blue
        cb, cr = (blue - y) / 2 / (1 - k_b), (red - y) / 2 / (1 - k_r)
        if range == LIMITED:
            levels = [(16 + 219 * y) * steps, (128 + 224 * cb) * steps, (128 + 224 * cr) * steps]
        else:
            top = 256 * steps - 1
            levels = [top * y, 128 * steps + top * cb, 128 * steps + top * cr]
        levels = [round(level) for level in levels]
        frame = flat(levels, matrix, range, format)
        found = to_rgb(frame)
        assert found.shape == (6, 8, 3)
        assert found.dtype == np.float32
        # Half a step of each of Y, Cb and Cr, at most, and what deeper full range loses by its shift.
        assert np.abs(found - np.array(rgb)).max() <= 2.5 / 255 / steps + 1 / 1023 * (steps > 1)
        back = from_rgb(np.broadcast_to(np.array(rgb, np.float32), (6, 8, 3)), frame, format)
        for plane, level in zip(back.planes, levels, strict=True):
            values = np.frombuffer(bytes(plane), np.uint16 if steps > 1 else np.uint8).reshape(plane.height, -1)
            assert abs(int(values[0, 0]) - level) <= 1


@pytest.mark.parametrize("width", [64, 66])
@pytest.mark.parametrize("format", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "gray", "gbrp", "yuv422p10le"])
def test_there_and_back_changes_no_brightness(format, width):
    down, across = np.mgrid[0:50, 0:width]
    pixels = np.stack([60 + across * 2, 80 + down * 2, 100 + across + down], axis=2).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=format)
    frame.pts, frame.time_base, frame.color_primaries, frame.color_trc = 7, Fraction(1, 30), 1, 1
    rgb = to_rgb(frame)
    assert all(np.array_equal(to_rgb(frame), rgb) for _ in range(20))
    back = from_rgb(rgb, frame, format)
    assert (back.format.name, back.pts, back.time_base) == (format, 7, Fraction(1, 30))
    assert (back.colorspace, back.color_range) == (frame.colorspace, frame.color_range)
    assert (int(back.color_primaries), int(back.color_trc)) == (1, 1)
    dtype = np.uint16 if "10" in format else np.uint8
    before, after = (
        np.frombuffer(each.planes[0], dtype).reshape(50, -1)[:, :width].astype(int) for each in (frame, back)
    )
    assert abs((after - before).mean()) < 0.05
    assert np.abs(after - before).max() <= 1


def test_values_beyond_the_range_are_cut():
    frame = flat((255, 128, 128), BT709, LIMITED)
    assert to_rgb(frame).max() == 1
    back = from_rgb(np.full((6, 8, 3), 1.0, np.float32), frame, "yuv420p")
    assert bytes(back.planes[0])[0] == 235
