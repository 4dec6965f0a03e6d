# SPDX-License-Identifier: Apache-2.0
"""The arm's filter against CVXPY, what gives way, what fails closed, and the guard around it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pinocchio")

import cvxpy
from arm_plant import ELBOW_UP, PERIOD, arm, closed_loop, drawn, dynamics, settings, unfiltered
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tidegate.safety.arm import (
    ArmBarrier,
    ArmFilter,
    ArmFiltered,
    ArmGuard,
    ArmPriority,
    ArmRows,
    ArmState,
    arm_barriers,
)
from tidegate.safety.arm.filter import FARTHEST
from tidegate.safety.relaxation import HARD, solve_by_priority
from tidegate.share import share_path

EVERY = frozenset(arm_barriers)


@pytest.fixture(scope="module")
def guard() -> ArmGuard:
    return ArmGuard(settings())


def test_the_answer_is_clarabels() -> None:
    rng, made = np.random.default_rng(7), ArmFilter(arm())
    compared = cut = 0
    for number in range(40):
        state = drawn(rng, calm=number % 4 == 0)
        wish = rng.uniform(-1.5, 1.5, 7) * arm().effort
        told = made(state, wish)
        rows = made.rows(state)
        unit = cvxpy.Variable(7)
        problem = cvxpy.Problem(
            cvxpy.Minimize(cvxpy.sum_squares(unit - wish / made.scale)),
            [rows.matrix @ unit >= rows.lower, unit >= state.low / made.scale, unit <= state.high / made.scale],
        )
        problem.solve(solver=cvxpy.CLARABEL)
        if problem.status != cvxpy.OPTIMAL:
            assert any(barrier.relaxed for barrier in told.barriers)
            continue
        assert told.solved
        assert not any(barrier.relaxed for barrier in told.barriers)
        np.testing.assert_allclose(told.torque / made.scale, unit.value, atol=1e-5)
        compared += 1
        cut += bool(told.intervened)
    assert compared >= 30
    assert cut >= 10


def test_a_wish_that_keeps_every_row_is_not_changed() -> None:
    made, state = ArmFilter(arm()), drawn(np.random.default_rng(1), calm=True)
    wish = state.torque + 0.1 * (state.high - state.torque)
    told = made(state, wish)
    np.testing.assert_allclose(told.torque, wish, rtol=1e-12)
    assert (told.intervened, told.solved) == ("", True)
    assert [barrier.name for barrier in told.barriers] == sorted(EVERY)
    assert all(barrier.multiplier == 0 for barrier in told.barriers)


def test_the_answer_is_that_of_the_programme_in_which_rows_give_way() -> None:
    """The window as bounds of the solver's variables, without looking for contradictions first, is a short cut."""
    rng, made = np.random.default_rng(1070), ArmFilter(arm())
    box, relaxed = np.concatenate((np.eye(7), -np.eye(7))), 0
    for number in range(300):
        state = drawn(rng, calm=number % 4 == 0)
        wish = rng.choice((0.2, 1.5, 1e4)) * rng.uniform(-1, 1, 7) * arm().effort
        told, rows = made(state, wish), made.rows(state)
        low, high = state.low / made.scale, state.high / made.scale
        unit = np.clip(wish / made.scale, -FARTHEST, FARTHEST)
        result = solve_by_priority(
            unit,
            np.concatenate((box, rows.matrix)),
            np.concatenate((low, -high, rows.lower)),
            [HARD] * 14 + made.priority[rows.layout.owner].tolist(),
            settings().safety.filter.slack_cost,
            settings().safety.filter.tolerance,
        )
        np.testing.assert_allclose(told.torque / made.scale, result.solution, atol=2e-6)
        left = rows.matrix @ (told.torque / made.scale) - rows.lower
        for index, barrier in enumerate(told.barriers):
            mine = left[rows.layout.owner == index]
            assert barrier.margin == pytest.approx(mine.min(initial=np.inf), abs=1e-12)
            assert barrier.relaxed == (mine.min(initial=np.inf) < -20 * settings().safety.filter.tolerance)
        relaxed += any(barrier.relaxed for barrier in told.barriers)
    assert 5 < relaxed < 150


@pytest.mark.parametrize("near", [False, True])
def test_equal_rows_stand_once_and_the_highest_bound_of_them_pushes(near: bool) -> None:
    """Acceleration, velocity and position bound the same accelerations of a free arm; near the surface the latter two
    those of one that it carries too."""
    made, rng = ArmFilter(arm()), np.random.default_rng(8)
    state = drawn(rng)
    while (state.motion.position[2] < settings().safety.surface.offset) != near:
        state = drawn(rng)
    rows = made.rows(state)
    where = zip(rows.layout.owner, rows.layout.place, strict=True)
    owners = {(made.barriers[index].name, place) for index, place in where}
    sharing = {"velocity", "position"} if near else {"acceleration", "velocity", "position"}
    for place, tight in enumerate(rows.tight):
        assert tight == rows.lower[rows.layout.place == place].max()
        names = {name for name, whose in owners if whose == place}
        assert names == sharing or len(names) == 1
    shared = sum(len(rows.lower[rows.layout.place == place]) > 1 for place in range(len(rows.tight)))
    assert shared == (28 if near else 14)
    np.testing.assert_allclose(np.linalg.norm(rows.matrix, axis=1), 1.0)
    pushing = rows.shared(np.arange(1.0, len(rows.tight) + 1))
    assert {int(push) for push in pushing} - {0} == set(range(1, len(rows.tight) + 1))
    np.testing.assert_array_equal(pushing > 0, rows.lower == rows.tight[rows.layout.place])


class Fake(ArmBarrier):
    """Rows as told."""

    priority = ArmPriority.POWER
    told: tuple[np.ndarray, np.ndarray] = (np.empty((0, 7)), np.empty(0))

    def rows(self, state: ArmState) -> ArmRows:
        return ArmRows(*self.told, 1.0)


def faked(monkeypatch: pytest.MonkeyPatch, **rows: tuple[ArmPriority, list[list[float]], list[float]]) -> ArmFilter:
    """A filter with only the barriers told, by name: priority, matrix, lower."""
    for name, (priority, matrix, lower) in rows.items():
        body = {"name": name, "priority": priority, "told": (np.array(matrix), np.array(lower))}
        monkeypatch.setitem(arm_barriers._parts, name, type(name, (Fake,), body))
    return ArmFilter(arm(), disable=EVERY)


FIRST = [1.0, 0, 0, 0, 0, 0, 0]


def test_where_rows_contradict_the_lower_priority_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    state = drawn(np.random.default_rng(2), calm=True)
    middle = float(state.torque[0])
    most = middle + 2.0
    minus = [-value for value in FIRST]
    made = faked(
        monkeypatch,
        ahigh=(ArmPriority.POSITION, [minus], [-most]),
        blow=(ArmPriority.VELOCITY, [FIRST], [middle + 5.0]),
    )
    told = made(state, state.torque)
    assert told.solved
    assert [barrier.relaxed for barrier in told.barriers] == [False, True]
    assert told.torque[0] == pytest.approx(most, abs=0.05)
    assert told.intervened == "blow"


def test_no_row_leads_out_of_the_torque_window(monkeypatch: pytest.MonkeyPatch) -> None:
    state = drawn(np.random.default_rng(3), calm=True)
    made = faked(monkeypatch, far=(ArmPriority.FORCE, [FIRST], [1e6]))
    told = made(state, state.torque)
    assert told.barriers[0].relaxed
    assert told.torque[0] == pytest.approx(state.high[0], abs=0.05)
    assert ((told.torque >= state.low) & (told.torque <= state.high)).all()


@pytest.mark.parametrize("lower", [-1e6, -np.inf])
@pytest.mark.parametrize("row", [[0.0] * 7, [-value for value in FIRST]])
def test_rows_that_ask_for_nothing_change_nothing(
    monkeypatch: pytest.MonkeyPatch, row: list[float], lower: float
) -> None:
    """A row of zeros, and a bound below everything, beside a row that cuts."""
    state = drawn(np.random.default_rng(2), calm=True)
    most = float(state.torque[0]) + 2.0
    minus = [-value for value in FIRST]
    cut, idle = (ArmPriority.POWER, [minus], [-most]), (ArmPriority.FORCE, [row, row], [lower, lower])
    told = faked(monkeypatch, cut=cut, idle=idle)(state, state.high)
    assert (told.solved, told.intervened) == (True, "cut")
    np.testing.assert_allclose(told.torque, [most, *state.high[1:]], rtol=1e-9)


@pytest.mark.parametrize("broken", ["row", "bound", "wish"])
def test_what_has_no_solution_is_answered_with_the_backup(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    state = drawn(np.random.default_rng(4))
    matrix, lower = [FIRST], [0.0]
    if broken == "row":
        matrix = [[np.nan, 0, 0, 0, 0, 0, 0]]
    if broken == "bound":
        lower = [np.nan]
    wish = np.full(7, np.nan) if broken == "wish" else arm().effort
    told = faked(monkeypatch, fake=(ArmPriority.POWER, matrix, lower))(state, wish)
    assert not told.solved
    motion = settings().safety.motion
    step, most = np.array(motion.jerk) * PERIOD, np.array(motion.acceleration)
    target = np.clip(np.clip(-40 * state.velocity, -most, most), state.acceleration - step, state.acceleration + step)
    np.testing.assert_allclose(told.torque, state.motion.mass @ target + state.motion.bias, rtol=1e-9, atol=1e-9)
    assert ((told.torque >= state.low) & (told.torque <= state.high)).all()


def test_without_barriers_the_window_is_left() -> None:
    state = drawn(np.random.default_rng(5))
    told = ArmFilter(arm(), disable=EVERY)(state, 1e300 * np.ones(7))
    np.testing.assert_allclose(told.torque, state.high)
    assert (told.barriers, told.intervened, told.solved) == ((), "", True)


def test_the_backup_brakes_any_drawn_arm_and_holds_it(guard: ArmGuard) -> None:
    """Bad numbers for ever: the arm comes to rest and stays, inside box and rate."""
    rng = np.random.default_rng(6)
    velocity = rng.uniform(-0.6, 0.6, 7) * arm().velocity
    run = closed_loop(guard, lambda *_: "brake", seconds=1.5, velocity=velocity)
    stopped = guard.stop(run.position[-1], run.velocity[-1])
    assert not stopped.solved
    np.testing.assert_allclose(stopped.torque, guard.dynamics.gravity(run.position[-1]), atol=3)
    assert not any(one.solved for one in run.told)
    assert np.abs(run.velocity[-100:]).max() < 0.01
    assert np.abs(run.position[-1] - run.position[-500]).max() < 0.005
    assert (np.abs(run.torque) <= arm().effort).all()
    assert (np.abs(np.diff(run.torque, axis=0)) <= arm().effort_rate * PERIOD * (1 + 1e-9)).all()


def test_unusable_measurements_hold_the_arm_by_what_held_it(guard: ArmGuard) -> None:
    guard.engage(ELBOW_UP)
    held = guard.dynamics.gravity(ELBOW_UP)
    np.testing.assert_allclose(guard.limiter.last, held)
    guard(ELBOW_UP, np.zeros(7), held + 1.0)
    huge, still = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 5.4e78, 0.0]), np.zeros(7)
    for position, velocity in (
        (np.full(7, np.nan), still),
        (ELBOW_UP, None),
        (ELBOW_UP[:3], still),
        (ELBOW_UP, huge),
        (huge, still),
    ):
        told = guard(position, velocity, held)
        assert (told.barriers, told.solved) == ((), False)
    np.testing.assert_allclose(guard.limiter.last, held, atol=1e-9)


@pytest.mark.parametrize("where", ["position", "velocity", "wanted"])
def test_integers_beyond_all_floats_are_no_numbers(guard: ArmGuard, where: str) -> None:
    guard.engage(ELBOW_UP)
    told = guard(**{"position": ELBOW_UP, "velocity": np.zeros(7), "wanted": np.zeros(7), where: [10**400] * 7})
    assert not told.solved
    np.testing.assert_allclose(told.torque, guard.dynamics.gravity(ELBOW_UP), atol=1e-9)


def test_the_guard_is_engaged_with_numbers_alone(guard: ArmGuard) -> None:
    """A last torque that is NaN would stay one in the limiter, for ever."""
    guard.engage(ELBOW_UP)
    before = guard.limiter.last
    with pytest.raises(ValueError, match=r"^position is \[nan.*must be 7 finite numbers \[rad\]$"):
        guard.engage(np.full(7, np.nan))
    with pytest.raises(ValueError, match=r"^torque is \[inf.*must be 7 finite numbers \[N·m\]$"):
        guard.engage(ELBOW_UP + 0.1, np.full(7, np.inf))
    np.testing.assert_array_equal(guard.limiter.last, before)
    np.testing.assert_array_equal(guard(None, None, None).torque, before)


def test_a_first_tick_of_a_guard_that_nobody_engaged_holds_the_arm() -> None:
    """Its torques began at zero, and were 11 N·m of 22 after a period."""
    made, held = ArmGuard(settings()), dynamics().gravity(ELBOW_UP)
    assert np.abs(held).max() > 1.9 * (arm().effort_rate * PERIOD)[1]
    np.testing.assert_allclose(made(ELBOW_UP, np.zeros(7), held).torque, held)


def test_an_answer_that_is_no_number_becomes_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter checks what it answers; the limiter does not count on that."""
    guard = ArmGuard(settings())
    guard.engage(ELBOW_UP)
    guard(ELBOW_UP, np.zeros(7), guard.dynamics.gravity(ELBOW_UP) + 1.0)
    broken = ArmFiltered(np.full(7, np.nan), (), "", True)
    monkeypatch.setattr(guard, "filter", lambda state, wish: broken)
    for _ in range(20):
        told = guard(ELBOW_UP, np.zeros(7), np.zeros(7))
        assert np.isfinite(told.torque).all()
    np.testing.assert_allclose(told.torque, guard.dynamics.gravity(ELBOW_UP), atol=1e-9)


@hypothesis_settings(max_examples=40)
@example(junk=[1e3] * 7, where="velocity")
@example(junk=[-1e3] * 7, where="position")
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=8) | st.none() | st.text(max_size=3),
    st.sampled_from(["position", "velocity", "wanted"]),
)
def test_nothing_raises_and_what_leaves_is_inside_box_and_rate(guard: ArmGuard, junk: object, where: str) -> None:
    guard.engage(ELBOW_UP)
    before = guard.limiter.last
    given_ = {"position": ELBOW_UP, "velocity": np.zeros(7), "wanted": np.zeros(7), where: junk}
    told = guard(**given_)
    assert np.isfinite(told.torque).all()
    assert (np.abs(told.torque) <= arm().effort).all()
    assert (np.abs(told.torque - before) <= arm().effort_rate * PERIOD * (1 + 1e-9)).all()


def test_what_the_page_says_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    page = share_path("docs/arm.md")
    code, *_ = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(page.parents[1])
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["told"].solved
    assert made["told"].torque.shape == (7,)


def hostile(seed: int):
    rng = np.random.default_rng(seed)
    signs = rng.choice((-1.0, 1.0), (20, 7))
    return lambda now, _: 1.5 * signs[int(now / 0.15) % 20] * arm().effort


@pytest.mark.parametrize("seed", [0, 1])
def test_hostile_torques_break_limits_only_without_the_filter(guard: ArmGuard, seed: int) -> None:
    run = closed_loop(guard, hostile(seed), seconds=1.0)
    assert (np.abs(run.velocity) <= arm().velocity).all()
    assert ((run.position <= arm().upper) & (run.position >= arm().lower)).all()
    assert (np.abs(run.velocity).max(axis=0) > 0.5 * arm().velocity).any()
    free = closed_loop(unfiltered, hostile(seed), seconds=0.4)
    assert (np.abs(free.velocity) > 2 * arm().velocity).any()


@pytest.mark.parametrize("name", ["position", "velocity"])
def test_the_row_that_is_left_out_is_the_one_that_held(guard: ArmGuard, name: str) -> None:
    """One joint pushed to its end: inside with all rows, outside without this one."""
    wish = lambda _, truth: dynamics().gravity(truth.position) + np.array([0, 0, 0, 0, 0, 0, 30.0])  # noqa: E731
    kept = closed_loop(guard, wish, seconds=1.8)
    left = closed_loop(ArmGuard(settings(), disable=frozenset({name})), wish, seconds=1.8)
    if name == "position":
        assert 2.9 < kept.position[:, 6].max() <= 3.0 < left.position[:, 6].max()
    else:
        assert 2.4 < kept.velocity[:, 6].max() <= 2.6 < left.velocity[:, 6].max()


def test_encoders_that_are_off_by_more_than_told_break_the_position_limit(guard: ArmGuard) -> None:
    wish = lambda _, truth: dynamics().gravity(truth.position) + np.array([0, 0, 0, 0, 0, 0, 30.0])  # noqa: E731
    off = np.array([0, 0, 0, 0, 0, 0, -0.05])
    run = closed_loop(guard, wish, seconds=1.8, offset=off)
    assert run.position[:, 6].max() > 3.0


def push(_: float, truth) -> np.ndarray:
    motion = dynamics()(truth.position, truth.velocity)
    return motion.bias + motion.jacobian.T @ np.array([0.0, 0.0, -300.0])


def test_a_surface_that_is_stiffer_than_told_breaks_the_force_limit(guard: ArmGuard) -> None:
    assert closed_loop(guard, push, seconds=1.2).force.max() <= 60
    assert closed_loop(guard, push, seconds=1.2, stiffness=400_000.0).force.max() > 60


def test_a_payload_beyond_the_bound_breaks_limits() -> None:
    """Two kilograms that nobody was told of, pressed down."""
    guard = ArmGuard(settings())
    kept = closed_loop(guard, push, seconds=1.0, payload=0.5)
    broken = closed_loop(guard, push, seconds=1.0, payload=2.25)
    assert (np.abs(kept.velocity) <= arm().velocity).all()
    assert kept.force.max() <= 60
    assert (np.abs(broken.velocity) > arm().velocity).any()
    assert broken.force.max() > 60
