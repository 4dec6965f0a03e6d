# SPDX-License-Identifier: Apache-2.0
"""Constraints written in CVXPY: compiled rows say what CVXPY says, and what is not affine is refused."""

from __future__ import annotations

import dataclasses
import importlib
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from safety_plant import car, settings

from tidegate import registry
from tidegate.errors import DependencyError, SettingsError
from tidegate.safety.barrier import Priority, Row, Rows, State
from tidegate.safety.dual import Dual, split
from tidegate.safety.filter import Filter
from tidegate.safety.joints import Box
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.linear import LinearConstraint
from tidegate.settings import BarrierParameters

MASS = car().effective_mass
BOX = Box(-9000.0, 3500.0, -0.2, 0.2)
Write = Callable[[LinearConstraint, Any, Any], Any]


def offset(state: State) -> float:
    return math.inf if state.lane is None else state.lane.offset


def written(write: Write) -> LinearConstraint:
    class Written(LinearConstraint):
        priority = Priority.COMFORT

        def constraints(self, force: Any, curvature: Any) -> list[Any]:
            return write(self, force, curvature)  # type: ignore[no-any-return]

    return Written(settings(), car())


def diamond(one: LinearConstraint, force: Any, curvature: Any) -> list[Any]:
    """Three inequalities, one a vector of two, with two parameters and both directions."""
    square, aside = one.parameter(lambda state: state.speed**2), one.parameter(offset)
    acceleration = force / MASS
    return [
        acceleration + cp.hstack([square, -square]) * curvature <= np.array([2.0, 2.5]),
        curvature >= -0.05 - 0.1 * aside,
        2 * acceleration + (3 * square - aside) * curvature - 7 * aside + 1 <= 9 + square / 100,
    ]


def filled(one: LinearConstraint, state: State) -> tuple[float, list[Row | None]]:
    table: list[Row | None] = [None] * one.rows
    return one.fill(state, Rows(table, 0, one.rows)), table


def at(speed: float, aside: float, force: float = 0.0, curvature: float = 0.0) -> State:
    return State(speed, force, curvature, lane=TrackedLane(aside, 0.0, 0.1, 0.02, (0.0,), (0.0,), 20.0))


class Oracle:
    """The programme of one constraint in CVXPY itself, solved by Clarabel."""

    def __init__(self, write: Write, scale: np.ndarray) -> None:
        self.values: list[tuple[cp.Parameter, Callable[[State], float]]] = []
        self.z, self.wanted, self.scale = cp.Variable(2), cp.Parameter(2), scale
        inside = write(self, self.z[0] * scale[0], self.z[1] * scale[1])  # type: ignore[arg-type]
        low, high = np.array(BOX[::2]) / scale, np.array(BOX[1::2]) / scale
        cost = cp.Minimize(cp.sum_squares(self.z - self.wanted))
        self.problem = cp.Problem(cost, [*inside, self.z >= low, self.z <= high])

    def parameter(self, value: Callable[[State], float]) -> cp.Parameter:
        self.values.append((cp.Parameter(), value))
        return self.values[-1][0]

    def nearest(self, state: State, wanted: tuple[float, float]) -> np.ndarray:
        for parameter, value in self.values:
            parameter.value = value(state)
        self.wanted.value = np.array(wanted) / self.scale
        self.problem.solve(solver=cp.CLARABEL)
        assert self.problem.status == cp.OPTIMAL
        return np.asarray(self.z.value)


def alone(own: LinearConstraint, monkeypatch: pytest.MonkeyPatch) -> Filter:
    """A filter with that barrier and no other."""
    monkeypatch.setitem(registry.barriers._parts, "own", lambda *_: own)
    safety = dataclasses.replace(settings().safety, barriers={"own": BarrierParameters(type="own")})
    return Filter(dataclasses.replace(settings(), safety=safety), car())


def test_the_filter_finds_what_cvxpy_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    made, rng, pushed = alone(written(diamond), monkeypatch), np.random.default_rng(1), 0
    oracle = Oracle(diamond, made.scale)
    for _ in range(150):
        state = at(rng.uniform(0, 16), rng.uniform(-0.4, 0.4))
        wanted = float(rng.uniform(-8000, 4000)), float(rng.uniform(-0.2, 0.2))
        told = made(state, wanted, {}, BOX)
        found = np.array([told.force, told.curvature]) / made.scale
        np.testing.assert_allclose(found, oracle.nearest(state, wanted), atol=1e-5)
        pushed += bool(told.intervened)
    assert 30 < pushed < 150


def test_h_is_what_the_tightest_inequality_leaves_of_the_last_command() -> None:
    h, rows = filled(written(diamond), at(10.0, 0.2, 1000.0, 0.01))
    a = 1000.0 / MASS
    left = [2.0 - a - 1.0, 2.5 - a + 1.0, 0.01 + 0.05 + 0.02, 9 + 1.0 - 1 + 1.4 - 2 * a - (300 - 0.2) * 0.01]
    assert h == pytest.approx(min(left))
    told = [row[0] * 1000.0 + row[1] * 0.01 - row[2] for row in rows if row is not None]
    assert told == pytest.approx(left)
    assert all(row is not None and row[3:] == (0.0, math.inf) for row in rows)


def test_what_is_not_known_restrains_nothing() -> None:
    assert filled(written(diamond), State(speed=10.0)) == (math.inf, [None] * 4)


def test_no_number_is_no_row_that_holds() -> None:
    """It goes into the programme, which then has no solution: the car brakes."""
    _, rows = filled(written(diamond), at(math.nan, 0.0))
    assert any(row is not None and math.isnan(row[1]) for row in rows)


def test_a_row_that_the_command_does_not_change_at_this_state_is_off() -> None:
    def write(one: LinearConstraint, force: Any, curvature: Any) -> list[Any]:
        return [one.parameter(lambda state: state.speed) * curvature <= 1]

    assert filled(written(write), State()) == (1.0, [None])
    assert filled(written(write), State(speed=2.0))[1] == [(0.0, -2.0, -1.0, 0.0, math.inf)]


def foreign(one: LinearConstraint, force: Any, curvature: Any) -> list[Any]:
    return [force <= cp.Variable(name="slack")]


def unbound(one: LinearConstraint, force: Any, curvature: Any) -> list[Any]:
    return [force <= cp.Parameter(name="speed")]


def squared(one: LinearConstraint, force: Any, curvature: Any) -> list[Any]:
    speed = one.parameter(lambda state: state.speed)
    return [speed * speed * curvature <= 4]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (
            lambda one, force, curvature: [cp.abs(curvature) <= 0.1],
            r"abs\(curvature\) <= 0.1' is not affine in the comm",
        ),
        (lambda one, force, curvature: [cp.square(force) <= 0.1], "not affine in the command; split"),
        (lambda one, force, curvature: [force == 0], "'force == 0.0' is no inequality"),
        (lambda one, force, curvature: [cp.SOC(force, cp.hstack([curvature]))], "is no inequality"),
        (lambda one, force, curvature: force <= 0, "must be a list of inequalities"),
        (lambda one, force, curvature: [], "must be a list of inequalities"),
        (foreign, "the variable 'slack'; only force and curvature"),
        (unbound, "the parameter 'speed', which nothing sets"),
        (squared, "not affine in its parameters; give a product"),
    ],
)
def test_what_cannot_be_compiled_is_refused_with_the_constraint(write: Write, words: str) -> None:
    with pytest.raises(SettingsError, match=f"^Written: .*{words}"):
        written(write)


def test_rows_tell_their_derivatives_by_the_state() -> None:
    one, speed, aside, step = written(diamond), 7.0, 0.3, 1e-6
    _, table = filled(one, at(Dual(speed, np.array([1.0, 0.0])), Dual(aside, np.array([0.0, 1.0]))))  # type: ignore[arg-type]
    values, slopes = split(np.array(table), 2)
    np.testing.assert_allclose(values, np.array(filled(one, at(speed, aside))[1]), rtol=1e-14)
    for place, (faster, further) in enumerate(((step, 0.0), (0.0, step))):
        up, down = (np.array(filled(one, at(speed + faster * to, aside + further * to))[1])[:, :3] for to in (1, -1))
        np.testing.assert_allclose(slopes[:, :3, place], (up - down) / (2 * step), atol=1e-6)
    assert (slopes != 0).any(axis=(0, 1)).all()


def test_it_says_that_making_one_takes_longer_than_a_tick() -> None:
    """So settings change only while the car stands (``Barrier.compiled``)."""
    assert written(diamond).compiled


def test_without_cvxpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    monkeypatch.delitem(sys.modules, "tidegate.safety.linear")
    with pytest.raises(DependencyError, match=r"pip install 'tidegate\[cvxpy\]'"):
        importlib.import_module("tidegate.safety.linear")


def test_the_filter_without_such_a_constraint_does_not_import_cvxpy() -> None:
    script = (
        "import sys; from tidegate.settings import load_settings; from tidegate.share import share_path;"
        "from tidegate.robot import Car; from tidegate.safety import Supervisor;"
        "settings = load_settings(share_path('config/car.yaml')); Supervisor(settings, Car.from_settings(settings));"
        "sys.exit('cvxpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
