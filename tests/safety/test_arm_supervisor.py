# SPDX-License-Identifier: Apache-2.0
"""The arm's ladder in closed loop with the arm in MuJoCo: what leads to which rung, how soon, and what moves then."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from arm_loop import PERIOD, QUICK, ArmLoop

from tidegate.errors import SettingsError
from tidegate.records import Command, Floats, JointStates, Mode, Received
from tidegate.safety.arm import ArmSupervisor
from tidegate.simulation.arm import ArmTruth

LADDER = QUICK.safety.ladder
ONE = PERIOD / 1e9


def swinging(time: float, truth: ArmTruth) -> Floats:
    """Torques that swing several joints to and fro, with some tenths of rad/s."""
    return MADE.dynamics.gravity(truth.position) + np.array([20.0, 15.0, 12.0, 10.0, 5.0, 3.0, 2.0]) * math.sin(
        8 * time
    )


MADE = ArmSupervisor(QUICK).guard


def moving(made: ArmLoop) -> ArmLoop:
    """Released and swinging: at a moment at which a joint is fast."""
    made.wish = swinging
    made.released()
    made.run(0.3)
    while np.abs(made.truth.velocity).max() < 0.5:
        assert made.tick().mode == Mode.NORMAL
        assert made.ticks < 2000
    return made


def test_nobody_is_told_anything_before_joint_states_were_seen() -> None:
    loop = ArmLoop(joints=lambda record: None)
    told = loop.run(0.2)
    assert told.command is None
    assert told.mode == Mode.STOPPED
    assert "joints never arrived" in told.reasons
    loop.joints = lambda record: record
    measured = loop.torque
    first = loop.tick()
    assert first.command is not None
    np.testing.assert_array_equal(first.command.effort, measured, "joint states that follow none may be anything")
    second = loop.tick()
    assert second.command is not None
    np.testing.assert_allclose(second.command.effort, loop.gravity(), atol=1e-3)


def test_drives_that_measure_no_torques_are_sent_none_before_a_second_record() -> None:
    loop = ArmLoop(joints=lambda record: dataclasses.replace(record, effort=record.effort * math.nan))
    assert loop.tick().command is None
    assert loop.tick().command is not None


def once_wrong(after: int, column: str, by: float) -> Callable[[JointStates], JointStates]:
    """Sound joint states but for one sample of one joint, after so many others."""
    seen = iter(range(10**6))

    def joints(record: JointStates) -> JointStates:
        off = by * np.eye(7)[1] * (next(seen) == after)
        return dataclasses.replace(record, **{column: getattr(record, column) + off})

    return joints


@pytest.mark.parametrize(
    ("column", "by"), [("velocity", 0.6), ("velocity", 2.0), ("velocity", 500.0), ("position", 0.5)]
)
def test_a_first_sample_that_is_wrong_moves_nothing(column: str, by: float) -> None:
    """It was believed, the right ones after it were not, and the model braked an arm that stood: 3.1 rad/s for 2."""
    loop = ArmLoop(joints=once_wrong(0, column, by))
    assert loop.run(0.5).command is not None
    assert max(np.abs(one.velocity).max() for one in loop.seen) < 0.01


def test_nor_does_the_first_sample_after_a_gap() -> None:
    loop = ArmLoop()
    loop.released()
    loop.joints = silent
    loop.run(LADDER.joints_timeout_s + 0.01)
    loop.joints = once_wrong(0, "velocity", 2.0)
    loop.run(2 * LADDER.persist_s + 0.2)
    assert max(np.abs(one.velocity).max() for one in loop.seen) < 0.01
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL


def test_it_starts_stopped_holds_the_arm_and_waits_for_a_reset() -> None:
    loop = ArmLoop()
    before = loop.truth.position
    assert loop.run(0.3).mode == Mode.STOPPED
    assert np.abs(loop.truth.position - before).max() < 1e-3
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL


def test_torques_inside_all_limits_are_followed_as_they_are() -> None:
    loop = ArmLoop()
    loop.released()
    told = loop.run(0.1)
    np.testing.assert_allclose(told.command.effort, told.wanted, atol=1e-9)  # type: ignore[union-attr]
    assert told.intervened == ""


def test_a_reset_without_anybody_who_asks_for_torques_is_refused_and_says_why() -> None:
    loop = ArmLoop(wish=lambda time, truth: None)
    loop.run(0.3)
    told = loop.tick(reset_requested=True)
    assert told.mode == Mode.STOPPED
    assert "nominal never arrived" in told.reasons


def test_a_wish_that_is_late_is_held_then_stopped_and_only_a_reset_leads_out() -> None:
    loop = moving(ArmLoop())
    loop.wish = lambda time, truth: None
    assert loop.until(Mode.HOLD, 1.0) <= LADDER.nominal_timeout_s + ONE
    loop.wish = swinging
    assert loop.tick().mode == Mode.NORMAL
    loop.wish = lambda time, truth: None
    loop.until(Mode.HOLD, 1.0)
    assert loop.until(Mode.STOPPED, 3.0) <= LADDER.hold_s + LADDER.standstill_s + ONE
    assert np.abs(loop.truth.velocity).max() < LADDER.standstill_speed
    loop.wish = swinging
    assert loop.run(0.2).mode == Mode.STOPPED
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL
    loop.inside()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_wish_that_is_no_number_is_none(value: float) -> None:
    loop = moving(ArmLoop())
    loop.wish = lambda time, truth: np.full(7, value)
    assert loop.until(Mode.HOLD, 1.0) <= LADDER.nominal_timeout_s + ONE
    loop.inside()


def test_while_it_is_held_the_arm_brakes_and_stays() -> None:
    loop = moving(ArmLoop())
    loop.wish = lambda time, truth: None
    loop.until(Mode.HOLD, 1.0)
    loop.run(0.4)
    where = loop.truth.position
    told = loop.run(0.4)
    assert told.mode == Mode.HOLD
    assert np.isnan(told.wanted).all()
    assert np.abs(loop.truth.position - where).max() < 2e-3
    loop.inside()


@pytest.mark.parametrize("payload", [0.0, 0.5, 2.25])
def test_a_stopped_arm_stands_under_a_load_that_the_model_does_not_know(payload: float) -> None:
    """By damping alone it crept at up to 0.05 rad/s, faster than what counts as standing, and was never STOPPED."""
    loop = ArmLoop(payload=payload)
    loop.run(0.5)
    moving(loop)
    loop.tick(stop_requested=True)
    loop.until(Mode.STOPPED, 1.0)
    loop.run(0.2)
    where = loop.truth.position
    loop.run(1.0)
    assert np.abs(loop.truth.position - where).max() < 2e-3
    assert np.abs(loop.truth.velocity).max() < 2e-3


def test_a_stopped_arm_whose_joint_states_end_is_left_to_its_drives() -> None:
    """The model does not know what hangs at it: by that alone it would sink for as long as it is held."""
    loop = ArmLoop(payload=0.5)
    loop.released()
    loop.joints = silent
    loop.until(Mode.STOPPED, 2.0)
    told = loop.run(0.1)
    assert (told.command, told.mode) == (None, Mode.STOPPED)
    assert "joints is late" in " ".join(told.reasons)
    held, loop.joints = loop.torque, lambda record: record
    loop.tick()
    first = loop.tick()
    assert first.command is not None
    np.testing.assert_allclose(first.command.effort, held, atol=3)
    assert loop.run(LADDER.persist_s + 0.2).mode == Mode.STOPPED
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL
    loop.inside()


def silent(record: JointStates) -> None:
    return None


def nothing(record: JointStates) -> JointStates:
    return dataclasses.replace(record, velocity=record.velocity * math.nan)


def impossible(record: JointStates) -> JointStates:
    return dataclasses.replace(record, position=record.position + 1e6)


def others(record: JointStates) -> JointStates:
    return dataclasses.replace(record, names=tuple(f"other_{name}" for name in record.names))


def leaping(record: JointStates) -> JointStates:
    return dataclasses.replace(record, position=record.position + np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]))


def still(record: JointStates) -> JointStates:
    """Velocities that stick at zero, while positions move."""
    return dataclasses.replace(record, velocity=0 * record.velocity)


class Frozen:
    """The first record for good, with stamps that go on."""

    def __init__(self) -> None:
        self.kept: JointStates | None = None

    def __call__(self, record: JointStates) -> JointStates:
        self.kept = self.kept or record
        return dataclasses.replace(self.kept, stamp=record.stamp)


def moved(loop: ArmLoop) -> float:
    """How far any joint went, since the loop began [rad]."""
    return max(float(np.abs(one.position - loop.seen[0].position).max()) for one in loop.seen)


def test_an_arm_that_stands_beyond_a_limit_is_held_there_and_not_released() -> None:
    """Its rows threw it back inside, at 1.8 rad/s, STOPPED and with nobody who had asked for anything."""
    loop = ArmLoop()
    place = np.where(np.arange(7) == 0, loop.arm.upper + 0.3, loop.truth.position)
    loop.truth = loop.world.place(place, np.zeros(7))
    loop.torque = loop.gravity()
    loop.run(0.5)
    assert moved(loop) < 1e-3
    told = loop.tick(reset_requested=True)
    assert told.mode == Mode.STOPPED
    assert "joint_1 is at 3.20 rad, outside of -2.90 to 2.90" in told.reasons
    assert {barrier.name for barrier in told.barriers if barrier.relaxed} == {"position"}


@pytest.mark.parametrize("by", [0.5, 3.4])
def test_an_encoder_that_leaps_moves_no_arm_that_stands(by: float) -> None:
    """Where it was to stand was far off then, and what it came to by that a row threw back: 0.9 rad, at 2.2 rad/s."""
    loop = ArmLoop()
    loop.run(0.2)
    loop.joints = lambda record: dataclasses.replace(record, position=record.position + by * (np.arange(7) == 0))
    told = loop.run(2 * LADDER.persist_s + 0.5)
    assert told.mode == Mode.STOPPED
    assert told.command is not None
    assert moved(loop) < 2e-3


def test_a_tool_that_stands_in_a_clearance_is_left_there_and_not_released() -> None:
    surface = dataclasses.replace(QUICK.safety.surface, offset=0.3, clearance=0.2)
    loop = ArmLoop(dataclasses.replace(QUICK, safety=dataclasses.replace(QUICK.safety, surface=surface)))
    loop.run(0.5)
    assert moved(loop) < 2e-3
    told = loop.tick(reset_requested=True)
    assert told.mode == Mode.STOPPED
    assert "the tool is 0.10 m from the surface, its clearance is 0.20 m" in told.reasons


def test_joint_states_that_freeze_at_rest_are_found_too() -> None:
    loop = ArmLoop()
    loop.released()
    loop.joints = Frozen()
    assert loop.until(Mode.STOPPING, 1.0) <= LADDER.frozen_s + 2 * ONE
    assert "joints are frozen: the same to the last digit" in " ".join(loop.told[-1].reasons)


def test_velocities_that_stick_at_zero_from_the_start_are_found_once_the_arm_moves_and_it_is_braked() -> None:
    loop = ArmLoop(joints=still)
    loop.released()
    loop.wish = swinging
    loop.until(Mode.STOPPING, 2.0)
    assert np.abs(loop.truth.velocity).max() < 1.5
    loop.run(0.4)
    assert np.abs(loop.truth.velocity).max() < 0.3


@pytest.mark.parametrize(
    ("fault", "within", "words"),
    [
        (silent, LADDER.joints_timeout_s, "joints is late"),
        (nothing, LADDER.joints_timeout_s, "joints is not usable"),
        (impossible, LADDER.joints_timeout_s, "joints is not usable"),
        (others, LADDER.joints_timeout_s, "joints is not usable"),
        (Frozen(), LADDER.frozen_s, "leave their velocities"),
        (leaping, 0.0, "leave their velocities"),
        (still, 0.0, "velocities change by"),
    ],
)
def test_joint_states_that_are_not_those_of_the_arm_stop_it_in_time(
    fault: Callable[[JointStates], JointStates | None], within: float, words: str
) -> None:
    """And it is braked though nobody tells where it is: the model does, with the torques that were sent."""
    loop = moving(ArmLoop())
    loop.joints = fault
    assert loop.until(Mode.STOPPING, 1.0) <= within + 2 * ONE
    assert words in " ".join(loop.told[-1].reasons)
    loop.run(0.4)
    assert np.abs(loop.truth.velocity).max() < 0.15
    loop.run(LADDER.blind_stop_s)
    loop.joints = lambda record: record
    assert loop.run(LADDER.persist_s + 0.8).mode == Mode.STOPPED  # latched
    assert np.abs(loop.truth.velocity).max() < LADDER.standstill_speed
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL
    loop.inside()


def test_joint_states_that_come_too_seldom_stop_it() -> None:
    loop = moving(ArmLoop())
    loop.joints = lambda record: record if loop.ticks % 8 == 0 else None
    loop.until(Mode.STOPPING, 1.0)
    assert "too seldom" in " ".join(loop.told[-1].reasons)


def test_one_lost_record_in_three_is_bridged_by_the_model() -> None:
    loop = moving(ArmLoop())
    loop.joints = lambda record: None if loop.ticks % 3 == 0 else record
    assert loop.run(0.5).mode == Mode.NORMAL
    loop.inside()


def test_records_that_are_old_are_moved_on_by_their_age() -> None:
    """By the model: what the filter sees is nearer to the truth than what was measured two periods ago."""
    loop = moving(ArmLoop())
    old = [loop.truth, loop.truth]
    measured, seen = [], []
    for _ in range(100):
        made, then = loop.inputs(), old[-2]
        joints = JointStates(loop.now - 2 * PERIOD, loop.arm.joint_names, then.position, then.velocity, loop.torque)
        told = loop.supervisor.tick(dataclasses.replace(made, joints=Received(joints, 2 * PERIOD)))
        place = loop.supervisor._place
        assert place is not None
        measured.append(np.abs(then.velocity - loop.truth.velocity).max())
        seen.append(np.abs(place.velocity - loop.truth.velocity).max())
        old.append(loop.truth)
        for _ in range(loop.world.substeps):
            loop.truth = loop.world.step(told.command.effort)  # type: ignore[union-attr]
        loop.now += PERIOD
        loop.ticks += 1
    assert np.mean(seen) < 0.5 * np.mean(measured)


def test_encoders_without_noise_may_stand_still_where_that_is_told() -> None:
    safety = dataclasses.replace(QUICK.safety, ladder=dataclasses.replace(LADDER, frozen_s=0.0))
    loop = ArmLoop(dataclasses.replace(QUICK, safety=safety))
    loop.released()
    loop.joints = Frozen()
    assert loop.run(0.5).mode == Mode.NORMAL


def test_a_filter_that_was_held_up_stops_and_begins_where_the_actuators_hold_the_arm() -> None:
    loop = ArmLoop()
    loop.released()
    loop.run(0.1)
    loop.now += 500_000_000
    told = loop.tick()
    assert told.mode == Mode.STOPPING
    assert "no tick for 0.50 s" in told.reasons
    assert loop.run(0.3).mode == Mode.STOPPED
    loop.inside()


def test_a_system_clock_that_is_set_forward_is_no_pause_in_which_the_actuators_held_the_arm() -> None:
    """It was: of drives that measure no torques the last ones were taken for gravity's, and torques leapt."""
    loop = ArmLoop(joints=lambda record: dataclasses.replace(record, effort=record.effort * math.nan))
    loop.wish = lambda time, truth: loop.gravity() + 40 * math.copysign(1, math.sin(8 * time))
    loop.released()
    loop.run(0.1)
    for _ in range(10):
        loop.set_forward += 60_000_000
        assert loop.run(0.04).mode == Mode.NORMAL
    loop.inside()


def test_time_that_runs_backwards_stops_it() -> None:
    loop = ArmLoop()
    loop.released()
    loop.now -= 4_000_000
    assert loop.tick().mode == Mode.STOPPING


@pytest.mark.parametrize("asked", ["emergency_stop", "emergency_silent", "stop_requested"])
def test_a_stop_that_is_asked_for_brakes_and_latches(asked: str) -> None:
    loop = moving(ArmLoop())
    assert loop.tick(**{asked: True}).mode == Mode.STOPPING
    loop.until(Mode.STOPPED, 1.0)
    assert loop.run(0.3).mode == Mode.STOPPED
    loop.inside()


def test_a_fault_inside_holds_the_arm_until_a_reset() -> None:
    loop = ArmLoop()
    loop.released()
    whole, loop.supervisor.guard.filter = loop.supervisor.guard.filter, None  # type: ignore[assignment]
    told = loop.run(0.2)
    assert told.mode == Mode.STOPPING
    assert "fault in the safety filter" in told.reasons[0]
    assert np.abs(loop.truth.velocity).max() < 0.1
    loop.supervisor.guard.filter = whole
    loop.until(Mode.STOPPED, 1.0)
    assert loop.tick(reset_requested=True).mode == Mode.NORMAL
    loop.inside()


def test_a_fault_before_the_joints_were_looked_at_brakes_by_the_model_and_then_leaves_the_arm_to_its_drives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was braked from the velocity that was seen last for as long as the fault lasted: to 24 rad/s."""

    def fails(*_: object) -> None:
        raise IndexError("nothing is looked at")

    loop = moving(ArmLoop())
    monkeypatch.setattr(loop.supervisor._watchdog, "check", fails)
    loop.run(0.4)
    assert np.abs(loop.truth.velocity).max() < 0.15
    loop.run(LADDER.blind_stop_s)
    told = loop.run(0.1)
    assert (told.command, told.mode) == (None, Mode.STOPPING)
    loop.inside()


def test_a_fault_in_the_dynamics_too_leaves_the_torques_that_held_the_arm_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no dynamics")

    loop = ArmLoop()
    loop.released()
    held, given = loop.torque, loop.inputs()
    monkeypatch.setattr(loop.supervisor.guard, "dynamics", fails)
    told = loop.supervisor.tick(given)
    assert told.mode == Mode.STOPPING
    assert "fault in the safety filter: ZeroDivisionError: no dynamics" in told.reasons
    assert told.command is not None
    np.testing.assert_allclose(told.command.effort, held, atol=0.5)


def test_torques_that_no_programme_gave_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = ArmLoop()
    loop.released()
    whole = loop.supervisor.guard.filter
    monkeypatch.setattr(loop.supervisor.guard, "filter", lambda *given: whole(*given)._replace(solved=False))
    told = loop.run(0.01)
    assert told.mode == Mode.NORMAL
    assert told.reasons == ("the programme had no solution",)
    assert not told.solve.solved


def test_a_filter_that_was_held_up_without_joint_states_takes_the_arm_to_stand_where_it_was_seen_last() -> None:
    loop = moving(ArmLoop())
    loop.joints = silent
    loop.now += 500_000_000
    told = loop.tick()
    place = loop.supervisor._place
    assert told.mode == Mode.STOPPING
    assert place is not None
    assert np.abs(place.velocity).max() == 0
    assert told.command is not None


@pytest.mark.parametrize("column", ["position", "velocity", "effort"])
def test_joint_states_with_a_column_that_is_too_short_are_none(column: str) -> None:
    loop = ArmLoop(joints=lambda record: dataclasses.replace(record, **{column: getattr(record, column)[:-1]}))
    told = loop.run(0.1)
    assert told.command is None
    assert "joints is not usable" in " ".join(told.reasons)


def test_joints_may_come_in_another_order_with_fingers_between() -> None:
    def mixed(record: JointStates) -> JointStates:
        order = [3, 1, 0, 2, 6, 5, 4]
        names = ("finger", *(record.names[index] for index in order))
        columns = (np.append(9.9, column[order]) for column in (record.position, record.velocity, record.effort))
        return JointStates(record.stamp, names, *columns)

    plain, other = ArmLoop(), ArmLoop(joints=mixed)
    for loop in (plain, other):
        moving(loop)
    assert [one.mode for one in plain.told] == [one.mode for one in other.told]
    np.testing.assert_array_equal(plain.torque, other.torque)


def test_a_wish_in_another_order_is_the_same_wish_and_one_that_lacks_a_joint_is_none() -> None:
    loop = ArmLoop()
    loop.released()
    made = loop.inputs()
    names, wanted = loop.arm.joint_names, loop.gravity()
    turned = Received(Command(loop.now, names[::-1], wanted[::-1]), 0)
    told = loop.supervisor.tick(dataclasses.replace(made, nominal=turned))
    np.testing.assert_array_equal(told.wanted, wanted)
    short = Received(Command(loop.now, names[:-1], wanted[:-1]), 0)
    loop.now += PERIOD
    loop.supervisor.tick(dataclasses.replace(loop.inputs(), nominal=short))
    assert "not usable" in loop.supervisor._watchdog._inputs["nominal"].fault  # dropped; the one before stays


@pytest.mark.slow
def test_hostile_torques_through_the_whole_supervisor_break_no_limit() -> None:
    rng = np.random.default_rng(1000)
    loop = ArmLoop(wish=lambda time, truth: rng.uniform(-1.5, 1.5, 7) * loop.arm.effort)
    loop.released()
    assert loop.run(3.0).mode == Mode.NORMAL
    loop.inside()


def test_a_barrier_that_is_none_cannot_be_left_out() -> None:
    with pytest.raises(SettingsError, match=r"cannot disable 'lane'; an arm's parts are .*position"):
        ArmSupervisor(QUICK, disable=frozenset({"lane"}))
