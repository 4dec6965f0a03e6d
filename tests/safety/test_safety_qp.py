# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme against CVXPY, relaxation by priority, and the layer's gradient."""

from __future__ import annotations

import warnings
from dataclasses import replace

import cvxpy
import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from safety_plant import car, settings

from tidegate import registry
from tidegate.safety import relaxation
from tidegate.safety.barrier import Ahead, Barrier, Priority, Rows, State
from tidegate.safety.barriernet import BarrierNet
from tidegate.safety.filter import BOX, Filter
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.qp import solve_qp
from tidegate.safety.qp_layer import qp_layer
from tidegate.safety.relaxation import HARD, Level, solve_by_priority
from tidegate.safety.relaxed_layer import filter_solver
from tidegate.settings import BarrierParameters

EXACT = {"solver": cvxpy.CLARABEL, "tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}


def problem(seed: int, size: int, count: int, feasible: bool) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    G = rng.normal(size=(count, size))
    inside = rng.normal(size=size)
    lower = G @ inside - rng.uniform(0.05, 1.0, count)
    if not feasible:
        G[1] = -G[0]
        lower[:2] = 1.0
    return root @ root.T + np.eye(size), 3 * rng.normal(size=size), G, lower


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_cvxpy(seed: int) -> None:
    P, q, G, lower = problem(seed, 2 + seed % 3, 14, feasible=True)
    result = solve_qp(P, q, G, lower)
    x = cvxpy.Variable(len(q))
    constraint = G @ x >= lower
    cvxpy.Problem(cvxpy.Minimize(0.5 * cvxpy.quad_form(x, P) + q @ x), [constraint]).solve(**EXACT)
    assert result.status == "solved"
    np.testing.assert_allclose(result.solution, x.value, atol=1e-6)
    np.testing.assert_allclose(result.multipliers, constraint.dual_value, atol=1e-5)
    assert result.residual <= 1e-6
    np.testing.assert_array_equal(result.active, constraint.dual_value > 1e-6)


def test_says_so_when_there_is_no_solution() -> None:
    assert solve_qp(*problem(0, 2, 6, feasible=False)).status == "infeasible"
    P, q, G, lower = problem(0, 2, 6, feasible=True)
    for broken in (np.array([np.nan, 0.0]), np.array([np.inf, 0.0])):
        result = solve_qp(P, broken, G, lower)
        assert result.status == "failed"
        assert np.isinf(result.residual)
    G[3, 0] = np.nan
    assert solve_qp(P, q, G, lower).status == "failed"


@given(seed=st.integers(0, 10_000))
@example(seed=342)
@example(seed=5927)
@example(seed=9937)
@profile(max_examples=40, deadline=None)
def test_rows_give_way_lowest_priority_first(seed: int) -> None:
    """Against the lexicographic oracle: linear programmes, level by level, in CVXPY."""
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(7, 2))
    G /= np.linalg.norm(G, axis=1, keepdims=True)
    rows = np.concatenate((BOX, G))
    lower = np.concatenate(([-1.0] * 4, rng.uniform(-0.5, 2.0, 7)))
    priority = np.concatenate(([HARD] * 4, rng.integers(0, len(Priority), 7)))
    result = solve_by_priority(rng.normal(size=2), rows, lower, priority, 1e5, 1e-6)
    assert result.status == "solved"
    violation = np.maximum(lower - rows @ result.solution, 0)
    assert violation[:4].max() <= 1e-6
    allowed: list[cvxpy.Constraint] = []
    x = cvxpy.Variable(2)
    allowed.append(BOX @ x >= lower[:4] - violation[:4] - 1e-9)  # what was found is in it
    for level in sorted(Priority, reverse=True):
        mine = np.flatnonzero(priority == level)
        if not mine.size:
            continue
        slack = cvxpy.Variable(nonneg=True)
        oracle = cvxpy.Problem(cvxpy.Minimize(slack), [*allowed, rows[mine] @ x + slack >= lower[mine]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            oracle.solve(**EXACT)
        assume(oracle.status == "optimal")  # else it says of itself that it may be inaccurate, as for seed 3796
        assert violation[mine].max() <= slack.value + 2e-3
        reached = (
            np.maximum(violation[mine], 0) + 1e-7
        )  # where rows are all but parallel 1e-6 more of one is 0.01 of another
        allowed.append(rows[mine] @ x >= lower[mine] - reached)


def states(count: int, seed: int = 0) -> list[State]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        speed, force = rng.uniform(0, 16), rng.uniform(-5000, 3500)
        low, high = car().force_window(force, 0.005)
        lane = TrackedLane(
            rng.uniform(-0.8, 0.8), rng.uniform(-0.1, 0.1), 0.1, 0.02, (0.0, 12.0, 24.0, 36.0),
            tuple(rng.uniform(-0.03, 0.03, 4)), 36.0,
        )  # fmt: skip
        arc = Ahead(rng.uniform(2, 60)) if rng.random() < 0.5 else Ahead()
        made.append(State(speed, force, rng.uniform(-0.02, 0.02), low, high, rng.uniform(-0.5, 0.5), lane, arc, arc))
    return made


WIDE = Box(-8000.0, 3800.0, -0.2, 0.2)


def test_layer_gives_what_the_live_filter_gives() -> None:
    rng = np.random.default_rng(3)
    drawn = states(40, 3)
    boxes = [joint_box(car(), state.force, state.curvature, 0.005) for state in drawn]
    net, live = BarrierNet(settings(), car()), Filter(settings(), car())
    nominal = np.stack([rng.uniform(-6000, 6000, 40), rng.uniform(-0.1, 0.1, 40)], axis=1)
    gains = rng.uniform(0.2, 5.0, (40, len(net.gain_names)))
    safe = net(torch.from_numpy(nominal), torch.from_numpy(gains), net.rows(drawn, boxes)).numpy()
    for index, state in enumerate(drawn):
        by_name = dict(zip(net.gain_names, gains[index], strict=True))
        alone = live(state, tuple(nominal[index]), by_name, boxes[index])
        np.testing.assert_allclose(safe[index], [alone.force, alone.curvature], rtol=1e-5, atol=1e-6)


def test_layer_gradient_matches_finite_differences() -> None:
    drawn = states(30, 5)
    net = BarrierNet(settings(), car())
    rows = net.rows(drawn, [WIDE] * len(drawn))
    rng = np.random.default_rng(5)
    nominal = torch.from_numpy(np.stack([rng.uniform(-6000, 6000, 30), rng.uniform(-0.1, 0.1, 30)], axis=1))
    gains = torch.from_numpy(rng.uniform(0.6, 3.5, (30, len(net.gain_names))))
    weight = torch.tensor([1 / 5000.0, 1 / 0.02], dtype=torch.float64)

    def loss(u: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return (net(u, p, rows) * weight).sum(dim=1)

    u, p = nominal.clone().requires_grad_(), gains.clone().requires_grad_()
    loss(u, p).sum().backward()
    changed = 0
    for part, grad, step in ((nominal, u.grad, (1.0, 1e-5)), (gains, p.grad, (1e-4,) * gains.shape[1])):
        for column in range(part.shape[1]):
            up, down = part.clone(), part.clone()
            up[:, column] += step[column]
            down[:, column] -= step[column]
            args = ((up, gains), (down, gains)) if part is nominal else ((nominal, up), (nominal, down))
            slope = (loss(*args[0]) - loss(*args[1])) / (2 * step[column])
            close = torch.isclose(grad[:, column], slope, rtol=1e-3, atol=1e-6 / step[column] * 1e-2)
            assert close.float().mean() > 0.9  # the rest straddles a change of the active set
            changed += int((slope.abs() > 1e-9).sum())
    assert changed > 20


def test_where_rows_give_way_derivatives_are_exact() -> None:
    """By the wish, by the gains and by the joint box, through all programmes that it took."""
    drawn, rng = states(200, 12), np.random.default_rng(12)
    net, live = BarrierNet(settings(), car()), Filter(settings(), car())
    boxes = [joint_box(car(), state.force, state.curvature, 0.1) for state in drawn]
    wishes = np.stack([rng.uniform(-6000, 6000, 200), rng.uniform(-0.1, 0.1, 200)], axis=1)
    drawn_gains = rng.uniform(0.6, 3.5, (200, len(net.gain_names)))
    told = [
        live(state, tuple(wish), dict(zip(net.gain_names, gains, strict=True)), box)
        for state, wish, gains, box in zip(drawn, wishes, drawn_gains, boxes, strict=True)
    ]
    gave_way = [at for at, one in enumerate(told) if one.solved and any(state.relaxed for state in one.barriers)]
    assert len(gave_way) > 20
    rows = net.rows([drawn[at] for at in gave_way], [boxes[at] for at in gave_way])
    given = wishes[gave_way], drawn_gains[gave_way], np.array(boxes)[gave_way]
    parts = [torch.from_numpy(part).requires_grad_() for part in given]

    def answer(wish: torch.Tensor, gains: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        return (net(wish, gains, replace(rows, box=box)) / net.get_buffer("scale")).sum(dim=1)

    answer(*parts).sum().backward()
    by_gain, clear = 0, 0  # few: what gives way to a row with a gain seldom rests on it
    for part, steps in zip(parts, ((0.1, 1e-6), (1e-5,) * len(net.gain_names), (0.1, 0.1, 1e-6, 1e-6)), strict=True):
        assert part.grad is not None
        for index, step in enumerate(steps):
            moved = torch.zeros_like(part)
            moved[:, index] = step
            ends = ([one + sign * moved if one is part else one for one in parts] for sign in (1.0, 0.0, -1.0))
            up, middle, down = (answer(*end).detach() for end in ends)
            told = step * part.grad[:, index]
            size = 1e-8 + 1e-3 * torch.maximum((up - middle).abs(), (down - middle).abs())
            smooth = (up + down - 2 * middle).abs() < size  # elsewhere there is a kink
            assert (((up - down) / 2 - told).abs()[smooth] < 2 * size[smooth]).all()
            clear += int(smooth.sum())
            by_gain += int((part.grad[:, index].abs() > 1e-3)[smooth].sum()) if part is parts[1] else 0
    assert clear > 0.97 * len(gave_way) * (2 + len(net.gain_names) + 4)
    assert by_gain > 0


@pytest.mark.parametrize(("count", "cheap", "slack_cost"), [(80, False, 1e4), (20, True, 1e4), (10, False, 2.0)])
def test_programmes_that_contradict_are_differentiated_through_all_that_relaxed_them(
    count: int, cheap: bool, slack_cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows at random on several levels, two of one level among them; along random directions in wish, rows and bounds.

    ``cheap``: the dear slack is never solved, as in thin cases, so that proximal steps follow. Where slack costs little
    more than the wish, the wish decides by how much rows give way.
    """
    if cheap:
        monkeypatch.setattr(relaxation, "CHEAPER", (1e-2,))
    rng, step = np.random.default_rng(17), 1e-7
    priority = [HARD] * 4 + [5, 4, 4, 3, 2, 1, 0]
    G = rng.normal(size=(count, 7, 2))
    G /= np.linalg.norm(G, axis=2, keepdims=True)
    lower = np.concatenate((np.full((count, 4), -1.0), rng.uniform(-0.5, 2.0, (count, 7))), axis=1)
    lower[::5, 6] = -np.inf  # rows that are off
    given = rng.normal(size=(count, 2)), np.concatenate((np.broadcast_to(BOX, (count, 4, 2)), G), axis=1), lower
    parts = [torch.from_numpy(part).requires_grad_() for part in given]
    options = replace(settings().safety.filter, slack_cost=slack_cost)
    solver = filter_solver(priority, replace(settings(), safety=replace(settings().safety, filter=options)))
    weight = torch.from_numpy(rng.normal(size=(count, 2)))

    def answer(wish: torch.Tensor, rows: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
        none = torch.full((count, 2), torch.nan, dtype=torch.float64)
        return (qp_layer(torch.eye(2, dtype=torch.float64), -wish, rows, bounds, none, solver)[0] * weight).sum(dim=1)

    middle = answer(*parts)
    middle.nansum().backward()
    grads = [part.grad for part in parts if part.grad is not None]
    tapes: list[list[Level]] = [[] for _ in range(count)]
    for sample, tape in enumerate(tapes):
        on = np.isfinite(lower[sample])
        each = (part[sample] for part in given)
        wish, rows, bounds = next(each), next(each)[on], next(each)[on]
        solve_by_priority(wish, rows, bounds, np.array(priority)[on], slack_cost, options.tolerance, tape=tape)
    assert sum(map(bool, tapes)) > 0.6 * count
    assert sum(len(tape) > 1 for tape in tapes) > 0.1 * count
    assert all((len(level.solved) > 1) == cheap for tape in tapes for level in tape)
    clear = 0
    for _ in range(3):
        moved = [torch.from_numpy(rng.normal(size=part.shape)) for part in given]
        up, down = (
            answer(*(part.detach() + sign * step * by for part, by in zip(parts, moved, strict=True))) - middle.detach()
            for sign in (1.0, -1.0)
        )
        told = sum((grad * by).reshape(count, -1).sum(dim=1) for grad, by in zip(grads, moved, strict=True)) * step
        size = 1e-9 + 1e-3 * torch.maximum(up.abs(), down.abs())
        smooth = (up + down).abs() < size
        assert (((up - down) / 2 - told).abs()[smooth] < 2 * size[smooth]).all()
        clear += int(smooth.sum())
    assert clear > 0.9 * 3 * count


def test_projection_passes_gradcheck() -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(6, 5, 2))
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    wanted = torch.from_numpy(2 * rng.normal(size=(6, 2))).requires_grad_()
    lower = torch.from_numpy(rng.uniform(-1.5, 0.0, (6, 5))).requires_grad_()
    solver, cost = filter_solver([HARD] * 5, settings()), torch.eye(2, dtype=torch.float64)

    def layer(z: torch.Tensor, G: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return qp_layer(cost, -z, G, b, torch.zeros_like(z), solver)[0]

    assert torch.autograd.gradcheck(layer, (wanted, torch.from_numpy(rows).requires_grad_(), lower), atol=1e-6)
    assert (layer(wanted, torch.from_numpy(rows), lower) - wanted).abs().max() > 0.1


def test_layer_brakes_where_there_is_no_solution() -> None:
    """A joint box that contradicts itself: never the nominal command, as in the live filter."""
    drawn = states(2, 9)
    net, live = BarrierNet(settings(), car()), Filter(settings(), car())
    boxes = [Box(-3000.0, 1000.0, -0.02, 0.02), Box(-3000.0, -4000.0, -0.02, 0.02)]
    nominal = torch.tensor([[3000.0, 0.01]] * 2, dtype=torch.float64, requires_grad=True)
    gains = torch.full((2, len(net.gain_names)), 2.0, dtype=torch.float64)
    safe = net(nominal, gains, net.rows(drawn, boxes))
    told = live(drawn[1], (3000.0, 0.01), dict.fromkeys(net.gain_names, 2.0), boxes[1])
    assert not told.solved
    np.testing.assert_allclose(safe[1].detach().numpy(), [told.force, told.curvature])
    safe.sum().backward()
    assert nominal.grad is not None
    assert (nominal.grad[1] == 0).all()
    assert torch.isfinite(nominal.grad).all()


def test_some_samples_of_a_batch_give_what_they_give_in_the_whole() -> None:
    drawn, picked = states(5, 4), [3, 0, 4]
    net = BarrierNet(settings(), car())
    rows = net.rows(drawn, [joint_box(car(), state.force, state.curvature, 0.005) for state in drawn])
    nominal = torch.tensor([[3000.0, 0.05]] * 5, dtype=torch.float64)
    gains = torch.full((5, len(net.gain_names)), 2.0, dtype=torch.float64)
    whole = net(nominal, gains, rows)
    assert torch.equal(net(nominal[picked], gains[picked], rows[picked]), whole[picked])


def test_the_layer_clamps_gains_and_leaves_out_rows_that_are_off() -> None:
    """As the live filter does: beyond their interval gains change nothing; without lane and things, few rows are on."""
    drawn = [State(speed=16.0, force_low=-9000.0, force_high=9000.0), *states(6, 8)]
    net, live = BarrierNet(settings(), car()), Filter(settings(), car())
    low, high = settings().policy.gain_low, settings().policy.gain_high
    rows = net.rows(drawn, [WIDE] * 7)
    nominal = torch.tensor([[3500.0, 0.15]] * 7, dtype=torch.float32)
    for gain, clamped in ((1e9, high), (-1e9, low)):
        safe = net(nominal, torch.full((7, len(net.gain_names)), gain), rows)
        assert safe.dtype == torch.float32
        for sample, state in zip(safe.tolist(), drawn, strict=True):
            told = live(state, (3500.0, 0.15), dict.fromkeys(net.gain_names, clamped), WIDE)
            assert sample == pytest.approx([told.force, told.curvature], rel=1e-4, abs=1e-5)


def test_a_row_whose_barrier_names_no_gain_takes_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the layer as in the live filter, whatever gain the policy gives another barrier."""

    class Plain(Barrier):
        priority, rows = Priority.COMFORT, 1

        def fill(self, state: State, rows: Rows) -> float:
            rows.set(0, -1.0 / car().effective_mass, 0.0, 0.0, 0.5)
            return 0.5

    monkeypatch.setitem(registry.barriers._parts, "plain", Plain)
    kept = {"plain": BarrierParameters("plain"), "speed": settings().safety.barriers["speed"]}
    given = replace(settings(), safety=replace(settings().safety, barriers=kept))
    net, live, state = BarrierNet(given, car()), Filter(given, car()), State(speed=3.0)
    told = live(state, (9000.0, 0.0), {"speed": 3.9}, WIDE)
    assert told.force == pytest.approx(0.5 * settings().safety.filter.gain_default * car().effective_mass, rel=1e-5)
    safe = net(torch.tensor([[9000.0, 0.0]]), torch.tensor([[3.9]]), net.rows([state], [WIDE]))
    assert safe[0].tolist() == pytest.approx([told.force, told.curvature], rel=1e-5, abs=1e-6)


def test_nothing_of_the_layer_is_learnt_or_stored() -> None:
    net = BarrierNet(settings(), car())
    assert not net.state_dict()
    assert not list(net.parameters())
