# SPDX-License-Identifier: Apache-2.0
"""The arm as its drivers show it: what they say, what they take, and what they do when nobody commands them."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.errors import RobotError, SceneError
from tidegate.records import Command, Floats, nanoseconds
from tidegate.settings.arm import arm_settings_from, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm.plant import ArmPlant

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))


def asked(plant: ArmPlant, torque: Floats) -> None:
    plant.apply(Command(plant.now, plant.arm.joint_names, torque))


def pushed(plant: ArmPlant, periods: int) -> None:
    """Each torque a little more than what holds the arm."""
    torque = plant.observe().joints.effort
    for _ in range(periods):
        torque = torque + np.array([0.5, 0.0, 0.3, 0.0, 0.1, 0.0, 0.05])
        asked(plant, torque)
        plant.step()


def test_it_says_what_an_arms_drivers_say() -> None:
    plant = ArmPlant(SETTINGS, seed=1000)
    joints, wrench, frame, request = plant.observe()
    assert frame is None is request, "nothing is to be done, nobody looks"
    assert joints.names == plant.arm.joint_names
    assert np.abs(joints.position - SETTINGS.simulator.start).max() <= 0.1 + 1e-3
    assert (joints.effort != 0).any(), "gravity is held"
    assert (wrench.force == 0).all()
    assert wrench.frame == SETTINGS.arm.tool
    again = ArmPlant(SETTINGS, seed=1000).observe()
    np.testing.assert_array_equal(again.joints.position, joints.position)
    assert (ArmPlant(SETTINGS, seed=1001).observe().joints.position != joints.position).all()


def test_two_samples_are_never_the_same_as_no_real_encoders_are() -> None:
    plant = ArmPlant(SETTINGS)
    first = plant.observe().joints
    plant.step()
    assert (plant.observe().joints.position != first.position).all()


def test_what_presses_on_the_tool_is_told_in_the_tools_axes() -> None:
    """The tool points down: what the surface pushes with goes along its −z, up in the base's axes."""
    plant = ArmPlant(SETTINGS)
    down = np.array([0.0, 0.6, 0.0, 1.5, 0.0, np.pi - 2.1, 0.0])
    plant._truth = plant._scene.place(down, np.zeros(7))
    while plant._truth.force == 0:
        down[1], down[5] = down[1] + 1e-3, down[5] - 1e-3
        plant._truth = plant._scene.place(down, np.zeros(7))
    force = plant.observe().wrench.force
    assert np.linalg.norm(force) == pytest.approx(plant._truth.force)
    assert force[2] == pytest.approx(-plant._truth.force, rel=1e-3)


def test_without_a_command_the_drives_hold_the_arm_by_themselves() -> None:
    """From the first moment on, and after the commands have stopped in the middle of a motion."""
    plant = ArmPlant(SETTINGS, seed=1001)
    place = plant.observe().joints.position
    for _ in range(100):
        plant.step()
    assert plant.silent
    assert np.abs(plant.observe().joints.position - place).max() < 2e-3
    pushed(plant, 60)
    assert not plant.silent
    fast = np.abs(plant.observe().joints.velocity).max()
    assert fast > 0.3
    while not plant.silent:
        plant.step()
    before = plant.observe().joints.effort
    plant.step()
    change = plant.arm.effort_rate / SETTINGS.safety.rate_hz
    assert (np.abs(plant.observe().joints.effort - before) <= change + 1e-9).all()
    for _ in range(300):
        plant.step()
    there = plant.observe().joints
    assert np.abs(there.velocity).max() < 0.03
    assert (np.abs(there.effort) <= plant.arm.effort).all()


def test_commands_that_come_in_time_are_latched_between() -> None:
    plant = ArmPlant(SETTINGS)
    torque = plant.observe().joints.effort + 1.0
    asked(plant, torque)
    for _ in range(nanoseconds(SETTINGS.arm.command_hold_s) // 2_000_000):
        plant.step()
        np.testing.assert_array_equal(plant.observe().joints.effort, torque)


def test_a_command_that_is_none_is_silence() -> None:
    plant = ArmPlant(SETTINGS)
    for torque in (np.full(7, np.nan), np.append(np.zeros(6), np.inf)):
        asked(plant, torque)
        assert plant.silent
    plant.apply(Command(0, plant.arm.joint_names[:3], np.zeros(3)))
    assert plant.silent
    with pytest.raises(RobotError, match=r"command names joint 'wheel'; the arm has joint_1"):
        plant.apply(Command(0, ("wheel",), np.zeros(1)))


def test_torques_beyond_box_and_rate_are_cut_and_told() -> None:
    plant = ArmPlant(SETTINGS)
    assert plant.truth()["excess"] == 0
    asked(plant, 1.5 * plant.arm.effort)
    np.testing.assert_array_equal(plant.observe().joints.effort, plant.arm.effort)
    plant.step()
    asked(plant, -plant.arm.effort)
    assert {name.rpartition(" ")[0] for name in plant.excess} >= {"effort", "effort rate"}
    for _ in range(300):
        asked(plant, plant.arm.effort)
        plant.step()
    kinds = {name.rpartition(" ")[0] or name for name in plant.excess} | set(plant.excess)
    assert {"velocity", "position", "power", "tool speed"} <= kinds
    assert plant.truth()["excess"] > 1


@pytest.mark.parametrize("moment", ["first", "after a hold", "of a clock that was set forward"])
def test_a_leap_of_the_torques_is_told_whatever_the_stamps_say(moment: str) -> None:
    plant = ArmPlant(SETTINGS)
    if moment != "first":
        asked(plant, plant.observe().joints.effort)
    for _ in range(50 if moment == "after a hold" else 1):
        plant.step()
    assert not plant.excess
    torque = plant.observe().joints.effort + 0.9 * plant.arm.effort * (np.arange(7) == 0)
    plant.apply(Command(plant.now + 10**9, plant.arm.joint_names, torque))
    assert "effort rate joint_1" in plant.excess


@pytest.mark.parametrize(("count", "names"), [(6, slice(0, 7)), (8, slice(0, 7)), (7, [0, 1, 2, 3, 4, 5, 5])])
def test_a_command_with_another_number_of_efforts_or_a_joint_twice_is_refused(count: int, names: object) -> None:
    plant = ArmPlant(SETTINGS)
    given = tuple(np.array(plant.arm.joint_names)[names].tolist())
    with pytest.raises(RobotError, match=rf"command has {count} efforts for the joints joint_1, .*, and each once"):
        plant.apply(Command(0, given, np.zeros(count)))
    assert plant.silent


def test_an_arm_without_a_stated_start_begins_in_the_middle_of_its_ranges() -> None:
    plain = arm_settings_from({}, "defaults", share_path("config/arm.yaml").parent)
    assert np.abs(ArmPlant(plain).observe().joints.position).max() <= 0.1 + 1e-3


def test_a_scene_that_is_none_is_refused() -> None:
    with pytest.raises(SceneError, match=r"'road'.*hand_over, press, reach, wipe"):
        ArmPlant(SETTINGS, "road")


def test_in_a_scene_by_name_it_has_a_camera_and_is_told_how_hard_to_press() -> None:
    plant = ArmPlant(SETTINGS, "press", 1000)
    camera = SETTINGS.camera
    every = round(SETTINGS.safety.rate_hz / camera.rate_hz)
    told = []
    for tick in range(every + 1):
        seen = plant.observe()
        assert (seen.frame is None, seen.request is None) == (tick % every > 0,) * 2
        if seen.frame is not None and seen.request is not None:
            assert seen.frame.image.shape == (camera.height, camera.width, 3)
            assert seen.frame.stamp == seen.request.stamp == plant.now
            told.append(float(np.linalg.norm(seen.request.force)))
        plant.step()
    plant.close()
    assert len(told) == 2
    assert min(told) > 1.0


def test_the_time_of_a_scene_begins_with_the_first_command() -> None:
    """However long bring-up takes: what is scored is what the policy did."""
    plant = ArmPlant(SETTINGS, "hand_over", 1000)
    for _ in range(50):
        plant.step()
    before = plant.observe().joints.position
    asked(plant, plant.observe().joints.effort)
    assert plant._task is not None
    assert plant._task.time == 0
    np.testing.assert_allclose(plant.observe().joints.position, before, atol=1e-4)
    plant.step()
    assert plant._task.time == pytest.approx(1 / SETTINGS.safety.rate_hz)
    assert plant.truth()["done"] == 0.0
    assert plant.truth() | plant._task.score() == plant.truth()
