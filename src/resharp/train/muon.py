"""Muon: momentum whose update is made orthogonal, for the convolutions inside a network; Adam for all else.

On a few CPU minutes it taught the laptop model nearly twice as much as Adam did (docs/recipes.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# Odd polynomial whose fifth iterate brings every singular value in (0, 1] near 1; K. Jordan's coefficients.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Adam):
    """Adam, but for parameter groups with "matrix": True, whose updates are orthogonalised.

    After K. Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024). torch.optim.Muon takes
    matrices only; a convolution's weight (out, in, h, w) is here the matrix (out, in h w).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # type: ignore[override]
        """One update of every group from the gradients."""
        groups = self.param_groups
        for group in groups:
            if group.get("matrix"):
                self._step_matrices(group)
        # Adam's own step goes over `param_groups`.
        self.param_groups = [group for group in groups if not group.get("matrix")]
        try:
            return super().step(closure)
        finally:
            self.param_groups = groups

    def _step_matrices(self, group: dict[str, Any]) -> None:
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if "momentum" not in state:
                # Adam looks for a step count in every state that it loads.
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(weight))
            momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
            update = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))
            # A tall matrix moves each of its inputs' vectors by as much as a wide one.
            size = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
            weight.add_(update.view_as(weight), alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrix, about: singular values of the result lie between 0.6 and 1.3.

    Args:
        matrix: (M, N); singular values below 1e-3 of its norm come out smaller.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def parameter_groups(named: Iterable[tuple[str, nn.Parameter]], lr: float, lr_matrix: float) -> list[dict[str, Any]]:
    """Trained parameters in two groups: convolutions between other layers, and the rest.

    "share" is each group's learning rate against `lr`. Output layers go to Adam: they start at zero, and their
    size has to be learned.
    """
    matrices, rest = [], []
    for name, parameter in named:
        if parameter.requires_grad:
            inside = parameter.ndim == 4 and "head" not in name
            (matrices if inside else rest).append(parameter)
    groups = [{"params": rest, "matrix": False, "share": 1.0}]
    if matrices:
        groups.append({"params": matrices, "matrix": True, "share": lr_matrix / lr})
    return groups
