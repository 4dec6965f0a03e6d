# SPDX-License-Identifier: Apache-2.0
"""The arm's filter makes nothing swing: energies that fall without it fall with it, but for what it takes to obey."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from arm_plant import ELBOW_UP, arm, changed, closed_loop, settings

from tidegate.records import Floats
from tidegate.safety.arm import ArmGuard
from tidegate.simulation.arm import ArmTruth


@pytest.fixture(scope="module")
def guard() -> ArmGuard:
    return ArmGuard(settings())


@pytest.mark.parametrize("stiffness", [1e3, 1e4, 1e5])
def test_pressed_onto_a_wall_the_arm_touches_it_once_and_stays(stiffness: float) -> None:
    """Without the filter the same push bounces off a wall of 1e5 N/m seven times, with 250 N."""
    made = changed("surface", stiffness=stiffness)
    made = dataclasses.replace(made, simulator=dataclasses.replace(made.simulator, surface_damping=0.0))
    guard = ArmGuard(made)

    def push(_: float, truth: ArmTruth) -> Floats:
        motion = guard.dynamics(truth.position, truth.velocity)
        wish: Floats = motion.bias + motion.jacobian.T @ [0.0, 0.0, -20.0] - 10 * motion.mass @ truth.velocity
        return wish

    run = closed_loop(guard, push, seconds=2.5)
    touching = run.force > 0
    assert np.diff(touching.astype(int)).tolist().count(1) == 1
    assert touching[-1]
    assert run.force.max() < made.safety.surface.force_max
    assert run.force[-500:].std() < 0.5


@pytest.mark.parametrize("seed", range(6))
def test_an_arm_that_is_regulated_arrives_with_hardly_more_energy_than_it_began_with(
    guard: ArmGuard, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    lift = np.array([0.0, -0.3, 0.0, 0.3, 0.0, 0.0, 0.0])
    goal = ELBOW_UP + lift + rng.uniform(-0.2, 0.2, 7)
    velocity = 0.3 * rng.uniform(-1, 1, 7) * arm().velocity

    def impedance(_: float, truth: ArmTruth) -> Floats:
        motion = guard.dynamics(truth.position, truth.velocity)
        wish: Floats = motion.bias - motion.mass @ (64 * (truth.position - goal) + 16 * truth.velocity)
        return wish

    run = closed_loop(guard, impedance, seconds=4.0, position=ELBOW_UP + lift, velocity=velocity)
    energy = 0.5 * (run.velocity**2 + 64 * (run.position - goal) ** 2).sum(axis=1)
    assert energy.max() < 1.2 * energy[0]
    assert np.abs(run.position[-1] - goal).max() < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_the_kinetic_energy_of_an_arm_that_is_stopped_only_falls(guard: ArmGuard, seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = closed_loop(guard, lambda *_: None, seconds=0.5, velocity=rng.uniform(-0.5, 0.5, 7) * arm().velocity)
    masses = (guard.dynamics(one.position, one.velocity).mass for one in run.truth)
    energy = np.array([0.5 * one.velocity @ mass @ one.velocity for one, mass in zip(run.truth, masses, strict=True)])
    assert (energy - np.minimum.accumulate(energy)).max() < 0.01 * energy[0]
    assert energy[-1] < 1e-3 * energy[0]
