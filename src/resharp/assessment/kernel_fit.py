"""The blur that turns one picture into another: small kernels by least squares on the simplex.

For each tile, with x the result and y the input in linear light, find

    k = argmin  sum_p w(p)^2 |(grad(k * x) - grad y)(p)|^2 + lambda |k|^2,   k >= 0,  sum k = 1.

w falls to zero at the tile's border. Because w varies slowly, w (k * x) is nearly k * (w x), which makes the
normal equations a convolution with an autocorrelation; what that leaves out is put right by a few outer rounds.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The picture's own strength sets how much lambda weighs: this share of its mean power.
REGULARISATION = 1e-3
ROUNDS = (60, 30, 30)  # steps of accelerated projected gradient in each outer round


def fit_kernels(result: Tensor, blurred: Tensor, size_px: int) -> Tensor:
    """Kernels that blur `result` into `blurred`.

    Args:
        result, blurred: (T, H, W), linear light; each tile gets its own kernel.
        size_px: side K of the kernels, odd.

    Returns:
        (T, K, K), not negative, each with sum 1, for use with `blur`.
    """
    count = result.shape[0]
    kernel = result.new_zeros(count, size_px, size_px)
    kernel[:, size_px // 2, size_px // 2] = 1
    if size_px == 1:
        return kernel
    window = _window(result)
    x, y = _gradients(result), _gradients(blurred)  # (T, 2, H - 1, W - 1)
    shape = (_fast_length(x.shape[-2] + size_px), _fast_length(x.shape[-1] + size_px))
    x_hat, xw_hat = torch.fft.rfft2(x, s=shape), torch.fft.rfft2(x * window, s=shape)
    lags = _centred(torch.fft.irfft2(xw_hat.abs().square().sum(1), s=shape), 2 * size_px - 1)
    energy = lags[:, size_px - 1, size_px - 1].clamp(min=1e-12)[:, None, None]
    lags = lags / energy
    target = y * window
    for steps in ROUNDS:
        correlation = (xw_hat.conj() * torch.fft.rfft2(target, s=shape)).sum(1)
        goal = _centred(torch.fft.irfft2(correlation, s=shape), size_px) / energy
        kernel = _solve(lags, goal, kernel, steps)
        # With this target the exact kernel of consistent data solves the convolution model exactly.
        k_hat = _kernel_spectrum(kernel, shape)[:, None]
        inside = torch.fft.irfft2(k_hat * x_hat, s=shape)[..., : x.shape[-2], : x.shape[-1]] * window
        whole = torch.fft.irfft2(k_hat * xw_hat, s=shape)[..., : x.shape[-2], : x.shape[-1]]
        target = y * window + whole - inside
    return kernel


def blur(tiles: Tensor, kernels: Tensor) -> Tensor:
    """Convolve (T, H, W) with (T, K, K); only where the kernel fits: (T, H - K + 1, W - K + 1)."""
    size = kernels.shape[-1]
    shape = (_fast_length(tiles.shape[-2]), _fast_length(tiles.shape[-1]))
    product = torch.fft.rfft2(tiles, s=shape) * torch.fft.rfft2(kernels, s=shape)
    return torch.fft.irfft2(product, s=shape)[:, size - 1 : tiles.shape[-2], size - 1 : tiles.shape[-1]]


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


def _gradients(tiles: Tensor) -> Tensor:
    across, down = tiles.diff(dim=2)[:, :-1], tiles.diff(dim=1)[:, :, :-1]
    return torch.stack([across, down], dim=1)


def _window(tiles: Tensor) -> Tensor:
    """Hann, (H - 1, W - 1)."""
    sides = [torch.hann_window(side + 1, periodic=False)[1:-1] for side in (tiles.shape[-2], tiles.shape[-1])]
    return (sides[0][:, None] * sides[1][None]).to(tiles)


def _kernel_spectrum(kernel: Tensor, shape: tuple[int, int]) -> Tensor:
    """The transform of (T, K, K) with the middle entry at the origin."""
    half = kernel.shape[-1] // 2
    padded = kernel.new_zeros(kernel.shape[0], *shape)
    padded[:, : kernel.shape[-2], : kernel.shape[-1]] = kernel
    return torch.fft.rfft2(padded.roll((-half, -half), dims=(1, 2)))


def _centred(correlation: Tensor, size: int) -> Tensor:
    """Lags -size // 2 to size // 2 of a circular correlation (T, H, W)."""
    half = size // 2
    return correlation.roll((half, half), dims=(1, 2))[:, :size, :size]


def _solve(lags: Tensor, goal: Tensor, kernel: Tensor, steps: int) -> Tensor:
    """FISTA (Beck and Teboulle 2009) for the normal equations, over kernels on the simplex."""
    size = goal.shape[-1]
    shape = (
        _fast_length(lags.shape[-2]),
        _fast_length(lags.shape[-1]),
    )  # room for every lag, so that nothing wraps into the middle
    spectrum = _kernel_spectrum(lags, shape).real.clamp(min=0) + REGULARISATION
    step = 1 / spectrum.amax(dim=(1, 2))[:, None, None]
    point, momentum = kernel, 1.0
    for _ in range(steps):
        product = torch.fft.irfft2(torch.fft.rfft2(point, s=shape) * spectrum, s=shape)[:, :size, :size]
        new = to_simplex((point - step * (product - goal)).flatten(1)).view_as(kernel)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = new + (momentum - 1) / following * (new - kernel)
        kernel, momentum = new, following
    return kernel


def to_simplex(values: Tensor) -> Tensor:
    """The nearest points of (T, N) with entries not negative and sum 1 (Held, Wolfe and Crowder 1974)."""
    ordered = values.sort(dim=1, descending=True).values
    rank = torch.arange(1, values.shape[1] + 1, device=values.device, dtype=values.dtype)
    excess = (ordered.cumsum(1) - 1) / rank
    positive = (ordered > excess).sum(1, keepdim=True).clamp(min=1)
    return (values - excess.gather(1, positive - 1)).clamp(min=0)
