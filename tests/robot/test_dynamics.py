# SPDX-License-Identifier: Apache-2.0
"""The arm's dynamics against MuJoCo, which reads the same URDF by itself, and against finite differences."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pinocchio")

import mujoco

from tidegate.errors import DependencyError, RobotError
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene

ARM = Arm.from_settings(load_arm_settings(share_path("config/arm.yaml")))


def states(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(3)
    return [(rng.uniform(ARM.lower, ARM.upper), rng.uniform(-2, 2, 7) * ARM.velocity) for _ in range(count)]


@pytest.mark.parametrize("payload", [0.0, 0.25, 2.0])
def test_mass_matrix_bias_and_tool_are_mujocos(payload: float) -> None:
    ours, scene = Dynamics(ARM, payload), ArmScene(ARM, payload=payload)
    for position, velocity in states(25):
        motion, truth = ours(position, velocity), scene.place(position, velocity)
        full = np.zeros((7, 7))
        mujoco.mj_fullM(scene.model, scene.data, full)
        np.testing.assert_allclose(motion.mass, full, atol=1e-7)
        np.testing.assert_allclose(motion.inverse @ full, np.eye(7), atol=1e-6)
        # MuJoCo counts viscous damping among the passive forces
        np.testing.assert_allclose(motion.bias, scene.data.qfrc_bias - scene.data.qfrc_passive, atol=1e-6)
        np.testing.assert_allclose(motion.position, truth.tool, atol=1e-12)
        np.testing.assert_allclose(motion.velocity, truth.tool_velocity, atol=1e-12)


def test_accelerations_are_mujocos() -> None:
    ours, scene, rng = Dynamics(ARM), ArmScene(ARM), np.random.default_rng(4)
    scene.model.dof_frictionloss[:] = 0
    for position, velocity in states(10):
        torque = rng.uniform(-1, 1, 7) * ARM.effort
        scene.place(position, velocity)
        scene.data.qfrc_applied[:] = torque
        mujoco.mj_forward(scene.model, scene.data)
        motion = ours(position, velocity)
        np.testing.assert_allclose(motion.inverse @ (torque - motion.bias), scene.data.qacc, rtol=1e-6, atol=1e-6)


def test_jacobian_and_drift_are_the_tools_derivatives() -> None:
    ours, step = Dynamics(ARM), 1e-6
    for position, velocity in states(10):
        motion = ours(position, velocity)
        for joint, unit in enumerate(np.eye(7)):
            moved = [ours(position + side * step * unit, velocity).position for side in (1, -1)]
            np.testing.assert_allclose(motion.jacobian[:, joint], (moved[0] - moved[1]) / (2 * step), atol=1e-8)
        # with q̈ = 0, p̈ is the drift
        later = [ours(position + side * step * velocity, velocity).velocity for side in (1, -1)]
        np.testing.assert_allclose(motion.drift, (later[0] - later[1]) / (2 * step), rtol=1e-5, atol=1e-5)


def test_gravity_is_the_slope_of_the_potential_energy() -> None:
    ours, scene, step = Dynamics(ARM), ArmScene(ARM), 1e-6
    scene.model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    for position, _ in states(5):
        energy = []
        for unit in np.eye(7):
            for side in (1, -1):
                scene.place(position + side * step * unit, np.zeros(7))
                energy.append(scene.data.energy[0])
        slope = np.diff(np.array(energy).reshape(7, 2)[:, ::-1])[:, 0] / (2 * step)
        np.testing.assert_allclose(ours.gravity(position), slope, atol=1e-5)
        np.testing.assert_allclose(ours(position, np.zeros(7)).bias, slope, atol=1e-5)


def test_what_a_call_gave_is_not_changed_by_the_next() -> None:
    ours = Dynamics(ARM)
    (first, fast), (second, _) = states(2)
    motion = ours(first, fast)
    before = [part.copy() for part in (*motion, ours.gravity(first))]
    held = ours.gravity(first)
    ours(second, fast)
    ours.gravity(second)
    for part, kept in zip((*motion, held), before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_a_description_that_pinocchio_cannot_use_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.urdf"
    broken.write_text('<robot name="x"><link name="a"/><link name="b"/></robot>', encoding="utf-8")
    with pytest.raises(RobotError, match=r"broken\.urdf"):
        Dynamics(dataclasses.replace(ARM, description=dataclasses.replace(ARM.description, source=str(broken))))
    with pytest.raises(RobotError, match="a chain was expected"):
        Dynamics(dataclasses.replace(ARM, joint_names=ARM.joint_names[:-1]))


def test_without_pinocchio_one_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    monkeypatch.delitem(sys.modules, "tidegate.robot.dynamics")
    with pytest.raises(DependencyError, match=r"pip install tidegate\[arm\]"):
        importlib.import_module("tidegate.robot.dynamics")
