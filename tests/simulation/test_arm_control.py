# SPDX-License-Identifier: Apache-2.0
"""The expert's torques: what they are to bring about comes about, in MuJoCo."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmTask, make_arm_scene
from tidegate.simulation.arm.control import ToolControl

UP = np.array([0.0, 0.0, 1.0])


def frictionless(name: str) -> ArmTask:
    scene = make_arm_scene(name, load_arm_settings(share_path("config/arm.yaml")), 1000)
    scene.model.dof_frictionloss[:] = 0
    return scene


@pytest.mark.parametrize("wanted", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]])
def test_the_tool_point_accelerates_as_wanted(wanted: list[float]) -> None:
    scene = frictionless("reach")
    control = ToolControl(scene, scene.start)
    velocity = np.random.default_rng(1000).uniform(-0.5, 0.5, 7)
    before = scene.place(scene.start, velocity)
    control.take(before.position, before.velocity)
    np.testing.assert_allclose(control.place, before.tool, atol=1e-12)
    np.testing.assert_allclose(control.velocity, before.tool_velocity, atol=1e-12)
    torque = control.torque(np.array(wanted), UP, np.zeros(3))
    scene.model.opt.timestep = 1e-5
    for _ in range(10):
        after = scene.step(torque)
    np.testing.assert_allclose((after.tool_velocity - before.tool_velocity) / 1e-4, wanted, atol=0.02)


def test_a_turned_tool_comes_back_upright_and_the_elbow_to_its_posture() -> None:
    scene = frictionless("reach")
    control = ToolControl(scene, scene.start)
    turned = scene.start + np.array([0.2, -0.1, 0.15, 0.2, -0.2, 0.3, 0.4])
    truth = scene.place(turned, np.zeros(7))
    held = truth.tool.copy()
    for _ in range(2500):
        control.take(truth.position, truth.velocity)
        pull = 400 * (held - truth.tool) - 40 * truth.tool_velocity
        truth = scene.step(control.torque(pull, UP, np.zeros(3)))
    assert scene.data.site("tool").xmat[8] == pytest.approx(-1.0, abs=1e-4)
    np.testing.assert_allclose(truth.tool, held, atol=1e-4)
    assert np.abs(truth.velocity).max() < 1e-2
    assert truth.position[6] == pytest.approx(scene.start[6], abs=0.05)  # its turn about itself is free


def test_what_is_pressed_with_is_what_the_surface_feels() -> None:
    scene = frictionless("press")
    control = ToolControl(scene, scene.start)
    normal, truth = scene.goal().normal, scene.place(scene.start, np.zeros(7))
    for _ in range(3000):
        control.take(truth.position, truth.velocity)
        calm = -20 * truth.tool_velocity
        truth = scene.step(control.torque(calm, normal, -6.0 * normal))
    assert truth.force == pytest.approx(6.0, abs=0.1)
