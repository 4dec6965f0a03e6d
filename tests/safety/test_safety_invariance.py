# SPDX-License-Identifier: Apache-2.0
"""Each barrier keeps its set under any nominal signal and any gain in the interval, hold of one period included."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from ideal import gains, ideal, only, signal
from safety_plant import PERIOD, car, settings

from tidegate.errors import SettingsError
from tidegate.robot import GRAVITY
from tidegate.safety.barrier import Rows
from tidegate.safety.braking import Braking
from tidegate.safety.contract import IdealCar
from tidegate.safety.filter import Filter
from tidegate.safety.joints import joint_box
from tidegate.safety.lane_tracker import interpolate
from tidegate.safety.speed import Curve, Sight

ALL = frozenset(settings().safety.barriers)


@given(seed=st.integers(0, 10**6), slope=st.floats(-0.08, 0.08))
@profile(max_examples=5, deadline=None)
def test_speed_stays_below_the_limit(seed: int, slope: float) -> None:
    rng, plant, speed = np.random.default_rng(seed), ideal(speed=15.0, slope=slope), only("speed")
    for wanted in signal(rng, 600) + [6000.0, 0.0]:
        box = joint_box(car(), plant.force, plant.curvature, PERIOD)
        made = speed(plant.state(), tuple(wanted), gains(rng), box)
        plant.hold(made.force, 0.0)
        assert plant.speed <= settings().vehicle.speed_max


@pytest.mark.parametrize("slope", [-settings().vehicle.slope_max, 0.0])
def test_the_largest_gain_that_is_taken_keeps_the_speed_and_twice_that_does_not(slope: float) -> None:
    limit = settings().vehicle.speed_max - settings().safety.speed_margin

    def top(gain: float, taken: float) -> float:
        """Highest speed of a car under full throttle whose filter was made with one gain and uses another."""
        policy = dataclasses.replace(settings().policy, gain_high=taken)
        speed = Filter(dataclasses.replace(settings(), policy=policy), car(), disable=ALL - {"speed"})
        speed._settings = dataclasses.replace(settings(), policy=dataclasses.replace(policy, gain_high=gain))
        plant, top = ideal(speed=14.0, slope=slope), 0.0
        for _ in range(800):
            box = joint_box(car(), plant.force, plant.curvature, PERIOD)
            plant.hold(speed(plant.state(), (9000.0, 0.0), {"speed": gain}, box).force, 0.0)
            top = max(top, plant.speed)
        return top

    with pytest.raises(SettingsError, match=r"'policy\.gain_high' is 50; it must be at most 6\.\d+ \[1/s\]"):
        top(50.0, 50.0)
    hardest = car().force_max / car().effective_mass + GRAVITY * settings().vehicle.slope_max
    most = 2 * car().force_rate(1) / car().effective_mass / hardest
    assert top(0.999 * most, 0.999 * most) <= limit
    assert top(2 * most, most) > limit


@given(seed=st.integers(0, 10**6), slope=st.floats(-0.08, 0.08), bound=st.floats(0.05, 1.5))
@profile(max_examples=6, deadline=None)
def test_the_less_the_lane_is_known_the_slower(seed: int, slope: float, bound: float) -> None:
    """It comes down to what ``sight`` allows, and stays there."""
    rng, sight = np.random.default_rng(seed), only("sight", "speed")
    plant = ideal(speed=15.0, slope=slope, bound=bound)
    barrier, unused = Sight(settings(), car()), Rows([None], 0, 1)
    below = False
    for wanted in np.concatenate([signal(rng, 1000), np.tile([9000.0, 0.0], (1800, 1))]):
        state, before = plant.state(), plant.speed
        allowed = before + barrier.fill(state, unused)
        below |= before <= allowed
        made = sight(state, tuple(wanted), gains(rng), joint_box(car(), plant.force, plant.curvature, PERIOD))
        plant.hold(made.force, 0.0)
        assert not below or plant.speed <= max(allowed, before) + 1e-9
    assert below
    assert plant.speed <= allowed


@pytest.mark.parametrize("gain", [settings().policy.gain_low, settings().policy.gain_high])
@pytest.mark.parametrize("misjudged", [-1.0, 1.0])
def test_a_push_that_is_not_known_takes_the_car_into_a_bend_no_faster(gain: float, misjudged: float) -> None:
    """From the highest speed that is allowed 30 m before the bend on, at full throttle."""
    curve, barrier, unused = only("curve"), Curve(settings(), car()), Rows([None], 0, 1)
    told = misjudged * settings().safety.disturbance_margin
    plant = IdealCar(settings(), car(), knots=(0.0, 30.0, 31.0, 90.0), bends=(0.0, 0.0, 0.04, 0.04), misjudged=told)
    plant.speed = 0.999 * barrier.fill(plant.state(), unused)
    plant.force = -settings().safety.curve_deceleration * car().effective_mass
    while plant.station < 31.0:
        made = curve(plant.state(), (9000.0, 0.0), {"speed": gain}, plant.box())
        plant.hold(made.force, interpolate(plant.station, plant.knots, plant.bends))
        assert barrier.fill(plant.state(), unused) >= 0
    assert plant.speed > 9.0


@given(seed=st.integers(0, 10**6), start=st.floats(30.0, 60.0), slope=st.floats(-0.08, 0.08))
@profile(max_examples=6, deadline=None)
def test_the_gap_is_kept(seed: int, start: float, slope: float) -> None:
    rng, distance = np.random.default_rng(seed), only("distance")
    plant = ideal(speed=rng.uniform(5, 13), slope=slope, free=start + 10.0)
    lowest = math.inf
    pushed = np.tile([9000.0, 0.0], (4000, 1))  # it may have rolled back down a slope
    for tick, wanted in enumerate([*(signal(rng, 1400) + [9000.0, 0.0]), *pushed]):
        if tick >= 1400 and lowest < start / 2:
            break
        box = joint_box(car(), plant.force, plant.curvature, PERIOD)
        made = distance(plant.state(), tuple(wanted), gains(rng), box)
        assert not any(state.relaxed for state in made.barriers)
        plant.hold(made.force, 0.0)
        lowest = min(lowest, plant.free)
    assert lowest >= settings().safety.distance.standstill_gap
    assert lowest < start / 2  # it came near enough to be a test


@given(seed=st.integers(0, 10**6), road=st.floats(-0.02, 0.02))
@profile(max_examples=6, deadline=None)
def test_the_lane_is_kept(seed: int, road: float) -> None:
    rng, plant, lane = np.random.default_rng(seed), ideal(speed=10.0, road=road), only("lane")
    plant.curvature = road
    widest = 0.0
    for _, wanted in signal(rng, 1200):
        box = joint_box(car(), plant.force, plant.curvature, PERIOD)
        hold_speed = car().effective_mass * (10.0 - plant.speed)
        made = lane(plant.state(), (hold_speed, float(wanted)), gains(rng), box)
        plant.hold(made.force, made.curvature)
        widest = max(widest, abs(plant.offset))
    tyre = car().description.links["rear_left_wheel"].size[1]
    room = settings().safety.lane.half_width - max(car().width, car().track + tyre) / 2
    # the corridor was narrowed by the bound of 0.1 m; what slew costs stays inside that
    assert widest <= room


def test_only_the_outermost_gain_may_vary() -> None:
    """Textbook rows with both gains falling from 4 to 1, held exactly: the inner one breaks the set, the outer not."""

    def lowest(inner_varies: bool) -> float:
        h, rate, worst, step = 1.0, -4.0, math.inf, 1e-4
        for k in range(60_000):
            gain = 4.0 - 3.0 * min(k * step / 0.6, 1.0)
            p1, p2 = (gain if inner_varies else 4.0), gain
            # exactly on the row: ḧ = −(p1 + p2) ḣ − p1 p2 h
            rate += step * (-(p1 + p2) * rate - p1 * p2 * h)
            h += step * rate
            worst = min(worst, h)
        return worst

    assert lowest(inner_varies=True) < -0.05
    assert lowest(inner_varies=False) > -1e-6


@given(speed=st.floats(0.0, 16.5), force=st.floats(-7000, 3800), slope=st.floats(-0.08, 0.08))
@example(speed=10.0, force=3800.0, slope=-0.08)
@example(speed=16.3, force=3800.0, slope=-0.08)
@profile(max_examples=50, deadline=None)
def test_the_stopping_distance_is_enough(speed: float, force: float, slope: float) -> None:
    """Brake at the torque rate to the guaranteed deceleration, on any slope: the car stops within S."""
    way, _, peak = Braking(settings(), car()).stop(speed, force)
    lag = settings().safety.distance.lag_s
    target = -car().loaded_mass * (settings().vehicle.brake_guaranteed + GRAVITY * settings().vehicle.slope_max)
    driven, now, fastest = 0.0, 0.0, 0.0
    while speed > 0:
        if now >= lag:
            low, _ = car().force_window(force, 0.001)
            force = max(low, target) if force > target else force
        mass = car().effective_mass if force > 0 else car().loaded_mass
        speed += 0.001 * (force / mass - GRAVITY * slope)
        driven += 0.001 * max(speed, 0.0)
        now += 0.001
        fastest = max(fastest, speed)
    assert driven <= way + 0.001 * fastest  # one step of the integration
    assert fastest <= peak + 0.01
    assert way <= 60.0


@pytest.mark.parametrize("speed", [0.0, 5.0, 15.0])
def test_traction_and_lateral_rows_hold_after_the_solve(speed: float) -> None:
    rng, grip = np.random.default_rng(1), only("traction", "lateral")
    mass, limit = car().effective_mass, 0.8 * GRAVITY
    for _ in range(200):
        state = ideal(speed=speed).state()
        made = grip(state, (rng.uniform(-20000, 4000), rng.normal(0, 0.2)), {}, joint_box(car(), 0, 0, 1.0))
        assert math.hypot(made.force / mass, speed**2 * made.curvature) <= limit
        assert speed**2 * abs(made.curvature) <= settings().vehicle.lateral_acceleration_max + 1e-4


@given(seed=st.integers(0, 10**6), speed=st.floats(4.0, 16.0), force=st.floats(-4000, 3500))
@profile(max_examples=40, deadline=None)
def test_the_lane_is_not_bought_with_speed(seed: int, speed: float, force: float) -> None:
    """However far outside and whatever its heading, the lane row never drives harder than is asked for."""
    rng, lane = np.random.default_rng(seed), only("lane")
    plant = ideal(speed, rng.uniform(-2, 2), rng.uniform(-0.5, 0.5))
    plant.force = force
    box = joint_box(car(), force, 0.0, PERIOD)
    made = lane(plant.state(), (force, 0.2), gains(rng), box)
    assert made.force <= force + 1e-6 * car().effective_mass
