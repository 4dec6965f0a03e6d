# SPDX-License-Identifier: Apache-2.0
"""Arms of other people, by their URDF and a YAML file alone: the same contract, the same attacks. They come with the
package example-robot-data; where it is not installed these tests skip, and test_arm_urdf.py has the same oddities."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("pinocchio")

import mujoco
from arm_plant import PERIOD, closed_loop

from tidegate.errors import RobotError
from tidegate.robot.arm import Arm
from tidegate.robot.arm_urdf import find_urdf
from tidegate.robot.dynamics import Dynamics
from tidegate.safety.arm import ArmFilter, ArmGuard, ArmState, arm_barriers
from tidegate.safety.arm.power import power_demand
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene

ARMS = sorted(path.stem for path in share_path("examples/arms").glob("*.yaml"))


@cache
def guard_of(name: str) -> ArmGuard:
    settings = load_arm_settings(share_path(f"examples/arms/{name}.yaml"))
    try:
        find_urdf(settings.arm.urdf)
    except RobotError as error:
        pytest.skip(str(error))
    return ArmGuard(settings)


@pytest.fixture(params=ARMS)
def guard(request: pytest.FixtureRequest) -> ArmGuard:
    return guard_of(request.param)


def drawn(arm: Arm, rng: np.random.Generator) -> ArmState:
    """Anywhere inside the limits, last given an acceleration of at most what is promised."""
    motion, count = arm.settings.safety.motion, len(arm.effort)
    position, velocity = rng.uniform(arm.lower, arm.upper), rng.uniform(-1, 1, count) * arm.velocity
    here = Dynamics(arm)(position, velocity)
    torque = here.mass @ (rng.uniform(-1, 1, count) * np.array(motion.acceleration)) + here.bias
    return ArmState.of(position, velocity, torque, arm.torque_window(torque, PERIOD), here)


def test_there_are_four() -> None:
    assert ARMS == ["panda", "ur5", "xarm7", "z1"]


def test_its_dynamics_are_mujocos(guard: ArmGuard) -> None:
    arm, rng = guard.arm, np.random.default_rng(3)
    scene, count = ArmScene(arm), len(arm.effort)
    for _ in range(10):
        position, velocity = rng.uniform(arm.lower, arm.upper), rng.uniform(-1, 1, count) * arm.velocity
        motion, truth = guard.dynamics(position, velocity), scene.place(position, velocity)
        full = np.zeros((count, count))
        mujoco.mj_fullM(scene.model, scene.data, full)
        np.testing.assert_allclose(motion.mass, full, atol=1e-6)
        np.testing.assert_allclose(motion.bias, scene.data.qfrc_bias - scene.data.qfrc_passive, atol=1e-5)
        np.testing.assert_allclose(motion.position, truth.tool, atol=1e-9)


def test_rows_are_finite_and_the_joints_can_be_had_at_once(guard: ArmGuard) -> None:
    arm, rng = guard.arm, np.random.default_rng(4)
    joints = ArmFilter(arm, disable=frozenset(arm_barriers) - {"acceleration", "velocity", "position"})
    for _ in range(20):
        state = drawn(arm, rng)
        for name in arm_barriers:
            rows = arm_barriers[name](arm).rows(state)
            assert rows.matrix.shape == (len(rows.lower), len(arm.effort))
            assert np.isfinite(rows.matrix).all()
            assert np.isfinite(rows.lower).all()
        told = joints(state, rng.choice((-1.0, 1.0), len(arm.effort)) * arm.effort)
        assert told.solved
        assert not any(barrier.relaxed for barrier in told.barriers)
        assert ((told.torque >= state.low) & (told.torque <= state.high)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5000, 5001])
@pytest.mark.parametrize("share", [0.0, 0.5], ids=["at rest", "at speed"])
def test_hostile_torques_break_no_limit_at_any_millisecond(guard: ArmGuard, seed: int, share: float) -> None:
    arm, rng = guard.arm, np.random.default_rng(seed)
    limits, count = arm.settings.safety.limits, len(arm.effort)
    middle = (arm.lower + arm.upper) / 2
    position = middle + 0.6 * rng.uniform(-1, 1, count) * (arm.upper - middle)
    velocity = share * rng.choice((-1.0, 1.0), count) * arm.velocity
    most = np.array(arm.settings.safety.motion.acceleration)
    demand, _ = power_demand(guard.dynamics(position, velocity), velocity, most)
    velocity = velocity * min(1.0, 0.6 * limits.power_max / demand.max())
    signs = rng.choice((-1.0, 1.0), (20, count))
    payload = arm.settings.arm.payload + rng.uniform(-1, 1) * arm.settings.arm.payload_error
    wish = lambda now, _: 1.5 * signs[int(now / 0.15) % 20] * arm.effort  # noqa: E731
    run = closed_loop(guard, wish, seconds=1.5, position=position, velocity=velocity, payload=payload)
    assert ((run.position <= arm.upper) & (run.position >= arm.lower)).all()
    assert (np.abs(run.velocity) <= arm.velocity).all()
    assert (np.abs(run.torque) <= arm.effort).all()
    assert (np.abs(np.diff(run.torque, axis=0)) <= arm.effort_rate * PERIOD * (1 + 1e-9)).all()
    torque = np.repeat(run.torque, len(run.truth) // len(run.told), axis=0)
    assert np.abs((torque * run.velocity).sum(axis=1)).max() <= limits.power_max
    assert max(np.linalg.norm(one.tool_velocity) for one in run.truth) <= limits.tool_speed_max
    assert (np.abs(run.velocity).max(axis=0) > 0.3 * arm.velocity).any()
    scene = ArmScene(arm, payload=payload)
    truth, fastest = scene.place(position, velocity), 0.0
    for step in range(500):
        truth = scene.step(np.clip(wish(step / 1000, truth), -arm.effort, arm.effort))
        fastest = max(fastest, float((np.abs(truth.velocity) / arm.velocity).max()))
    assert fastest > 1.5
