"""Between a video's frames, mostly YCbCr with thinned chroma, and RGB.

FFmpeg does the thinning; the matrix is applied here, in floats. Its own conversion to 8-bit RGB and back makes a frame
about a level of 255 darker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame

# K_R and K_B by matrix_coefficients of ITU-T H.273. Unspecified is taken for BT.601; the same is done on the way back.
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_BT601 = (0.299, 0.114)
_FULL_RANGE = 2
# With more, FFmpeg 8.1 gives frames of 10 bits single wrong samples, now and then, where sides are no multiples of 16.
_THREADS = 1


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1], gamma-encoded as stored, not turned."""
    if frame.format.is_rgb:
        deep = _bits(frame) > 8
        pixels = frame.to_ndarray(format="rgb48le" if deep else "rgb24", threads=_THREADS)
        return pixels.astype(np.float32) / np.float32(65535 if deep else 255)
    planes = _planes(frame)
    y, cb, cr = _expanded(planes, full=_is_full(frame))
    k_r, k_b = _WEIGHTS.get(int(frame.colorspace), _BT601)
    red = y + 2 * (1 - k_r) * cr
    blue = y + 2 * (1 - k_b) * cb
    green = (y - k_r * red - k_b * blue) / (1 - k_r - k_b)
    return np.clip(np.stack([red, green, blue], axis=2), 0, 1)


def from_rgb(pixels: np.ndarray, like: VideoFrame, pix_fmt: str) -> VideoFrame:
    """The inverse: a frame of format `pix_fmt`, with the colour tags and times of `like`.

    Args:
        pixels: (H, W, 3) float in [0, 1].
    """
    if like.format.is_rgb:
        from av import VideoFrame

        top, dtype, name = (65535, np.uint16, "rgb48le") if _bits(like) > 8 else (255, np.uint8, "rgb24")
        made = VideoFrame.from_ndarray(np.rint(np.asarray(pixels) * top).astype(dtype), name)
    else:
        deep, full = _bits(like) > 8, _is_full(like)
        k_r, k_b = _WEIGHTS.get(int(like.colorspace), _BT601)
        red, green, blue = (pixels[:, :, i].astype(np.float32) for i in range(3))
        y = k_r * red + (1 - k_r - k_b) * green + k_b * blue
        planes = _packed(np.stack([y, (blue - y) / (2 * (1 - k_b)), (red - y) / (2 * (1 - k_r))]), deep=deep, full=full)
        made = _framed(planes, like)
        made.colorspace, made.color_range = like.colorspace, like.color_range
    made = made.reformat(format=pix_fmt, threads=_THREADS)
    made.colorspace, made.color_range = like.colorspace, like.color_range
    made.color_primaries, made.color_trc = like.color_primaries, like.color_trc
    made.pts, made.time_base, made.duration = like.pts, like.time_base, like.duration
    return made


def _planes(frame: VideoFrame) -> np.ndarray:
    """Y, Cb, Cr as (3, H, W), 8 bits, or 16 of which the upper ones are the frame's."""
    full = frame.reformat(format=_between(frame), threads=_THREADS)
    # Not to_ndarray, which refuses odd widths.
    return np.stack([_rows(plane, _dtype(frame))[:, : frame.width] for plane in full.planes])


def _framed(planes: np.ndarray, like: VideoFrame) -> VideoFrame:
    from av import VideoFrame

    made = VideoFrame(like.width, like.height, _between(like))
    for plane, values in zip(made.planes, planes, strict=True):
        rows = np.zeros_like(_rows(plane, _dtype(like)))
        rows[:, : like.width] = values
        plane.update(rows.tobytes())
    return made


def _rows(plane: Any, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """(H, W and the filling at the end)."""
    return np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // np.dtype(dtype).itemsize)


def _dtype(frame: VideoFrame) -> type[np.unsignedinteger]:
    return np.uint16 if _bits(frame) > 8 else np.uint8


def _between(frame: VideoFrame) -> str:
    if _bits(frame) > 8:
        return "yuv444p16le"
    # The letter j is FFmpeg's older way of saying full range; between formats with and without it, it would convert.
    return "yuvj444p" if frame.format.name.startswith("yuvj") else "yuv444p"


def _bits(frame: VideoFrame) -> int:
    return max(component.bits for component in frame.format.components)


def _is_full(frame: VideoFrame) -> bool:
    return frame.format.name.startswith("yuvj") or int(frame.color_range) == _FULL_RANGE


def _levels(*, deep: bool, full: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Offsets and spans of Y, Cb and Cr in levels of 8 bits, and how many steps such a level has; ITU-T H.273, 8.3."""
    steps = 256.0 if deep else 1.0
    # 8-bit values end at 255; deeper ones, shifted up to 16 bits, end a little below 256.
    spans = [65535 / 256 if deep else 255.0] * 3 if full else [219.0, 224.0, 224.0]
    offsets = [0.0 if full else 16.0, 128.0, 128.0]
    return np.array(offsets, np.float32)[:, None, None], np.array(spans, np.float32)[:, None, None], steps


def _expanded(planes: np.ndarray, *, full: bool) -> np.ndarray:
    """Y in [0, 1], Cb and Cr in [-0.5, 0.5]."""
    offsets, spans, steps = _levels(deep=planes.dtype != np.uint8, full=full)
    return (planes.astype(np.float32) / np.float32(steps) - offsets) / spans


def _packed(values: np.ndarray, *, deep: bool, full: bool) -> np.ndarray:
    """The inverse, rounded."""
    offsets, spans, steps = _levels(deep=deep, full=full)
    dtype = np.uint16 if deep else np.uint8
    return np.clip(np.rint((values * spans + offsets) * steps), 0, np.iinfo(dtype).max).astype(dtype)
