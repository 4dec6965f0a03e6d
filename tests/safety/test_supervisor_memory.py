# SPDX-License-Identifier: Apache-2.0
"""What the supervisor takes to be acting, and to have been: after a pause, a fault, a stand, a change of settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.records import Floats, LaneEstimate, Mode, Received, SafetyInputs, nanoseconds
from tidegate.safety import Supervisor
from tidegate.safety.ladder import Rung
from tidegate.safety.motion import CREEP

SAFETY, LADDER, VEHICLE = settings().safety, settings().safety.ladder, settings().vehicle
Change = Callable[[SafetyInputs], SafetyInputs]
STEER, WHEELS = slice(0, 2), slice(2, None)
SAFE: Floats = np.concatenate((np.zeros(2), car().wheel_efforts(-VEHICLE.brake_guaranteed * car().loaded_mass)))
"""What the actuators head for where no command comes: the brakes that are guaranteed."""


def driving(speed: float = 8.0, mode: Mode = Mode.NORMAL) -> Drive:
    drive = Drive(Plant(speed=speed))
    drive.supervisor.rung = Rung(mode, 0, ("on its way",))
    return drive


def without(*names: str) -> Change:
    return lambda inputs: dataclasses.replace(inputs, **dict.fromkeys(names))


def shifted(seconds: float) -> Change:
    return lambda inputs: dataclasses.replace(inputs, now=inputs.now + nanoseconds(seconds))


def fails(*_: object) -> None:
    raise KeyError("gone")


def slept(drive: Drive, silent: float, nominal: tuple[float, float] = (9e3, 0.0)) -> tuple[Floats, Floats]:
    """A pause, ``silent`` [s] longer than a command acts, in which the world does not change; it ends at a frame.

    Returns:
        where the actuators have come to by themselves, and the first command after it.
    """
    missed = round((VEHICLE.command_hold_s + silent) / PERIOD) - 1
    while (drive.sensors.tick + missed) % 10:
        drive.run(PERIOD, nominal)
    most = max(silent, 0.0) / PERIOD * drive.actuation.step
    acting = np.clip(SAFE, drive.last - most, drive.last + most)
    drive.sensors.tick += missed
    drive.tick = drive.supervisor.tick(drive.sensors.look(drive.plant, nominal))
    drive.last = drive.tick.command.effort
    return acting, drive.last


def test_at_first_no_speed_is_known() -> None:
    assert Supervisor(settings(), car()).speed is None


@pytest.mark.parametrize("periods", [1, 4, 16])
def test_after_a_pause_the_next_command_starts_where_the_actuators_have_come_to_by_themselves(periods: int) -> None:
    """Full throttle before and after; each period of silence beyond what a command acts for has taken off one step."""
    drive = driving(3.0)
    drive.run(0.3, (9e3, 0.0))
    acting, effort = slept(drive, periods * PERIOD)
    assert drive.tick is not None
    assert drive.tick.mode == Mode.NORMAL
    most = car().force_window(car().wheel_force(acting[WHEELS]), PERIOD)[1]
    assert (drive.tick.allowed[0], drive.supervisor.state.force_high) == pytest.approx((most, most))
    step = drive.actuation.step[WHEELS]
    nearer = np.clip(car().wheel_efforts(most), acting[WHEELS] - step, acting[WHEELS] + step)
    np.testing.assert_allclose(effort[WHEELS], nearer, atol=1e-6)


def test_a_pause_no_longer_than_a_command_acts_is_none() -> None:
    drive = driving(3.0)
    drive.run(0.3, (9e3, 0.0))
    before, effort = slept(drive, 0.0)
    assert (np.abs(effort - before) <= drive.actuation.step * (1 + 1e-9)).all()


@pytest.mark.parametrize("mode", [Mode.STOPPED, Mode.STOPPING])
def test_a_pause_counts_on_every_rung(mode: Mode) -> None:
    """A car that holds itself on little has braked as hard as is guaranteed by the end of a long pause."""
    drive = driving(0.0, mode)
    drive.run(5 * PERIOD, (0.0, 0.0))
    assert (drive.last[WHEELS] > 0.9 * SAFE[WHEELS]).all()
    _, effort = slept(drive, 2.0)
    assert (effort[WHEELS] <= SAFE[WHEELS] + drive.actuation.step[WHEELS] * (1 + 1e-9)).all()


@pytest.mark.parametrize("ticks", [1, 3])
def test_a_clock_that_is_set_right_again_is_no_pause_but_one_after_the_next_reset_is(ticks: int) -> None:
    """Set back by a second for some ticks; every command is checked against the step of one period."""
    drive = driving(3.0)
    drive.run(0.2, (9e3, 0.0))
    drive.run(ticks * PERIOD, (9e3, 0.0), shifted(-1.0))
    drive.run(2 * PERIOD, (9e3, 0.0))
    assert drive.modes[-1] == Mode.STOPPING
    drive.run(SAFETY.plausibility.persist_s, (9e3, 0.0))
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ())
    drive.run(0.2, (9e3, 0.0))
    assert drive.modes[-1] == Mode.NORMAL
    acting, effort = slept(drive, 16 * PERIOD)
    assert (np.abs(effort - acting) <= drive.actuation.step * (1 + 1e-9)).all()


def test_time_that_stands_still_ages_nothing() -> None:
    """A lane of just the age that is trusted, looked at again and again at one time."""
    drive = driving(0.0)
    drive.run(PERIOD, (0.0, 0.0))
    now, kept = drive.sensors.inputs.now, drive.sensors.inputs  # type: ignore[union-attr]
    drive.supervisor._lane_age = nanoseconds(SAFETY.camera_timeout_s)
    for _ in range(3):
        assert drive.supervisor.tick(dataclasses.replace(kept, now=now)).mode == Mode.NORMAL  # type: ignore[type-var]


def test_a_fault_that_is_over_does_not_let_go_of_the_brakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It took the servo along, so that the last resort braked; what follows begins at these brakes."""
    drive = driving(12.0)
    drive.run(0.2, (9e3, 0.0))
    assert (drive.last[WHEELS] > 0).any()
    with monkeypatch.context() as patch:
        patch.setattr(drive.supervisor._surroundings, "look", fails)
        patch.setattr(drive.supervisor._actuation, "efforts", fails)
        drive.run(0.5)
    step = drive.actuation.step[WHEELS]
    for _ in range(20):
        braked = drive.last[WHEELS]
        tick = drive.run(PERIOD)
        assert tick.mode == Mode.STOPPING
        towards = np.clip(car().wheel_efforts(tick.allowed[0]), braked - step, braked + step)
        np.testing.assert_allclose(tick.command.effort[WHEELS], towards, atol=1e-6)
        assert (tick.command.effort[WHEELS] <= SAFE[WHEELS] * (1 - 1e-6)).all()


@pytest.mark.parametrize("push", [-0.05, 0.05])
def test_after_a_fault_wheels_that_are_pushed_aside_are_turned_back(
    push: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a kerb, say: the steering is held where it was, on the joints that are told at each tick."""
    drive = driving(5.0)
    drive.run(0.5, (0.0, 0.0))
    monkeypatch.setattr(drive.supervisor, "_move", fails)
    drive.run(2 * PERIOD)
    drive.plant.steer = drive.plant.steer + push
    torques = drive.run(PERIOD).command.effort[STEER]
    assert (torques * push < 0).all()
    drive.run(0.4)
    assert np.abs(drive.plant.steer).max() < 0.2 * abs(push)


@pytest.mark.parametrize("name", ["joints", "odometry"])
def test_one_sensor_of_the_speed_is_enough_to_know_that_the_car_stands(name: str) -> None:
    drive = driving(0.0, Mode.STOPPING)
    drive.supervisor.rung = drive.supervisor.rung._replace(latched=True)
    enough = round(LADDER.standstill_s / PERIOD)
    assert drive.run(enough * PERIOD, change=without(name)).mode == Mode.STOPPING
    assert drive.run(2 * PERIOD, change=without(name)).mode == Mode.STOPPED


def test_standing_for_just_so_long_is_standing() -> None:
    for late, mode in ((0, Mode.STOPPED), (-1, Mode.STOPPING)):
        drive = driving(0.0, Mode.STOPPING)
        drive.run(PERIOD, (0.0, 0.0))
        inputs = drive.sensors.look(drive.plant, (0.0, 0.0))
        now = inputs.now - nanoseconds(PERIOD) + nanoseconds(LADDER.standstill_s) + late
        assert drive.supervisor.tick(dataclasses.replace(inputs, now=now)).mode == mode


def test_whoever_drives_on_after_a_stand_begins_anew_with_the_way_rolled_back() -> None:
    drive = driving(0.0, Mode.STOPPED)
    drive.run(PERIOD, (0.0, 0.0))
    drive.supervisor._motion.rolled_back = 2 * LADDER.roll_back_m
    drive.run(PERIOD, (0.0, 0.0))
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ())
    assert drive.run(PERIOD, (0.0, 0.0)).mode == Mode.NORMAL


def test_the_barriers_are_told_where_the_car_is_in_odometry() -> None:
    drive = Drive(Plant(x=3.0, y=-2.0, yaw=0.5))
    drive.run(PERIOD)
    state = drive.supervisor.state
    assert (state.x, state.y, state.yaw) == (3.0, -2.0, 0.5)


def test_as_far_back_as_is_tolerated_the_car_may_roll() -> None:
    """At the speed up to which rolling is noise, the way back does not grow."""

    def creeping(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        return dataclasses.replace(
            inputs, odometry=Received(dataclasses.replace(inputs.odometry.record, speed=-CREEP), 0)
        )

    for way, mode in ((LADDER.roll_back_m, Mode.NORMAL), (math.nextafter(LADDER.roll_back_m, 9.0), Mode.STOPPING)):
        drive = driving(0.0)
        drive.run(5 * PERIOD, (0.0, 0.0), creeping)
        drive.supervisor._motion.rolled_back = way
        assert drive.run(PERIOD, (0.0, 0.0), creeping).mode == mode


def test_the_limiter_which_trusts_nobody_holds_to_a_lowered_torque() -> None:
    """Whatever it is asked for; what was in force comes in at its rate."""
    drive = driving(3.0)
    drive.run(2 * PERIOD)
    lowered, driven = 0.25 * VEHICLE.drive_effort_max, [car().joint_names.index(name) for name in VEHICLE.driven]
    asked = np.full(len(car().joint_names), 1e9)
    for most in (VEHICLE.drive_effort_max, lowered):
        drive.supervisor.adjust({"vehicle.drive_effort_max": most})
        for _ in range(400):
            sent = drive.supervisor._limiter(asked)
        assert sent[driven] == pytest.approx(most)


def test_what_is_changed_counts_from_the_next_tick_on() -> None:
    """Of the ladder, of the lane and of what stands in the way, each by itself."""

    def mode(changed: dict[str, float], count: int, **look: object) -> Mode:
        drive = driving()
        drive.run(PERIOD)
        drive.supervisor.adjust(changed)
        return drive.run(count * PERIOD, **look).mode  # type: ignore[arg-type]

    late = round((SAFETY.camera_timeout_s + 0.1) / PERIOD)
    assert mode({}, late, camera=False) == Mode.HOLD
    assert mode({"safety.hold_s": 0.02}, late, camera=False) == Mode.STOPPING
    assert mode({}, 20, bound=0.9) == Mode.NORMAL
    assert mode({"safety.lane.bound_trusted": 0.8}, 20, bound=0.9) == Mode.HOLD
    beside = (20.0, car().width / 2 + SAFETY.distance.side_margin + 0.1, 20.0, 9.0)
    for changed, seen in (({}, False), ({"safety.distance.side_margin": SAFETY.distance.side_margin + 0.2}, True)):
        drive = driving()
        drive.run(PERIOD, (0.0, 0.0), walls=np.array([beside]))
        drive.supervisor.adjust(changed)
        drive.run(12 * PERIOD, (0.0, 0.0), walls=np.array([beside]))
        assert math.isfinite(drive.supervisor.state.arc.distance) == seen


def test_while_a_lowered_speed_limit_comes_down_the_barriers_are_told_how_fast() -> None:
    drive = driving(12.0)
    drive.run(2 * PERIOD)
    assert (drive.supervisor.state.speed_left, drive.supervisor.state.speed_falling) == (0.0, 0.0)
    drive.supervisor.adjust({"vehicle.speed_max": 8.0})
    drive.run(2 * PERIOD)
    state = drive.supervisor.state
    assert (state.speed_left > 8.0, state.speed_falling) == (True, SAFETY.curve_deceleration)
    assert drive.supervisor.limits.speed == pytest.approx(state.speed_left + SAFETY.speed_margin)


def test_a_lane_known_as_well_as_is_trusted_binds_to_the_end_of_its_reach() -> None:
    """The car stands, so that neither the bound nor the way grows."""

    def binds(bound: float, past: float) -> bool:
        drive = driving(0.0, Mode.STOPPED)

        def lane(inputs: SafetyInputs) -> SafetyInputs:
            knots = len(settings().perception.preview_m)
            made = LaneEstimate(inputs.now, 0.0, 0.0, np.zeros(knots), np.full(2 + knots, bound))
            return dataclasses.replace(inputs, lane=Received(made, 0))

        drive.run(PERIOD, (0.0, 0.0), lane)
        remembered = drive.supervisor._tracker._now
        assert remembered is not None
        remembered.along = past
        drive.run(PERIOD, (0.0, 0.0), without("lane", "nominal", "health"))
        return drive.supervisor.state.lane is not None

    trusted, end = SAFETY.lane.bound_trusted, settings().perception.preview_m[-1] + SAFETY.lane.reach_m
    assert binds(trusted, 0.0)
    assert binds(0.1, end)
    assert not binds(0.1, math.nextafter(end, 1e9))
