# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme with what is unkind to a solver: degenerate, parallel, doubled, contradicting, huge, tiny."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import daqp
import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import settings as profile
from hypothesis import strategies as st

from tidegate.safety import qp, relaxation
from tidegate.safety.barrier import Priority
from tidegate.safety.filter import BOX
from tidegate.safety.qp import PART, PUSHES, UNBOUNDED, QPResult, nothing, solve_each, solve_qp, solve_qps
from tidegate.safety.relaxation import HARD, Level, relaxed, solve_by_priority

TOLERANCE = 1e-6
FAR = 1e5
"""Rows that leave each other room only beyond this are told apart by rounding."""
STATUS = {"solved", "infeasible", "out of steps", "failed"}

small = st.floats(-3.0, 3.0, allow_subnormal=False)
scale = st.sampled_from([1e-9, 1e-3, 1.0, 1.0, 1.0, 1e3, 1e6])
wild = st.one_of(small, st.floats(allow_nan=True, allow_infinity=True))
KINDS = ["plain", "plain", "plain", "double", "parallel", "opposite", "nearly", "zero"]


@st.composite
def programmes(draw: st.DrawFn, number: st.SearchStrategy[float] = small, scales: st.SearchStrategy[float] = scale):  # type: ignore[no-untyped-def]
    """Cost 1, wish (2,), rows (m, 2) and bounds (m,); many rows are copies, multiples or opposites of earlier ones."""
    rows: list[np.ndarray] = []
    lower: list[float] = []
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9)):
        row, bound = np.array([draw(number), draw(number)]), draw(number)
        if rows and kind != "plain":
            at = draw(st.integers(0, len(rows) - 1))
            factor = {"double": 1.0, "parallel": draw(scales), "opposite": -1.0, "nearly": 1 + 1e-9, "zero": 0.0}[kind]
            row, bound = rows[at] * factor, draw(st.sampled_from([lower[at] * factor, bound]))
        by = draw(scales)
        rows.append(row * by)
        lower.append(bound * by)
    return np.array([draw(number), draw(number)]), np.array(rows), np.array(lower)


def fuzzed(*drawn: st.SearchStrategy, few: int, many: int) -> Callable[[Callable[..., None]], Callable[[int], None]]:  # type: ignore[type-arg]
    """A test with ``few`` examples, and with ``many`` in ``make check``."""

    def made(body: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])
        @pytest.mark.filterwarnings("ignore::RuntimeWarning")
        def test(count: int) -> None:
            profile(max_examples=count, deadline=None)(given(*drawn)(body))()

        return test

    return made


def check(result: QPResult, rows: np.ndarray, lower: np.ndarray, tolerance: float = TOLERANCE) -> None:
    """What every result must keep, whatever went in."""
    assert result.status in STATUS
    if result.status == "solved":
        assert np.isfinite(result.solution).all()
        # written as in the solver's check: another way it rounds to another word where sizes are wild
        assert (lower - np.einsum("mn,n->m", rows, result.solution) <= tolerance).all()
        assert (result.multipliers >= 0).all()
    else:
        assert np.isnan(result.solution).all()
        assert (result.multipliers == 0).all()
        assert result.residual == np.inf
        assert not result.active.any()


@fuzzed(programmes(number=wild), few=50, many=2000)
def test_whatever_goes_in_solved_means_that_the_rows_hold(made: tuple[np.ndarray, ...]) -> None:
    wish, rows, lower = made
    check(solve_qp(np.eye(2), -wish, rows, lower, TOLERANCE), rows, lower)
    unkind = not np.isfinite(np.concatenate((wish, rows.ravel(), lower))).all()
    if unkind:
        assert solve_qp(np.eye(2), -wish, rows, lower).status == "failed"


@fuzzed(programmes(), few=5, many=300)
def test_the_answer_is_that_of_an_interior_point_solver(made: tuple[np.ndarray, ...]) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    wish, rows, lower = made
    norm = np.linalg.norm(rows, axis=1)
    assume((norm > 1e-4).all())
    rows, lower = rows / norm[:, None], lower / norm
    assume((np.abs(lower) < 1e3).all())
    result = solve_qp(np.eye(2), -wish, rows, lower, TOLERANCE)
    check(result, rows, lower)
    x, room = cvxpy.Variable(2), cvxpy.Variable()
    kept = [rows @ x - lower >= room, room <= 1]
    cvxpy.Problem(cvxpy.Maximize(room), [*kept, cvxpy.abs(x) <= FAR]).solve(solver=cvxpy.CLARABEL)
    near = room.value
    cvxpy.Problem(cvxpy.Maximize(room), kept).solve(solver=cvxpy.CLARABEL)
    # on the edge between feasible and not either word is right, and where nothing near is feasible
    assume(min(abs(near), abs(room.value)) > 1e-5 and (near > 0) == (room.value > 0))
    if room.value < 0:
        assert result.status == "infeasible"
        return
    assert result.status == "solved"
    problem = cvxpy.Problem(cvxpy.Minimize(0.5 * cvxpy.sum_squares(x - wish)), [rows @ x >= lower])
    try:
        problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    except cvxpy.SolverError:  # it gives up on some parallel rows, whose answer others judge (cases by hand, DAQP)
        reject()
    cost = 0.5 * np.sum((result.solution - wish) ** 2)
    assert cost == pytest.approx(problem.value, abs=1e-5, rel=1e-5)


@fuzzed(st.lists(programmes(number=wild), min_size=2, max_size=5), st.integers(0, 10**6), few=5, many=300)
def test_in_a_batch_each_gets_what_it_gets_alone(made: list[tuple[np.ndarray, ...]], seed: int) -> None:
    """Rows beyond its own are off; the order of the batch changes nothing."""
    count = max(len(lower) for _, _, lower in made)
    G, bounds = np.zeros((len(made), count, 2)), np.full((len(made), count), -np.inf)
    for sample, (_, rows, lower) in enumerate(made):
        G[sample, : len(rows)], bounds[sample, : len(lower)] = rows, lower
    wishes = -np.array([wish for wish, _, _ in made])
    order = np.random.default_rng(seed).permutation(len(made))
    batch, turned = (
        solve_qps(np.eye(2), wishes, G, bounds),
        solve_qps(np.eye(2), wishes[order], G[order], bounds[order]),
    )
    for sample, (wish, rows, lower) in enumerate(made):
        on = ~(lower <= -UNBOUNDED)
        alone = solve_qp(np.eye(2), -wish, rows[on], lower[on])
        assert batch.status[sample] == alone.status
        assert batch.solved[sample] == (alone.status == "solved")
        np.testing.assert_array_equal(batch.solution[sample], alone.solution)
        np.testing.assert_array_equal(batch.multipliers[sample, : len(rows)][on], alone.multipliers)
        assert batch.residual[sample] == alone.residual
    np.testing.assert_array_equal(turned.solution, batch.solution[order])
    np.testing.assert_array_equal(turned.status, batch.status[order])


def unit(made: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As the filter hands them over: rows of norm 1, after the joint box."""
    wish, rows, lower = made
    norm = np.linalg.norm(rows, axis=1)
    assume((norm > 1e-6).all())
    return wish, np.concatenate((BOX, rows / norm[:, None])), np.concatenate(([-1.0] * 4, lower / norm))


@fuzzed(programmes(), st.integers(0, 10**6), few=25, many=1000)
def test_however_rows_contradict_the_joint_box_holds_and_no_row_gives_way_for_a_lower_one(
    made: tuple[np.ndarray, ...], seed: int
) -> None:
    wish, rows, lower = unit(made)
    soft = np.random.default_rng(seed).integers(0, len(Priority), len(rows) - 4)
    priority = np.concatenate(([HARD] * 4, soft))
    result = solve_by_priority(wish, rows, lower, priority, 1e4, TOLERANCE)
    contradicts = solve_qp(np.eye(2), -wish, rows, lower, TOLERANCE).status != "solved"
    bounds = relaxed(wish, rows, lower, priority, 1e4, TOLERANCE) if contradicts else lower
    check(result, rows, bounds, 11 * TOLERANCE)
    cross = np.abs(np.outer(rows[:, 0], rows[:, 1]) - np.outer(rows[:, 1], rows[:, 0]))
    if ((cross > 1e-12) & (cross < 1e-2)).any() or np.abs(lower).max() > 100:
        return  # almost parallel: the solver may give up, and says so
    assert result.status == "solved"  # the box alone is never empty
    assert (BOX @ result.solution >= -1 - 11 * TOLERANCE).all()
    # without the lower levels the higher ones would not have held better
    for level in sorted(set(soft.tolist()), reverse=True):
        kept = priority >= level
        alone = solve_by_priority(wish, rows[kept], lower[kept], priority[kept], 1e4, TOLERANCE)
        mine = priority == level
        broken, least = (np.maximum(lower[mine] - rows[mine] @ part.solution, 0).max() for part in (result, alone))
        assert broken <= least + 2e-3


def test_a_level_gives_way_by_the_least_that_the_levels_above_it_need() -> None:
    """x ≥ 2 (last to give way) against x ≤ 0.5 (first), in a box of ±1, by hand."""
    rows, lower = np.concatenate((BOX, [[1.0, 0.0], [-1.0, 0.0]])), np.array([-1.0] * 4 + [2.0, -0.5])
    wish = np.array([0.2, 0.3])
    priority = [HARD] * 4 + [Priority.DISTANCE, Priority.COMFORT]
    gone = relaxed(wish, rows, lower, priority, 1e6, TOLERANCE)
    np.testing.assert_allclose(gone, [-1, -1, -1, -1, 1.0, -1.0], atol=1e-4)
    assert (gone <= lower).all()
    np.testing.assert_array_equal(gone[:4], lower[:4])
    np.testing.assert_array_equal(lower[4:], [2.0, -0.5])  # what was handed in is untouched
    result = solve_by_priority(wish, rows, lower, priority, 1e6, TOLERANCE)
    np.testing.assert_allclose(result.solution, [1.0, 0.3], atol=1e-4)
    swapped = solve_by_priority(wish, rows, lower, [HARD] * 4 + [Priority.COMFORT, Priority.DISTANCE], 1e6, TOLERANCE)
    np.testing.assert_allclose(swapped.solution, [0.5, 0.3], atol=1e-4)


def test_rows_that_do_not_contradict_give_nothing() -> None:
    rows, lower = np.concatenate((BOX, [[1.0, 0.0], [-1.0, 0.0]])), np.array([-1.0] * 4 + [0.5, -0.5])
    priority = [HARD] * 4 + [Priority.DISTANCE, Priority.COMFORT]
    tape: list[Level] = []
    result = solve_by_priority(np.array([0.9, -0.4]), rows, lower, priority, 1e4, TOLERANCE, tape=tape)
    np.testing.assert_allclose(result.solution, [0.5, -0.4], atol=1e-9)
    assert tape == []


def test_a_level_that_holds_is_left_as_it_is_while_one_below_it_gives_way() -> None:
    rows = np.concatenate((BOX, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))
    lower = np.array([-1.0] * 4 + [0.5, -0.5, 3.0])
    priority = [HARD] * 4 + [Priority.DISTANCE, Priority.LANE, Priority.COMFORT]
    gone = relaxed(np.array([0.9, -0.4]), rows, lower, priority, 1e4, TOLERANCE)
    np.testing.assert_array_equal(gone[:-1], lower[:-1])
    assert gone[-1] == pytest.approx(1.0, abs=1e-3)


def test_slack_that_costs_more_is_spent_less() -> None:
    rows, lower = np.concatenate((BOX, [[1.0, 0.0], [-1.0, 0.0]])), np.array([-1.0] * 4 + [0.6, -0.4])
    priority = [HARD] * 4 + [Priority.LANE] * 2  # contradict within one level: each gives 0.1 at the least
    broken = []
    for cost in (1.0, 100.0, 1e6):
        x = solve_by_priority(np.array([-1.0, 0.0]), rows, lower, priority, cost, TOLERANCE).solution[0]
        broken.append(max(0.6 - x, x - 0.4))
    assert broken == sorted(broken, reverse=True)
    assert broken[-1] == pytest.approx(0.1, abs=1e-4)
    # least s with x ≥ 0.6 − s: minimise ½(x + 1)² + ½ c s², so x = (0.6 c − 1)/(c + 1)
    assert 0.6 - broken[0] == pytest.approx(max((0.6 * 1.0 - 1) / 2, 0.6 - 1.0), abs=1e-4)


def test_cheaper_slack_gives_way_by_the_least_too() -> None:
    """The solver takes dear slack for infeasible, and the wish pulls harder than cheap slack costs."""
    rows, lower = np.concatenate((BOX, [[1.0, 0.0], [-1.0, 0.0]])), np.array([-1.0] * 4 + [0.6, -0.4])
    priority, wish, dear = [HARD] * 4 + [Priority.LANE] * 2, np.array([-20.0, 0.0]), 200.0
    asked, tape = [], list[Level]()

    def refuses(P: np.ndarray, *rest: np.ndarray) -> QPResult:
        asked.append(rest[-1])
        refused = QPResult(np.full(3, np.nan), np.zeros(6), np.inf, "infeasible")
        return refused if P[-1, -1] == dear else solve_qp(P, *rest)

    result = solve_by_priority(wish, rows, lower, priority, dear, TOLERANCE, refuses, tape)
    assert result.solution[0] == pytest.approx(0.5, abs=1e-3)
    assert max(asked) <= 10 * TOLERANCE
    (level,) = tape
    assert [one.cost for one in level.solved] == [2.0] * (1 + relaxation.AGAIN)
    # the nearest to the box's end −1 and then to where that led, at ½ · 2 · (0.6 − x)²
    steps = [one.result.solution[0] for one in level.solved[:3]]
    assert steps == pytest.approx([-1.0, 0.2 / 3, (0.2 / 3 + 1.2) / 3], abs=1e-5)


class Asked:
    """``solve_qp``, which keeps of each programme its q, the cost of its last variable and its tolerance; where that
    cost is ``refused`` it finds no solution."""

    def __init__(self, refused: float = math.nan) -> None:
        self.refused = refused
        self.programmes: list[tuple[list[float], float, float]] = []
        self.results: list[QPResult] = []

    def __call__(self, P: np.ndarray, q: np.ndarray, G: np.ndarray, lower: np.ndarray, tolerance: float) -> QPResult:
        cost = float(P[-1, -1])
        self.programmes.append((q.tolist(), cost, tolerance))
        known = nothing(len(q), len(lower), "infeasible") if cost == self.refused else None
        self.results.append(known or solve_qp(P, q, G, lower, tolerance))
        return self.results[-1]


EXACT = 2.0**-20
BEYOND = (
    np.array([0.25, -0.5]),
    np.concatenate((BOX, [[0.0, 1.0], [1.0, 0.0]])),
    np.array([-1.0, -1.0, -1.0, -1.0, -0.75, 2.0]),
)
"""A wish, one row that it keeps, and one that the box leaves no room."""


@pytest.mark.parametrize("level", [level for level in Priority if level < Priority.DISTANCE])
def test_nothing_is_asked_twice_and_what_gives_way_is_held_to_ten_tolerances(level: Priority) -> None:
    """The whole, the level above, the least slack, what is left: levels without rows take no programme."""
    asked = Asked()
    result = solve_by_priority(*BEYOND, [HARD] * 4 + [Priority.DISTANCE, level], 1e5, EXACT, asked)
    whole, slack = ([-0.25, 0.5], 1.0), ([-0.25, 0.5, 0.0], 1e5)
    assert asked.programmes == [(*whole, EXACT), (*whole, EXACT), (*slack, 10 * EXACT), (*whole, 10 * EXACT)]
    assert result.solution == pytest.approx([1.0 - 50 * EXACT, -0.5], abs=1e-9)


def test_slack_too_dear_to_be_solved_is_tried_at_a_hundredth_and_traded_back_in_four_steps() -> None:
    asked = Asked(refused=1e5)
    result = solve_by_priority(*BEYOND, [HARD] * 4 + [Priority.DISTANCE, Priority.LANE], 1e5, EXACT, asked)
    assert [cost for _, cost, _ in asked.programmes] == [1.0, 1.0, 1e5, *[1e3] * 5, 1.0]
    assert {tolerance for _, _, tolerance in asked.programmes[2:]} == {10 * EXACT}
    for (towards, _, _), before in zip(asked.programmes[4:8], asked.results[3:7], strict=True):
        assert towards == [*-before.solution[:2], 0.0]
    assert result.solution == pytest.approx([1.0 - 50 * EXACT, -0.5], abs=1e-6)


def test_bounds_within_reach_take_one_programme_held_to_ten_tolerances() -> None:
    asked, reach = Asked(), np.array([-1.0, -1.0, -1.0, -1.0, -0.75, 0.75])
    result = solve_by_priority(
        *BEYOND, [HARD] * 4 + [Priority.DISTANCE, Priority.LANE], 1e5, EXACT, asked, within_reach=reach
    )
    assert asked.programmes == [([-0.25, 0.5], 1.0, 10 * EXACT)]
    assert result.solution == pytest.approx([0.75, -0.5], abs=1e-9)


def test_the_tape_tells_of_a_level_that_gave_way_its_rows_its_slack_and_what_was_solved() -> None:
    asked, tape = Asked(), list[Level]()
    levels = [HARD] * 4 + [Priority.LANE, Priority.DISTANCE]
    bounds = np.array([-1.0, -1.0, -1.0, -1.0, 1.5, 0.75])  # the last can be kept
    solve_by_priority(*BEYOND[:2], bounds, levels, 1e5, EXACT, asked, tape)
    (level,) = tape
    assert level.rows.tolist() == [0, 1, 2, 3, 5, 4]
    assert level.slack.tolist() == [False] * 5 + [True]
    assert level.lowered.tolist() == [4]
    assert [(one.cost, one.result is asked.results[2]) for one in level.solved] == [(1e5, True)]


def test_an_exact_answer_needs_no_tolerance() -> None:
    programme = np.eye(2), np.zeros(2), np.array([[1.0, 0.0]]), np.zeros(1)
    assert solve_qp(*programme, tolerance=0.0).status == "solved"
    batch = solve_qps(programme[0], *(part[None] for part in programme[1:]), tolerance=0.0)
    assert batch.status.tolist() == ["solved"]


def test_work_is_bounded_by_count_even_with_a_solver_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """No programme takes more than ``ITERATIONS`` steps, no call more than ``SOLVES`` programmes."""
    rng, asked, limits = np.random.default_rng(0), [0], set()
    real = daqp.solve

    def counted(*programme: np.ndarray, iter_limit: int) -> tuple[object, ...]:
        asked[0] += 1
        limits.add(iter_limit)
        return real(*programme, iter_limit=iter_limit)  # type: ignore[no-any-return]

    monkeypatch.setattr("daqp.solve", counted)
    levels = np.repeat(np.arange(HARD), 3)
    for _ in range(100):
        rows = rng.normal(size=(len(levels), 2))
        rows = np.concatenate((BOX, rows / np.linalg.norm(rows, axis=1, keepdims=True)))
        lower, priority = np.concatenate(([-1.0] * 4, rng.uniform(0, 2, len(levels)))), np.append([HARD] * 4, levels)
        asked[0] = 0
        assert solve_by_priority(rng.normal(size=2), rows, lower, priority, 1e4, TOLERANCE).status == "solved"
        assert 2 * HARD <= asked[0] <= relaxation.SOLVES
    assert limits == {qp.ITERATIONS}
    monkeypatch.setattr(qp, "ITERATIONS", 1)  # none ends within that
    asked[0] = 0
    assert solve_by_priority(np.ones(2), rows, lower, priority, 1e4, TOLERANCE).status == "out of steps"
    assert asked[0] <= relaxation.SOLVES


def test_at_the_worst_the_work_is_as_much_as_the_bound_says() -> None:
    """Every level has a row, none holds as it is, and all take cheap slack for dear."""
    rng, asked, dear = np.random.default_rng(3), [0], 1e3
    rows = np.concatenate((BOX, rng.normal(size=(HARD, 2))))
    lower, priority = np.append([-1.0] * 4, [0.5] * HARD), [HARD] * 4 + [*range(HARD)]

    def unwilling(P: np.ndarray, *rest: np.ndarray) -> QPResult:
        asked[0] += 1
        refused = QPResult(np.full(len(P), np.nan), np.zeros(len(rest[2])), np.inf, "infeasible")
        return refused if len(P) == 2 or P[-1, -1] == dear else solve_qp(P, *rest)

    assert solve_by_priority(np.zeros(2), rows, lower, priority, dear, TOLERANCE, unwilling).status == "infeasible"
    assert asked[0] == relaxation.SOLVES


def test_a_programme_that_needs_more_steps_than_it_may_take_is_told_and_never_answered() -> None:
    """x ≥ 1 in each of so many dimensions: each step adds one row."""
    size = qp.ITERATIONS + 100
    few, many = (solve_qp(np.eye(n), np.zeros(n), np.eye(n), np.ones(n)) for n in (qp.ITERATIONS // 2, size))
    assert few.status == "solved"
    assert many.status == "out of steps"
    check(many, np.eye(size), np.ones(size))
    batch = solve_qps(np.eye(size), np.zeros((1, size)), np.eye(size)[None], np.ones((1, size)))
    assert batch.status.tolist() == ["out of steps"]
    assert not batch.solved.any()


def test_a_contradicting_box_is_told_and_never_answered() -> None:
    rows, lower = BOX, np.array([0.5, 0.0, -1.0, -1.0])  # x ≥ 0.5 and x ≤ 0
    result = solve_by_priority(np.zeros(2), rows, lower, [HARD] * 4, 1e4, TOLERANCE)
    assert result.status == "infeasible"
    check(result, rows, lower)


def test_no_rows_at_all_leave_the_wish_as_it_is() -> None:
    result = solve_qp(np.eye(2), np.array([-3.0, 4.0]), np.empty((0, 2)), np.empty(0))
    assert (result.status, result.residual) == ("solved", 0.0)
    np.testing.assert_array_equal(result.solution, [3.0, -4.0])
    assert solve_qp(np.eye(2), np.ones(2), np.empty((0, 2)), np.empty(0), tolerance=0.0).status == "solved"


def test_a_batch_may_share_its_cost_or_give_each_its_own() -> None:
    q, rows = np.array([[-3.0, 0.0, 1.0], [-1.0, -1.0, 0.0]]), np.zeros((2, 4, 3))
    rows[:, 0, 0], lower = -1.0, np.full((2, 4), -np.inf)
    lower[:, 0] = -2.0  # x ≤ 2
    shared = solve_qps(np.eye(3), q, rows, lower)
    np.testing.assert_allclose(shared.solution, [[2.0, 0.0, -1.0], [1.0, 1.0, 0.0]])
    own = solve_qps(np.stack([np.eye(3), 2 * np.eye(3)]), q, rows, lower)
    np.testing.assert_allclose(own.solution, [[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(own.multipliers, [[1.0, 0, 0, 0], [0, 0, 0, 0]])


def test_a_batch_whose_rows_are_off_has_its_wishes_whatever_the_rows_are() -> None:
    q, rows = np.array([[-3.0, 4.0], [1.0, 2.0]]), np.full((2, 2, 2), np.nan)
    for off in (-UNBOUNDED, -np.inf):
        batch = solve_qps(np.eye(2), q, rows, np.full((2, 2), off))
        np.testing.assert_array_equal(batch.solution, -q)
        assert batch.residual.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("own", [False, True])
def test_workers_give_what_is_given_without_them_and_are_not_troubled_with_little(own: bool) -> None:
    rng, count = np.random.default_rng(8), 2 * PART + 3
    q, rows, lower = rng.normal(size=(count, 2)), rng.normal(size=(count, 3, 2)), rng.normal(size=(count, 3))
    P = rng.uniform(1.0, 2.0, count)[:, None, None] * np.eye(2) if own else np.eye(2)
    alone = solve_qps(P, q, rows, lower, 1e-7)
    with ThreadPoolExecutor(2) as pool:
        shared = solve_qps(P, q, rows, lower, 1e-7, pool)
    for name in ("solution", "multipliers", "residual", "status"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))
    assert 0 < alone.solved.sum() < count
    few = (P[:PART] if own else P), q[:PART], rows[:PART], lower[:PART], 1e-7
    assert (solve_qps(*few, pool).status == alone.status[:PART]).all()  # a pool that is closed would raise


@pytest.mark.parametrize("flag", [-5, -3, -2, 0, 2])
def test_a_solver_that_gives_up_is_not_believed(flag: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daqp.solve", lambda *_, **__: (np.zeros(2), 0.0, flag, {"lam": np.zeros(1)}))
    result = solve_qp(np.eye(2), np.zeros(2), np.array([[1.0, 0.0]]), np.array([-1.0]))
    assert result.status == "failed"
    check(result, np.array([[1.0, 0.0]]), np.array([-1.0]))


@pytest.mark.parametrize(
    ("told", "status"),
    [([0.0, 0.0], "failed"), ([1.0 - 1.5e-6, 0.0], "failed"), ([1.0 - 9e-7, 0.0], "solved"), ([np.nan, 0.0], "failed"),
     ([np.inf, 0.0], "failed"), ([1.0, np.inf], "failed")],
)  # fmt: skip
def test_a_solver_that_lies_is_found_out(told: list[float], status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says 'solved' with something that breaks the row x ≥ 1, or with what is no number."""
    monkeypatch.setattr("daqp.solve", lambda *_, **__: (np.array(told), 0.0, 1, {"lam": np.array([-0.5, 0.3])}))
    rows, lower = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([1.0, -1.0])
    with np.errstate(invalid="ignore"):
        result = solve_qp(np.eye(2), np.zeros(2), rows, lower)
        check(result, rows, lower)
        batch = solve_qps(np.eye(2), np.zeros((1, 2)), rows[None], lower[None])
    assert result.status == batch.status[0] == status
    if status == "solved":
        assert result.residual == pytest.approx(9e-7)
        np.testing.assert_array_equal(result.multipliers, [0.5, 0.0])
        np.testing.assert_array_equal(batch.multipliers, [[0.5, 0.0]])
        np.testing.assert_array_equal(result.active, [True, False])


def test_a_solver_that_lies_while_rows_give_way_is_found_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says 'infeasible' once, and from then on 'solved' at the origin, where x ≥ 2 does not hold."""
    flags = iter([-1])
    monkeypatch.setattr(
        "daqp.solve", lambda P, q, G, *_, **__: (np.zeros(len(q)), 0.0, next(flags, 1), {"lam": np.zeros(len(G))})
    )
    rows, lower = np.concatenate((BOX, [[1.0, 0.0]])), np.array([-1.0] * 4 + [2.0])
    result = solve_by_priority(np.zeros(2), rows, lower, [HARD] * 4 + [Priority.LANE], 1e4, TOLERANCE)
    assert result.status == "failed"
    check(result, rows, lower)


def test_sizes_beyond_arithmetic_are_refused_and_large_ones_are_not() -> None:
    rows, lower = np.array([[1.0, 0.0]]), np.array([-1e20])
    assert solve_qp(np.eye(2), np.zeros(2), rows, lower).status == "solved"
    for huge in (
        (np.full(2, 1e200), rows, lower),
        (np.zeros(2), 1e200 * rows, lower),
        (np.zeros(2), rows, 1e180 * lower),
    ):
        with np.errstate(over="ignore"):
            assert solve_qp(np.eye(2), *huge).status == "failed"


def test_a_row_pushes_from_a_billionth_on_and_is_off_from_a_quintillion_of_ten_on() -> None:
    for push, active in ((PUSHES, False), (2 * PUSHES, True)):
        assert QPResult(np.zeros(2), np.array([push]), 0.0, "solved").active.tolist() == [active]
    assert (PUSHES, UNBOUNDED) == (1e-9, 1e30)
    seen: list[list[bool]] = []

    def solve(sample: int, on: np.ndarray) -> QPResult:
        seen.append(on.tolist())
        return QPResult(np.full(2, float(sample)), np.ones(on.sum()), 0.25, "solved")

    lower = np.array([[-1e30, -np.inf, np.nan, -0.9e30], [0.0, np.inf, 1e30, -2e30]])
    batch = solve_each(solve, lower, 2)
    assert seen == [[False, False, True, True], [True, True, True, False]]
    np.testing.assert_array_equal(batch.multipliers, [[0, 0, 1, 1], [1, 1, 1, 0]])
    np.testing.assert_array_equal(batch.solution, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(batch.residual, [0.25, 0.25])
    assert batch.solved.tolist() == [True, True]
