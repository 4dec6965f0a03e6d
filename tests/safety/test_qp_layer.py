# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme as a layer: exact gradients, and one bad sample that harms no other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from tidegate.safety import qp
from tidegate.safety.qp import PART, PUSHES, solve_qp, solve_qps
from tidegate.safety.qp_layer import adjoint, qp_layer
from tidegate.workers import worker_pool

CLEAR = 1e-3
"""A row that pushes, or leaves room, by less is too near to a kink to have one derivative."""


def problems(seed: int, count: int, size: int, rows: int) -> tuple[np.ndarray, ...]:
    """P, q, G, b of feasible programmes, most of them with rows that push."""
    rng = np.random.default_rng(seed)
    root, G = rng.normal(size=(count, size, size)), rng.normal(size=(count, rows, size))
    inside = 0.3 * rng.normal(size=(count, size))
    lower = np.einsum("bmn,bn->bm", G, inside) - rng.uniform(0.05, 1.0, (count, rows))
    return root @ root.transpose(0, 2, 1) + np.eye(size), 3 * rng.normal(size=(count, size)), G, lower


def contradict(G: np.ndarray, lower: np.ndarray, which: np.ndarray) -> None:
    """Make samples infeasible: two rows that ask for opposite things."""
    G[which, 1], lower[which, :2] = -G[which, 0], 1.0


def layer(P: Tensor, q: Tensor, G: Tensor, lower: Tensor) -> Tensor:
    return qp_layer(P, q, G, lower, torch.full_like(q, 7.0))[0]


def enumerated(P: np.ndarray, q: np.ndarray, G: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solutions (B, n) and multipliers (B, m) by trying every set of active rows: the oracle."""
    count, rows, size = G.shape
    solution, multipliers = np.full((count, size), np.nan), np.zeros((count, rows))
    for some in (list(chosen) for k in range(size + 1) for chosen in combinations(range(rows), k)):
        K = np.zeros((count, size + len(some), size + len(some)))
        K[:, :size, :size], K[:, size:, :size] = P, G[:, some]
        K[:, :size, size:] = -G[:, some].transpose(0, 2, 1)
        answer = np.linalg.solve(K, np.concatenate((-q, lower[:, some]), axis=1)[..., None])[..., 0]
        x, push = answer[:, :size], answer[:, size:]
        fits = ((G @ x[..., None])[..., 0] - lower > -1e-9).all(axis=1) & (push > -1e-12).all(axis=1)
        fits &= np.isnan(solution[:, 0])
        solution[fits] = x[fits]
        multipliers[np.ix_(np.flatnonzero(fits), some)] = push[fits]
    return solution, multipliers


def slope(parts: tuple[np.ndarray, ...], moved: tuple[np.ndarray, ...], x: np.ndarray, push: np.ndarray) -> np.ndarray:
    """dx (B, n) along a direction (dP, dq, dG, db), forward: the KKT system differentiated.

    Of all rows; one that does not push stands for "its multiplier stays zero".
    """
    P, _, G, _ = parts
    dP, dq, dG, db = moved
    count, rows, size = G.shape
    on = push > 0
    K = np.zeros((count, size + rows, size + rows))
    K[:, :size, :size], K[:, :size, size:] = P, -G.transpose(0, 2, 1)
    K[:, size:, :size] = np.where(on[..., None], G, 0.0)
    K[:, range(size, size + rows), range(size, size + rows)] = ~on
    upper = np.einsum("bmn,bm->bn", dG, push) - np.einsum("bij,bj->bi", dP, x) - dq
    lower = np.where(on, db - np.einsum("bmn,bn->bm", dG, x), 0.0)
    made: np.ndarray = np.linalg.solve(K, np.concatenate((upper, lower), axis=1)[..., None])[:, :size, 0]
    return made


@pytest.mark.parametrize("size", [2, 4])
def test_solutions_and_gradients_are_exact_and_what_is_infeasible_is_called_so(size: int) -> None:
    count = 10_000
    rng = np.random.default_rng(size)
    parts = problems(size, count, size, 8)
    bad = rng.random(count) < 0.1
    contradict(parts[2], parts[3], bad)
    tensors = [torch.from_numpy(part).requires_grad_() for part in parts]
    x, solved = qp_layer(*tensors, torch.full((count, size), 7.0, dtype=torch.float64))
    np.testing.assert_array_equal(solved.numpy(), ~bad)
    assert (x[bad] == 7.0).all()
    weight = rng.normal(size=(count, size))
    (x * torch.from_numpy(weight)).sum().backward()
    gradients = [tensor.grad.numpy() for tensor in tensors if tensor.grad is not None]
    assert all((gradient[bad] == 0).all() for gradient in gradients)
    good = tuple(part[~bad] for part in parts)
    best, push = enumerated(*good)
    np.testing.assert_allclose(x.detach().numpy()[~bad], best, atol=1e-7)
    room = (good[2] @ best[..., None])[..., 0] - good[3]
    clear = ((push > CLEAR) | ((push == 0) & (room > CLEAR))).all(axis=1)
    assert clear.mean() > 0.95
    assert (push[clear] > 0).any(axis=1).mean() > 0.5
    for _ in range(3):
        moved = [rng.normal(size=part.shape) for part in good]
        moved[0] = moved[0] + moved[0].transpose(0, 2, 1)
        along = (slope(good, tuple(moved), best, push) * weight[~bad]).sum(axis=1)
        told = sum(
            (gradient[~bad] * part).reshape(len(along), -1).sum(axis=1)
            for gradient, part in zip(gradients, moved, strict=True)
        )
        np.testing.assert_allclose(np.asarray(told)[clear], along[clear], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_gradcheck(shared: bool) -> None:
    P, q, G, lower = problems(11, 6, 3, 5)
    inputs = [torch.from_numpy(part).requires_grad_() for part in (P[0] if shared else P, q, G, lower)]
    assert torch.autograd.gradcheck(lambda P, *rest: layer(P + P.mT, *rest), inputs, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_gradients_of_two_small_programmes(shared: bool) -> None:
    """Small enough to be quick; one row of each pushes and one does not."""
    P, q, G, lower = problems(13, 2, 2, 2)
    push = solve_qps(P[0] if shared else P, q, G, lower).multipliers
    assert ((push > CLEAR).sum(axis=1) == 1).all()
    inputs = [torch.from_numpy(part).requires_grad_() for part in (P[0] if shared else P, q, G, lower)]
    assert torch.autograd.gradcheck(lambda P, *rest: layer((P + P.mT) / 2, *rest), inputs, atol=1e-6)
    fixed = inputs[0].detach()
    assert torch.autograd.gradcheck(lambda *rest: layer(fixed, *rest), inputs[1:], atol=1e-6)
    rest = [part.detach() for part in inputs[1:]]
    assert torch.autograd.gradcheck(lambda P: layer((P + P.mT) / 2, *rest), inputs[:1], atol=1e-6)
    _, solved = qp_layer(*inputs, torch.zeros(2, 2, dtype=torch.float64))
    assert not solved.requires_grad


def test_one_bad_sample_harms_no_other() -> None:
    P, q, G, lower = problems(5, 7, 3, 6)
    alone = layer(*(torch.from_numpy(part) for part in (P, q, G, lower)))
    P[0, 0, 0], q[1, 0], G[2, 0, 0], lower[3, 0], lower[4, 0] = np.nan, np.inf, np.nan, np.nan, np.inf
    P[5] = -np.eye(3)
    inputs = [torch.from_numpy(part).requires_grad_() for part in (P, q, G, lower)]
    x, solved = qp_layer(*inputs, torch.full((7, 3), 7.0, dtype=torch.float64))
    assert solved.tolist() == [False] * 6 + [True]
    assert (x[:6] == 7.0).all()
    assert torch.equal(x[6], alone[6])
    x.sum().backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert (tensor.grad[:6] == 0).all()
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("rows", [0, 2])
def test_a_batch_in_which_no_row_pushes(count: int, rows: int) -> None:
    P, q, G, lower = problems(1, count, 3, rows)
    inputs = [torch.from_numpy(part).requires_grad_() for part in (P, q, G, lower - 1e3)]
    weight = torch.arange(3.0, dtype=torch.float64)
    (layer(*inputs) * weight).sum().backward()
    assert inputs[1].grad is not None
    np.testing.assert_allclose(
        inputs[1].grad.numpy(), -np.linalg.solve(P, np.tile(weight.numpy()[:, None], (count, 1, 1)))[..., 0]
    )
    assert all((part.grad == 0).all() for part in inputs[2:] if part.grad is not None)


def test_a_row_that_pushes_by_no_more_than_counts_is_slack() -> None:
    def told(push: float) -> list[list[float]]:
        parts = [[[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0]]], [[push]], [[3.0, 4.0]]
        u, w = adjoint(*(torch.tensor(part, dtype=torch.float64) for part in parts))
        return [*u.tolist(), *w.tolist()]

    assert told(PUSHES) == [[3.0, 4.0], [0.0]]
    assert told(np.nextafter(PUSHES, 1.0)) == [[0.0, 4.0], [3.0]]


def test_rows_that_are_off_do_nothing() -> None:
    P, q, G, lower = problems(3, 20, 3, 8)
    lower[:, 4:], G[:, 4:6], G[:, 6:] = -np.inf, 0.0, np.nan
    some = [torch.from_numpy(part) for part in (P, q, G[:, :4], lower[:, :4])]
    assert torch.equal(layer(*(torch.from_numpy(part) for part in (P, q, G, lower))), layer(*some))


def test_a_batch_gives_what_its_samples_give() -> None:
    P, q, G, lower = problems(8, 30, 4, 12)
    contradict(G, lower, np.arange(30) % 5 == 0)
    batch = solve_qps(P, q, G, lower)
    for sample in range(30):
        one = solve_qp(P[sample], q[sample], G[sample], lower[sample])
        assert batch.status[sample] == one.status
        np.testing.assert_array_equal(batch.solution[sample], one.solution)
        np.testing.assert_array_equal(batch.multipliers[sample], one.multipliers)


@pytest.mark.parametrize("shared", [False, True])
def test_workers_give_what_one_core_gives(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads here; batches that fit one part never reach them."""
    monkeypatch.setattr(qp, "PART", 16)
    P, q, G, lower = problems(9, 50, 3, 8)
    contradict(G, lower, np.arange(50) % 7 == 0)
    q[20, 0] = np.nan
    P = P[0] if shared else P
    alone = solve_qps(P, q, G, lower)
    with ThreadPoolExecutor(2) as pool:
        together = solve_qps(P, q, G, lower, pool=pool)
    for name in ("solution", "multipliers", "residual", "status"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
    few = P if shared else P[:16]
    np.testing.assert_array_equal(solve_qps(few, q[:16], G[:16], lower[:16], pool=pool).solution, alone.solution[:16])


def test_processes_solve_for_the_layer() -> None:
    """Real ones, with the batches of a layer; a programme that fails in one harms no other."""
    P, q, G, lower = problems(10, PART + 40, 3, 8)
    q[PART + 1, 0] = np.nan
    tensors = [torch.from_numpy(part).requires_grad_() for part in (P, q, G, lower)]
    none = torch.zeros(len(q), 3, dtype=torch.float64)
    alone, solved = qp_layer(*tensors, none)
    with worker_pool(2) as pool:
        together, told = qp_layer(*tensors, none, partial(solve_qps, pool=pool))
    assert torch.equal(alone, together)
    assert torch.equal(solved, told)
    assert solved.tolist() == [at != PART + 1 for at in range(len(q))]


def test_single_precision_is_refused() -> None:
    with pytest.raises(TypeError, match=r"q is torch\.float32; it must be torch\.float64"):
        qp_layer(*(torch.zeros(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1)), *[torch.zeros(1, 1)] * 3)
