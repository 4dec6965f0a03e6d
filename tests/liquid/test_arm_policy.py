# SPDX-License-Identifier: Apache-2.0
"""An arm's policy in the graph: the torques of an evaluated episode, in whatever order records come; silence without
pictures; nothing for what is not its arm's."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.errors import RobotError
from tidegate.evaluation.arm_asked import ToolDriver
from tidegate.evaluation.arm_pilot import ArmPilot
from tidegate.liquid.arm_policy import ArmPolicy, Made
from tidegate.perception.sight import Sight
from tidegate.records import Command, Features, JointStates, Neurons, UsedInputs, Wrench, nanoseconds
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmTask, ArmTruth, make_arm_scene

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
PERIOD = nanoseconds(1 / SETTINGS.safety.rate_hz)
FRAME = nanoseconds(1 / SETTINGS.camera.rate_hz)


def untrained(settings: ArmSettings = SETTINGS) -> Bundle:
    """One that goes down and presses."""
    stack = ArmStack(settings, 3000)
    with torch.no_grad():
        stack.policy.output_bias += torch.tensor([0.3, -0.2, -3.0, 0.9])
    return stack.to_bundle("arm-test")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return untrained()


def exact(name: str, seed: int) -> ArmTask:
    """A scene whose joints are measured without error."""
    limits = dataclasses.replace(SETTINGS.safety.limits, position_error=0.0, velocity_error=0.0)
    safety = dataclasses.replace(SETTINGS.safety, limits=limits)
    return make_arm_scene(name, dataclasses.replace(SETTINGS, safety=safety), seed)


def joints(truth: ArmTruth, stamp: int) -> JointStates:
    names = SETTINGS.arm.joints
    return JointStates(stamp, names, truth.position, truth.velocity, np.zeros(len(names)))


def at_rest(stamp: int) -> JointStates:
    names, start = SETTINGS.arm.joints, np.array(SETTINGS.simulator.start)
    return JointStates(stamp, names, start, np.zeros(len(names)), np.zeros(len(names)))


def wrench(stamp: int, force: float = 0.0) -> Wrench:
    return Wrench(stamp, np.array([0.0, 0.0, -force]), np.zeros(3), SETTINGS.arm.tool)


def features(stamp: int) -> Features:
    return Features(stamp, np.linspace(0.2, 0.5, 8).astype(np.float32))


def commands(made: Iterator[Made]) -> list[Command]:
    return [one for one in made if isinstance(one, Command)]


def test_in_lock_step_it_asks_for_the_torques_of_an_evaluated_episode(bundle: Bundle) -> None:
    """The same pictures and joints to both; where the surface presses, the first has its force and the second a wrench
    in the tool's axes."""
    task = exact("press", 3001)
    camera = task.settings.camera
    pilot, sight = ArmPilot(bundle, task.settings), Sight(bundle)
    pictures = []  # no two are the same, for they have noise
    driver = ToolDriver(task, lambda truth, senses: pilot(pictures[-1], senses))
    policy, truth = ArmPolicy(bundle, task.settings, lock_step=True), task.begin()
    touched = 0
    for tick in range(1000):
        now = tick * PERIOD
        list(policy.touch(Wrench(now, task.push(truth), np.zeros(3), task.arm.tool)))
        if now % FRAME == 0:
            list(policy.request(Wrench(now, -task.goal().force * task.goal().normal, np.zeros(3))))
            pictures.append(task.image(camera.width, camera.height, "closer"))
            list(policy.see(Features(now, sight(pictures[-1]))))
        (asked,) = commands(policy.move(joints(truth, now)))
        torque = driver.act(truth)
        assert asked.stamp == now
        np.testing.assert_allclose(asked.effort, torque, rtol=0, atol=2e-3 if truth.force > 0 else 1e-9)
        touched += truth.force > 0
        for _ in range(task.substeps):
            truth = task.step(np.clip(torque, -task.arm.effort, task.arm.effort))
    task.close()
    assert touched > 20


def test_in_whatever_order_records_of_a_round_come_the_torques_are_the_same(bundle: Bundle) -> None:
    found = set()
    for order in itertools.permutations(("touch", "request", "see", "move")):
        policy = ArmPolicy(bundle, SETTINGS, lock_step=True)
        torques = []
        for tick in range(45):
            now = tick * PERIOD
            given: dict[str, Any] = {"touch": wrench(now, 3.0), "move": at_rest(now)}
            if now % FRAME == 0:
                given |= {"see": features(now), "request": wrench(now, 7.0)}
            steps = [getattr(policy, kind)(given[kind]) for kind in order if kind in given]
            told = [command for made in steps for command in commands(made)]
            assert [command.stamp for command in told] == [now]
            torques.append(told[0].effort)
        found.add(np.array(torques).tobytes())
    assert len(found) == 1


def test_in_lock_step_it_waits_for_the_picture_whose_answer_acts_and_no_longer(bundle: Bundle) -> None:
    policy, latency = ArmPolicy(bundle, SETTINGS, lock_step=True), nanoseconds(SETTINGS.camera.latency_s)
    list(policy.request(wrench(0, 7.0)))
    for now in range(0, latency, PERIOD):
        list(policy.touch(wrench(now)))
        assert len(commands(policy.move(at_rest(now)))) == 1
    list(policy.touch(wrench(latency)))
    assert not list(policy.move(at_rest(latency)))
    neurons, seen, command, asked = policy.see(features(0))
    assert (type(neurons), type(command)) == (Neurons, Command)
    assert (neurons.stamp, command.stamp) == (0, latency)
    assert seen == UsedInputs(0, {"features": (0, 0), "wrench_request": (0, 0)}, {})
    assert asked == UsedInputs(latency, {"joints": (latency, 0), "wrench": (latency, 0)}, {})


def test_in_real_time_it_is_silent_before_the_first_picture_and_some_time_after_the_last(bundle: Bundle) -> None:
    policy, longest = ArmPolicy(bundle, SETTINGS), nanoseconds(SETTINGS.policy.dt_max_s)
    assert list(policy.move(at_rest(0))) == [UsedInputs(0, {"joints": (0, 0), "wrench": None}, {})]
    assert [type(one) for one in policy.see(features(0))] == [Neurons, UsedInputs]
    for now, heard in ((PERIOD, 1), (longest, 1), (longest + PERIOD, 0)):
        assert len(commands(policy.move(at_rest(now)))) == heard
    list(policy.see(features(longest + PERIOD)))
    assert len(commands(policy.move(at_rest(longest + 2 * PERIOD)))) == 1


@pytest.mark.parametrize("late", [False, True])
def test_a_clock_that_was_set_back_makes_no_old_answer_young(bundle: Bundle, late: bool) -> None:
    """Whether the answer had acted already or not."""
    policy, before = ArmPolicy(bundle, SETTINGS), 10**12
    list(policy.move(at_rest(before)))
    list(policy.see(features(before + PERIOD)))
    if late:
        assert len(commands(policy.move(at_rest(before + PERIOD)))) == 1
    assert not commands(policy.move(at_rest(0)))
    list(policy.see(features(FRAME)))
    assert len(commands(policy.move(at_rest(FRAME)))) == 1


def test_a_picture_of_which_nothing_is_known_changes_nothing_but_keeps_nobody_asking(bundle: Bundle) -> None:
    policy = ArmPolicy(bundle, SETTINGS)
    list(policy.move(at_rest(0)))
    list(policy.see(features(0)))
    for now in range(PERIOD, nanoseconds(SETTINGS.policy.dt_max_s) + 2 * PERIOD, PERIOD):
        last = commands(policy.move(at_rest(now)))
        if now % FRAME == 0:
            made = policy.see(Features(now, np.full(8, np.nan, np.float32)))
            assert [type(one) for one in made] == [UsedInputs]
    assert not last


def test_joints_are_taken_by_their_names(bundle: Bundle) -> None:
    torques = []
    for turned in (False, True):
        policy = ArmPolicy(bundle, SETTINGS, lock_step=True)
        list(policy.touch(wrench(0)))
        record = at_rest(0)
        if turned:
            backward = slice(None, None, -1)
            names = (*record.names[::-1], "finger")
            values = [np.append(part[backward], 9.0) for part in (record.position, record.velocity, record.effort)]
            record = JointStates(0, names, *values)
        (command,) = commands(policy.move(record))
        assert command.names == SETTINGS.arm.joints
        torques.append(command.effort)
    np.testing.assert_array_equal(*torques)


def test_joint_states_without_a_joint_are_refused_and_ones_without_numbers_leave_no_trace(bundle: Bundle) -> None:
    policy, record = ArmPolicy(bundle, SETTINGS, lock_step=True), at_rest(0)
    with pytest.raises(RobotError, match="joint_states do not name 'joint_7'; the arm has joint_1, "):
        policy.move(dataclasses.replace(record, names=record.names[:6]))
    list(policy.touch(wrench(0)))
    assert not list(policy.move(dataclasses.replace(record, velocity=np.full(7, np.nan))))
    (command,) = commands(policy.move(record))
    assert np.isfinite(command.effort).all()


@pytest.mark.parametrize(
    "wrong",
    [Wrench(0, np.zeros(3), np.zeros(3), "wrist"), Wrench(0, np.array([0, 0, np.inf]), np.zeros(3), "tool")],
)
def test_a_wrench_in_unknown_axes_or_without_numbers_is_refused(bundle: Bundle, wrong: Wrench) -> None:
    policy = ArmPolicy(bundle, SETTINGS)
    with pytest.raises(RobotError, match=r"wrench is \[.*\] N in the axes of '(wrist|tool)'; it must be .* 'tool'"):
        policy.touch(wrong)
    if not np.isfinite(wrong.force).all():
        with pytest.raises(RobotError, match=r"wrench_request is \[.*\] N; it must be numbers"):
            policy.request(wrong)


def test_forgotten_it_begins_as_it_began(bundle: Bundle) -> None:
    policy = ArmPolicy(bundle, SETTINGS)
    runs = []
    for _ in range(2):
        policy.reset()
        list(policy.move(at_rest(0)))
        list(policy.see(features(0)))
        runs.append(commands(policy.move(at_rest(PERIOD)))[0].effort)
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("lock_step", [True, False])
def test_answers_are_repeated_by_what_they_were_made_of_whatever_else_was_heard_and_when(
    bundle: Bundle, lock_step: bool
) -> None:
    """Records come late, twice, and from the future; a tenth of the wrenches never."""
    random = np.random.default_rng(1)
    policy, again = (ArmPolicy(bundle, SETTINGS, lock_step=lock_step) for _ in range(2))
    given: dict[str, dict[int, Any]] = {"wrench": {}, "wrench_request": {}, "features": {}, "joints": {}}
    hear = {"wrench": policy.touch, "wrench_request": policy.request, "features": policy.see, "joints": policy.move}
    made: list[Made] = []
    for tick in range(150):
        now = tick * PERIOD
        new: dict[str, Any] = {"wrench": wrench(now, random.uniform(0, 9)), "joints": at_rest(now)}
        if now % FRAME == 0:
            new |= {"features": features(now), "wrench_request": wrench(now, random.uniform(1, 9))}
        for name in random.permutation(list(new)):
            given[name][now] = new[name]
            if lock_step or name != "wrench" or random.random() > 0.1:
                late = random.random() < 0.3 and not lock_step and now
                made += hear[name](given[name][random.choice(list(given[name]))] if late else new[name])
    repeated: list[Made] = []
    for used in made:
        if isinstance(used, UsedInputs):
            repeated += again.repeat({name: given[name][of[0]] for name, of in used.inputs.items() if of is not None})
    assert len(commands(iter(made))) > 100
    assert [type(one) for one in repeated] == [type(one) for one in made]
    for one, other in zip(made, repeated, strict=True):
        if isinstance(one, Command):
            np.testing.assert_array_equal(one.effort, other.effort)
        elif isinstance(one, Neurons):
            np.testing.assert_array_equal(one.values, other.values)
        else:
            assert one == other
