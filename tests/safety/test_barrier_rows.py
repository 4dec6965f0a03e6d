# SPDX-License-Identifier: Apache-2.0
"""What each row says, in the terms of its barrier: the largest command that it allows does exactly what h permits."""

from __future__ import annotations

import contextlib
import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_plant import PERIOD, car, settings
from scipy.integrate import quad
from scipy.optimize import brentq

from tidegate.errors import SettingsError
from tidegate.robot import GRAVITY
from tidegate.safety.barrier import Barrier, Priority, Row, Rows, State, barriers
from tidegate.safety.braking import Braking
from tidegate.safety.lane import room
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.traction import SIDES
from tidegate.settings import Settings

MASS = car().effective_mass
SAFETY, VEHICLE = settings().safety, settings().vehicle
GAIN = 1.7


def rows_of(name: str, state: State, given: Settings | None = None) -> tuple[float, list[Row | None]]:
    """h and the rows of one barrier."""
    barrier = barriers[name](given or settings(), car())
    table: list[Row | None] = [None] * (barrier.rows + 1)
    h = barrier.fill(state, Rows(table, 1, barrier.rows))
    assert table[0] is None  # it belongs to another
    return h, table[1:]


def bound(row: Row | None, gain: float = GAIN) -> float:
    """The right side of a row."""
    assert row is not None
    return min(row[2] - gain * row[3], row[4])


def lane(
    curvature: tuple[float, ...] = (0.0, 0.0), ahead: tuple[float, ...] = (0.0, 20.0), **changes: float
) -> TrackedLane:
    made = TrackedLane(0.0, 0.0, 0.1, 0.02, ahead, curvature, ahead[-1])
    return dataclasses.replace(made, **changes)


def test_rows_of_a_barrier_begin_where_the_table_says_and_are_open_unless_told() -> None:
    table: list[Row | None] = [None] * 4
    Rows(table, 2, 2).set(1, 1.0, 2.0, 3.0)
    assert table == [None, None, None, (1.0, 2.0, 3.0, 0.0, math.inf)]


@pytest.mark.parametrize("row", [-1, 1])
def test_a_barrier_cannot_write_the_rows_of_another(row: int) -> None:
    table: list[Row | None] = [None] * 3
    with pytest.raises(IndexError, match=f"row {row} of a barrier with 1 rows"):
        Rows(table, 1, 1).set(row, 1.0, 2.0, 3.0)
    assert table == [None] * 3


def test_all_rows_at_once_are_as_many_as_the_barrier_has_and_leave_those_of_others() -> None:
    table: list[Row | None] = [None] * 5
    rows = Rows(table, 1, 2)
    made = [(1.0, 0.0, 0.5, 0.0, math.inf), (0.0, 1.0, 0.25, 2.0, 3.0)]
    rows.set_all(made)
    assert table == [None, *made, None, None]
    for wrong in (made[:1], [*made, made[0]]):
        with pytest.raises(IndexError, match=f"{len(wrong)} rows of a barrier with 2 rows"):
            rows.set_all(wrong)
        assert table == [None, *made, None, None]


def test_what_is_known_at_first_restrains_nothing() -> None:
    state = State()
    assert (state.speed, state.force, state.curvature, state.disturbance) == (0.0, 0.0, 0.0, 0.0)
    assert (state.force_low, state.force_high, state.lane) == (0.0, 0.0, None)
    assert (state.x, state.y, state.yaw) == (0.0, 0.0, 0.0)
    assert (state.speed_left, state.speed_falling, state.lateral_left) == (0.0, 0.0, 0.0)
    for ahead in (state.arc, state.along_lane):
        assert (ahead.distance, ahead.receding, ahead.approaching) == (math.inf, 0.0, 0.0)
    assert state.arc is not state.along_lane


def test_a_barrier_that_says_nothing_of_itself_is_trusted_plain_and_takes_the_default_gain() -> None:
    assert (Barrier.name, Barrier.unit, Barrier.gain, Barrier.learned, Barrier.compiled) == ("", "", "", False, False)
    assert {barriers[name].unit for name in ("lane", "speed", "curve", "lateral", "traction")} == {"m/s²"}


def test_rows_give_way_in_the_order_of_the_documentation() -> None:
    order = ["curve", "sight", "speed", "lane", "edge", "lateral", "traction", "distance"]
    ranks = [barriers[name].priority for name in order]
    assert ranks == sorted(ranks)
    assert [int(rank) for rank in Priority] == [0, 1, 2, 3, 4, 5]
    assert {name for name in order if barriers[name].learned} == {"curve", "sight", "lane", "edge"}
    assert {name: barriers[name].gain for name in order if barriers[name].gain} == {
        "curve": "speed",
        "sight": "speed",
        "speed": "speed",
        "lane": "lane",
        "distance": "distance",
    }


def test_one_period_is_what_the_rate_says() -> None:
    assert barriers["speed"](settings(), car()).period == PERIOD


@pytest.mark.parametrize("disturbance", [-0.4, 0.0, 0.7])
def test_speed_allows_the_force_under_which_the_speed_grows_by_gain_times_room(disturbance: float) -> None:
    state = State(speed=13.0, force=1000.0, force_low=-9000.0, disturbance=disturbance)
    h, (row,) = rows_of("speed", state)
    assert h == pytest.approx(VEHICLE.speed_max - SAFETY.speed_margin - 13.0)
    assert row is not None
    force = bound(row) / row[0]
    assert row[0] < 0 == row[1]
    assert force / MASS + disturbance + SAFETY.disturbance_margin == pytest.approx(GAIN * h)


def test_a_speed_limit_lowered_at_run_time_allows_the_force_that_follows_it_down() -> None:
    limit = VEHICLE.speed_max - SAFETY.speed_margin
    state = State(
        speed=limit + 1.0,
        force=1000.0,
        force_low=-9000.0,
        disturbance=0.2,
        speed_left=limit + 1.5,
        speed_falling=2.0,
    )
    h, (row,) = rows_of("speed", state)
    assert h == pytest.approx(0.5)
    assert row is not None
    assert bound(row) / row[0] / MASS + 0.2 + SAFETY.disturbance_margin == pytest.approx(GAIN * h - 2.0)


@pytest.mark.parametrize("name", ["lateral", "lane", "edge"])
def test_a_lateral_limit_on_its_way_down_counts_as_what_is_left_of_it(name: str) -> None:
    """As if the file had it; one that has come down is the file's."""
    left, vehicle = VEHICLE.lateral_acceleration_max + 1.5, dataclasses.replace(VEHICLE, lateral_acceleration_max=5.5)
    wider = barriers[name](dataclasses.replace(settings(), vehicle=vehicle), car())
    counts = []
    for speed in (3.0, 6.9, 10.0):  # edge is off from 6.8 m/s on, with the wider limit from 8
        lane = TrackedLane(0.2, 0.05, 0.1, 0.01, (0.0, 10.0), (0.01, 0.01), 30.0)
        state = State(speed=speed, curvature=0.02, force_low=-400.0, force_high=400.0, lane=lane, lateral_left=left)
        table: list[Row | None] = [None] * 2
        h = wider.fill(dataclasses.replace(state, lateral_left=0.0), Rows(table, 0, 2))
        assert rows_of(name, state) == (h, table)
        counts.append(rows_of(name, state) != rows_of(name, dataclasses.replace(state, lateral_left=0.0)))
    assert any(counts)


def test_speed_never_asks_for_less_than_the_torque_rate_can_do() -> None:
    state = State(speed=30.0, force=1000.0, force_low=700.0)
    _, (row,) = rows_of("speed", state)
    assert row is not None
    assert bound(row) == pytest.approx(row[0] * 700.0)


@pytest.mark.parametrize("disturbance", [-0.6, 0.5])
def test_before_a_bend_the_car_brakes_so_that_it_arrives_at_the_speed_of_the_bend(disturbance: float) -> None:
    """The binding knot, driven to at ``curve_deceleration``, is met at √(a_lat/κ); the row keeps exactly that."""
    ahead, curvature = (0.0, 9.0, 20.0), (0.001, -0.04, 0.02)
    here = lane(curvature, ahead)
    braking, lateral = SAFETY.curve_deceleration, VEHICLE.lateral_acceleration_max
    allowed = math.sqrt(lateral / 0.04 + 2 * braking * 9.0)
    for speed in (0.9 * allowed, 1.2 * allowed):
        h, (row,) = rows_of("curve", State(speed=speed, force_low=-90000.0, disturbance=disturbance, lane=here))
        assert h == pytest.approx(allowed - speed)
        assert row is not None
        falling = braking * min(speed / allowed, 1.0)
        growing = disturbance + SAFETY.disturbance_margin
        assert row[2] - GAIN * row[3] == pytest.approx(falling + growing - GAIN * h)
        # never harder than the deceleration it counts on, what may push the car included
        assert row[4] == pytest.approx(braking + max(growing, 0.0))
        assert row[:2] == (-1 / MASS, 0.0)
    _, (row,) = rows_of("curve", State(speed=30.0, force_low=-1000.0, lane=here))
    assert row is not None
    assert row[4] == pytest.approx(1000.0 / MASS)  # nor than the torque rate can do


def test_on_a_straight_the_curve_barrier_allows_more_than_the_car_can_drive() -> None:
    h, _ = rows_of("curve", State(speed=10.0, lane=lane()))
    assert h == pytest.approx(math.sqrt(VEHICLE.lateral_acceleration_max / 1e-4) - 10.0)


def test_what_the_camera_says_restrains_nothing_where_there_is_no_lane() -> None:
    for name, count in (("curve", 1), ("sight", 1), ("lane", 2)):
        assert rows_of(name, State(speed=10.0)) == (math.inf, [None] * count)
        if name != "curve":
            unknown = State(speed=10.0, lane=lane(offset_bound=math.inf))
            assert rows_of(name, unknown) == (math.inf, [None] * count)


def way_of_a_blind_stop(speed: float) -> float:
    """From the last frame that came [m]: until the camera counts as late, then braking."""
    return speed * SAFETY.camera_timeout_s + Braking(settings(), car()).stop(speed, 0.0).way


def strays(way: float, bound: float, bend: float) -> float:
    """How far [m] the front axle may get off a remembered lane: bound of the offset, and a road that bends away."""
    heading = bend * way
    return bound + quad(lambda s: bend * s, 0.0, way)[0] + car().wheelbase * heading


@pytest.mark.parametrize("bend", [0.0005, 0.0015, SAFETY.lane.sight_cap, 0.02])
@pytest.mark.parametrize("error", [0.05, 0.25, 0.45, 0.7])
def test_sight_allows_the_speed_from_which_a_stop_ends_in_the_remembered_lane(error: float, bend: float) -> None:
    counted = min(bend, SAFETY.lane.sight_cap) + SAFETY.lane.drift_heading
    wide, most, unsure = room(settings(), car()), VEHICLE.speed_max, SAFETY.lane.unsure_speed

    def left(speed: float) -> float:
        return wide - strays(way_of_a_blind_stop(speed), error, counted)

    exact = most if left(most) > 0 else unsure if left(unsure) < 0 else brentq(left, unsure, most)
    h, (row,) = rows_of("sight", State(speed=4.0, disturbance=0.3, lane=lane(offset_bound=error, curvature_bound=bend)))
    assert exact - 0.1 <= h + 4.0 <= exact + 1e-9
    assert row is not None
    assert row[2:4] == (pytest.approx(0.3 + SAFETY.disturbance_margin), h)


def test_a_gain_is_refused_from_which_on_the_drive_is_not_taken_off_in_time() -> None:
    """Above 2 R / a: the torque rate R, and a the strongest drive down the steepest slope."""
    hardest = car().force_max / MASS + GRAVITY * VEHICLE.slope_max
    most = 2 * car().force_rate(1) / MASS / hardest
    for share, refused in ((0.999, False), (1.001, True)):
        policy = dataclasses.replace(settings().policy, gain_high=share * most)
        given = dataclasses.replace(settings(), policy=policy)
        with pytest.raises(SettingsError, match="gain_high") if refused else contextlib.nullcontext():
            barriers["speed"](given, car())


def test_sight_never_allows_more_than_the_limit_nor_less_than_the_unsure_speed() -> None:
    def allowed(unsure: float, error: float, drift: float = 0.0) -> float:
        known = dataclasses.replace(SAFETY.lane, unsure_speed=unsure, drift_heading=drift)
        given = dataclasses.replace(settings(), safety=dataclasses.replace(SAFETY, lane=known))
        return rows_of("sight", State(lane=lane(offset_bound=error, curvature_bound=0.0)), given)[0]

    most = VEHICLE.speed_max
    assert [allowed(99.0, error) for error in (0.1, 2.0, 9.0)] == [most] * 3
    assert allowed(4.0, 0.3) == most  # nothing errs along the way
    assert [allowed(4.0, error, 0.001) for error in (room(settings(), car()), 9.0)] == [4.0] * 2


@pytest.mark.parametrize("speed", [0.3, 12.0])
def test_the_polygon_touches_the_circle_of_grip_at_its_corners(speed: float) -> None:
    state = State(speed=speed, force=2000.0, curvature=0.01)
    h, rows = rows_of("traction", state)
    square, grip = max(speed, 1.0) ** 2, SAFETY.traction_share * VEHICLE.tyre_friction * GRAVITY
    assert h == pytest.approx(grip - math.hypot(2000.0 / MASS, square * 0.01))
    for share, broken in ((1 - 1e-9, 0), (1 + 1e-9, 2)):
        for corner in range(SIDES):
            angle = corner * 2 * math.pi / SIDES
            force, curvature = share * grip * math.cos(angle) * MASS, share * grip * math.sin(angle) / square
            over = sum(row[0] * force + row[1] * curvature < bound(row) for row in rows if row is not None)
            assert over == broken  # a corner is where two sides meet


def test_the_guaranteed_braking_of_the_lightest_car_leaves_the_whole_lateral_limit() -> None:
    _, rows = rows_of("traction", State(speed=10.0))
    force = Braking(settings(), car()).backup(10.0) * MASS
    for side in (1.0, -1.0):
        curvature = side * VEHICLE.lateral_acceleration_max / 100.0
        assert all(row[0] * force + row[1] * curvature >= bound(row) for row in rows if row is not None)


@pytest.mark.parametrize("speed", [0.3, 12.0])
def test_lateral_allows_the_curvature_of_the_limit_to_either_side(speed: float) -> None:
    square, limit = max(speed, 1.0) ** 2, VEHICLE.lateral_acceleration_max
    for curvature in (0.01, -0.01):
        h, (left, right) = rows_of("lateral", State(speed=speed, curvature=curvature))
        assert h == pytest.approx(limit - square * 0.01)
        assert left is not None
        assert right is not None
        assert bound(left) / left[1] == pytest.approx(limit / square)
        assert bound(right) / right[1] == pytest.approx(-limit / square)
        assert left[0] == right[0] == 0.0
        assert left[1] < 0 < right[1]


@pytest.mark.parametrize(("offset", "heading"), [(0.2, 0.05), (-0.3, 0.05), (0.1, -0.08), (0.5, 0.3)])
@pytest.mark.parametrize("road", [0.0, 0.03, -0.02])
def test_lane_rows_are_the_second_derivative_of_the_road_frame(offset: float, heading: float, road: float) -> None:
    """ψ̇₁ + p₂ ψ₁ by finite differences of the car's model in the road frame, less the margin, is what is left over.

    Where driving off would help, the force counts as the least that the torque rate allows.
    """
    state = State(
        speed=9.0,
        force_low=-1700.0,
        lane=lane((road, 0.07), offset=offset, heading=heading, offset_bound=0.2, heading_bound=0.0),
    )
    force, curvature, step = -1500.0, 0.021, 1e-5
    h_least, rows = rows_of("lane", state)
    width = room(settings(), car()) - 0.2
    assert h_least == pytest.approx(width - abs(offset))
    inner = SAFETY.lane.inner_gain

    def psi(side: float, at: float) -> float:
        """ψ₁ after ``at`` seconds of the command."""
        drift, control = car().road_motion(offset, heading, 9.0, road)
        counted = force if side * heading >= 0 else state.force_low
        d, mu, v = (
            [offset, heading, 9.0][k] + at * (drift[k] + control[k, 0] * counted + control[k, 1] * curvature)
            for k in range(3)
        )
        return -side * v * math.sin(mu) + inner * (width - side * d)

    jerk = 9.0**3 * SAFETY.lane.curvature_slope
    outer, rate = settings().policy.gain_high, abs(9.0 * math.sin(heading))
    margin = PERIOD * (jerk + (inner + outer) * VEHICLE.lateral_acceleration_max + inner * outer * rate)
    for side, row in zip((1.0, -1.0), rows, strict=True):
        assert row is not None
        left = row[0] * force + row[1] * curvature - (row[2] - GAIN * row[3])
        change = (psi(side, step) - psi(side, -step)) / (2 * step)
        assert left == pytest.approx(change + GAIN * psi(side, 0.0) - margin, rel=1e-6, abs=1e-6)
        assert row[4] == math.inf


@given(
    speed=st.floats(4.0, 16.0),
    offset=st.floats(-0.5, 0.5),
    heading=st.floats(-0.1, 0.1),
    road=st.floats(-0.03, 0.03),
    errors=st.tuples(*[st.floats(-1.0, 1.0)] * 3),
    force=st.floats(-6000.0, 3500.0),
    gain=st.floats(0.5, 4.0),
)
def test_what_the_lane_rows_allow_is_allowed_in_every_lane_within_the_bounds(
    speed: float,
    offset: float,
    heading: float,
    road: float,
    errors: tuple[float, float, float],
    force: float,
    gain: float,
) -> None:
    """The tightest curvature that a row allows for an estimate also keeps the row of the true lane."""
    capped = SAFETY.lane
    bounds = 0.1, capped.heading_cap, capped.curvature_cap
    seen = lane((road, road), offset=offset, heading=heading)
    seen = dataclasses.replace(seen, offset_bound=bounds[0], heading_bound=9.0, curvature_bound=9.0)  # beyond the caps
    off, turned, bent = (error * bound for error, bound in zip(errors, bounds, strict=True))
    true = lane((road + bent, road + bent), offset=offset + off, heading=heading + turned)
    true = dataclasses.replace(true, offset_bound=0.0, heading_bound=0.0)
    known, exact = (rows_of("lane", State(speed=speed, force_low=force, lane=one))[1] for one in (seen, true))
    for row, right in zip(known, exact, strict=True):
        assert row is not None
        assert right is not None
        curvature = (row[2] - gain * row[3] - row[0] * force) / row[1]
        least = right[2] - gain * right[3]
        # the hold's margin is taken at either heading, the cosines are those of the estimate
        assert right[0] * force + right[1] * curvature >= least - 0.05 * abs(right[1] * curvature) - 0.1


def test_before_a_bend_the_error_bound_counts_as_curvature_up_to_its_cap() -> None:
    cap, lateral = SAFETY.lane.curvature_cap, VEHICLE.lateral_acceleration_max
    for error, counted in ((0.5 * cap, 0.5 * cap), (3 * cap, cap), (math.inf, cap)):
        here = lane((0.03, 0.0), curvature_bound=error)
        h, _ = rows_of("curve", State(speed=5.0, lane=here))
        assert h == pytest.approx(math.sqrt(lateral / (0.03 + counted)) - 5.0)


def test_the_corridor_is_narrowed_by_the_error_bound_up_to_its_cap_and_never_closed() -> None:
    wide, cap = room(settings(), car()), SAFETY.lane.bound_cap
    for speed in (0.5, 9.0):
        for error in (0.1, cap, 2.0):
            for offset in (0.3, -0.3):
                h, _ = rows_of("lane", State(speed=speed, lane=lane(offset=offset, offset_bound=error)))
                assert h == pytest.approx(wide - min(error, cap) - 0.3)
    blind = dataclasses.replace(SAFETY, lane=dataclasses.replace(SAFETY.lane, bound_cap=5.0))
    narrow = dataclasses.replace(settings(), safety=blind)
    assert rows_of("lane", State(speed=9.0, lane=lane(offset_bound=4.0)), narrow)[0] == pytest.approx(0.1)


def test_there_is_a_lane_row_from_crawl_speed_on() -> None:
    crawl = SAFETY.lane.crawl_speed
    assert rows_of("lane", State(speed=0.999 * crawl, lane=lane()))[1] == [None, None]
    assert None not in rows_of("lane", State(speed=crawl, lane=lane()))[1]


def test_a_lane_bent_tighter_than_the_car_is_off_its_centre_gives_no_wild_row() -> None:
    """1 − κ d is kept from 0.2 up: nearer to the centre of the bend the road frame means nothing."""
    bent = lane((0.5, 0.5), offset=1.9, heading=0.1)
    _, rows = rows_of("lane", State(speed=9.0, lane=bent))
    same = lane((0.5, 0.5), offset=1.6, heading=0.1)
    _, others = rows_of("lane", State(speed=9.0, lane=same))
    inner = SAFETY.lane.inner_gain
    for side, row, other in zip((1.0, -1.0), rows, others, strict=True):
        assert row is not None
        assert other is not None
        assert row[2] == pytest.approx(other[2])  # the drift of d = 1.6
        assert row[3] - other[3] == pytest.approx(-side * inner * 0.3)
    drifts = []
    for offset, bend in ((1.6, 0.5), (1.5, 0.5), (0.0, 0.0)):
        _, (row, _) = rows_of("lane", State(speed=9.0, lane=lane((bend, bend), offset=offset, heading=0.1)))
        assert row is not None
        drifts.append(row[2])
    assert (drifts[0] - drifts[2]) / (drifts[1] - drifts[2]) == pytest.approx(0.25 / 0.2)


def test_room_is_from_the_outermost_part_of_the_car_to_the_edge_of_the_lane() -> None:
    tyre = car().description.links["rear_left_wheel"].size[1]
    assert room(settings(), car()) == pytest.approx(
        SAFETY.lane.half_width - max(car().width / 2, (car().track + tyre) / 2)
    )
    slim = dataclasses.replace(car(), width=0.5)
    assert room(settings(), slim) == pytest.approx(SAFETY.lane.half_width - (car().track + tyre) / 2)
