"""Does guidance bring two domains of blur closer? Distances before and after R(H(.)) (arXiv 2212.01789).

The Frechet distance is biased upwards by an amount that depends on the number of patches. The kernel distance is
not, and its error follows from leaving out one photo at a time: patches of one photo are alike, so that photos and
not patches are what was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from resharp.analysis.domain_patches import PICTURES, DomainFeatures
from resharp.metrics.frechet import frechet_distance

THOUSAND = 1000.0


@dataclass(frozen=True)
class Compared:
    """One figure at one scale; lower is closer.

    figure: "frechet" or "kernel" (times 1000).
    phi, guided: between the two domains' phi_k(y), and between their R(H(phi_k(y))); None if there are too few
        patches for a Frechet distance.
    errors: standard errors of phi, of guided and of guided - phi; None where there are none.
    """

    network: str
    k: int
    figure: str
    phi: float | None
    guided: float | None
    errors: tuple[float, float, float] | None = None

    @property
    def difference(self) -> float | None:
        """guided - phi: negative where the guidance brings the domains closer."""
        return None if self.phi is None or self.guided is None else self.guided - self.phi


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not an answer
class Jackknife:
    """A figure of two sets, and what it is without each of the photos.

    without_a, without_b: (photos of A,), (photos of B,).
    """

    value: float
    without_a: np.ndarray
    without_b: np.ndarray

    def minus(self, other: Jackknife) -> Jackknife:
        """The difference of two figures of the same photos."""
        return Jackknife(self.value - other.value, self.without_a - other.without_a, self.without_b - other.without_b)

    @property
    def error(self) -> float | None:
        """Standard error; None with a single photo in a set, or nearly all patches in one."""
        left = np.concatenate([self.without_a, self.without_b])
        if min(len(self.without_a), len(self.without_b)) < 2 or np.isnan(left).any():
            return None
        variance = 0.0
        for values in (self.without_a, self.without_b):
            variance += (len(values) - 1) / len(values) * float(np.square(values - values.mean()).sum())
        return variance**0.5


def compare_domains(
    a: DomainFeatures, b: DomainFeatures, scales: Sequence[int], networks: Mapping[str, int]
) -> list[Compared]:
    """Both figures at every scale and for every network.

    Args:
        networks: name -> D, the number of its features. A Frechet distance needs D + 1 patches of each domain, or
            its covariances are singular.
    """
    found = []
    for name, width in networks.items():
        for k in scales:
            pairs = {picture: (a.values[name, k, picture], b.values[name, k, picture]) for picture in PICTURES}
            enough = min(a.counts.sum(), b.counts.sum()) > width
            frechet = [
                frechet_distance(*pairs[picture], min_samples=width + 1) if enough else None for picture in PICTURES
            ]
            found.append(Compared(name, k, "frechet", frechet[0], frechet[1]))
            phi, guided = (kernel_jackknife(*pairs[picture], a.counts, b.counts) for picture in PICTURES)
            errors = [each.error for each in (phi, guided, guided.minus(phi))]
            known = None if None in errors else tuple(THOUSAND * error for error in errors)  # type: ignore[operator]
            found.append(Compared(name, k, "kernel", THOUSAND * phi.value, THOUSAND * guided.value, known))
    return found


def kernel_jackknife(a: np.ndarray, b: np.ndarray, counts_a: np.ndarray, counts_b: np.ndarray) -> Jackknife:
    """KID's unbiased squared MMD with kernel `(x . y / D + 1)^3` (arXiv 1801.01401) over all patches.

    All patches in place of the usual random subsets: the same expectation, and no draw. Slightly negative values
    are possible for equal distributions.

    Args:
        a, b: (N, D) and (M, D), computed in float64.
        counts_a, counts_b: rows of each photo, in order.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    within_a, within_b = _without_selves(a, counts_a), _without_selves(b, counts_b)
    across = _block_sums(a, b, counts_a, counts_b)

    def mmd(sum_a: float, n: float, sum_b: float, m: float, sum_ab: float) -> float:
        return sum_a / (n * (n - 1)) + sum_b / (m * (m - 1)) - 2 * sum_ab / (n * m)

    n, m = float(len(a)), float(len(b))
    sum_a, sum_b, sum_ab = within_a.sum(), within_b.sum(), across.sum()
    less_a = sum_a - 2 * within_a.sum(axis=1) + np.diag(within_a)
    less_b = sum_b - 2 * within_b.sum(axis=1) + np.diag(within_b)
    without_a = [
        mmd(less_a[i], n - count, sum_b, m, sum_ab - across[i].sum()) if n - count > 1 else np.nan
        for i, count in enumerate(counts_a)
    ]
    without_b = [
        mmd(sum_a, n, less_b[i], m - count, sum_ab - across[:, i].sum()) if m - count > 1 else np.nan
        for i, count in enumerate(counts_b)
    ]
    return Jackknife(mmd(sum_a, n, sum_b, m, sum_ab), np.array(without_a), np.array(without_b))


def _without_selves(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of the kernel over pairs of photos, (photos, photos), no patch with itself."""
    own = (np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3
    return _block_sums(x, x, counts, counts) - np.diag(np.add.reduceat(own, _firsts(counts)))


def _block_sums(x: np.ndarray, y: np.ndarray, counts_x: np.ndarray, counts_y: np.ndarray) -> np.ndarray:
    sums, columns = [], _firsts(counts_y)
    for first, count in zip(_firsts(counts_x), counts_x, strict=True):
        kernel = (x[first : first + count] @ y.T / x.shape[1] + 1) ** 3  # (patches of a photo, M)
        sums.append(np.add.reduceat(kernel.sum(axis=0), columns))
    return np.stack(sums)


def _firsts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)[:-1]])
