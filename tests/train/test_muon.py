"""Muon's update is orthogonal, Adam keeps the rest, and a run resumes to the same bytes with it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resharp.train.muon import Muon, orthogonal, parameter_groups


@pytest.mark.parametrize("shape", [(8, 8), (16, 144), (64, 16)])
def test_singular_values_come_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_singular_vectors_stay():
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(orthogonal(matrix), full_matrices=False)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    # U V^T of the update, were its values all 1, is that of the matrix.
    torch.testing.assert_close(left @ right, u @ v, atol=1e-4, rtol=0)
    assert values.std() > 0.01  # else the test above would say nothing of the polynomial


def test_an_orthogonal_matrix_keeps_its_direction():
    q, _ = torch.linalg.qr(torch.randn(10, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    update = orthogonal(q)
    scale = update[0] @ q[0]
    torch.testing.assert_close(update, scale * q, atol=1e-10, rtol=0)


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(4, 6, 3)
        self.head = nn.Conv2d(6, 3, 1)


def _net():
    torch.manual_seed(0)
    net = _Net()
    net.inner.bias.requires_grad_(False)
    return net


def test_groups_leave_biases_heads_and_frozen_parameters_out():
    net = _net()
    rest, matrices = parameter_groups(net.named_parameters(), lr=1e-3, lr_matrix=0.02)
    assert [id(p) for p in matrices["params"]] == [id(net.inner.weight)]
    assert {id(p) for p in rest["params"]} == {id(net.head.weight), id(net.head.bias)}
    assert matrices["share"] == pytest.approx(20)
    assert rest["share"] == 1


def test_first_step_is_the_closed_form():
    net = _net()
    optimizer = Muon(parameter_groups(net.named_parameters(), 1e-3, 0.02), lr=1e-3, betas=(0.9, 0.99))
    before = [net.inner.weight.detach().clone(), net.head.weight.detach().clone()]
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    net.head(net.inner(x)).square().sum().backward()
    gradient = net.inner.weight.grad.flatten(1)
    optimizer.step()
    # Any multiple of the gradient has the same orthogonal matrix; a 6 x 36 one is wide, so its factor is 1.
    torch.testing.assert_close(
        net.inner.weight.detach(), before[0] - 1e-3 * orthogonal(gradient).view_as(before[0]), atol=1e-7, rtol=0
    )
    # Adam's first step is the learning rate, against the gradient's sign.
    torch.testing.assert_close(
        net.head.weight.detach(), before[1] - 1e-3 * net.head.weight.grad.sign(), atol=1e-6, rtol=0
    )


def test_state_is_saved_and_loaded():
    torch.manual_seed(1)
    x = torch.randn(2, 4, 8, 8)

    def steps(net, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            net.head(net.inner(x)).square().sum().backward()
            optimizer.step()

    def make(net):
        return Muon(parameter_groups(net.named_parameters(), 1e-3, 0.02), lr=1e-3)

    whole = _net()
    steps(whole, make(whole), 4)
    net = _net()
    optimizer = make(net)
    steps(net, optimizer, 2)
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    again = _net()
    again.load_state_dict(state["net"])
    optimizer = make(again)
    optimizer.load_state_dict(state["optimizer"])
    steps(again, optimizer, 2)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
