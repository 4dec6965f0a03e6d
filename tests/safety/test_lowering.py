# SPDX-License-Identifier: Apache-2.0
"""Settings that change while the car drives: the same car as with them in its file, and no limit falls with a jolt."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from ideal import ideal
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.errors import SettingsError
from tidegate.records import Floats, Mode
from tidegate.robot import GRAVITY, DriveByWire, MotionLimits
from tidegate.safety import Supervisor
from tidegate.safety.filter import Filter
from tidegate.safety.ladder import Rung
from tidegate.safety.lowering import Lowering
from tidegate.settings import Settings, adjusted, check_change, entries

SAFETY, VEHICLE = settings().safety, settings().vehicle
BRAKING = SAFETY.curve_deceleration
DRIVE = "vehicle.drive_effort_max"
LIVE = {entry.key: entry for entry in entries(settings()) if entry.limits.live != "fixed"}
TIGHTER = {
    "vehicle.speed_max": 5.0,
    DRIVE: 100.0,
    "vehicle.lateral_acceleration_max": 1.0,
    "safety.hold_s": 0.05,
    "safety.lane.bound_trusted": 0.7,
    "safety.lane.unsure_speed": 2.0,
    "safety.distance.standstill_gap": 9.0,
    "safety.distance.side_margin": 1.5,
    "safety.distance.crossing_margin_s": 6.0,
    "safety.filter.gain_default": 0.7,
    "safety.barriers.distance.extra_gap": 5.0,
}
Wall = tuple[float, float, float, float]


def driving(given: Settings, speed: float = 8.0, bend: float = 0.0) -> Drive:
    drive = Drive(Plant(speed=speed, road_curvature=bend), disable=frozenset({"sight"}))
    drive.supervisor = Supervisor(given, car())
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ("on its way",))
    return drive


def log(given: Settings, changed: Mapping[str, float]) -> Iterator[object]:
    """All that a varied drive gives: a thing ahead, one beside, one that crosses, an unsure lane, no camera."""
    drive = driving(given)
    drive.supervisor.adjust(changed)
    still: list[Wall] = [(60.0, -1.0, 60.0, 1.0), (30.0, -3.0, 30.0, -1.5)]
    for tick in range(300):
        crossing: Wall = (38.0, 16.0 - 0.0125 * tick, 38.0, 20.0 - 0.0125 * tick)
        bound, camera = 0.1 if tick < 150 else 0.8, tick < 220
        made = drive.run(PERIOD, (3500.0, 0.0), walls=np.array([*still, crossing]), bound=bound, camera=camera)
        states = [(one.name, one.h, one.margin, one.multiplier) for one in made.barriers]
        yield made.mode, made.allowed, made.command.effort.tolist(), states


@pytest.fixture(scope="module")
def untouched() -> list[object]:
    return list(log(settings(), {}))


def test_every_setting_that_may_change_is_tried_here() -> None:
    assert TIGHTER.keys() == LIVE.keys()
    assert {entry.limits.live for entry in LIVE.values()} == {"lower", "higher", "range"}
    for key, value in TIGHTER.items():
        assert check_change(value, LIVE[key]) == value != LIVE[key].value


@pytest.mark.parametrize("key", LIVE)
def test_each_changes_what_the_car_does(key: str, untouched: list[object]) -> None:
    assert any(one != other for one, other in zip(log(settings(), {key: TIGHTER[key]}), untouched, strict=True))


def test_what_was_changed_is_as_if_the_file_had_it() -> None:
    """All but the car's own limits, which come down while it drives."""
    changed = {key: value for key, value in TIGHTER.items() if not key.startswith("vehicle.")}
    assert list(log(settings(), changed)) == list(log(adjusted(settings(), changed), {}))


def test_what_cannot_be_set_changes_nothing() -> None:
    drive = driving(settings())
    kept, limits = drive.supervisor.filter, drive.supervisor.limits
    for changed, told in (
        ({"vehicle.speed_max": 8.0, "safety.barriers.gap.extra_gap": 1.0}, "no 'safety.barriers.gap.extra_gap'"),
        ({"vehicle.speed_max": 8.0, DRIVE: math.nan}, "'vehicle.drive_effort_max' is nan"),
    ):
        with pytest.raises(SettingsError, match=told):
            drive.supervisor.adjust(changed)
        drive.run(0.5)
        assert (drive.supervisor.filter, drive.supervisor.limits) == (kept, limits)


def test_a_lower_lateral_limit_lets_the_car_slow_down_before_it_turns_the_wheels_back() -> None:
    """On a bend that takes all of the old limit: the car stays in its lane, brakes gently and ends within the new."""
    lateral, lower = VEHICLE.lateral_acceleration_max, 1.5
    bend = 0.9 * lateral / 100.0
    drive = driving(settings(), 10.0, bend)
    drive.plant.steer = np.array(car().steering(bend))
    drive.run(0.5, (0.0, bend))
    drive.supervisor.adjust({"vehicle.lateral_acceleration_max": lower})
    before, falls, asked = drive.plant.speed, [], []
    for _ in range(1600):
        tick = drive.run(PERIOD, (500.0, bend))
        asked.append(drive.plant.speed**2 * abs(tick.allowed[1]))
        falls.append((before - drive.plant.speed) / PERIOD)
        before = drive.plant.speed
        assert abs(drive.plant.offset) < 0.5
    assert np.convolve(falls, np.ones(40) / 40, "valid").max() < BRAKING + 1.0
    assert max(asked) > 3.0  # it did begin above the new limit
    assert asked[-1] < lower * 1.01
    assert drive.plant.speed > 4.0
    assert drive.supervisor.limits.lateral == lower


@given(st.floats(0.5, 16.0), st.floats(0.2, 3.9), st.floats(0.3, 1.0))
def test_a_car_that_brakes_at_once_never_meets_the_falling_lateral_limit(
    speed: float, lower: float, share: float
) -> None:
    """Whatever bend it was allowed to meet, from any moment on: v² κ of a car on its way to the new limit."""
    lateral = VEHICLE.lateral_acceleration_max
    lowering = Lowering(settings(), car())
    lowering.set(adjusted(settings(), {"vehicle.lateral_acceleration_max": lower}), speed)
    enters = share * speed  # the speed at which it has to be in a bend that takes all of the old limit
    bend, now = lateral / enters**2, speed
    while now**2 * bend > lower and now > 1.0:
        now -= BRAKING * PERIOD
        lowering.step(now, PERIOD)
        if now <= enters:
            assert now**2 * bend <= lowering.now.lateral * (1 + 1e-6)


def test_each_limit_comes_down_at_its_rate_and_goes_back_at_once() -> None:
    full, lowering = MotionLimits.of(car(), VEHICLE), Lowering(settings(), car())
    assert lowering.now == full
    lowest = adjusted(settings(), {"vehicle.speed_max": 8.0, "vehicle.lateral_acceleration_max": 2.0, DRIVE: 50.0})
    lowering.set(lowest, 12.0)
    seen = [full]
    for _ in range(round(12.0 / BRAKING / PERIOD) - 1):
        lowering.step(12.0, PERIOD)
        seen.append(lowering.now)
    speeds, laterals, forces = np.array(seen).T
    assert speeds[1] == pytest.approx(12.0 + SAFETY.speed_margin - BRAKING * PERIOD)
    assert -np.diff(speeds[1:]).min() <= BRAKING * PERIOD * (1 + 1e-9)
    assert speeds[-1] == 8.0
    assert (laterals == full.lateral).all()
    assert -np.diff(forces).max() <= car().force_rate(1) * PERIOD * (1 + 1e-9)
    assert forces[-1] == pytest.approx(full.force * 50.0 / VEHICLE.drive_effort_max)
    for _ in range(200):
        before = lowering.now.lateral
        lowering.step(4.0, PERIOD)
        assert before - lowering.now.lateral <= 2 * BRAKING * before / 4.0 * PERIOD * (1 + 1e-9)
    assert lowering.now.lateral == 2.0
    assert (lowering.speed_left, lowering.lateral_left) == (0.0, 0.0)
    lowering.set(settings(), 4.0)
    lowering.step(4.0, PERIOD)
    assert lowering.now == full


@pytest.mark.parametrize("speed", [0.7, 1.5, 6.0])
def test_how_far_each_limit_comes_down_in_one_step(speed: float) -> None:
    """Set while the car stands, the lateral limit waits for nothing; by 2 a_c a/v, v being 1 m/s at least."""
    full, lowering = MotionLimits.of(car(), VEHICLE), Lowering(settings(), car())
    lowest = {"vehicle.speed_max": 0.5, "vehicle.lateral_acceleration_max": 1.0, DRIVE: 50.0}
    lowering.set(adjusted(settings(), lowest), 0.0)
    lowering.step(speed, PERIOD)
    assert lowering.now.speed == pytest.approx(max(speed + SAFETY.speed_margin - BRAKING * PERIOD, 0.5))
    assert lowering.now.lateral == pytest.approx(full.lateral * (1 - 2 * BRAKING * PERIOD / max(speed, 1.0)))
    assert lowering.now.force == pytest.approx(full.force - car().force_rate(1) * PERIOD)
    assert lowering.speed_left == lowering.now.speed - SAFETY.speed_margin
    assert lowering.lateral_left == lowering.now.lateral
    assert lowering.drive == pytest.approx(full.force * 50.0 / VEHICLE.drive_effort_max)


@pytest.mark.parametrize("slope", [-VEHICLE.slope_max, 0.0])
def test_under_full_throttle_the_car_follows_a_lowered_speed_limit_as_fast_as_the_torque_comes_down(
    slope: float,
) -> None:
    """From a, it is behind by no more than (a + a_c)²/2R at the torque rate R, and below the new limit in the end."""
    lower = adjusted(settings(), {"vehicle.speed_max": 8.0})
    kept = Filter(lower, car(), disable=frozenset(SAFETY.barriers) - {"speed"})
    lowering, plant = Lowering(settings(), car()), ideal(12.0, slope=slope)
    plant.force = car().force_max
    lowering.set(lower, plant.speed)
    mass = car().effective_mass
    hardest = car().force_max / mass - GRAVITY * slope
    behind = []
    for _ in range(1200):
        lowering.step(plant.speed, PERIOD)
        left = lowering.speed_left
        state = dataclasses.replace(plant.state(), speed_left=left, speed_falling=BRAKING if left else 0.0)
        told = kept(state, (9000.0, 0.0), {}, plant.box())
        plant.hold(told.force, 0.0)
        behind.append(plant.speed - max(left, 8.0 - SAFETY.speed_margin))
    most = (hardest + BRAKING + SAFETY.disturbance_margin) ** 2 / (2 * car().force_rate(1) / mass)
    assert 0.5 * most < max(behind) <= most
    assert 7.0 < plant.speed <= 8.0
    assert behind[-1] <= 0


def test_another_setting_does_not_hold_up_a_limit_on_its_way_down() -> None:
    lowering, lower = Lowering(settings(), car()), {"vehicle.lateral_acceleration_max": 2.0}
    for gap in range(600):
        lowering.set(adjusted(settings(), {**lower, "safety.distance.standstill_gap": 5.0 + 0.01 * gap}), 6.0)
        lowering.step(6.0, 0.01)
    assert lowering.now.lateral == 2.0


changes = st.fixed_dictionaries(
    {},
    optional={
        key: st.floats(
            max(entry.limits.low, 0.0) if entry.limits.live != "higher" else entry.value,
            entry.value if entry.limits.live == "lower" else min(entry.limits.high, 100.0),
        )
        for key, entry in LIVE.items()
    },
)


@budget(max_examples=12)
@given(st.lists(st.tuples(changes, st.integers(1, 60), st.floats(-9e4, 9e4), st.floats(-0.3, 0.3)), max_size=5))
def test_whatever_sequence_is_accepted_no_command_is_above_the_limits_in_force_or_beyond_a_rate(
    sequence: list[tuple[dict[str, float], int, float, float]],
) -> None:
    """At the limiter, and at the motion that a drive-by-wire car is asked for; of a car in a bend with a wall ahead."""
    drive, wire = driving(settings(), 9.0, 0.01), DriveByWire(car(), PERIOD)
    driven = [car().joint_names.index(name) for name in VEHICLE.driven]
    step: Floats = drive.actuation.step
    last, most, before = np.zeros(6), VEHICLE.drive_effort_max, 0.0
    for changed, count, force, curvature in sequence:
        for key, value in changed.items():
            check_change(value, LIVE[key])
        drive.supervisor.adjust(changed)
        most = changed.get(DRIVE, VEHICLE.drive_effort_max)
        for _ in range(count):
            speed = drive.plant.speed
            tick = drive.run(PERIOD, (force, curvature), walls=np.array([(45.0, -1.0, 45.0, 1.0)]))
            effort, limits = tick.command.effort, drive.supervisor.limits
            assert (effort[driven] <= np.maximum(most, last[driven] - step[driven] * (1 - 1e-9))).all()
            assert (np.abs(effort - last) <= step * (1 + 1e-9)).all()
            assert "no solution" not in " ".join(tick.reasons)
            wire.tighten(limits)
            asked = wire.request(tick.command, tick.allowed[1], drive.supervisor.speed)
            assert 0.0 <= asked.speed <= max(limits.speed, before + car().force_min / car().effective_mass * PERIOD)
            assert asked.speed * abs(asked.yaw_rate) <= limits.lateral * (1 + 1e-9)
            assert asked.acceleration * car().effective_mass <= limits.force * (1 + 1e-9)
            assert limits.speed <= max(changed.get("vehicle.speed_max", math.inf), speed + SAFETY.speed_margin)
            last, before = effort, asked.speed
    assert len(last) == len(car().steer_joints) + 4


def test_limits_that_a_drive_by_wire_car_is_told_never_exceed_its_own() -> None:
    wire = DriveByWire(car(), PERIOD)
    wire.tighten(MotionLimits(1e3, 1e3, 1e9))
    drive = driving(settings(), 16.0)
    for _ in range(400):
        tick = drive.run(PERIOD, (9e4, 0.0))
        asked = wire.request(tick.command, 0.2, 1e3)
        assert asked.speed <= VEHICLE.speed_max
        assert asked.speed * abs(asked.yaw_rate) <= VEHICLE.lateral_acceleration_max * (1 + 1e-9)
        assert asked.acceleration <= car().force_max / car().effective_mass


def test_a_thing_in_the_way_of_a_larger_gap_is_braked_for_at_the_torque_rate() -> None:
    drive = driving(settings(), 8.0)
    wall = np.array([(34.0, -1.0, 34.0, 1.0)])
    drive.run(0.3, (0.0, 0.0), walls=wall)
    drive.supervisor.adjust({"safety.distance.standstill_gap": 12.0})
    tick = drive.run(5.0, (3000.0, 0.0), walls=wall)  # every command is checked against box and slew
    assert drive.plant.speed < 0.2
    gap = 34.0 - car().front - drive.plant.x
    assert gap == pytest.approx(12.0 + SAFETY.distance.noise_m, abs=1.0)
    assert tick.mode == Mode.NORMAL
