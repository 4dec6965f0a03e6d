# SPDX-License-Identifier: Apache-2.0
"""From a wish for the tool to torques, by the robot's own model: held against MuJoCo's, and in closed loops."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.task_space import ToolAim, ToolWish, tool_torque
from tidegate.robot.tool_law import FASTEST, HARDEST, ToolLaw
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene, ArmTruth, make_arm_scene
from tidegate.simulation.arm.control import ToolControl
from tidegate.simulation.arm.task import ELBOW_UP

ARM = Arm.from_settings(load_arm_settings(share_path("config/arm.yaml")))
POSTURE = np.array(ELBOW_UP)
UP = np.array([0.0, 0.0, 1.0])
PERIOD = 1 / ARM.settings.safety.rate_hz


def driven(scene: ArmScene, law: ToolLaw, wish: ToolWish | ToolAim, truth: ArmTruth, seconds: float) -> list[ArmTruth]:
    """A wish that is held, seen at every period."""
    seen = []
    for _ in range(round(seconds / PERIOD)):
        torque = law(truth.position, truth.velocity, wish, truth.force)
        for _ in range(scene.substeps):
            truth = scene.step(torque)
        seen.append(truth)
    return seen


@pytest.mark.parametrize("seed", range(3000, 3003))
def test_the_robots_model_gives_the_torques_that_mujoco_gives(seed: int) -> None:
    random = np.random.default_rng(seed)
    position, velocity = POSTURE + random.uniform(-0.4, 0.4, 7), random.uniform(-1, 1, 7)
    acceleration, push = random.uniform(-3, 3, 3), random.uniform(-10, 10, 3)
    tilted = np.array([0.1, -0.2, 1.0]) / np.linalg.norm([0.1, -0.2, 1.0])
    control, law = ToolControl(ArmScene(ARM), POSTURE), ToolLaw(ARM, POSTURE)
    control.take(position, velocity)
    terms = law.terms(position, velocity)
    np.testing.assert_allclose(law.place, control.place, atol=1e-9)
    np.testing.assert_allclose(law.velocity, control.velocity, atol=1e-9)
    found = tool_torque(terms, POSTURE, acceleration, tilted, push)
    np.testing.assert_allclose(found, control.torque(acceleration, tilted, push), atol=1e-6)


@pytest.mark.parametrize("payload", [0.0, 0.25, 0.5])
def test_the_tool_goes_as_wished_whatever_the_payload(payload: float) -> None:
    scene = ArmScene(ARM, payload=payload)
    wish = np.array([0.05, -0.1, 0.06])
    seen = driven(scene, ToolLaw(ARM, POSTURE), ToolWish(wish), scene.place(POSTURE, np.zeros(7)), 0.6)
    np.testing.assert_allclose(seen[-1].tool_velocity, wish, atol=0.02)
    assert scene.data.site("tool").xmat[8] == pytest.approx(-1.0, abs=1e-3), "and points down"


def test_a_sudden_wish_is_no_step_of_the_torques_and_no_hard_start() -> None:
    scene, law = ArmScene(ARM, payload=0.25), ToolLaw(ARM, POSTURE)
    truth = scene.place(POSTURE, np.zeros(7))
    still = law(truth.position, truth.velocity, ToolWish(np.zeros(3)), 0.0)
    sudden = law(truth.position, truth.velocity, ToolWish(np.array([0.0, 0.45, 0.0])), 0.0)
    assert (np.abs(sudden - still) / PERIOD < ARM.effort_rate).all()
    seen = driven(scene, law, ToolWish(np.array([0.0, 0.45, 0.0])), truth, 0.3)
    change: Floats = np.diff([one.tool_velocity for one in seen], axis=0) / PERIOD
    assert np.linalg.norm(change, axis=1).max() < 1.2 * HARDEST


def test_a_push_is_what_the_surface_feels_though_friction_and_payload_are_not_known() -> None:
    scene = make_arm_scene("press", ARM.settings, 1000)
    seen = driven(scene, ToolLaw(scene.arm, POSTURE), ToolWish(np.zeros(3), 6.0), scene.begin(), 3.0)
    assert np.mean([one.force for one in seen[-100:]]) == pytest.approx(6.0, abs=0.1)
    again = driven(scene, ToolLaw(scene.arm, POSTURE), ToolWish(0.05 * UP), seen[-1], 0.5)
    assert again[-1].force == 0.0, "and it comes off as wished"


@pytest.mark.parametrize("broken", ["position", "velocity", "aim", "push", "force"])
def test_one_sample_that_is_no_number_gives_none_and_is_forgotten(broken: str) -> None:
    """It stayed in the law's memory: no torque was a number any more, so that the arm was stopped for good."""
    law, plain, none = ToolLaw(ARM, POSTURE), ToolLaw(ARM, POSTURE), np.full(7, np.nan)
    sound = {"position": POSTURE, "velocity": np.full(7, 0.01), "wish": ToolAim(np.array([0.5, 0.0, 0.3]), 6.0)}
    swap = {
        "position": {"position": none},
        "velocity": {"velocity": none},
        "aim": {"wish": ToolAim(none[:3], 6.0)},
        "push": {"wish": ToolAim(np.array([0.5, 0.0, 0.3]), np.nan)},
        "force": {"force": np.nan},
    }
    for tick in range(6):
        given = {**sound, "force": 4.0}
        if tick == 3:
            assert np.isnan(law(**{**given, **swap[broken]})).all()
        np.testing.assert_array_equal(law(**given), plain(**given))


def test_the_tool_is_drawn_to_an_aim_no_faster_than_it_may_and_stays_there() -> None:
    scene = ArmScene(ARM, payload=0.25)
    truth = scene.place(POSTURE, np.zeros(7))
    there = truth.tool + np.array([0.05, -0.25, 0.05])
    seen = driven(scene, ToolLaw(ARM, POSTURE), ToolAim(there), truth, 1.5)
    assert max(np.linalg.norm(one.tool_velocity) for one in seen) < 1.05 * FASTEST
    np.testing.assert_allclose(seen[-1].tool, there, atol=0.003)
    assert np.linalg.norm(seen[-1].tool_velocity) < 0.01


def test_an_aim_that_presses_does_so_wherever_it_lies_along_the_normal() -> None:
    for height in (-0.03, 0.03):
        scene = make_arm_scene("press", ARM.settings, 1000)
        truth = scene.begin()
        aim = ToolAim(scene.goal().place + height * scene.goal().normal, 6.0)
        seen = driven(scene, ToolLaw(scene.arm, POSTURE), aim, truth, 5.0)
        assert np.mean([one.force for one in seen[-100:]]) == pytest.approx(6.0, abs=0.3)
