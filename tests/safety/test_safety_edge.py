# SPDX-License-Identifier: Apache-2.0
"""The front wheels stay in the lane at any speed from standstill on, and a car that stands at the edge gets away."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from ideal import gains, ideal, only
from safety_plant import PERIOD, Plant, Sensors, car, settings

from tidegate.records import Mode
from tidegate.safety import Supervisor
from tidegate.safety.barrier import Priority, Row, Rows, State
from tidegate.safety.braking import Braking
from tidegate.safety.contract import IdealCar
from tidegate.safety.edge import Edge
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.lane import room

SHARE = settings().safety.steering_share
LOCK = SHARE * car().curvature_max
FASTEST = math.sqrt(settings().policy.gain_high * settings().vehicle.lateral_acceleration_max / car().curvature_rate)
ROOM = room(settings(), car())


def front(plant: IdealCar | Plant) -> float:
    """Offset [m] of the front axle."""
    return plant.offset + car().wheelbase * math.sin(plant.heading)


def widest(plant: IdealCar | Plant) -> float:
    """How far [m] an axle is from the lane's centre."""
    return max(abs(plant.offset), abs(front(plant)))


def joints(plant: IdealCar) -> Box:
    return joint_box(car(), plant.force, plant.curvature, PERIOD, SHARE)


def filled(plant: IdealCar) -> tuple[float, list[Row | None]]:
    table: list[Row | None] = [None] * Edge.rows
    return Edge(settings(), car()).fill(plant.state(), Rows(table, 0, Edge.rows)), table


def safe_start(rng: np.random.Generator, road: float, slope: float = 0.0) -> IdealCar:
    """A random state inside the set."""
    while True:
        plant = ideal(rng.uniform(0.0, 6.0), rng.uniform(-0.7, 0.7), rng.uniform(-0.35, 0.35), slope, road)
        plant.force, plant.curvature = rng.uniform(-4000, 3500), rng.uniform(-LOCK, LOCK)
        if filled(plant)[0] >= 0:
            return plant


@given(
    speed=st.floats(0.15, 6.6),
    offset=st.floats(0.12, 0.6),
    heading=st.floats(0.0, 0.3),
    wheels=st.floats(0.0, LOCK - 0.01),
    force=st.floats(-6000, 3500),
    road=st.floats(-0.03, 0.03),
    side=st.sampled_from([-1.0, 1.0]),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@profile(max_examples=150, deadline=None)
def test_the_row_foresees_the_next_tick(
    speed: float, offset: float, heading: float, wheels: float, force: float, road: float, side: float,
    shares: tuple[float, float],
) -> None:  # fmt: skip
    """Finite differences: h of the nearer side gains what the row says or, where a chord is coarse, a little more."""
    plant = ideal(speed, side * offset, side * heading, slope=-settings().vehicle.slope_max, road=road)
    plant.force, plant.curvature = force, side * wheels
    before, rows = filled(plant)
    box = joints(plant)
    command = [low + share * (high - low) for share, low, high in zip(shares, box[::2], box[1::2], strict=True)]
    kept = before * (1 - settings().policy.gain_high * PERIOD)
    row = rows[0 if side > 0 else 1]
    left = math.inf if row is None else row[0] * command[0] + row[1] * command[1] - row[2]
    plant.hold(*command)
    after, _ = filled(plant)
    if row is None:
        assert after >= kept - 1e-4
    else:
        assert kept + left - 1e-4 <= after
        assert before < 0 or math.isinf(after) or after <= kept + left + 1e-2


@given(seed=st.integers(0, 10**6), road=st.floats(-0.03, 0.03), slope=st.floats(-0.08, 0.08))
@profile(max_examples=12, deadline=None)
def test_no_command_takes_a_front_wheel_over_the_edge(seed: int, road: float, slope: float) -> None:
    rng, edge = np.random.default_rng(seed), only("edge")
    plant, until, wish = safe_start(rng, road, slope), 0, (0.0, 0.0)
    reached = 0.0
    for tick in range(1600):
        if tick >= until:
            until = tick + int(rng.integers(1, 300))
            wish = rng.choice([car().force_max, 1000.0, -3000.0]), rng.choice([-LOCK, LOCK])
        force = wish[0] if plant.speed < 5.5 else -3000.0  # it is off where the lane barrier has authority
        made = edge(plant.state(), (force, wish[1]), gains(rng), joints(plant))
        assert made.solved
        plant.hold(made.force, made.curvature)
        reached = max(reached, widest(plant))
    assert reached <= ROOM


@given(seed=st.integers(0, 10**6), road=st.floats(-0.03, 0.03), speed=st.floats(0.0, 9.0))
@profile(max_examples=8, deadline=None)
def test_it_goes_over_into_the_lane_barrier(seed: int, road: float, speed: float) -> None:
    """Full lock from side to side at any speed: what the lane row leaves to the stated bound of 0.1 m is enough."""
    rng, kept = np.random.default_rng(seed), only("edge", "lane", "curve", "speed", "lateral", "traction")
    plant, until, wish = ideal(speed=speed, road=road), 0, (0.0, 0.0)
    plant.curvature = road
    reached = 0.0
    for tick in range(1600):
        if tick >= until:
            until = tick + int(rng.integers(1, 300))
            wish = rng.choice([car().force_max, 0.0, -2000.0], p=[0.6, 0.2, 0.2]), rng.choice([-LOCK, LOCK])
        made = kept(plant.state(), wish, gains(rng), joints(plant))
        plant.hold(made.force, made.curvature)
        reached = max(reached, widest(plant))
    assert reached <= ROOM


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("slope", [0.0, -0.08])
def test_full_lock_and_full_throttle_end_before_the_edge(side: float, slope: float) -> None:
    """With steering servo, torque rates and the whole supervisor."""
    plant, sensors, supervisor = Plant(slope=slope), Sensors(), Supervisor(settings(), car())
    reached = 0.0
    for tick in range(3000):
        wish = car().force_max, side * car().curvature_max
        made = supervisor.tick(sensors.look(plant, wish, reset_requested=tick < 100))
        plant.step(made.command)
        reached = max(reached, widest(plant))
    assert made.mode == Mode.NORMAL
    assert 0.4 < reached <= ROOM


@given(
    offset=st.floats(0.3, 0.8),
    heading=st.floats(-0.1, 0.3),
    wheels=st.floats(-LOCK, LOCK),
    side=st.sampled_from([-1.0, 1.0]),
)
@profile(max_examples=12, deadline=None)
def test_a_car_that_stands_at_the_edge_gets_away(offset: float, heading: float, wheels: float, side: float) -> None:
    """Also from beyond the edge, wheels turned outward: the driver steers inward and gives throttle."""
    edge, plant = only("edge"), ideal(0.0, side * offset, side * heading)
    plant.curvature = side * wheels
    furthest = widest(plant)
    least = max(furthest, ROOM)
    for _ in range(1200):
        steering = -0.1 * plant.offset - 0.6 * plant.heading
        made = edge(plant.state(), (1200.0 if plant.speed < 3.0 else 0.0, steering), {}, joints(plant))
        plant.hold(made.force, made.curvature)
        furthest = max(furthest, widest(plant))
    assert plant.driven > 3.0
    assert abs(plant.offset) < 0.3
    assert furthest <= least + 0.02


def test_a_driver_who_drives_along_outside_the_narrowed_edge_is_not_held() -> None:
    edge, plant = only("edge"), ideal(0.0, 0.7)
    for _ in range(1200):
        made = edge(plant.state(), (1200.0 if plant.speed < 3.0 else 0.0, 0.0), {}, joints(plant))
        plant.hold(made.force, made.curvature)
    assert plant.driven > 6.0
    assert plant.offset < 0.7


@given(
    speed=st.floats(0.0, 7.0),
    offset=st.floats(-0.25, 0.25),
    heading=st.floats(-0.04, 0.04),
    road=st.floats(-0.03, 0.03),
    steering=st.floats(-0.01, 0.01),
)
@profile(max_examples=200, deadline=None)
def test_it_lets_ordinary_driving_be(speed: float, offset: float, heading: float, road: float, steering: float) -> None:
    plant = ideal(speed, offset, heading, road=road)
    plant.curvature, plant.force = road + steering, 3500.0
    box = joints(plant)
    wanted = box.force_high, road + steering
    made = only("edge")(plant.state(), wanted, {"lane": settings().policy.gain_low}, box)
    assert not made.intervened
    assert (made.force, made.curvature) == pytest.approx(wanted)


def test_it_is_off_where_the_lane_barrier_says_the_same() -> None:
    assert math.isinf(filled(ideal(FASTEST))[0])
    assert filled(ideal(FASTEST - 0.1))[0] == pytest.approx(ROOM - 0.1 - 0.02 * car().wheelbase, abs=0.02)


def test_the_road_counts_as_bent_inwards_by_its_error_bound_up_to_its_cap() -> None:
    edge, cap = Edge(settings(), car()), settings().safety.lane.curvature_cap
    plant = ideal(5.0, 0.3, 0.05, road=0.01)

    def h(bound: float, road: float = 0.01) -> float:
        plant.bends = (road, road)
        state = plant.state()
        assert state.lane is not None
        state.lane.curvature_bound = bound
        return edge.fill(state, Rows([None] * Edge.rows, 0, Edge.rows))

    assert h(0.5 * cap) == h(0.0, 0.01 - 0.5 * cap) < h(0.0)
    assert h(cap) == h(9 * cap) == h(math.inf) < h(0.5 * cap)


def limited(lateral: float) -> Edge:
    """For another limit of the lateral acceleration [m/s²]."""
    vehicle = dataclasses.replace(settings().vehicle, lateral_acceleration_max=lateral)
    return Edge(dataclasses.replace(settings(), vehicle=vehicle), car())


@pytest.mark.parametrize("lateral", [settings().vehicle.lateral_acceleration_max, 0.1])
def test_room_is_what_is_left_after_the_car_has_braked_or_turned_its_wheels_back(lateral: float) -> None:
    """h by the formula, from each side; where it is clear whether the wheels turn back before the car stands."""
    rng, edge, given = np.random.default_rng(4), limited(lateral), settings().safety.lane
    length, turn = car().wheelbase, car().curvature_rate
    stands = turns = neither = 0
    for _ in range(600):
        bounds = rng.choice([0.0, 0.02, 0.1, 0.5]), rng.choice([0.0, 0.01, 0.3]), rng.choice([0.0, 0.002, 0.9])
        places = rng.uniform(-0.7, 0.7), rng.uniform(-0.35, 0.35), rng.uniform(-0.03, 0.03)
        state = ideal(rng.uniform(0.0, 6.5 if lateral > 1 else 3.5), *places[:2], road=places[2]).state()
        state.force, state.curvature = rng.uniform(-4000, 3500), rng.uniform(-LOCK, LOCK)
        state.force_low, state.force_high = car().force_window(state.force, PERIOD)
        assert state.lane is not None
        state.lane.curvature = places[2], 0.4  # what comes later does not count
        state.lane.offset_bound, state.lane.heading_bound, state.lane.curvature_bound = bounds
        doubt = min(bounds[1], given.bound_cap / length)
        width = max(ROOM - min(bounds[0] + length * doubt, given.bound_cap), 0.1)
        stop = Braking(settings(), car()).stop(state.speed, state.force)
        left, clear = [], True
        for side in (1.0, -1.0):
            offset, heading, road = (side * place for place in places)
            road -= min(bounds[2], given.curvature_cap)
            parallel = road * math.cos(heading) / (1 - road * offset)
            out, back = (
                math.sin(heading + doubt) + length * math.cos(heading) * (wheels - parallel)
                for wheels in (side * state.curvature, -min(LOCK, lateral / max(stop.peak, 1.0) ** 2))
            )
            falls = math.cos(heading) * (length * turn - stop.peak * max(side * state.curvature - parallel, 0.0))
            free = width - offset - length * math.sin(heading) - max(-road, 0.0) * length**2 / 2
            least = stop.peak * out / (2 * falls)
            clear &= out <= 0 or (abs(back) > 0.02 and falls > 0.1 and abs(least / stop.way - 1) > 0.05)
            turned = back < 0 and least < stop.way
            left.append(free - max(out, 0.0) * (least if turned else stop.way))
            turns, stands, neither = turns + turned, stands + (back < 0 and not turned), neither + (back >= 0)
        if clear:
            assert edge.fill(state, Rows([None] * Edge.rows, 0, Edge.rows)) == pytest.approx(min(left), abs=1e-9)
    assert min(turns, stands, neither) > 20


def filled_at(state: State) -> float:
    return Edge(settings(), car()).fill(state, Rows([None] * Edge.rows, 0, Edge.rows))


def test_how_far_it_looks_goes_by_the_lateral_limit_that_is_in_force_while_it_comes_down() -> None:
    """0.1 m/s² leaves no steering back at 2 m/s, and makes it end at a lower speed."""
    edge = limited(0.1)
    state = ideal(2.0, 0.2, 0.1).state()
    state.curvature = 0.05

    def h(speed: float, left: float) -> float:
        state.speed, state.lateral_left = speed, left
        return edge.fill(state, Rows([None] * Edge.rows, 0, Edge.rows))

    slow = settings().safety.lane.inner_gain * car().wheelbase
    assert math.isinf(h(slow + 0.01, 0.0))
    assert math.isfinite(h(slow + 0.01, settings().vehicle.lateral_acceleration_max))
    assert h(2.0, 0.0) < h(2.0, settings().vehicle.lateral_acceleration_max) == filled_at(state)


def test_a_row_never_asks_for_more_than_the_backup() -> None:
    """To brake, and to turn the wheels inward until a metre driven leads back by a tenth, or as far as they get."""
    rng, length, mass = np.random.default_rng(6), car().wheelbase, car().effective_mass
    seen = 0
    for _ in range(300):
        side = rng.choice([-1.0, 1.0])
        place = rng.uniform(0.3, 0.9), rng.uniform(-0.3, 0.3), rng.uniform(-0.03, 0.03)
        plant = ideal(rng.choice([0.0, 2.0, 5.0]), *(side * part for part in place[:2]), road=side * place[2])
        plant.force, plant.curvature = rng.uniform(-6000, 3500), rng.uniform(-LOCK, LOCK)
        state, (_, rows) = plant.state(), filled(plant)
        assert state.lane is not None
        row, wheels = rows[0 if side > 0 else 1], side * plant.curvature
        if row is None:
            continue
        way = PERIOD * max(state.speed, settings().safety.ladder.standstill_speed)
        heading = place[1] + way * (wheels - place[2])
        parallel = place[2] * math.cos(heading) / (1 - place[2] * place[0])
        inward = parallel - (0.1 + math.sin(heading + state.lane.heading_bound)) / (length * math.cos(heading))
        turn = PERIOD * car().curvature_rate
        wheels = max(min(inward, wheels + turn, LOCK), wheels - turn, -LOCK)
        force = max(mass * Braking(settings(), car()).backup(state.speed), state.force_low)
        assert row[4] == pytest.approx(row[0] * force + row[1] * side * wheels, rel=1e-9, abs=1e-9)
        assert row[3] == 0.0  # no gain moves it
        seen += row[4] < row[2]
    assert seen > 20


def test_rows_of_a_car_that_rolls_back_are_those_of_one_that_stands() -> None:
    still, back = ideal(0.0, 0.6, 0.1), ideal(-0.5, 0.6, 0.1)
    assert filled(back) == filled(still)
    assert filled(still)[1][0] is not None


def test_a_window_of_force_that_is_closed_leaves_a_row() -> None:
    state = ideal(3.0, 0.6, 0.1).state()
    state.force_low = state.force_high = state.force
    table: list[Row | None] = [None] * Edge.rows
    Edge(settings(), car()).fill(state, Rows(table, 0, Edge.rows))
    assert table[0] is not None
    assert np.isfinite(table[0]).all()


def test_room_is_never_closed_by_error_bounds_alone() -> None:
    lane = dataclasses.replace(settings().safety.lane, bound_cap=5.0)
    given = dataclasses.replace(settings(), safety=dataclasses.replace(settings().safety, lane=lane))
    state = ideal().state()
    assert state.lane is not None
    state.lane.offset_bound, state.lane.heading_bound = 4.0, 0.0
    assert Edge(given, car()).fill(state, Rows([None] * Edge.rows, 0, Edge.rows)) == pytest.approx(0.1)


def test_a_lane_bent_tighter_than_the_car_is_off_its_centre_gives_no_wild_course() -> None:
    """1 − κ d counts from 0.2 up; the side away from the bend's centre, to which the wheels cannot turn back."""
    length, bend, offset = car().wheelbase, 0.5, 1.9
    state = ideal(3.0, offset, road=bend).state()
    assert state.lane is not None
    state.lane.heading_bound = 0.0
    course, stop = length * bend / 0.2, Braking(settings(), car()).stop(3.0, 0.0)
    free = ROOM - 0.1 + offset - bend * length**2 / 2
    assert filled_at(state) == pytest.approx(free - course * stop.way)


def test_it_is_the_cameras_and_has_a_row_for_each_side() -> None:
    assert (Edge.rows, Edge.unit, Edge.learned, Edge.priority) == (2, "m", True, Priority.EDGE)
