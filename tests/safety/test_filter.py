# SPDX-License-Identifier: Apache-2.0
"""The filter's book-keeping: gains, rows that are off, what is told of each barrier, and what cannot be solved."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from safety_plant import car, settings

from tidegate.records import UNNEEDED
from tidegate.robot import GRAVITY
from tidegate.safety.barrier import OFF, Ahead, Priority, Rows, State
from tidegate.safety.distance import Distance
from tidegate.safety.filter import BOX, Filter
from tidegate.safety.joints import Box
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.traction import Grip
from tidegate.settings.barriers import BarrierParameters, DistanceParameters

MASS = car().effective_mass
WIDE = Box(-8000.0, 3800.0, -0.2, 0.2)
FORCE_UNIT = MASS * settings().safety.filter.acceleration_scale
CURVATURE_UNIT = settings().safety.filter.curvature_scale
GUARANTEED = settings().vehicle.brake_guaranteed * car().loaded_mass
LOW, HIGH, DEFAULT = settings().policy.gain_low, settings().policy.gain_high, settings().safety.filter.gain_default


def only(*names: str) -> Filter:
    return Filter(settings(), car(), disable=frozenset(settings().safety.barriers) - set(names))


def faked(monkeypatch: pytest.MonkeyPatch, *rows: tuple[float, float, float, float, float], h: float = 2.0) -> Filter:
    """The lateral barrier (two rows, first to hold of the two) saying something else."""
    made = only("lateral")

    def fill(_: State, table: Rows) -> float:
        for index, row in enumerate(rows):
            table.set(index, *row)
        return h

    monkeypatch.setattr(made.barriers[0], "fill", fill)
    return made


def test_the_box_rows_are_force_low_and_high_then_curvature_low_and_high() -> None:
    np.testing.assert_array_equal(BOX, [[1, 0], [-1, 0], [0, 1], [0, -1]])


def test_each_row_takes_its_barriers_gain_clamped_or_the_default() -> None:
    every = Filter(settings(), car())
    assert every.gain_names == ("distance", "lane", "speed")
    given = {"distance": HIGH + 9, "lane": LOW - 9, "speed": 1.234, "unheard of": 7.0}
    takes = {"distance": HIGH, "lane": LOW, "speed": 1.234, "": DEFAULT}
    expected = [takes[barrier.gain] for barrier in every.barriers for _ in range(barrier.rows)]
    assert every.row_gains(given) == expected
    assert DEFAULT not in (LOW, HIGH, 1.234)
    for gains in ({}, dict.fromkeys(every.gain_names, math.nan), dict.fromkeys(every.gain_names, math.inf)):
        assert set(every.row_gains(gains)) == {DEFAULT}
    for wrong, clamped in ((HIGH + 9, HIGH), (LOW / 9, LOW)):  # set at run time
        every.gain_default = wrong
        assert set(every.row_gains({})) == {clamped}


def test_names_and_priorities_go_with_the_rows() -> None:
    made = only("distance", "lateral")
    assert [barrier.name for barrier in made.barriers] == ["distance", "lateral"]
    assert made.priority == [Priority.DISTANCE] * 2 + [Priority.GRIP] * 2
    assert made.gain_index == [0, 0, -1, -1]
    np.testing.assert_array_equal(made.scale, [FORCE_UNIT, CURVATURE_UNIT])


def test_rows_that_are_off_say_so() -> None:
    made = only("distance", "lateral")
    G, fixed, scaled, cap, values = made.rows(State(speed=10.0))
    assert [part.shape for part in (G, fixed, scaled, cap, values)] == [(4, 2), (4,), (4,), (4,), (2,)]
    assert (fixed[:2] < OFF).all()
    assert (fixed[2:] > OFF).all()
    assert (G[:2] == 0).all()
    assert (scaled == 0).all()
    assert (cap == math.inf).all()
    assert values[0] == math.inf
    near = dataclasses.replace(State(speed=10.0, force_high=1.0), arc=Ahead(30.0))
    assert (made.rows(near)[1] > OFF).tolist() == [True, False, True, True]
    assert (made.rows(State(speed=10.0))[1] > OFF).tolist() == [False, False, True, True]  # nothing is left over


def test_what_was_learnt_is_left_out_while_a_driver_drives() -> None:
    made = only("lane", "speed")
    lane = TrackedLane(0.0, 0.0, 0.1, 0.02, (0.0, 20.0), (0.0, 0.0), 20.0)
    state = State(speed=10.0, force_high=1.0, lane=lane)
    assert np.isfinite(made.rows(state)[4]).all()
    _, fixed, _, _, values = made.rows(state, learned=False)
    assert [made.barriers[0].name, made.barriers[1].name] == ["lane", "speed"]
    assert (fixed > OFF).tolist() == [False, False, True]
    assert np.isfinite(values).tolist() == [False, True]
    told = made(state, (0.0, 0.19), {}, WIDE, learned=False)
    assert (told.force, told.curvature) == pytest.approx((0.0, 0.19))
    assert made(state, (0.0, 0.19), {}, WIDE).curvature < 0.19


def test_a_wish_that_breaks_nothing_is_the_answer() -> None:
    told = only("lateral")(State(speed=10.0), (1234.5, 0.01), {}, WIDE)
    assert (told.force, told.curvature) == pytest.approx((1234.5, 0.01), rel=1e-12)
    assert (told.intervened, told.solved) == ("", True)
    (state,) = told.barriers
    limit = settings().vehicle.lateral_acceleration_max
    assert (state.name, state.h) == ("lateral", pytest.approx(limit))
    # room left by the nearer row, in units of deviation
    assert state.margin == pytest.approx((limit / 100.0 - 0.01) / CURVATURE_UNIT)
    assert (state.multiplier, state.relaxed) == (0.0, False)


def test_a_wish_that_breaks_a_row_comes_to_lie_on_it_and_the_barrier_is_named() -> None:
    limit = settings().vehicle.lateral_acceleration_max
    for side in (-1.0, 1.0):
        told = only("lateral", "speed")(State(speed=10.0, force_high=1.0), (-500.0, side * 0.1), {}, WIDE)
        assert (told.force, told.curvature) == pytest.approx((-500.0, side * limit / 100.0), rel=1e-5)
        by_name = {state.name: state for state in told.barriers}
        assert told.intervened == "lateral"
        assert by_name["lateral"].margin == pytest.approx(0.0, abs=1e-5)
        assert by_name["lateral"].multiplier == pytest.approx((0.1 - limit / 100.0) / CURVATURE_UNIT, rel=1e-4)
        assert by_name["speed"].multiplier == 0.0
        assert not by_name["lateral"].relaxed


def test_the_gain_moves_the_row_and_the_cap_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """κ ≥ min(0.02 − gain · 0.004, cap)."""
    for cap, expected in ((math.inf, 0.02 - DEFAULT * 0.004), (0.005, 0.005)):
        made = faked(monkeypatch, (0.0, 1.0, 0.02, 0.004, cap))
        assert made(State(), (0.0, -0.1), {}, WIDE).curvature == pytest.approx(expected, abs=1e-6)


def test_in_units_of_deviation_the_nearest_command_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row across both: F/F₀ + 3 κ/κ₀ ≥ 1 from the origin is met by 0.1 and 0.3."""
    made = faked(monkeypatch, (1 / FORCE_UNIT, 3 / CURVATURE_UNIT, 1.0, 0.0, math.inf))
    told = made(State(), (0.0, 0.0), {}, Box(-9e4, 9e4, -1.0, 1.0))
    assert (told.force, told.curvature) == pytest.approx((0.1 * FORCE_UNIT, 0.3 * CURVATURE_UNIT), rel=1e-5)
    assert told.barriers[0].margin == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("turn", range(16))
def test_a_row_of_any_direction_that_the_wish_breaks_is_kept(turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the origin, half a unit of deviation along it: more force, less, to the left, to the right, and both."""
    along, across = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
    made = faked(monkeypatch, (along / FORCE_UNIT, across / CURVATURE_UNIT, 0.5, 0.0, math.inf))
    told = made(State(), (0.0, 0.0), {}, Box(-FORCE_UNIT, FORCE_UNIT, -CURVATURE_UNIT, CURVATURE_UNIT))
    assert (told.force / FORCE_UNIT, told.curvature / CURVATURE_UNIT) == pytest.approx(
        (0.5 * along, 0.5 * across), abs=1e-5
    )


def test_a_row_that_gives_way_is_told_and_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    made = faked(monkeypatch, (0.0, 1.0, 0.25, 0.0, math.inf))
    told = made(State(), (0.0, 0.0), {}, WIDE)
    assert told.solved
    assert told.curvature == pytest.approx(0.2, abs=1e-5)
    assert told.barriers[0].relaxed
    assert told.barriers[0].margin == pytest.approx(-0.05 / CURVATURE_UNIT, abs=1e-3)
    for broken, relaxed in ((19.5, False), (20.5, True)):
        tolerance = settings().safety.filter.tolerance
        made = faked(monkeypatch, (0.0, 1.0, 0.2 + broken * tolerance * CURVATURE_UNIT, 0.0, math.inf))
        assert made(State(), (0.0, 0.2), {}, Box(-1.0, 1.0, 0.2, 0.2)).barriers[0].relaxed == relaxed


TOLERANCE = settings().safety.filter.tolerance
UNITS = Box(-2 * FORCE_UNIT, FORCE_UNIT, -CURVATURE_UNIT, 3 * CURVATURE_UNIT)
"""Of deviation: 2 and 1, 1 and 3."""


@pytest.mark.parametrize("turn", range(16))
def test_what_no_command_of_the_box_keeps_gives_way_to_the_best_less_fifty_tolerances(
    turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In closed form, as the one row that it is."""
    along, across = round(math.cos(turn * math.pi / 8), 12), round(math.sin(turn * math.pi / 8), 12)
    best = max(along * x + across * y for x in (-2, 1) for y in (-1, 3))
    made = faked(monkeypatch, (along / FORCE_UNIT, across / CURVATURE_UNIT, best + 0.5, 0.0, math.inf))
    told = made(State(), (0.0, 0.0), {}, UNITS)
    assert told.solve == UNNEEDED
    assert told.barriers[0].margin == pytest.approx(-0.5 - 50 * TOLERANCE, abs=1e-9)
    (row,) = told.rows
    assert row.slack == pytest.approx(0.5 + 50 * TOLERANCE, abs=1e-9)


def test_what_the_end_of_the_box_just_keeps_does_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    made = faked(monkeypatch, (0.0, 1 / CURVATURE_UNIT, 3.0, 0.0, math.inf))
    told = made(State(), (0.0, 0.0), {}, UNITS)
    assert told.solve == UNNEEDED
    assert told.curvature == pytest.approx(3 * CURVATURE_UNIT, rel=1e-9)
    assert [(row.multiplier, row.slack) for row in told.rows] == [(pytest.approx(3.0), 0.0)]


def test_two_rows_that_the_box_leaves_no_room_share_their_slack_on_one_level_and_do_not_on_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they share the solver finds; else each gives way by itself."""
    made = faked(monkeypatch, (1 / FORCE_UNIT, 0.0, 1.5, 0.0, math.inf), (0.0, 1 / CURVATURE_UNIT, 3.25, 0.0, math.inf))
    shared = made(State(), (0.0, 0.0), {}, UNITS)
    assert (shared.solve.status, shared.solve.programmes > 1) == ("solved", True)
    made.priority = [Priority.GRIP, Priority.EDGE]
    told = made(State(), (0.0, 0.0), {}, UNITS)
    assert told.solve == UNNEEDED
    assert [row.slack for row in told.rows] == pytest.approx([0.5 + 50 * TOLERANCE, 0.25 + 50 * TOLERANCE], abs=1e-9)


@pytest.mark.parametrize(("push", "named"), [(0.75e-6, ""), (1.5e-6, "lateral")])
def test_a_barrier_intervenes_from_a_millionth_of_a_unit_on(
    push: float, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = faked(monkeypatch, (1 / FORCE_UNIT, 0.0, push, 0.0, math.inf))(State(), (0.0, 0.0), {}, UNITS)
    assert told.barriers[0].multiplier == pytest.approx(push)
    assert told.intervened == named


@pytest.mark.parametrize(("size", "norm"), [(0.75e-12, 1.0), (1.5e-12, 1.5e-12)])
def test_a_row_shorter_than_a_trillionth_has_no_direction(
    size: float, norm: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not brought to unit norm; either way it tells its slack in its own unit."""
    told = faked(monkeypatch, (0.0, size / CURVATURE_UNIT, 1e-3, 0.0, math.inf))(State(), (0.0, 0.0), {}, UNITS)
    assert told.barriers[0].margin == pytest.approx(-1e-3 / norm, rel=1e-6)
    assert told.rows[0].slack == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize(
    "row",
    [
        (0.0, 1.0, 0.0, 0.0, math.nan),
        (0.0, 1.0, math.nan, 0.0, 1.0),
        (math.nan, 1.0, 0.0, 0.0, 1.0),
        (0.0, math.inf, 0.0, 0.0, 1.0),
        (0.0, 1.0, 0.0, math.nan, 1.0),
        (0.0, 1.0, math.inf, 0.0, math.inf),
        (0.0, 1.0, 0.0, 1e200, math.inf),
    ],
)
def test_a_row_that_is_no_number_brakes_and_never_passes_the_wish(
    row: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = faked(monkeypatch, row)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        told = made(State(curvature=0.03), (3000.0, 0.1), {}, WIDE)
    if row[3] == 1e200:  # a number, and far below anything: no restraint
        assert (told.force, told.curvature) == pytest.approx((3000.0, 0.1))
        return
    assert not told.solved
    assert (told.force, told.curvature) == (-settings().safety.ladder.hold_deceleration * MASS, 0.03)  # it stands
    assert told.intervened == ""


@given(
    speed=st.floats(0.2, 16.5),
    share=st.floats(-1.0, 1.0),
    uphill=st.floats(-1.0, 1.0),
)
@example(speed=16.5, share=1.0, uphill=1.0)
@example(speed=16.5, share=-1.0, uphill=1.0)
def test_without_a_solution_it_brakes_within_the_rows_of_the_grip(speed: float, share: float, uphill: float) -> None:
    """In any bend that ``lateral`` allows, on any slope: no row of ``traction`` is broken, and it does brake."""
    vehicle = settings().vehicle
    curvature = share * min(vehicle.lateral_acceleration_max / max(speed, 1.0) ** 2, 0.2)
    state = State(speed=speed, curvature=curvature, disturbance=uphill * GRAVITY * vehicle.slope_max)
    wide = Box(car().force_min, car().force_max, -0.2, 0.2)
    told = only("traction", "lateral")(state, (math.nan, 0.0), {}, wide)
    assert not told.solved
    assert told.curvature == curvature
    assert not any(barrier.relaxed for barrier in told.barriers)
    asked = vehicle.brake_guaranteed + max(state.disturbance, 0.0)
    hardest = Grip(settings(), car()).hardest(speed, curvature)
    assert told.force == pytest.approx(max(-car().loaded_mass * asked, hardest))
    assert told.force < -4.0 * MASS


def test_a_solver_that_never_ends_brakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.safety.qp.ITERATIONS", 1)
    told = only("lateral", "traction")(State(speed=10.0), (9000.0, 0.19), {}, WIDE)
    assert (told.solved, told.force, told.curvature) == (False, pytest.approx(-GUARANTEED), 0.0)


def test_the_brake_that_the_grip_leaves_is_the_hardest_that_its_rows_allow() -> None:
    grip = Grip(settings(), car())
    for speed, curvature in (
        (0.0, 0.0),
        (10.0, 0.02),
        (10.0, -0.05),
        (10.0, 0.06),
        (10.0, 0.2),
        (0.7, 0.2),
        (1.5, 0.2),
    ):
        force, lateral = grip.hardest(speed, curvature), max(speed, 1.0) ** 2 * curvature
        left = [along * force + across * lateral + grip.inner for along, across in grip.normals]
        if force < 0:
            assert min(left) == pytest.approx(0.0, abs=1e-9)
        else:
            assert (force, min(left) < 0) == (0.0, True)


def test_a_wish_that_is_no_number_brakes() -> None:
    for wish in ((math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0)):
        told = only("lateral")(State(speed=3.0, curvature=-0.9), wish, {}, WIDE)
        assert not told.solved
        assert (told.force, told.curvature) == (0.0, WIDE.curvature_low)  # that bend leaves no grip to brake with
        assert only("lateral")(State(speed=3.0), wish, {}, WIDE).force == pytest.approx(-GUARANTEED)


def test_a_row_without_a_direction_holds_or_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 ≥ −1 asks for nothing; 0 ≥ 1 cannot be had: it gives way, the joint box does not."""
    made = faked(monkeypatch, (0.0, 0.0, -1.0, 0.0, math.inf))
    told = made(State(), (500.0, 0.1), {}, WIDE)
    assert (told.force, told.curvature) == pytest.approx((500.0, 0.1))
    assert told.barriers[0].margin == pytest.approx(1.0)
    made = faked(monkeypatch, (0.0, 0.0, 1.0, 0.0, math.inf))
    told = made(State(), (500.0, 0.1), {}, WIDE)
    assert told.barriers[0].relaxed
    assert told.rows[0].slack == pytest.approx(1.0, abs=1e-3)
    assert WIDE.force_low <= told.force <= WIDE.force_high


def test_no_barriers_leave_the_joint_box() -> None:
    told = only()(State(), (9e9, -9e9), {}, WIDE)
    assert (told.force, told.curvature) == pytest.approx((WIDE.force_high, WIDE.curvature_low))
    assert (told.barriers, told.intervened, told.solved) == ((), "", True)


def test_a_barrier_without_rows_neither_pushes_nor_gives_way() -> None:
    told = only("distance", "lateral")(State(speed=10.0), (0.0, 0.2), {}, WIDE)
    distance = told.barriers[0]
    assert (distance.h, distance.margin, distance.multiplier, distance.relaxed) == (math.inf, math.inf, 0.0, False)


def test_a_barrier_is_of_the_type_and_has_the_parameters_that_the_file_says() -> None:
    named = {
        "keep_gap": DistanceParameters(type="distance", extra_gap=6.0),
        "distance": DistanceParameters(type="distance"),
        "lane": BarrierParameters(type="lane", enabled=False),
    }
    safety = dataclasses.replace(settings().safety, barriers=named)
    made = Filter(dataclasses.replace(settings(), safety=safety), car())
    assert [(barrier.name, type(barrier)) for barrier in made.barriers] == [
        ("keep_gap", Distance),
        ("distance", Distance),
    ]
    state = State(speed=10.0, force_high=1.0, arc=Ahead(40.0))
    wide, narrow = made.rows(state)[4]
    assert narrow - wide == pytest.approx(6.0)
    told = made(state, (3000.0, 0.0), {}, WIDE)
    assert [one.name for one in told.barriers] == ["keep_gap", "distance"]
    assert made(dataclasses.replace(state, arc=Ahead(24.0)), (3000.0, 0.0), {}, WIDE).intervened == "keep_gap"
