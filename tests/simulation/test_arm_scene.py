# SPDX-License-Identifier: Apache-2.0
"""The arm's scene: what it is made of, and a surface of the stiffness that is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import SceneError
from tidegate.robot.arm import Arm
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene

ARM = Arm.from_settings(load_arm_settings(share_path("config/arm.yaml")))
DOWN = np.array([0.0, 0.3, 0.0, 1.5, 0.0, np.pi - 1.8, 0.0])


def with_simulator(**values: float) -> Arm:
    settings = ARM.settings
    return dataclasses.replace(
        ARM, settings=dataclasses.replace(settings, simulator=dataclasses.replace(settings.simulator, **values))
    )


def test_it_is_the_urdfs_arm_with_rotors_and_without_stops() -> None:
    scene = ArmScene(ARM)
    np.testing.assert_allclose(scene.model.dof_armature, ARM.rotor_inertia)
    np.testing.assert_allclose(scene.model.dof_frictionloss, ARM.friction)
    np.testing.assert_allclose(scene.model.dof_damping, ARM.damping)
    assert not scene.model.jnt_limited.any()
    assert not scene.model.jnt_actfrclimited.any()
    assert scene.substeps == 2
    moving = sum(link.mass for name, link in ARM.description.links.items() if name != "base_link")
    assert scene.model.body_subtreemass[0] == pytest.approx(moving + ARM.settings.arm.payload)
    heavy = ArmScene(ARM, payload=2.0)
    assert heavy.model.body_subtreemass[0] == pytest.approx(moving + 2.0)


def test_the_surface_pushes_as_its_stiffness_and_damping_say() -> None:
    scene = ArmScene(ARM)
    surface, damping = ARM.settings.safety.surface, ARM.settings.simulator.surface_damping
    above = scene.place(DOWN, np.zeros(7))
    assert above.force == 0
    drop = np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    position, truth = DOWN, above
    while truth.force == 0:
        position = position + 1e-3 * drop
        truth = scene.place(position, np.zeros(7))
    truth = scene.place(position + 0.02 * drop, np.zeros(7))
    depth = surface.offset - truth.tool[2]
    assert truth.force == pytest.approx(surface.stiffness * depth)
    faster = scene.place(position + 0.02 * drop, drop)
    assert faster.force == pytest.approx(surface.stiffness * depth - damping * faster.tool_velocity[2])
    pulled = scene.place(position + 0.02 * drop, -100 * drop)
    assert pulled.force == 0  # it does not stick
    assert ArmScene(ARM, stiffness=2 * surface.stiffness).place(position + 0.02 * drop, np.zeros(7)).force == (
        pytest.approx(2 * surface.stiffness * depth)
    )


def test_a_fall_gains_what_gravity_gives() -> None:
    """Energy: kinetic and potential of the MuJoCo model, without friction and damping."""
    scene = ArmScene(ARM)
    scene.model.dof_frictionloss[:], scene.model.dof_damping[:] = 0, 0
    scene.model.opt.enableflags |= 2  # energy
    scene.place(DOWN, np.zeros(7))
    before = scene.data.energy.sum()
    for _ in range(100):
        truth = scene.step(np.zeros(7))
    assert np.abs(truth.velocity).max() > 0.3
    assert scene.data.energy.sum() == pytest.approx(before, abs=0.05)


def test_a_physics_step_that_does_not_divide_the_period_is_refused() -> None:
    with pytest.raises(SceneError, match=r"physics_step_s is 0\.0015 s; it must divide"):
        ArmScene(with_simulator(physics_step_s=0.0015))


def test_a_description_that_mujoco_cannot_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.urdf"
    broken.write_text("<robot name='x'></robot>", encoding="utf-8")
    with pytest.raises(SceneError, match=r"broken\.urdf: MuJoCo cannot read it"):
        ArmScene(dataclasses.replace(ARM, description=dataclasses.replace(ARM.description, source=str(broken))))


def test_without_a_surface_nothing_pushes() -> None:
    safety = dataclasses.replace(
        ARM.settings.safety, surface=dataclasses.replace(ARM.settings.safety.surface, enabled=False, offset=2.0)
    )
    scene = ArmScene(dataclasses.replace(ARM, settings=dataclasses.replace(ARM.settings, safety=safety)))
    assert scene.place(DOWN, np.zeros(7)).force == 0
