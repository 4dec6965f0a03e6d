# SPDX-License-Identifier: Apache-2.0
"""The stop under guaranteed braking, against an integration."""

from __future__ import annotations

import pytest
from safety_plant import PERIOD, car, settings

from tidegate.robot import GRAVITY
from tidegate.safety.braking import Braking

MASS, LOADED = car().effective_mass, car().loaded_mass
VEHICLE, LAG = settings().vehicle, settings().safety.distance.lag_s
SLOPE = GRAVITY * VEHICLE.slope_max
RATE = VEHICLE.wheel_effort_rate / car().wheel_radius / LOADED
"""By how much one wheel's torque rate changes the loaded car's acceleration [m/s³]."""


def acceleration_of(force: float) -> float:
    """The worst of the two cars: drive pushes the empty one, brakes hold the loaded one."""
    return max(force / MASS, force / LOADED)


def integrated(speed: float, force: float) -> tuple[float, float, float]:
    """Lag, in which the car may gain speed, drive off, brakes on, stop: way, time, highest speed, in small steps."""
    acceleration, step = acceleration_of(force), 1e-4
    way = time = 0.0
    for _ in range(round(LAG / step)):
        total = max(acceleration + SLOPE, 0.0)
        way, speed, time = way + step * (speed + total * step / 2), speed + step * total, time + step
    peak = speed
    while speed > 0 or acceleration + SLOPE > 0:
        if acceleration > 0:
            acceleration -= len(VEHICLE.driven) * RATE * step
        else:
            acceleration = max(
                acceleration - 2 * RATE / VEHICLE.brake_front_share * step, -VEHICLE.brake_guaranteed - SLOPE
            )
        total = max(acceleration + SLOPE, -VEHICLE.brake_guaranteed)
        way, speed, time = way + step * (speed + total * step / 2), speed + step * total, time + step
        peak = max(peak, speed)
    return way, time, peak


@pytest.mark.parametrize("force", [3500.0, 1500.0, 800.0, 0.0, -800.0, -3000.0, -9000.0, -30000.0])
@pytest.mark.parametrize("speed", [0.0, 0.02, 0.3, 1.0, 6.0, 15.0])
def test_a_stop_is_what_an_integration_gives(speed: float, force: float) -> None:
    assert Braking(settings(), car()).stop(speed, force) == pytest.approx(integrated(speed, force), abs=2e-3)


def test_a_car_that_slows_down_a_little_is_never_faster_than_now() -> None:
    stop = Braking(settings(), car()).stop(6.0, LOADED * (-SLOPE - 0.5))
    assert stop.peak == 6.0


def test_a_standing_or_backward_rolling_car_needs_no_way_to_stop() -> None:
    braking = Braking(settings(), car())
    for speed in (0.0, -3.0):
        assert braking.stop(speed, -9e9) == (0.0, LAG, 0.0)
    for speed in (-0.5, -3.0):  # driving on: as from standstill
        assert braking.stop(speed, 3000.0) == braking.stop(0.0, 3000.0)


def test_the_next_stop_begins_a_period_later_on_the_steepest_slope() -> None:
    braking = Braking(settings(), car())
    for force in (-2000.0, 1500.0):
        later = 7.0 + PERIOD * (acceleration_of(force) + SLOPE)
        assert braking.next_stop(7.0, force) == pytest.approx(braking.stop(later, force))


def test_the_backup_brakes_as_guaranteed_on_the_steepest_slope_and_holds_the_standing_car() -> None:
    braking, ladder = Braking(settings(), car()), settings().safety.ladder
    assert braking.backup(ladder.standstill_speed) * MASS / LOADED == pytest.approx(-VEHICLE.brake_guaranteed - SLOPE)
    assert braking.backup(0.99 * ladder.standstill_speed) == -ladder.hold_deceleration
