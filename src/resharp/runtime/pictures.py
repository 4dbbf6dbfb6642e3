"""What is done with pictures around the networks, in numpy: padding, turning, clamping, moments of samples."""

from __future__ import annotations

import numpy as np

# Quarter turns, and whether a mirror image follows, in the order of `resharp.restoration`.
_ORIENTATIONS = ((0, False), (0, True), (2, False), (2, True), (1, False), (1, True), (3, False), (3, True))


def to_network(image: np.ndarray, multiple: int) -> np.ndarray:
    """(B, 3, H, W) in [0, 1] as y in [-1, 1], grown to the right and below by reflection to multiples.

    Sides shorter than the padding are reflected back and forth, so 1x1 works too.
    """
    y = image * np.float32(2) - np.float32(1)
    for axis in (2, 3):
        size = y.shape[axis]
        missing = -size % multiple
        if missing:
            period = max(1, 2 * (size - 1))
            index = np.arange(size + missing) % period
            y = np.take(y, np.minimum(index, period - index) if size > 1 else index, axis=axis)
    return np.ascontiguousarray(y, dtype=np.float32)


def to_unit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[-1, 1] to [0, 1], clamped, without the padding beyond `size`."""
    shown = image[..., : size[0], : size[1]] + np.float32(1)
    shown *= np.float32(0.5)
    return np.clip(shown, 0, 1, out=shown)


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """`image` (..., H, W) in one of its 8 orientations; 0 is as it is. The first 1, 2, 4 or 8 form a group."""
    turns, mirrored = _ORIENTATIONS[orientation]
    image = np.rot90(image, turns, (-2, -1))
    return image[..., ::-1] if mirrored else image


def turned_back(image: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `turned`."""
    turns, mirrored = _ORIENTATIONS[orientation]
    return np.rot90(image[..., ::-1] if mirrored else image, -turns, (-2, -1))


class Moments:
    """Running mean and spread of samples, and the first one."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.mean = self._scatter = np.zeros(())

    def add(self, sample: np.ndarray) -> None:
        """Welford's update with (B, C, H, W)."""
        self.count += 1
        if self.count == 1:
            self.first = self.mean = sample
            self._scatter = np.zeros_like(sample)
            return
        offset = sample - self.mean
        self.mean = self.mean + offset / np.float32(self.count)
        self._scatter += offset * (sample - self.mean)

    def spread(self) -> np.ndarray | None:
        """The sample deviation averaged over the channels, (B, 1, H, W); None with fewer than two."""
        if self.count < 2:
            return None
        return np.sqrt(self._scatter / np.float32(self.count - 1)).mean(axis=1, keepdims=True)

    def result(self, fidelity: float | None, g: np.ndarray | None) -> np.ndarray:
        """The mean; with a fidelity f, f times g, or the mean without g, and 1 - f times the first sample."""
        if fidelity is None:
            return self.mean
        mean = self.mean if g is None else g
        return np.float32(fidelity) * mean + np.float32(1 - fidelity) * self.first
