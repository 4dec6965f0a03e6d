# SPDX-License-Identifier: Apache-2.0
"""What the car does below NORMAL: how hard it brakes, and how it steers along the lane that it remembers."""

from __future__ import annotations

import dataclasses
import math

import pytest
from safety_plant import car, settings

from tidegate.records import Mode
from tidegate.robot import GRAVITY
from tidegate.safety.backup import Backup
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.traction import Grip

MASS, LOADED = car().effective_mass, car().loaded_mass
LADDER, VEHICLE = settings().safety.ladder, settings().vehicle


def lane(offset: float = 0.0, heading: float = 0.0, remaining: float = 200.0, bend: float = 0.0) -> TrackedLane:
    return TrackedLane(offset, heading, 0.1, 0.02, (0.0, 10.0), (0.0, bend), remaining)


def command(
    mode: Mode = Mode.STOPPING,
    speed: float = 8.0,
    seen: TrackedLane | None = None,
    disturbance: float = 0.0,
    blind: bool = False,
    hard: bool = False,
) -> tuple[float, float]:
    backup = Backup(settings(), car())
    return backup.command(mode, speed, seen, 0.017, disturbance, blind=blind, hard=hard)


def test_hold_brakes_and_steers_as_stopping_does() -> None:
    seen = lane(offset=0.3)
    force, curvature = command(Mode.HOLD, seen=seen, blind=True)
    assert (force, curvature) == command(Mode.STOPPING, seen=seen, blind=True)
    assert force < 0
    assert curvature == Backup(settings(), car()).steer(seen, 8.0)
    assert command(Mode.HOLD) == (-VEHICLE.brake_guaranteed * LOADED, 0.017)


@pytest.mark.parametrize("friction", [0.5, VEHICLE.tyre_friction, 1.3])
@pytest.mark.parametrize("lateral", [1.0, VEHICLE.lateral_acceleration_max, 99.0])
def test_the_hardest_brake_is_what_the_grip_leaves_in_the_sharpest_bend_and_guaranteed_at_least(
    friction: float, lateral: float
) -> None:
    vehicle = dataclasses.replace(VEHICLE, tyre_friction=friction, lateral_acceleration_max=lateral)
    backup = Backup(dataclasses.replace(settings(), vehicle=vehicle), car())
    circle = settings().safety.traction_share * friction * GRAVITY
    left = math.sqrt(max(circle**2 - lateral**2, 0.0))
    assert backup.guaranteed == pytest.approx(-VEHICLE.brake_guaranteed * LOADED)
    assert backup.hardest == pytest.approx(max(-max(left * MASS, VEHICLE.brake_guaranteed * LOADED), car().force_min))


@pytest.mark.parametrize(("bend", "slope"), [(0.0, 0.0), (0.0, 0.7), (0.05, -0.7), (0.06, 0.3), (0.2, 0.0)])
def test_a_hard_stop_is_guaranteed_as_far_as_the_grip_goes_in_the_bend(bend: float, slope: float) -> None:
    wanted = -LOADED * (VEHICLE.brake_guaranteed + max(slope, 0.0))
    left = Grip(settings(), car()).hardest(10.0, bend)
    assert Backup(settings(), car()).brake(10.0, bend, slope) == pytest.approx(max(wanted, left))


def test_what_stands_is_held_with_the_wheels_as_they_are() -> None:
    held = -LADDER.hold_deceleration * MASS
    assert command(Mode.STOPPED, seen=lane(offset=0.3)) == (held, 0.017)
    assert command(Mode.STOPPED, speed=0.0) == (held, 0.017)
    for slow in (0.99 * LADDER.standstill_speed, -0.99 * LADDER.standstill_speed):
        assert command(speed=slow, hard=True)[0] == held
    assert command(speed=LADDER.standstill_speed, hard=True)[0] == -VEHICLE.brake_guaranteed * LOADED
    assert command(speed=-8.0, hard=True)[0] == -VEHICLE.brake_guaranteed * LOADED


@pytest.mark.parametrize(
    ("seen", "blind", "hard", "braking"),
    [
        (lane(), False, False, LADDER.stop_deceleration),
        (lane(), True, False, min(LADDER.blind_deceleration, VEHICLE.brake_guaranteed)),
        (lane(), False, True, VEHICLE.brake_guaranteed),
        (None, False, False, VEHICLE.brake_guaranteed),
        (None, True, True, VEHICLE.brake_guaranteed),
        # the lane ends before a comfortable stop would
        (lane(remaining=LADDER.lane_reserve_m + 8.0), False, False, 4.0),
        (lane(remaining=LADDER.lane_reserve_m + 2.0), False, False, VEHICLE.brake_guaranteed),
        (lane(remaining=-3.0), False, False, VEHICLE.brake_guaranteed),
    ],
)
def test_stopping_brakes_as_hard_as_it_must(seen: TrackedLane | None, blind: bool, hard: bool, braking: float) -> None:
    assert LADDER.stop_deceleration < 4.0 < VEHICLE.brake_guaranteed
    force, _ = command(seen=seen, blind=blind, hard=hard)
    assert force == pytest.approx(-braking * LOADED)
    downhill, _ = command(seen=seen, blind=blind, hard=hard, disturbance=0.6)
    assert downhill == pytest.approx(-(braking + 0.6) * LOADED)
    uphill, _ = command(seen=seen, blind=blind, hard=hard, disturbance=-0.6)
    assert uphill == force  # what brakes the car by itself is not counted on


def test_at_the_end_of_the_lane_the_way_left_is_never_less_than_a_metre() -> None:
    """v²/2 at 1 m/s over one metre is less than the comfortable deceleration: it does not slam on the brakes."""
    speed = math.sqrt(2 * 1.2 * LADDER.stop_deceleration)
    force, _ = command(speed=speed, seen=lane(remaining=-9.0))
    assert force == pytest.approx(-1.2 * LADDER.stop_deceleration * LOADED)


@pytest.mark.parametrize("speed", [3.0, 12.0, -12.0])
def test_steering_closes_offset_and_heading_critically_damped(speed: float) -> None:
    """Over the way s: d'' = κ − κ_r with κ from ``steer`` is the critically damped d'' = −2 ω d' − ω² d."""
    backup = Backup(settings(), car())
    omega = 1.0 / max(LADDER.steer_length_m, LADDER.steer_length_s * abs(speed))
    at = LADDER.steer_preview_s * abs(speed)
    for offset, heading, bend in ((0.05, 0.0, 0.0), (0.0, 0.02, 0.0), (-0.04, 0.03, 0.01), (0.1, -0.02, -0.012)):
        road = bend * min(at, 10.0) / 10.0
        expected = road - 2 * omega * math.sin(heading) - omega**2 * offset
        assert backup.steer(lane(offset, heading, bend=bend), speed) == pytest.approx(expected)
        assert abs(expected) < VEHICLE.lateral_acceleration_max / speed**2


@pytest.mark.parametrize(("speed", "square"), [(0.2, 1.0), (1.0, 1.0), (1.3, 1.69), (10.0, 100.0)])
def test_steering_asks_for_no_more_than_the_lateral_limit(speed: float, square: float) -> None:
    backup = Backup(settings(), car())
    most = VEHICLE.lateral_acceleration_max / square
    assert backup.steer(lane(offset=-900.0), speed) == pytest.approx(most)
    assert backup.steer(lane(offset=900.0), speed) == pytest.approx(-most)
