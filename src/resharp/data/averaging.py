"""Blurry and sharp pairs from consecutive frames: a long exposure is the mean of the short ones within it.

Light adds up in a camera before its response curve is applied, so frames are decoded, averaged and encoded again.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from resharp.data.frames import Frame
from resharp.errors import ConfigError, DataError

Curve = Literal["gamma", "linear", "srgb"]
CURVES: tuple[Curve, ...] = get_args(Curve)
GAMMA = 2.2


def decode(values: np.ndarray, curve: Curve) -> np.ndarray:
    """Pixel values in [0, 1] as the light that made them, in [0, 1]; the same shape, float64.

    "gamma" is the power 2.2, "srgb" the curve of IEC 61966-2-1, "linear" takes pixel values for light.

    Raises:
        ConfigError: no such curve.
    """
    values = np.asarray(values, dtype=np.float64)
    if curve == "gamma":
        return values**GAMMA
    if curve == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    if curve == "linear":
        return values
    raise ConfigError(f"unknown curve {curve!r}; allowed: {', '.join(CURVES)}")


def encode(light: np.ndarray, curve: Curve) -> np.ndarray:
    """The inverse of `decode`."""
    light = np.asarray(light, dtype=np.float64)
    if curve == "gamma":
        return light ** (1 / GAMMA)
    if curve == "srgb":
        return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    if curve == "linear":
        return light
    raise ConfigError(f"unknown curve {curve!r}; allowed: {', '.join(CURVES)}")


class RunningMean:
    """The mean of frames that come one at a time; holds their sum only, 8 bytes a value."""

    def __init__(self, curve: Curve) -> None:
        self.curve: Curve = curve
        self._light = decode(np.arange(256) / 255, curve)
        self._total: np.ndarray | None = None
        self._count = 0

    def add(self, frame: np.ndarray) -> None:
        """Take in a frame, (H, W, 3) uint8.

        Raises:
            ValueError: another type or shape, or another size than the frames before.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"expected a frame (H, W, 3) of uint8, got {frame.shape} of {frame.dtype}")
        light = self._light[frame]
        if self._total is None:
            self._total = light
        elif light.shape != self._total.shape:
            raise ValueError(f"frames of unequal size: {light.shape[:2]} after {self._total.shape[:2]}")
        else:
            self._total += light
        self._count += 1

    def result(self) -> np.ndarray:
        """The mean, (H, W, 3) uint8, rounded once.

        Raises:
            ValueError: there was no frame.
        """
        if self._total is None:
            raise ValueError("the mean of no frames")
        return np.rint(encode(self._total / self._count, self.curve) * 255).astype(np.uint8)


def average_frames(frames: Iterable[np.ndarray], curve: Curve = "gamma") -> np.ndarray:
    """One exposure as long as all the frames together.

    Args:
        frames: (H, W, 3) uint8 of one size, at least one; held one at a time.
        curve: how pixel values stand for light, see `decode`.

    Returns:
        (H, W, 3) uint8, encoded with the same curve.

    Raises:
        ValueError: no frames, or frames of another type or of unequal size.
        ConfigError: no such curve.
    """
    mean = RunningMean(curve)
    for frame in frames:
        mean.add(frame)
    return mean.result()


def frame_counts(text: str) -> tuple[int, ...]:
    """How many frames a pair may be made of: "11", or "7..15" for the odd numbers of that range.

    Raises:
        ConfigError: neither form, an even number, one below 3, or a range that runs backwards.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:\.\.\s*([0-9]{1,9})\s*)?", text)
    if match is None:
        raise ConfigError(f"frames per pair: {text!r} is not understood; give a number such as 11, or a range 7..15")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    for number in (first, last):
        if number < 3:
            raise ConfigError(f"frames per pair: {number} is too few for a blur; the least is 3")
        if number % 2 == 0:
            near = f"{number - 1} or {number + 1}" if number > 3 else f"{number + 1}"
            raise ConfigError(f"frames per pair: {number} is even, so no frame is in the middle; take {near}")
    if last < first:
        raise ConfigError(f"frames per pair: {text!r} runs backwards; write {last}..{first}")
    return tuple(range(first, last + 1, 2))


class Window(NamedTuple):
    """The frames of one pair: `count`, odd, from frame `first` on, which counts from 0; `index` counts from 1."""

    index: int
    first: int
    count: int

    @property
    def middle(self) -> int:
        """The frame that is the sharp photograph."""
        return self.first + self.count // 2

    @property
    def last(self) -> int:
        """The last frame that is averaged."""
        return self.first + self.count - 1


def windows(counts: Sequence[int], stride: int | None, seed: int, sequence: str) -> Iterator[Window]:
    """The windows over a sequence, without end; the same for the same arguments on every machine.

    Args:
        counts: for each window one of these is drawn, all equally likely.
        stride: frames from the start of one window to the start of the next; None: each starts where the one
            before has ended.
        seed: with the sequence's name decides the draws, so that other sequences make no difference.
        sequence: the sequence's name.
    """
    # Of `random`, seeding with a string and random() are what Python promises to keep the same in all versions.
    draw = random.Random(f"{seed}/{sequence}")
    first, index = 0, 1
    while True:
        count = counts[math.floor(draw.random() * len(counts))]
        yield Window(index, first, count)
        first += count if stride is None else stride
        index += 1


class AveragedPair(NamedTuple):
    """blurry, sharp: (H, W, 3) uint8 of equal size."""

    blurry: np.ndarray
    sharp: np.ndarray


class _Open:
    """A window that frames are being added to; one that is not wanted adds nothing."""

    def __init__(self, window: Window, mean: RunningMean | None) -> None:
        self.window, self.mean = window, mean
        self.sharp: np.ndarray | None = None

    def add(self, frame: np.ndarray, index: int) -> None:
        if self.mean is not None:
            self.mean.add(frame)
            if index == self.window.middle:
                self.sharp = frame

    def pair(self) -> AveragedPair | None:
        if self.mean is None or self.sharp is None:
            return None
        return AveragedPair(self.mean.result(), self.sharp)


def average_windows(
    frames: Iterable[Frame], planned: Iterator[Window], curve: Curve, wanted: Callable[[Window], bool]
) -> Iterator[tuple[Window, AveragedPair | None]]:
    """The pairs of a sequence, each as soon as its last frame is there; windows that frames run out for are left out.

    Frames come one at a time; held are the sum and the middle frame of each window that is open, so of one where
    windows do not overlap. The pixels of frames that no wanted window needs are not read.

    Args:
        frames: of one size.
        planned: from `windows`; no two start at the same frame.
        curve: see `decode`.
        wanted: whether a window's pair is needed; for the others None comes in its place.

    Raises:
        DataError: frames of unequal size.
    """
    upcoming = next(planned)
    opened: list[_Open] = []
    size: tuple[int, ...] | None = None
    for i, frame in enumerate(frames):
        if upcoming.first == i:
            opened.append(_Open(upcoming, RunningMean(curve) if wanted(upcoming) else None))
            upcoming = next(planned)
        # The first frame tells the size, whatever is wanted: going on after an interruption must find what it found.
        if size is None or any(window.mean is not None for window in opened):
            pixels = frame.read()
            size = pixels.shape if size is None else size
            if pixels.shape != size:
                (height, width), (first_height, first_width) = pixels.shape[:2], size[:2]
                raise DataError(
                    f"{frame.place}: is {width}x{height}, but the sequence began with {first_width}x{first_height}; "
                    "give frames of one size"
                )
            for window in opened:
                window.add(pixels, i)
        for done in [window for window in opened if window.window.last == i]:
            opened.remove(done)
            yield done.window, done.pair()
