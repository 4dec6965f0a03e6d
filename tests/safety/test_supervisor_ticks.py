# SPDX-License-Identifier: Apache-2.0
"""Single ticks of the supervisor: what it takes in, what it says, and every threshold between two rungs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.records import (
    Floats,
    Level,
    Manual,
    Mode,
    Odometry,
    Received,
    SafetyInputs,
    Tick,
    nanoseconds,
)
from tidegate.safety.backup import Backup
from tidegate.safety.ladder import Rung

SAFETY, LADDER = settings().safety, settings().safety.ladder
Change = Callable[[SafetyInputs], SafetyInputs]


def driving(speed: float = 8.0, mode: Mode = Mode.NORMAL, since: int = 0, **look: object) -> Drive:
    """A car on its way, without the way there."""
    disable = look.pop("disable", frozenset())
    drive = Drive(Plant(speed=speed), disable=disable, **look)  # type: ignore[arg-type]
    drive.supervisor.rung = Rung(mode, since, ("on its way",))
    return drive


def ticks(drive: Drive, count: int = 1, change: Change = lambda inputs: inputs, **look: object) -> Tick:
    return drive.run(count * PERIOD, change=change, **look)  # type: ignore[arg-type]


def without(*names: str) -> Change:
    return lambda inputs: dataclasses.replace(inputs, **dict.fromkeys(names))


def instead(name: str, **fields: object) -> Change:
    """A record with some of its fields changed."""

    def change(inputs: SafetyInputs) -> SafetyInputs:
        received = getattr(inputs, name)
        return dataclasses.replace(
            inputs, **{name: Received(dataclasses.replace(received.record, **fields), received.age)}
        )

    return change


def value(tick: Tick, name: str) -> float:
    """h of a barrier."""
    return next(state.h for state in tick.barriers if state.name == name)


def test_the_command_carries_the_time_of_the_tick_and_the_names_of_the_joints() -> None:
    drive = driving()
    ticks(drive, 3)
    assert drive.tick is not None
    assert drive.tick.command.stamp == 2 * nanoseconds(PERIOD)
    assert drive.tick.command.names == car().joint_names
    assert drive.supervisor.gain_names == ("distance", "lane", "speed")


def test_the_joints_of_the_last_tick_are_told_while_they_are_young_enough() -> None:
    drive = driving()
    assert drive.supervisor.joints is None
    ticks(drive)
    assert drive.supervisor.joints is drive.sensors.inputs.joints.record
    oldest = nanoseconds(SAFETY.trusted_timeout_s)
    heard = drive.sensors.inputs.joints
    for age in (oldest, oldest + 1):
        aged = Received(heard.record, age)
        ticks(drive, change=lambda inputs, aged=aged: dataclasses.replace(inputs, joints=aged))  # type: ignore[misc]
        assert (drive.supervisor.joints is heard.record) is (age == oldest)


def test_what_the_barriers_knew_and_which_inputs_were_late_is_told_of_the_last_tick() -> None:
    drive = driving()
    ticks(drive)
    assert drive.tick is not None
    told = drive.supervisor.state
    assert (told.force, told.curvature) == pytest.approx(drive.tick.allowed)
    assert told.speed == pytest.approx(drive.sensors.inputs.odometry.record.speed, abs=0.05)
    assert drive.supervisor.late.pop("manual") == ("manual never arrived",)
    assert {name: why for name, why in drive.supervisor.late.items() if why and name != "manual"} == {}
    old = Received(drive.sensors.inputs.imu.record, nanoseconds(SAFETY.trusted_timeout_s) + 1)
    ticks(drive, change=lambda inputs: dataclasses.replace(inputs, imu=old))
    assert drive.supervisor.late["imu"][0].startswith("imu is late")


@pytest.mark.parametrize("manual", [False, True])
def test_what_is_wanted_is_the_wish_inside_what_the_car_can_do(manual: bool) -> None:
    most = car().curvature_max
    for force, curvature, wanted in (
        (700.0, 0.03, (700.0, 0.03)),
        (9e9, 9.0, (car().force_max, most)),
        (-9e9, -9.0, (car().force_min, -most)),
    ):
        stick = Manual(0, True, force, curvature) if manual else None
        nominal = (-1.0, 0.0) if manual else (force, curvature)
        assert driving().run(PERIOD, nominal, manual=stick).wanted == wanted


@pytest.mark.parametrize("mode", list(Mode))
def test_the_lane_is_left_out_only_while_the_drivers_command_is_used(mode: Mode) -> None:
    """In a stop that was ordered the backup steers, whether the dead-man switch is held or not."""
    drive = driving(8.0, mode)
    drive.supervisor.rung = drive.supervisor.rung._replace(latched=True)
    tick = ticks(drive, 2, manual=Manual(0, True, 0.0, 0.0))
    driven = mode in (Mode.NORMAL, Mode.HOLD)  # a driver leads out of HOLD
    assert (tick.mode == Mode.NORMAL) == driven
    for name in ("lane", "curve", "sight"):
        assert math.isinf(value(tick, name)) == driven


def test_stopped_says_what_stands_against_a_reset_each_once() -> None:
    drive = driving(0.0, Mode.STOPPED)
    tick = ticks(drive, change=without("joints", "imu", "nominal"))
    assert tick.mode == Mode.STOPPED
    assert tick.reasons == ("on its way", "joints never arrived", "imu never arrived", "nominal never arrived")
    drive.supervisor.rung = Rung(Mode.STOPPED, 0, ("joints never arrived",))
    again = ticks(drive, change=without("joints", "imu", "nominal"))
    assert again.reasons.count("joints never arrived") == 1
    assert ticks(driving(0.0, Mode.STOPPING), change=without("nominal")).reasons == ("on its way",)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("emergency_stop", "emergency stop"),
        ("emergency_silent", "the emergency stop's chain is silent"),
        ("stop_requested", "stop requested"),
    ],
)
def test_a_stop_is_said_and_latched(flag: str, reason: str) -> None:
    drive = driving()
    tick = ticks(drive, **{flag: True})
    assert (tick.mode, tick.reasons) == (Mode.STOPPING, (reason,))
    assert drive.supervisor.rung.latched


def test_time_may_stand_still_but_not_run_backwards() -> None:
    drive = driving()
    ticks(drive, 5)
    now = 4 * nanoseconds(PERIOD)
    assert ticks(drive, change=lambda inputs: dataclasses.replace(inputs, now=now)).mode == Mode.NORMAL
    tick = ticks(drive, change=lambda inputs: dataclasses.replace(inputs, now=now - 1))
    assert (tick.mode, tick.reasons) == (Mode.STOPPING, ("time ran backwards",))
    assert ticks(driving(), change=lambda inputs: dataclasses.replace(inputs, now=-5)).mode == Mode.NORMAL  # the first


def test_a_filter_that_slept_stops_the_car_though_all_it_hears_is_young() -> None:
    drive = driving()
    last = ticks(drive, 5).command
    for _ in range(round(0.3 / PERIOD) - 1):  # the world goes on without it
        drive.sensors.look(drive.plant, (0.0, 0.0))
        drive.plant.step(last)
    tick = drive.supervisor.tick(drive.sensors.look(drive.plant, (0.0, 0.0)))
    assert (tick.mode, tick.reasons) == (Mode.STOPPING, ("no tick for 0.30 s",))
    drive.last = tick.command.effort
    assert (np.abs(drive.last - last.effort) <= 0.3 / PERIOD * drive.actuation.step).all()
    assert ticks(drive, 5).mode == Mode.STOPPING


@pytest.mark.parametrize("driver", [False, True])
def test_after_a_sleep_only_a_driver_or_a_reset_leads_out(driver: bool) -> None:
    drive = driving(3.0)
    ticks(drive, 5)
    drive.sensors.tick += round(0.3 / PERIOD)
    first = drive.supervisor.tick(drive.sensors.look(drive.plant, (0.0, 0.0)))
    drive.last = first.command.effort  # begins where the actuators are, not at the last command
    stick = Manual(0, True, 0.0, 0.0) if driver else None
    assert ticks(drive, round(0.9 * SAFETY.plausibility.persist_s / PERIOD), manual=stick).mode == Mode.STOPPING
    tick = ticks(drive, round(3.0 / PERIOD), manual=stick)
    assert tick.mode == (Mode.NORMAL if driver else Mode.STOPPED)
    if not driver:
        assert ticks(drive, 5, reset_requested=True).mode == Mode.NORMAL


def test_without_odometry_the_last_curvature_is_asked_for_whatever_the_lane_does() -> None:
    drive = driving()
    drive.run(0.3, (0.0, 0.004))
    kept = ticks(drive, 1, nominal=(0.0, 0.004)).allowed[1]
    assert kept == pytest.approx(0.004, rel=0.05)
    late = round(SAFETY.trusted_timeout_s / PERIOD) + 2
    held = drive.sensors.inputs.odometry.record
    ages = iter(range(1, 10 * late))
    silent: Change = lambda inputs: dataclasses.replace(  # noqa: E731
        inputs, odometry=Received(held, next(ages) * nanoseconds(PERIOD))
    )
    last = drive.run(late * PERIOD, (0.0, 0.004), silent)
    assert last.mode == Mode.STOPPING
    for _ in range(20):
        tick = drive.run(PERIOD, (0.0, 0.004), silent)
        assert tick.wanted[1] == last.allowed[1] != 0.0
        last = tick


def test_a_car_that_has_rolled_back_farther_than_is_tolerated_stops_hard_and_says_so() -> None:
    drive = driving(-0.5)
    tick = drive.run((LADDER.roll_back_m - 0.01) / 0.5, (0.0, 0.0))
    assert tick.mode == Mode.NORMAL
    tick = drive.run(0.04, (0.0, 0.0))
    assert (tick.mode, tick.reasons) == (Mode.STOPPING, ("the car rolls backwards",))
    assert tick.wanted[0] == -settings().vehicle.brake_guaranteed * car().loaded_mass


@pytest.mark.parametrize("speed", [0.99 * LADDER.standstill_speed, -0.99 * LADDER.standstill_speed])
def test_standing_is_slow_for_long_enough(speed: float) -> None:
    def crawling(inputs: SafetyInputs) -> SafetyInputs:
        changed = instead("odometry", speed=speed)(inputs)
        return instead("joints", velocity=np.full(6, speed / car().wheel_radius))(changed)

    enough = round(LADDER.standstill_s / PERIOD)
    drive = driving(0.0, Mode.STOPPING)
    assert ticks(drive, enough, crawling).mode == Mode.STOPPING  # the first tick knows of no time before it
    assert ticks(drive, 2, crawling).mode == Mode.STOPPED
    moving = driving(0.0, Mode.STOPPING)
    ticks(moving, enough, crawling)
    ticks(moving, 1, instead("odometry", speed=math.copysign(LADDER.standstill_speed, speed)))
    assert ticks(moving, enough - 1, crawling).mode == Mode.STOPPING  # it counts from the start again


def test_where_odometry_is_late_the_wheels_tell_the_speed() -> None:
    drive = driving(0.0, Mode.STOPPING)
    spin = np.full(6, 5.0 / car().wheel_radius)
    rolling: Change = lambda inputs: instead("joints", velocity=spin)(without("odometry")(inputs))  # noqa: E731
    assert ticks(drive, 60, rolling).mode == Mode.STOPPING
    assert value(ticks(drive, 1, rolling), "speed") == pytest.approx(
        settings().vehicle.speed_max - SAFETY.speed_margin - 5.0
    )
    assert ticks(drive, 60, without("odometry")).mode == Mode.STOPPED


def test_with_nothing_that_measures_speed_it_counts_as_standing_after_a_time() -> None:
    blind = without("odometry", "joints")
    late = nanoseconds(LADDER.blind_stop_s)
    for since, mode in ((-late, Mode.STOPPING), (-late - 1, Mode.STOPPED)):
        assert ticks(driving(0.0, Mode.STOPPING, since), change=blind).mode == mode
    assert ticks(driving(0.0, Mode.STOPPED, -2 * late), change=blind, reset_requested=True).mode == Mode.STOPPED
    # one of the two is enough to be asked
    for name in ("odometry", "joints"):
        assert ticks(driving(8.0, Mode.STOPPING, -2 * late), change=without(name)).mode == Mode.STOPPING


@pytest.mark.parametrize(("reasons", "said"), [(("dark", "blurred"), "dark, blurred"), ((), "no reason given")])
def test_an_image_that_is_not_to_be_trusted_says_why(reasons: tuple[str, ...], said: str) -> None:
    bad = instead("health", level=Level.ERROR, reasons=reasons)
    drive = driving()
    ticks(drive, 20)
    tick = ticks(drive, change=bad)
    assert (tick.mode, tick.reasons) == (Mode.HOLD, (f"image not to be trusted: {said}",))
    fine = driving()
    assert ticks(fine, 3, instead("health", level=Level.WARN)).mode == Mode.NORMAL
    off = driving(disable=frozenset({"image_health"}))
    assert ticks(off, 3, bad).mode == Mode.NORMAL
    assert ticks(off, 60, without("health")).mode == Mode.NORMAL  # nor is it missed


def test_a_lane_is_used_up_to_the_error_that_is_trusted() -> None:
    trusted = SAFETY.lane.bound_trusted
    for bound, mode in ((trusted, Mode.NORMAL), (1.01 * trusted, Mode.HOLD), (math.inf, Mode.NORMAL)):
        drive = driving()
        tick = ticks(drive, bound=bound)
        assert tick.mode == mode
        if mode == Mode.HOLD:
            assert tick.reasons[0] == f"lane estimate too uncertain (±{1.01 * trusted:.2f} m)"
    unknown = driving()
    offset_alone = np.array([math.inf, *[0.01] * 5])
    assert ticks(unknown, 30, bound=offset_alone).mode == Mode.NORMAL  # it was never known
    known = driving()
    assert ticks(known, 10).mode == Mode.NORMAL
    tick = ticks(known, 10, bound=math.inf)  # it has stated bounds before: now it does not know where the lane is
    assert (tick.mode, tick.reasons[0]) == (Mode.HOLD, "lane estimate too uncertain (±inf m)")
    assert math.isfinite(value(tick, "lane"))
    off = driving(disable=frozenset({"image_health"}))
    ticks(off)
    tick = ticks(off, 40, bound=1.01 * trusted)  # the camera counts all the same, on in the remembered lane
    assert tick.mode == Mode.NORMAL
    assert math.isfinite(value(tick, "lane"))


def test_a_lane_waits_for_the_health_of_its_frame() -> None:
    drive = driving()
    early = instead("health", stamp=-1)
    tick = ticks(drive, change=early)
    assert (tick.mode, tick.reasons) == (Mode.HOLD, ("no lane",))
    assert math.isinf(value(tick, "lane"))
    assert ticks(drive, change=instead("health", stamp=0)).mode == Mode.NORMAL
    off = driving(disable=frozenset({"image_health"}))
    assert ticks(off, change=early).mode == Mode.NORMAL


def test_a_lane_that_contradicts_odometry_is_said_to() -> None:
    drive = driving()
    ticks(drive, 10)
    jumped = instead("lane", offset=1.2)
    assert ticks(drive, 1, jumped).mode == Mode.NORMAL  # the remembered one is still young
    tick = ticks(drive, 40, jumped)
    assert tick.mode == Mode.HOLD
    assert tick.reasons == ("lane estimate contradicts odometry",)
    stopped = driving(0.0, Mode.STOPPED)
    ticks(stopped, 10)
    ticks(stopped, 40, jumped)
    width = value(ticks(driving(0.0, Mode.STOPPED), 1), "lane")
    assert value(ticks(stopped, 1, jumped), "lane") == pytest.approx(width - 1.2, abs=1e-3)  # nothing to defend there


@pytest.mark.parametrize("name", ["nominal", "lane", "health"])
def test_what_the_camera_gives_is_late_after_its_time_out(name: str) -> None:
    drive = driving()
    ticks(drive, 1)
    kept = getattr(drive.sensors.inputs, name).record
    late = nanoseconds(SAFETY.camera_timeout_s)
    for age, mode in ((late, Mode.NORMAL), (late + 1, Mode.HOLD)):
        fresh = driving()
        ticks(fresh, 1)
        old: Change = lambda inputs, age=age: dataclasses.replace(inputs, **{name: Received(kept, age)})  # type: ignore[misc] # noqa: E731
        if name == "lane":
            fresh = driving()
        assert ticks(fresh, 1, old).mode == mode


def test_gains_are_the_policys_only_while_it_drives_and_they_are_young() -> None:
    """The speed barrier near its limit: the larger the gain, the more force it lets through."""

    def allowed(gain: float, mode: Mode = Mode.NORMAL, change: Change = lambda inputs: inputs) -> float:
        drive = driving(16.1, mode, gains={"speed": gain}, disable=frozenset({"lane", "sight"}))
        return drive.run(30 * PERIOD, (3500.0, 0.0), change).allowed[0]

    default = SAFETY.filter.gain_default
    slow, middle, fast = allowed(0.5), allowed(default), allowed(4.0)
    assert slow < middle < fast
    aged: Change = lambda inputs: dataclasses.replace(inputs, gains=Received(inputs.gains.record, 10**9))  # type: ignore[union-attr] # noqa: E731
    assert allowed(4.0, change=aged) == middle == allowed(0.5, change=aged)
    assert allowed(0.5, change=without("gains")) == middle


def test_a_speed_limit_lowered_while_driving_is_reached_without_braking_hard_and_raised_at_once() -> None:
    drive = driving(12.0, disable=frozenset({"lane", "sight"}))
    drive.run(5 * PERIOD, (3500.0, 0.0))
    drive.supervisor.adjust({"vehicle.speed_max": 8.0})
    begun = drive.run(PERIOD, (3500.0, 0.0))
    assert value(begun, "speed") == pytest.approx(0.0, abs=0.05)
    speeds = [drive.plant.speed]
    for _ in range(8):
        drive.run(0.5, (3500.0, 0.0))
        speeds.append(drive.plant.speed)
    falls = -np.diff(speeds) / 0.5
    assert falls.max() < SAFETY.curve_deceleration + 1.0
    assert speeds[3] < 10.5
    assert speeds[-1] < 8.0
    drive.supervisor.adjust({})
    assert value(drive.run(PERIOD, (3500.0, 0.0)), "speed") > 8.0


def test_a_lower_drive_torque_comes_at_the_torque_rate_and_leaves_the_brakes() -> None:
    drive, driven = driving(3.0), [car().joint_names.index(name) for name in settings().vehicle.driven]

    def torques(seconds: float, force: float = 1e6) -> Floats:
        return drive.run(seconds, (force, 0.0)).command.effort[driven]

    before, step = torques(1.0), settings().vehicle.wheel_effort_rate * PERIOD
    lowered = 0.25 * settings().vehicle.drive_effort_max
    assert before.min() > 2 * lowered
    drive.supervisor.adjust({"vehicle.drive_effort_max": lowered})
    for _ in range(200):
        after = torques(PERIOD)
        assert (before - after).max() <= step * (1 + 1e-9)
        before = after
    assert before == pytest.approx(lowered)
    assert torques(0.5, -1e6).min() < -2 * lowered
    drive.supervisor.adjust({})
    assert torques(1.0).min() > 2 * lowered


def test_the_default_gain_can_change_between_ticks() -> None:
    drive = driving()
    assert drive.supervisor.filter.gain_default == SAFETY.filter.gain_default
    drive.supervisor.adjust({"safety.filter.gain_default": 0.7})
    assert drive.supervisor.filter.row_gains({}) == [0.7] * len(drive.supervisor.filter.gain_index)
    drive.supervisor.adjust({})
    assert drive.supervisor.filter.gain_default == SAFETY.filter.gain_default


def test_what_is_asked_for_next_starts_from_what_was_allowed() -> None:
    drive = driving(0.0, disable=frozenset({"filter"}))
    window = car().force_window(0.0, PERIOD)
    first = drive.run(PERIOD, (9e9, 9.0))
    assert first.allowed[0] == pytest.approx(window[1])
    second = drive.run(PERIOD, (9e9, 9.0))
    assert second.allowed[0] == pytest.approx(car().force_window(window[1], PERIOD)[1])
    turn = car().curvature_rate * PERIOD
    assert (first.allowed[1], second.allowed[1]) == pytest.approx((turn, 2 * turn))
    end = drive.run(1.0, (0.0, 9.0)).allowed[1]
    assert end == pytest.approx(SAFETY.steering_share * car().curvature_max)


def test_without_fresh_joints_the_steering_torque_goes_to_zero() -> None:
    drive = driving()
    drive.run(5 * PERIOD, (0.0, 0.05))
    assert (np.abs(drive.last[:2]) > 10).all()
    late: Change = lambda inputs: dataclasses.replace(inputs, joints=Received(inputs.joints.record, 10**9))  # type: ignore[union-attr] # noqa: E731
    tick = drive.run(30 * PERIOD, (0.0, 0.05), late)
    np.testing.assert_array_equal(tick.command.effort[:2], 0.0)
    assert (tick.command.effort[2:] < 0).all()


@pytest.mark.parametrize("name", ["joints", "odometry", "imu", "points"])
def test_the_speed_is_told_while_no_trusted_sensor_is_at_fault(name: str) -> None:
    drive = driving()
    ticks(drive)
    assert drive.supervisor.speed == pytest.approx(drive.plant.speed, abs=0.2)
    late: Change = lambda inputs: dataclasses.replace(  # noqa: E731
        inputs, **{name: Received(getattr(inputs, name).record, 10**9)}
    )
    drive.run(PERIOD, change=late)
    assert drive.supervisor.speed is None
    drive.run(SAFETY.plausibility.persist_s - PERIOD)
    assert drive.supervisor.speed is None
    drive.run(PERIOD)
    assert drive.supervisor.speed == pytest.approx(drive.plant.speed, abs=0.2)


def hardest() -> float:
    """Deceleration [m/s²] that the grip leaves in the sharpest bend."""
    vehicle = settings().vehicle
    return math.sqrt((SAFETY.traction_share * vehicle.tyre_friction * 9.81) ** 2 - vehicle.lateral_acceleration_max**2)


def test_after_a_fault_the_brakes_do_what_is_guaranteed_on_the_steepest_slope() -> None:
    vehicle = settings().vehicle
    assert hardest() * car().effective_mass > car().loaded_mass * (vehicle.brake_guaranteed + 9.81 * vehicle.slope_max)
    assert Backup(settings(), car()).hardest == pytest.approx(-hardest() * car().effective_mass, rel=1e-3)
    for friction, force in ((0.1, -vehicle.brake_guaranteed * car().loaded_mass), (9.0, car().force_min)):
        slippery = dataclasses.replace(settings(), vehicle=dataclasses.replace(vehicle, tyre_friction=friction))
        assert Backup(slippery, car()).hardest == pytest.approx(force)


def test_a_fault_brakes_and_says_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = driving()
    ticks(drive, 3)

    def fails(*_: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(drive.supervisor._backup, "command", fails)
    monkeypatch.setattr(drive.supervisor, "_wanted", fails)
    tick = ticks(drive)
    force = -hardest() * car().effective_mass
    assert tick.wanted == tick.allowed
    assert tick.wanted[0] == pytest.approx(force, rel=1e-3)
    assert drive.supervisor._state.force == pytest.approx(car().wheel_force(tick.command.effort[2:]))
    assert (tick.mode, tick.barriers, tick.intervened) == (Mode.STOPPING, (), "")
    assert tick.reasons == ("fault in the safety filter: KeyError: 'gone'",)
    assert drive.supervisor.speed is None
    assert drive.supervisor.rung == Rung(Mode.STOPPING, 3 * nanoseconds(PERIOD), tick.reasons, latched=True)
    last = ticks(drive, 80).command
    np.testing.assert_allclose(last.effort, [0.0, 0.0, *car().wheel_efforts(force)], rtol=1e-3, atol=1e-3)
    assert last.names == car().joint_names
    assert drive.supervisor._state.force == pytest.approx(force, rel=1e-3)


def test_a_fault_in_a_bend_leaves_the_wheels_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the joints are told; else the steering torque falls to zero, as without any fault."""
    drive = driving(5.0, disable=frozenset({"lane", "edge", "curve", "sight"}))
    drive.run(0.8, (0.0, 0.05))
    held = drive.plant.steer.copy()
    assert held.min() > 0.1

    def fails(*_: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(drive.supervisor, "_move", fails)
    tick = ticks(drive, 40)
    assert tick.allowed[1] == drive.supervisor._state.curvature
    np.testing.assert_allclose(drive.plant.steer, held, atol=0.01)
    late: Change = lambda inputs: dataclasses.replace(inputs, joints=Received(inputs.joints.record, 10**9))  # type: ignore[union-attr] # noqa: E731
    for change in (without("joints"), late, instead("joints", velocity=np.full(6, math.nan))):
        np.testing.assert_array_equal(ticks(drive, 10, change).command.effort[:2], 0.0)
        ticks(drive, 2)


@pytest.mark.parametrize("part", ["_actuation.efforts", "_watchdog.sound"])
def test_a_fault_that_takes_the_servo_along_lets_the_steering_torque_fall(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = driving(5.0)
    drive.run(5 * PERIOD, (0.0, 0.05))
    assert (np.abs(drive.last[:2]) > 10).all()

    def fails(*_: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr(drive.supervisor._surroundings, "look", fails)
    owner, name = part.split(".")
    monkeypatch.setattr(getattr(drive.supervisor, owner), name, fails)
    last = ticks(drive, 80).command.effort
    np.testing.assert_allclose(last, [0, 0, *car().wheel_efforts(-hardest() * car().effective_mass)], rtol=1e-3)


def test_hard_braking_where_a_trusted_input_is_out_or_the_stop_was_ordered() -> None:
    def braking(change: Change = lambda inputs: inputs, latched: bool = False) -> float:
        drive = driving(10.0, Mode.STOPPING)
        drive.supervisor.rung = drive.supervisor.rung._replace(latched=latched)
        drive.supervisor._motion._expected = 10.0  # as if it had been watched until here
        return -drive.run(3 * PERIOD, change=change).wanted[0] / car().loaded_mass

    hard = settings().vehicle.brake_guaranteed
    assert braking() == pytest.approx(LADDER.stop_deceleration, abs=0.05)
    assert braking(without("imu")) == pytest.approx(hard, abs=0.05)
    assert braking(latched=True) == pytest.approx(hard, abs=0.05)
    assert braking(without("nominal")) == pytest.approx(min(LADDER.blind_deceleration, hard), abs=0.05)


def test_the_lane_that_is_remembered_ends() -> None:
    """Driven past the last knot and its reach, or drifted beyond what is trusted: no row."""
    reach, last = SAFETY.lane.reach_m, settings().perception.preview_m[-1]

    def after(metres: float, **lane: object) -> float:
        drive = driving(10.0, Mode.STOPPING)
        ticks(drive, 1, instead("lane", **lane) if lane else lambda inputs: inputs)
        gone: Change = lambda inputs: dataclasses.replace(  # noqa: E731
            without("lane", "nominal", "health")(inputs),
            odometry=Received(Odometry(nanoseconds(0.005 + 0.1), metres, 0.0, 0.0, 10.0, 0.0), 0),
        )
        tracker = drive.supervisor._tracker
        assert tracker._now is not None
        tracker._now.along = metres
        return value(ticks(drive, 1, gone), "lane")

    assert math.isfinite(after(last + reach - 2.0))
    assert math.isinf(after(last + reach + 0.5))
    unknown = np.array([math.inf, 0.02, 0.01, 0.01, 0.01, 0.01])
    assert math.isinf(after(0.0, bound=unknown))


def test_things_are_seen_from_where_the_car_is_between_two_scans() -> None:
    wall = np.array([[40.0, -1.0, 40.0, 1.0]])
    drive = driving(8.0, walls=wall)
    first = value(ticks(drive), "distance")
    for _ in range(8):
        tick = ticks(drive)
        assert value(tick, "distance") < first
    driven = drive.plant.x
    assert first - value(tick, "distance") == pytest.approx(driven, abs=0.5)
    assert math.isinf(value(ticks(driving(8.0)), "distance"))
    assert math.isinf(value(ticks(driving(8.0), change=without("points")), "distance"))


def test_no_solution_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = driving()
    ticks(drive, 2)
    assert drive.tick is not None
    assert drive.tick.reasons == ()
    lateral = next(part for part in drive.supervisor.filter.barriers if part.name == "lateral")

    def broken(_: object, rows: object) -> float:
        rows.set(0, math.nan, 0.0, 0.0)  # type: ignore[attr-defined]
        return 0.0

    monkeypatch.setattr(lateral, "fill", broken)
    tick = ticks(drive)
    assert tick.reasons == ("the programme had no solution (failed)",)
    assert tick.solve.status == "failed"
    assert [(row.barrier, row.row) for row in tick.rows if math.isnan(row.slack)] == [("lateral", 0)]
    assert tick.allowed[0] < drive.tick.wanted[0]
