"""Gaussian noise from a seed: the numbers that torch draws on a CPU, so that a seed means one picture everywhere.

torch fills a tensor of 16 or more with Box-Muller in blocks of 16: eight uniforms give the radii, the next eight the
angles; cosines come first, then sines. The uniforms are the low 24 bits of a Mersenne Twister's words, whose seed is
the low 32 bits of the one given. Where a tensor is no multiple of 16, its last 16 are drawn again. Logarithm and
cosine round differently here and there: numbers are equal to about 1e-6.
"""

from __future__ import annotations

import math

import numpy as np

_BLOCK = 16
_AT_ONCE = 1 << 20  # a multiple of _BLOCK; bounds the memory beside the result


class Noise:
    """A stream of standard normal numbers.

    Args:
        seed: as for `torch.Generator.manual_seed`.
    """

    def __init__(self, seed: int) -> None:
        self._words = np.random.RandomState(seed & 0xFFFFFFFF)

    def draw(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next float32 array of this shape.

        Raises:
            ValueError: fewer than 16 numbers, which torch draws in another way.
        """
        count = math.prod(shape)
        if count < _BLOCK:
            raise ValueError(f"{count} numbers; at least {_BLOCK} are drawn at once")
        found = np.empty(count, dtype=np.float32)
        whole = count // _BLOCK * _BLOCK
        for first in range(0, whole, _AT_ONCE):
            last = min(first + _AT_ONCE, whole)
            found[first:last] = _normal(self._uniform(last - first))
        if whole < count:
            self._uniform(count - whole)  # torch draws these before it draws the last 16 again
            found[-_BLOCK:] = _normal(self._uniform(_BLOCK))
        return found.reshape(shape)

    def _uniform(self, count: int) -> np.ndarray:
        """float32 in [0, 1)."""
        words = self._words.randint(0, 1 << 32, size=count, dtype=np.uint32)
        return (words & 0xFFFFFF).astype(np.float32) * np.float32(2.0**-24)


def _normal(uniform: np.ndarray) -> np.ndarray:
    radii, angles = uniform.reshape(-1, 2, _BLOCK // 2).swapaxes(0, 1)
    radii = np.sqrt(np.float32(-2) * np.log(1 - radii))
    angles = np.float32(2 * math.pi) * angles
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1).ravel()
