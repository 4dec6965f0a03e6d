# SPDX-License-Identifier: Apache-2.0
"""The distance barrier: what its rows allow."""

from __future__ import annotations

import dataclasses
import math

import pytest
from safety_plant import PERIOD, car, settings

from tidegate.robot import GRAVITY
from tidegate.safety.barrier import Ahead, Priority, Row, Rows, State
from tidegate.safety.braking import Braking
from tidegate.safety.distance import Distance
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.traction import Grip
from tidegate.settings.barriers import DistanceParameters

MASS, LOADED = car().effective_mass, car().loaded_mass
DISTANCE, VEHICLE, LADDER = settings().safety.distance, settings().vehicle, settings().safety.ladder
SLOPE = GRAVITY * VEHICLE.slope_max
BACKUP = (VEHICLE.brake_guaranteed + SLOPE) * LOADED / MASS
GAIN = 1.3
RESERVE = DISTANCE.standstill_gap + DISTANCE.noise_m


def fill(state: State) -> tuple[float, list[Row | None]]:
    table: list[Row | None] = [None] * (Distance.rows + 1)
    h = Distance(settings(), car()).fill(state, Rows(table, 1, Distance.rows))
    assert table[0] is None  # it belongs to another
    return h, table[1:]


def state(arc: Ahead, along: Ahead | None = None, speed: float = 10.0, force: float = -500.0) -> State:
    low, high = car().force_window(force, PERIOD)
    return State(speed, force, 0.0, low, high, arc=arc, along_lane=along or Ahead())


def gap(thing: Ahead, now: State) -> float:
    """h of one thing."""
    way, time, _ = Braking(settings(), car()).stop(now.speed, now.force)
    return thing.distance - thing.approaching * time - way - RESERVE


def next_gap(thing: Ahead, now: State, force: float) -> float:
    """h at the next tick under ``force``, by its chord over the slew window."""
    closing = max(now.speed - thing.receding, 0.0) + thing.approaching
    nearer = dataclasses.replace(thing, distance=thing.distance - PERIOD * closing)

    def after(end: float) -> float:
        speed = now.speed + PERIOD * (max(end / MASS, end / LOADED) + SLOPE)
        return gap(nearer, dataclasses.replace(now, speed=speed, force=end))

    low, high = after(now.force_low), after(now.force_high)
    return low + (high - low) * (force - now.force_low) / (now.force_high - now.force_low)


THINGS = [Ahead(40.0), Ahead(45.0, receding=4.0), Ahead(70.0, approaching=3.0), Ahead(30.0, receding=20.0)]


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("force", [-500.0, 1500.0])
def test_the_largest_force_allowed_lets_h_fall_by_the_gain(thing: Ahead, force: float) -> None:
    """On the arc by the fastest gain, along the lane by the policy's."""
    now = state(thing, thing, force=force)
    h, (arc, lane) = fill(now)
    assert h == pytest.approx(gap(thing, now))
    assert h > 0
    for row, gain in ((arc, settings().policy.gain_high), (lane, GAIN)):
        assert row is not None
        assert row[:2] == (-1 / MASS, 0.0)
        most = (row[2] - gain * row[3]) / row[0] if row is lane else row[2] / row[0]
        assert next_gap(thing, now, most) == pytest.approx((1 - gain * PERIOD) * h, abs=1e-9)
        assert row[4] == pytest.approx(min(BACKUP, -now.force_low / MASS))
    assert arc is not None
    assert arc[3] == 0.0


@pytest.mark.parametrize("distance", [8.0, 40.0])
def test_no_more_braking_is_asked_for_than_the_backup_gives(distance: float) -> None:
    """Guaranteed braking while h ≥ 0; where h < 0, as hard as nine tenths of the share of grip that may be used."""
    now = dataclasses.replace(state(Ahead(distance)), force_low=-90000.0)
    h, (row, other) = fill(now)
    hardest = 0.9 * VEHICLE.tyre_friction * GRAVITY * settings().safety.traction_share
    assert row is not None
    assert row[4] == pytest.approx(BACKUP if h >= 0 else hardest)
    assert (h >= 0) == (distance > 20)
    assert other is None


def test_h_of_exactly_zero_is_still_kept_by_guaranteed_braking() -> None:
    barrier, now, slow = Distance(settings(), car()), State(speed=10.0), State(speed=LADDER.standstill_speed)
    assert barrier._backup(0.0, now) == pytest.approx(-BACKUP)
    assert barrier._backup(-1e-9, now) < -BACKUP
    assert barrier._backup(0.0, slow) == barrier._backup(0.0, now)
    assert barrier._backup(-1e-9, slow) < -BACKUP  # at standstill speed the car does not stand yet


@pytest.mark.parametrize("bend", [0.0, 0.01, 0.025, -0.025, 0.1])
@pytest.mark.parametrize("error", [0.0, 0.005, math.inf])
@pytest.mark.parametrize("speed", [0.6, 1.4, 12.0])
def test_a_late_brake_leaves_the_bend_its_grip(bend: float, error: float, speed: float) -> None:
    """The bend of the lane, or of the car's own path where there is no lane; never less than is guaranteed."""
    barrier = Distance(settings(), car())
    lane = TrackedLane(0.0, 0.0, 0.1, 0.01, (0.0, 20.0), (bend, 0.3), 40.0, error)  # here, not ahead
    states = [State(speed=speed, lane=lane)] + ([State(speed=speed, curvature=bend)] if error == 0.0 else [])
    most = min(abs(bend) + error, settings().vehicle.lateral_acceleration_max / max(speed, 1.0) ** 2)
    left = Grip(settings(), car()).hardest(speed, most) / car().effective_mass
    for now in states:
        braking = barrier._backup(-5.0, now)
        assert braking == pytest.approx(min(-BACKUP, max(left, -0.9 * barrier._grip.share)))
        assert (braking == -0.9 * barrier._grip.share) == (left <= -0.9 * barrier._grip.share)


def test_it_is_trusted_and_takes_a_gain_of_its_own() -> None:
    told = Distance.priority, Distance.rows, Distance.unit, Distance.gain, Distance.learned, Distance.compiled
    assert told == (Priority.DISTANCE, 2, "m/s²", "distance", False, False)


def test_a_gap_that_the_file_adds_is_kept_besides_the_cars_own() -> None:
    wider = Distance(settings(), car(), DistanceParameters(type="distance", extra_gap=6.0))
    now = state(Ahead(40.0))
    assert wider.fill(now, Rows([None] * 2, 0, 2)) == pytest.approx(fill(now)[0] - 6.0)


def test_a_free_road_restrains_nothing_and_each_corridor_counts_by_itself() -> None:
    assert fill(state(Ahead())) == (math.inf, [None, None])
    near, far = Ahead(30.0), Ahead(50.0)
    for arc, along in ((near, far), (far, near), (near, Ahead()), (Ahead(), near)):
        now = state(arc, along)
        h, rows = fill(now)
        assert h == pytest.approx(gap(near, now))
        assert [row is None for row in rows] == [math.isinf(part.distance) for part in (arc, along)]


def test_a_window_of_no_width_gives_a_row_all_the_same() -> None:
    """A force at its limit cannot move: the chord is taken over a newton."""
    now = dataclasses.replace(state(Ahead(40.0)), force_low=-500.0, force_high=-500.0)
    h, (row, _) = fill(now)
    stopping = Braking(settings(), car()).stop
    ways = [stopping(now.speed + PERIOD * (end / LOADED + SLOPE), end)[0] for end in (-500.0, -499.0)]
    after = ways[0] + (row[2] / row[0] + 500.0) * (ways[1] - ways[0]) if row is not None else math.nan
    way = stopping(now.speed, now.force).way
    assert h + way - PERIOD * now.speed - after == pytest.approx((1 - settings().policy.gain_high * PERIOD) * h)


def test_while_way_does_not_depend_on_force_the_row_is_steep_and_finite() -> None:
    now = dataclasses.replace(state(Ahead(40.0), speed=-5.0), force_low=-9000.0, force_high=-8000.0)
    _, (row, _) = fill(now)
    assert row is not None
    assert all(math.isfinite(part) for part in row)


@pytest.mark.parametrize("corridor", [0, 1])
def test_the_standing_car_rests_until_there_is_room_to_drive_into(corridor: int) -> None:
    def standing(free: float, speed: float = 0.0, low: float = -9e5) -> tuple[float, list[Row | None]]:
        way = Braking(settings(), car()).stop(speed, 0.0).way
        thing = Ahead(way + RESERVE + free)
        now = state(*((thing, Ahead()) if corridor == 0 else (Ahead(), thing)), speed=speed, force=0.0)
        return fill(dataclasses.replace(now, force_low=low))

    slow, hold = 0.999 * LADDER.standstill_speed, LADDER.hold_deceleration
    for speed in (0.0, slow):
        h, rows = standing(0.999 * DISTANCE.rest_m, speed)
        assert h == pytest.approx(0.999 * DISTANCE.rest_m)
        assert rows[corridor] == (-1 / MASS, 0.0, hold, 0.0, hold)
        assert rows[1 - corridor] is None
    _, rows = standing(0.0, low=-100.0)
    assert rows[corridor] == (-1 / MASS, 0.0, hold, 0.0, pytest.approx(100.0 / MASS))
    for free, speed in ((1.001 * DISTANCE.rest_m, 0.0), (0.999 * DISTANCE.rest_m, LADDER.standstill_speed)):
        row = standing(free, speed)[1][corridor]
        assert row is not None
        assert row[2] != hold
    # with room to drive into, no more than the hold is asked of a car that stands
    row = standing(5.0)[1][corridor]
    assert row is not None
    assert row[4] == hold


def test_what_is_behind_a_resting_one_is_looked_at_too() -> None:
    """The arc's thing at rest distance does not hide what waits along the lane."""
    way = Braking(settings(), car()).stop(0.0, 0.0).way
    now = state(Ahead(way + RESERVE), Ahead(way + RESERVE + 1.0), speed=0.0, force=0.0)
    _, rows = fill(now)
    assert None not in rows
