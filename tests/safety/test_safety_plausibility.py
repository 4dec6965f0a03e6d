# SPDX-License-Identifier: Apache-2.0
"""Sensors that are sound and young, but lie: each ends in STOPPING, with its reason, within the stated way or time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safety_drive import FORCE, Drive
from safety_plant import PERIOD, Plant, settings

from tidegate.records import Manual, Mode, Received, SafetyInputs, nanoseconds

LIMITS = settings().safety.plausibility
Change = Callable[[SafetyInputs], SafetyInputs]


def changed(name: str, **values: Any) -> Change:
    """Replace fields of the newest record of an input; callables get the old value."""

    def change(inputs: SafetyInputs) -> SafetyInputs:
        received = getattr(inputs, name)
        old = received.record
        new = {key: value(getattr(old, key)) if callable(value) else value for key, value in values.items()}
        return dataclasses.replace(inputs, **{name: Received(dataclasses.replace(old, **new), received.age)})

    return change


def first_fault(drive: Drive, change: Change, time: float = 2.0) -> tuple[float, str, float]:
    """Time [s] until STOPPING, the reason given then, and the way driven until then [m]."""
    start = drive.plant.rolled
    for tick in range(round(time / PERIOD)):
        made = drive.run(PERIOD, change=change)
        if made.mode != Mode.NORMAL:
            assert made.mode == Mode.STOPPING
            return tick * PERIOD, "; ".join(made.reasons), drive.plant.rolled - start
    return time, "", drive.plant.rolled - start


def test_wheels_and_odometry_that_disagree_stop_the_car_after_the_stated_time() -> None:
    drive = Drive().started()
    more = LIMITS.speed_difference + LIMITS.speed_share * drive.plant.speed * 1.5 + 0.5
    time, reason, _ = first_fault(drive, changed("odometry", speed=lambda speed: speed - more))
    assert "the wheels" in reason
    assert time == pytest.approx(LIMITS.persist_s, abs=2 * PERIOD)
    assert drive.run(8.0, change=changed("odometry", speed=lambda speed: speed)).mode == Mode.STOPPED


def test_a_short_disagreement_is_slip_and_passes() -> None:
    drive = Drive().started()
    drive.run(LIMITS.persist_s - 2 * PERIOD, change=changed("odometry", speed=lambda speed: speed - 4.0))
    assert drive.run(1.0).mode == Mode.NORMAL


def test_one_wheel_that_locks_does_not_count() -> None:
    def locked(velocity: np.ndarray) -> np.ndarray:
        velocity = velocity.copy()
        velocity[-1] = 0.0
        return velocity

    assert first_fault(Drive().started(), changed("joints", velocity=locked))[1] == ""


def test_a_gyro_that_contradicts_odometry_stops_the_car() -> None:
    def turned(rate: np.ndarray) -> np.ndarray:
        return rate + np.array([0.0, 0.0, LIMITS.turn_difference + 0.05])

    time, reason, _ = first_fault(Drive().started(), changed("imu", angular_velocity=turned))
    assert "the IMU" in reason
    assert time == pytest.approx(LIMITS.persist_s, abs=2 * PERIOD)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"y": lambda y: y + LIMITS.jump_m + 0.1}, "jumped"),
        ({"yaw": lambda yaw: yaw + LIMITS.jump_rad + 0.05}, "turned"),
    ],
)
def test_odometry_that_jumps_stops_the_car_at_once(values: dict[str, Any], said: str) -> None:
    time, reason, _ = first_fault(Drive().started(), changed("odometry", **values))
    assert time == 0.0
    assert f"odometry {said}" in reason


def test_odometry_may_be_late_without_having_jumped() -> None:
    drive = Drive().started()
    held = drive.sensors.inputs
    assert held is not None

    def late(inputs: SafetyInputs) -> SafetyInputs:
        return dataclasses.replace(inputs, odometry=Received(held.odometry.record, inputs.now - held.now))  # type: ignore[union-attr]

    drive.run(settings().safety.trusted_timeout_s - 2 * PERIOD, change=late)
    assert drive.run(0.5).mode == Mode.NORMAL


@pytest.mark.parametrize("name", ["joints", "odometry", "points"])
def test_a_sensor_that_repeats_itself_stops_the_car_within_the_stated_way(name: str) -> None:
    walls = np.array([[-500.0, 6.0, 500.0, 6.0]])
    drive = Drive(walls=walls).started()
    frozen = getattr(drive.sensors.inputs, name).record
    keep = {"joints": ("position", "velocity"), "odometry": ("x", "y", "yaw"), "points": ("xyz", "ring")}[name]
    change = changed(name, **{key: getattr(frozen, key) for key in keep})
    _, reason, way = first_fault(drive, change)
    assert f"{name} is frozen" in reason or (name == "odometry" and "jumped" in reason)
    between = drive.plant.speed / settings().ranging.rate_hz if name == "points" else 0.0
    assert way <= LIMITS.frozen_m + 2 * between + 0.3


def test_an_empty_scan_may_repeat_itself() -> None:
    assert Drive().started().run(2.0).mode == Mode.NORMAL


@pytest.mark.parametrize(("name", "every"), [("odometry", 12), ("joints", 12), ("imu", 12)])
def test_an_input_that_comes_too_seldom_stops_the_car(name: str, every: int) -> None:
    """Never late by itself, 60 ms apart, but half the records that the filter counts on are missing."""
    drive = Drive().started()
    kept: list[Received[Any]] = []

    def thinned(inputs: SafetyInputs) -> SafetyInputs:
        if not kept or inputs.now - kept[-1].record.stamp >= every * nanoseconds(PERIOD):
            kept.append(getattr(inputs, name))
        record = kept[-1].record
        return dataclasses.replace(inputs, **{name: Received(record, inputs.now - record.stamp)})

    _, reason, _ = first_fault(drive, thinned, 4.0)
    assert f"{name} comes too seldom" in reason


def test_a_fault_is_over_when_the_sensor_is_sound_again_and_a_reset_leads_out() -> None:
    drive = Drive().started()
    first_fault(drive, changed("odometry", y=lambda y: y + 1.0))
    assert drive.run(8.0, (FORCE, 0.0)).mode == Mode.STOPPED
    drive.run(0.3, (0.0, 0.0), reset_requested=True)
    assert drive.run(3.0).mode == Mode.NORMAL


def every(name: str, ticks: int) -> Change:
    """New records of an input only every so many ticks; in between the last one grows older."""
    kept: list[Received[Any]] = []

    def thin(inputs: SafetyInputs) -> SafetyInputs:
        new = getattr(inputs, name)
        if not kept or new.record.stamp - kept[-1].record.stamp >= ticks * nanoseconds(PERIOD):
            kept.append(new)
        last = kept[-1].record
        return dataclasses.replace(inputs, **{name: Received(last, inputs.now - last.stamp)})

    return thin


def lies(drive: Drive, lie: str) -> Change:
    """Odometry at 100 Hz that stands still, and odometry every 60 ms."""
    assert drive.sensors.inputs is not None
    if lie == "seldom":
        return every("odometry", 12)
    frozen, thin = drive.sensors.inputs.odometry.record, every("odometry", 2)  # type: ignore[union-attr]
    wrong = changed("odometry", x=frozen.x, y=frozen.y, yaw=frozen.yaw)
    return lambda inputs: thin(wrong(inputs))


@pytest.mark.parametrize("lie", ["frozen", "seldom"])
def test_neither_a_driver_nor_a_reset_drives_on_a_sensor_that_goes_on_lying(lie: str) -> None:
    for stick in (Manual(0, True, FORCE, 0.0), None):
        drive = Drive(manual=stick).started()
        change, speed = lies(drive, lie), drive.plant.speed
        drive.modes.clear()
        drive.run(7.0, change=change, reset_requested=stick is None)
        since = drive.modes.index(Mode.STOPPING)
        assert Mode.NORMAL not in drive.modes[since:]
        assert drive.modes[-1] == Mode.STOPPED
        assert drive.plant.speed == 0.0 < speed


def test_a_driver_may_go_on_once_nothing_has_been_wrong_for_a_while() -> None:
    drive = Drive(manual=Manual(0, True, FORCE, 0.0)).started()
    drive.run(PERIOD, change=changed("odometry", y=lambda y: y + 1.0))
    drive.modes.clear()
    drive.run(2 * LIMITS.persist_s)  # the first of these jumps back
    held = round(LIMITS.persist_s / PERIOD)
    assert drive.modes == [Mode.STOPPING] * held + [Mode.NORMAL] * (len(drive.modes) - held)


def test_slip_and_slope_of_a_hard_drive_are_no_fault() -> None:
    drive = Drive(Plant(slope=0.05))
    drive.started(3.0)
    for force in (6000.0, -9000.0, 6000.0):
        assert drive.run(1.5, (force, 0.0)).mode == Mode.NORMAL
