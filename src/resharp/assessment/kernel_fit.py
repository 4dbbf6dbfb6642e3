"""The blur that turns one picture into another: small kernels by least squares on the simplex.

For each tile, with x the result and y the input in linear light, find

    k = argmin  sum_p w(p)^2 |(grad(k * x) - grad y)(p)|^2 + lambda |k|^2,   k >= 0,  sum k = 1.

w falls to zero at the tile's border. Because w varies slowly, w (k * x) is nearly k * (w x), which makes the
normal equations a convolution with an autocorrelation; what that leaves out is put right by a few outer rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from resharp.assessment.arrays import as_array

# The picture's own strength sets how much lambda weighs: this share of its mean power.
REGULARISATION = 1e-3
ROUNDS = (60, 30, 30)  # steps of accelerated projected gradient in each outer round


def fit_kernels(result: Any, blurred: Any, size_px: int) -> np.ndarray:
    """Kernels that blur `result` into `blurred`.

    Args:
        result, blurred: (T, H, W), linear light; each tile gets its own kernel.
        size_px: side K of the kernels, odd.

    Returns:
        (T, K, K), not negative, each with sum 1, for use with `blur`.
    """
    result, blurred = as_array(result), as_array(blurred)
    kernel = np.zeros((result.shape[0], size_px, size_px), dtype=np.float32)
    kernel[:, size_px // 2, size_px // 2] = 1
    if size_px == 1:
        return kernel
    window = _window(result)
    x, y = _gradients(result), _gradients(blurred)  # (T, 2, H - 1, W - 1)
    shape = (_fast_length(x.shape[-2] + size_px), _fast_length(x.shape[-1] + size_px))
    x_hat, xw_hat = _transform(x, shape), _transform(x * window, shape)
    power = np.square(xw_hat.real) + np.square(xw_hat.imag)
    lags = _lags(power.sum(1), shape, 2 * size_px - 1)
    energy = np.maximum(lags[:, size_px - 1, size_px - 1], np.float32(1e-12))[:, None, None]
    lags = lags / energy
    target = y * window
    inside = slice(x.shape[-2]), slice(x.shape[-1])
    for number, steps in enumerate(ROUNDS):
        if number > 0:
            # With this target the exact kernel of consistent data solves the convolution model exactly.
            k_hat = _kernel_spectrum(kernel, shape)[:, None]
            whole = _inverse(k_hat * xw_hat, shape, *inside)
            target = y * window + whole - _inverse(k_hat * x_hat, shape, *inside) * window
        correlation = (xw_hat.conj() * _transform(target, shape)).sum(1)
        kernel = _solve(lags, _lags(correlation, shape, size_px) / energy, kernel, steps)
    return kernel


def blur(tiles: Any, kernels: Any) -> np.ndarray:
    """Convolve (T, H, W) with (T, K, K); only where the kernel fits: (T, H - K + 1, W - K + 1)."""
    tiles, kernels = as_array(tiles), as_array(kernels)
    size = kernels.shape[-1]
    shape = (_fast_length(tiles.shape[-2]), _fast_length(tiles.shape[-1]))
    product = _transform(tiles, shape) * _transform(kernels, shape)
    return _inverse(product, shape, slice(size - 1, tiles.shape[-2]), slice(size - 1, tiles.shape[-1]))


def _fast_length(least: int) -> int:
    """The next length without prime factors above 5; others take transforms several times as long."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _gradients(tiles: np.ndarray) -> np.ndarray:
    across, down = np.diff(tiles, axis=2)[:, :-1], np.diff(tiles, axis=1)[:, :, :-1]
    return np.stack([across, down], axis=1)


def _window(tiles: np.ndarray) -> np.ndarray:
    """Hann, (H - 1, W - 1)."""
    sides = [np.hanning(side + 1)[1:-1] for side in (tiles.shape[-2], tiles.shape[-1])]
    return (sides[0][:, None] * sides[1][None]).astype(np.float32)


def _transform(image: np.ndarray, shape: tuple[int, int], around: np.ndarray | None = None) -> np.ndarray:
    """`rfft2` of (..., H, W) at `shape`, in float32.

    Asked to divide by the length, numpy multiplies by a float32; asked not to, by an integer, for which it computes in
    twice the precision, at five times the price. It is slow too at filling up with zeros.

    around: where rows and columns of a square image go; None is to the beginning.
    """
    height, width = image.shape[-2:]
    padded = np.zeros((*image.shape[:-1], shape[1]), dtype=np.float32)
    padded[..., slice(width) if around is None else around] = image
    spectrum = np.zeros((*image.shape[:-2], shape[0], shape[1] // 2 + 1), dtype=np.complex64)
    spectrum[..., slice(height) if around is None else around, :] = np.fft.rfft(padded, axis=-1, norm="forward")
    np.fft.fft(spectrum, axis=-2, norm="forward", out=spectrum)
    spectrum *= np.float32(shape[0] * shape[1])
    return spectrum


def _inverse(spectrum: np.ndarray, shape: tuple[int, int], rows: Any, columns: Any) -> np.ndarray:
    """Those rows and columns of `irfft2`; of the other rows only the half of the work that all share is done."""
    lines = np.fft.ifft(spectrum, axis=-2)[..., rows, :]
    return np.fft.irfft(lines, n=shape[1], axis=-1)[..., columns]


def _kernel_spectrum(kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The transform of (T, K, K) with the middle entry at the origin."""
    return _transform(kernel, shape, np.arange(kernel.shape[-1]) - kernel.shape[-1] // 2)


def _lags(spectrum: np.ndarray, shape: tuple[int, int], size: int) -> np.ndarray:
    """Lags -size // 2 to size // 2 of the circular correlation with this spectrum, (T, size, size)."""
    around = np.arange(size) - size // 2
    return _inverse(spectrum, shape, around, around)


def _solve(lags: np.ndarray, goal: np.ndarray, kernel: np.ndarray, steps: int) -> np.ndarray:
    """FISTA (Beck and Teboulle 2009) for the normal equations, over kernels on the simplex."""
    size = goal.shape[-1]
    # Room for every lag, so that nothing wraps into the middle.
    shape = (_fast_length(lags.shape[-2]), _fast_length(lags.shape[-1]))
    spectrum = np.maximum(_kernel_spectrum(lags, shape).real, 0) + np.float32(REGULARISATION)
    step = 1 / spectrum.max(axis=(1, 2))[:, None, None]
    point, momentum = kernel, 1.0
    for _ in range(steps):
        transformed = _transform(point, shape)
        transformed *= spectrum
        moved = _inverse(transformed, shape, slice(size), slice(size)) - goal
        moved *= step
        np.subtract(point, moved, out=moved)
        new = to_simplex(moved.reshape(len(moved), -1)).reshape(kernel.shape)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = new + np.float32((momentum - 1) / following) * (new - kernel)
        kernel, momentum = new, following
    return kernel


def to_simplex(values: np.ndarray) -> np.ndarray:
    """The nearest points of (T, N) with entries not negative and sum 1 (Held, Wolfe and Crowder 1974)."""
    falling = np.negative(values)  # so that sorting, which is upwards, puts the largest first
    falling.sort(axis=1)
    excess = np.cumsum(falling, axis=1, dtype=np.float64)
    excess += 1
    excess /= np.arange(1, values.shape[1] + 1)
    positive = np.maximum(np.count_nonzero(falling < excess, axis=1, keepdims=True), 1)
    return np.maximum(values + np.take_along_axis(excess, positive - 1, axis=1).astype(values.dtype), 0)
