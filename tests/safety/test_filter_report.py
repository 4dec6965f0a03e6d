# SPDX-License-Identifier: Apache-2.0
"""What a tick tells beside its command: rows in their own units, what the solver did, and when it ran out of time."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import daqp
import numpy as np
import pytest
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.records import UNNEEDED, Mode, Received, SafetyInputs, Solve, Tick, UsedInputs, nanoseconds
from tidegate.safety import Filter, State, Supervisor
from tidegate.safety.barrier import OFF, Ahead
from tidegate.safety.budget import Budget
from tidegate.safety.filter import BOX, GAVE_WAY
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.ladder import Rung
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.relaxation import HARD, SOLVES, solve_by_priority

WIDE = Box(-8000.0, 3800.0, -0.2, 0.2)
LIMIT = settings().vehicle.lateral_acceleration_max
TOLERANCE = settings().safety.filter.tolerance
MILLISECOND = 1_000_000


def only(*names: str, clock: Callable[[], int] | None = None) -> Filter:
    disable = frozenset(settings().safety.barriers) - set(names)
    return Filter(settings(), car(), disable=disable, clock=clock)


def test_where_nothing_acts_no_row_is_told_and_the_solver_has_nothing_to_do() -> None:
    told = only("lateral")(State(speed=10.0), (1234.5, 0.01), {}, WIDE)
    assert (told.rows, told.solve) == ((), UNNEEDED)
    assert (UNNEEDED.status, UNNEEDED.programmes, UNNEEDED.solved) == ("unneeded", 0, True)


@pytest.mark.parametrize(("side", "row"), [(1.0, 0), (-1.0, 1)])
def test_a_row_that_pushes_is_told_by_its_number(side: float, row: int) -> None:
    told = only("lateral", "speed")(State(speed=10.0, force_high=1.0), (-500.0, side * 0.1), {}, WIDE)
    (one,) = told.rows
    assert (one.barrier, one.row, one.slack, one.unit) == ("lateral", row, 0.0, "m/s²")
    assert one.multiplier == next(state.multiplier for state in told.barriers if state.name == "lateral")
    assert told.solve == UNNEEDED


def test_slack_is_in_the_rows_own_unit() -> None:
    """Nothing but κ = 0.2 can be had, and at 10 m/s that is 20 m/s² where the limit allows fewer."""
    told = only("lateral")(State(speed=10.0), (0.0, 0.2), {}, WIDE._replace(curvature_low=0.2))
    (one,) = told.rows
    assert (one.barrier, one.row, one.unit) == ("lateral", 0, "m/s²")
    assert one.slack == pytest.approx(0.2 * 100.0 - LIMIT)
    assert told.solve == UNNEEDED  # one row in a box: the answer is known without a solver


def test_what_the_box_alone_does_not_let_a_row_keep_takes_no_second_programme() -> None:
    """The answer is that of the levels one after the other, each lowered by its least slack."""
    rng, made = np.random.default_rng(7), Filter(settings(), car())
    programmes: list[int] = []
    for _ in range(400):
        state, wish, box = drawn(rng)
        told = made(state, wish, {}, box)
        if not any(barrier.relaxed for barrier in told.barriers):
            continue
        G, fixed, scaled, cap, _ = made.rows(state)
        bound = np.minimum(fixed - np.array(made.row_gains({})) * scaled, cap)
        on, norm = fixed > OFF, np.maximum(np.linalg.norm(G * made.scale, axis=1), 1e-12)
        limits = np.array([box.force_low, -box.force_high, box.curvature_low, -box.curvature_high])
        slow = solve_by_priority(
            np.array(wish) / made.scale,
            np.concatenate((BOX, (G * made.scale / norm[:, None])[on])),
            np.concatenate((limits / np.repeat(made.scale, 2), (bound / norm)[on])),
            [HARD] * 4 + np.array(made.priority)[on].tolist(),
            settings().safety.filter.slack_cost,
            TOLERANCE,
        )
        np.testing.assert_allclose(np.array([told.force, told.curvature]) / made.scale, slow.solution, atol=1e-3)
        programmes.append(told.solve.programmes)
    assert programmes.count(0) > 100
    assert len(programmes) - programmes.count(0) < 10


def test_what_is_known_in_closed_form_is_what_the_solver_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, multipliers, who intervened and what gave way."""
    rng, made, known = np.random.default_rng(4), Filter(settings(), car()), 0
    for _ in range(150):
        situation = drawn(rng)
        told = made(situation[0], situation[1], {}, situation[2])
        with monkeypatch.context() as alone:
            alone.setattr("tidegate.safety.planar.MANY", 0)
            solved = made(situation[0], situation[1], {}, situation[2])
        if told.solve.programmes or not solved.solve.programmes:
            continue
        known += 1
        ours, theirs = (np.array([one.force, one.curvature]) / made.scale for one in (told, solved))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        assert told.intervened == solved.intervened
        for own, other in zip(told.barriers, solved.barriers, strict=True):
            assert (own.name, own.h, own.relaxed) == (other.name, other.h, other.relaxed)
            assert own.multiplier == pytest.approx(other.multiplier, abs=1e-4)
            assert own.margin == pytest.approx(other.margin, abs=1e-4)
    assert known > 50


def test_levels_that_contradict_each_other_take_several_programmes() -> None:
    told = only("traction")(*CONTRADICTED)
    assert told.solve.status == "solved"
    assert 1 < told.solve.programmes <= SOLVES


def drawn(rng: np.random.Generator) -> tuple[State, tuple[float, float], Box]:
    """A car near to much, and a wish that often breaks a row."""
    force, curvature = rng.uniform(-4000, 3000), rng.uniform(-0.02, 0.02)
    low, high = car().force_window(force, PERIOD)
    bends = tuple(rng.uniform(-0.02, 0.02, 4).tolist())
    place = rng.uniform(-0.4, 0.4), rng.uniform(-0.05, 0.05)
    lane = TrackedLane(*place, 0.25, 0.02, (0.0, 12.0, 24.0, 36.0), bends, 36.0)
    arc, along = (Ahead(rng.uniform(5, 80)) if rng.random() < 0.5 else Ahead() for _ in range(2))
    state = State(rng.uniform(0, 15), force, curvature, low, high, rng.uniform(-0.3, 0.3), lane, arc, along)
    wish = rng.uniform(-6000, 4000), rng.uniform(-0.1, 0.1)
    return state, wish, joint_box(car(), force, curvature, PERIOD)


def test_told_are_exactly_the_rows_that_push_or_are_broken_and_by_how_much() -> None:
    """Against the rows themselves, G u ≥ min(fixed − gain · scaled, cap), in the barriers' own terms."""
    rng, made = np.random.default_rng(1), Filter(settings(), car())
    places = [(barrier, row) for barrier in made.barriers for row in range(barrier.rows)]
    pushed = gave_way = 0
    for _ in range(300):
        state, wish, box = drawn(rng)
        told = made(state, wish, {}, box)
        G, fixed, scaled, cap, _ = made.rows(state)
        bound = np.minimum(fixed - np.array(made.row_gains({})) * scaled, cap)
        broken = bound - G @ [told.force, told.curvature]
        allowed = GAVE_WAY * TOLERANCE * np.maximum(np.linalg.norm(G * made.scale, axis=1), 1e-12)
        expected = {
            (barrier.name, row): broken[place]
            for place, (barrier, row) in enumerate(places)
            if fixed[place] > OFF and broken[place] > allowed[place]
        }
        slack = {(row.barrier, row.row): row.slack for row in told.rows if row.slack != 0}
        assert slack == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert {barrier.name for barrier in told.barriers if barrier.relaxed} == {name for name, _ in slack}
        for barrier in told.barriers:
            most = max((row.multiplier for row in told.rows if row.barrier == barrier.name), default=0.0)
            assert most == barrier.multiplier or barrier.multiplier <= 1e-9
        assert all(row.slack != 0 or row.multiplier > 0 for row in told.rows)
        units = {barrier.name: barrier.unit for barrier in made.barriers}
        assert all(row.unit == units[row.barrier] != "" for row in told.rows)
        pushed, gave_way = pushed + any(row.slack == 0 for row in told.rows), gave_way + bool(slack)
    assert pushed > 25
    assert gave_way > 50


class Slow:
    """A clock, and DAQP that takes so long by it for each programme."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, each: int) -> None:
        self.now, self.each, self.solve, self.asked = 10**12, each, daqp.solve, 0
        monkeypatch.setattr("daqp.solve", self)

    def __call__(self, *programme: np.ndarray, **options: object) -> object:
        self.now += self.each
        self.asked += 1
        return self.solve(*programme, **options)

    def clock(self) -> int:
        return self.now


PUSHED = State(speed=10.0, force_high=1.0), (-500.0, 0.1), {}, WIDE
"""One programme has the answer: more sides of the polygon of grip cut the box than the closed form takes."""
CONTRADICTED = State(speed=10.0), (0.0, 0.2), {}, WIDE._replace(curvature_low=0.2)
"""It takes several: two sides of the polygon of grip, which share their slack, cannot be kept."""


def test_an_answer_counts_up_to_a_period_and_is_thrown_away_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    period = nanoseconds(PERIOD)
    for each, status in ((period, "solved"), (period + 1, "out of time")):
        slow = Slow(monkeypatch, each)
        made = only("traction", clock=slow.clock)
        told = made(*PUSHED)
        assert (told.solve.status, told.solve.programmes, told.solve.time) == (status, 1, each / 1e9)
        backup = made.fallback(PUSHED[0], WIDE)
        assert ((told.force, told.curvature) == backup) == (status == "out of time")
        assert told.solved == (status == "solved")
        monkeypatch.undo()


def test_no_programme_begins_once_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    every = only("traction")(*CONTRADICTED).solve.programmes
    slow = Slow(monkeypatch, 3 * MILLISECOND)
    made = only("traction", clock=slow.clock)
    told = made(*CONTRADICTED)
    assert told.solve == Solve("out of time", 2)
    assert slow.asked == 2 < every
    assert (told.force, told.curvature) == made.fallback(CONTRADICTED[0], CONTRADICTED[3])
    assert {(one.barrier, one.multiplier) for one in told.rows} == {("traction", 0.0)}
    assert all(one.slack > 1.0 for one in told.rows)  # what the backup does not keep either


def test_a_solver_that_really_is_slow_gets_no_second_programme(monkeypatch: pytest.MonkeyPatch) -> None:
    real = daqp.solve

    def sleeps(*programme: np.ndarray, **options: object) -> object:
        time.sleep(2 * PERIOD)
        return real(*programme, **options)

    monkeypatch.setattr("daqp.solve", sleeps)
    assert only("traction", clock=time.monotonic_ns)(*CONTRADICTED).solve == Solve("out of time", 1)
    waited = only("traction")(*CONTRADICTED)  # without a clock it is waited for
    assert (waited.solve.status, waited.solve.time) == ("solved", 0.0)


def test_a_budget_begins_with_time_left_unless_told_otherwise() -> None:
    cost, none = np.eye(2), np.zeros(2)
    row, one = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 0.0, 0.0])
    for budget in (Budget(None, 0), Budget(lambda: 7, 0)):
        solved = budget(cost, none, row, one, TOLERANCE)
        assert solved.solution == pytest.approx([1.0, 0.0])
        assert budget.spent(solved.status) == Solve("solved", 1)
    late = Budget(None, 0, out_of_time=True)
    refused = late(cost, none, row, one, TOLERANCE)
    assert np.isnan(refused.solution).tolist() == [True] * 2
    assert refused.multipliers.tolist() == [0.0] * 3
    assert late.spent(refused.status) == Solve("out of time", 0)


def test_a_clock_changes_no_command_that_comes_in_time() -> None:
    rng, timed, plain = np.random.default_rng(2), Filter(settings(), car(), clock=lambda: 0), Filter(settings(), car())
    for _ in range(100):
        state, wish, box = drawn(rng)
        assert repr(timed(state, wish, {}, box)) == repr(plain(state, wish, {}, box))


def test_what_differs_in_the_solvers_time_alone_is_equal() -> None:
    assert Solve("solved", 1, 0.001) == Solve("solved", 1, 0.002)
    assert Solve("solved", 1) != Solve("solved", 2)


def test_a_tick_whose_time_was_up_is_made_again_without_a_programme() -> None:
    for situation in (PUSHED, CONTRADICTED):
        made = only("traction")
        told = made(*situation, out_of_time=True)
        assert told.solve == Solve("out of time", 0)
        assert (told.force, told.curvature) == made.fallback(situation[0], situation[3])
    unneeded = only("lateral")(State(speed=10.0), (0.0, 0.0), {}, WIDE, out_of_time=True)
    assert (unneeded.solve, unneeded.force) == (UNNEEDED, 0.0)  # no solver, no time


def test_a_slow_solver_brakes_says_so_and_is_replayed_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 15.5 m/s a swerve takes the solver; every third programme is slow. The replay has a fast one and no clock."""
    slow = Slow(monkeypatch, 0)
    drive = Drive(Plant(speed=15.5), clock=slow.clock)
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ("on its way",))
    heard: list[tuple[SafetyInputs, Tick]] = []
    for _ in range(200):
        slow.each = 6 * MILLISECOND * (slow.asked % 3 == 2)
        tick = drive.run(PERIOD, (3000.0, 0.2), lambda inputs: heard.append((inputs, None)) or inputs)  # type: ignore
        heard[-1] = heard[-1][0], tick
    monkeypatch.undo()
    late = [tick for _, tick in heard if tick.solve.status == "out of time"]
    assert 5 < len(late) < 100
    assert {tick.reasons for tick in late} == {("the programme had no solution (out of time)",)}
    assert {tick.mode for tick in late} == {Mode.NORMAL}
    again = Supervisor(settings(), car())
    again.rung = Rung(Mode.NORMAL, 0, ("on its way",))
    for inputs, tick in heard:
        used = UsedInputs.of(inputs, out_of_time=tick.solve.status == "out of time")
        assert used.flags["out_of_time"] == (tick in late)
        made = again.tick(dataclasses.replace(inputs, **used.flags))
        assert made.command.effort.tobytes() == tick.command.effort.tobytes()
        assert (made.allowed, made.barriers, made.rows) == (tick.allowed, tick.barriers, tick.rows)


def test_a_solver_without_enough_steps_brakes_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(Plant(speed=15.5))
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ("on its way",))
    assert drive.run(PERIOD, (3000.0, 0.2)).solve.programmes > 1
    monkeypatch.setattr("tidegate.safety.qp.ITERATIONS", 1)
    tick = drive.run(5 * PERIOD, (3000.0, 0.2))
    assert tick.solve.status == "out of steps"
    assert tick.reasons == ("the programme had no solution (out of steps)",)
    assert tick.allowed[0] < -500.0  # 3000 N were asked for


def test_settings_that_change_leave_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch, 6 * MILLISECOND)
    supervisor = Supervisor(settings(), car(), clock=slow.clock)
    supervisor.adjust({"vehicle.speed_max": 9.0})
    assert supervisor.filter(*PUSHED).solve == Solve("out of time", 1)


def test_a_tick_tells_the_ages_that_the_watchdog_saw() -> None:
    drive = Drive(Plant(speed=8.0))
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ("on its way",))
    period = nanoseconds(PERIOD)
    tick = drive.run(4 * PERIOD)
    assert tick.ages == {
        **dict.fromkeys(("nominal", "gains", "lane", "health", "points"), 3 * period),
        **dict.fromkeys(("joints", "odometry", "imu"), 0),
        "manual": None,
    }

    def broken(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        return dataclasses.replace(
            inputs, odometry=Received(dataclasses.replace(inputs.odometry.record, speed=math.nan), 0)
        )

    assert drive.run(2 * PERIOD, change=broken).ages["odometry"] == 2 * period
