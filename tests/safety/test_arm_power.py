# SPDX-License-Identifier: Apache-2.0
"""The arm's power limit: braking is kept inside it, so that no other row can ask for more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("pinocchio")

from arm_plant import PERIOD, Run, arm, changed, closed_loop, drawn, dynamics, settings

from tidegate.safety.arm import ArmFilter, ArmGuard, ArmPriority, ArmState, arm_barriers
from tidegate.safety.arm.power import power_demand

MOST = np.array(settings().safety.motion.acceleration)
STRETCHED = np.array([0.065, 0.765, 0.012, -0.983, 1.965, -1.63, 1.094])
"""All joints gather speed on the way from here to the surface."""


def power(run: Run) -> np.ndarray:
    """|τ·q̇| [W] at every physics step (K,)."""
    substeps = len(run.truth) // len(run.told)
    return np.abs((np.repeat(run.torque, substeps, axis=0) * run.velocity).sum(axis=1))


def press(force: float):
    """Downwards and aside, harder than the surface may be pressed."""
    push = np.array([-11.0, -60.0, -force])

    def wish(_: float, truth) -> np.ndarray:
        motion = dynamics()(truth.position, truth.velocity)
        return motion.bias + motion.jacobian.T @ push

    return wish


def bang_bang(seed: int):
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (20, 7))
    return lambda now, _: 1.5 * signs[int(now / 0.15) % 20] * arm().effort


@pytest.fixture(scope="module")
def guard() -> ArmGuard:
    return ArmGuard(settings())


@pytest.mark.parametrize("seed", range(4))
def test_the_demand_is_the_most_that_any_acceleration_in_the_box_takes(seed: int) -> None:
    state = drawn(np.random.default_rng(seed))
    demand, _ = power_demand(state.motion, state.velocity, MOST)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=7))) * MOST
    taken = (corners @ state.motion.mass + state.motion.bias) @ state.velocity
    assert taken.max() <= demand[0] <= taken.max() + 2
    assert -taken.min() <= demand[1] <= -taken.min() + 2


def test_its_gradient_is_that_of_the_demand_with_the_bias_held() -> None:
    state = drawn(np.random.default_rng(9))
    _, slope = power_demand(state.motion, state.velocity, MOST)
    for joint, unit in enumerate(1e-6 * np.eye(7)):
        more, less = (power_demand(state.motion, state.velocity + side * unit, MOST)[0] for side in (1, -1))
        np.testing.assert_allclose(slope[:, joint], (more - less) / 2e-6, rtol=1e-5, atol=1e-4)


def test_rows_bound_the_power_of_this_tick_and_the_demand_after_it() -> None:
    state = drawn(np.random.default_rng(5))
    rows = arm_barriers["power"](arm()).rows(state)
    margins = rows.matrix @ state.torque - rows.lower
    taken = float(state.torque @ state.velocity)
    assert margins[0] + taken == pytest.approx(margins[1] - taken)
    assert 50 < margins[0] + taken < 100
    demand, slope = power_demand(state.motion, state.velocity, MOST)
    inverse = state.motion.inverse
    np.testing.assert_allclose(rows.matrix[2:] @ inverse.T, -slope @ inverse @ inverse.T)
    assert rows.h == pytest.approx(100 - max(abs(taken), demand.max()))


@pytest.mark.parametrize("seed", range(20))
def test_the_backup_keeps_the_rows_and_brings_the_demand_down(seed: int) -> None:
    """By the model, where braking takes nearly all of the limit."""
    drawn_state = drawn(np.random.default_rng(seed))
    demand, _ = power_demand(drawn_state.motion, drawn_state.velocity, MOST)
    position, velocity = drawn_state.position, drawn_state.velocity * min(1.0, 85 / demand.max())
    here, braking = dynamics()(position, velocity), np.clip(-40 * velocity, -MOST, MOST)
    torque = here.mass @ braking + here.bias
    state = ArmState.of(position, velocity, torque, arm().torque_window(torque, PERIOD), here)
    rows = arm_barriers["power"](arm()).rows(state)
    assert (rows.matrix @ torque >= rows.lower - 1e-9).all()
    step = 1e-4
    slower = velocity + step * braking
    before, _ = power_demand(here, velocity, MOST)
    after, _ = power_demand(dynamics()(position + step * velocity, slower), slower, MOST)
    assert after.max() < before.max()


def test_no_row_goes_before_power() -> None:
    assert max(ArmPriority) == ArmPriority.POWER
    assert ArmFilter(arm()).priority.max() == ArmPriority.POWER


def test_all_joints_at_speed_brake_before_the_surface_inside_the_power_limit(guard: ArmGuard) -> None:
    """Rows that looked at power alone, and gave way to those that brake, let 130 W pass here."""
    run = closed_loop(guard, press(600.0), seconds=1.0, position=STRETCHED, payload=0.465)
    assert power(run).max() <= 100
    assert not any(barrier.relaxed for told in run.told for barrier in told.barriers if barrier.name == "power")
    assert np.abs(run.velocity).max() > 1
    assert run.force.max() <= 60
    left = ArmGuard(settings(), disable=frozenset({"power"}))
    assert power(closed_loop(left, press(600.0), seconds=1.0, position=STRETCHED, payload=0.465)).max() > 100


@pytest.mark.slow
@pytest.mark.parametrize("payload", [0.0, 0.5, 2.25])
@pytest.mark.parametrize("wish", [press(600.0), bang_bang(0), bang_bang(1)], ids=["press", "bang_bang", "another"])
@pytest.mark.parametrize("share", [0.0, 0.8], ids=["at rest", "at speed"])
def test_power_is_inside_at_every_millisecond(guard: ArmGuard, payload: float, wish, share: float) -> None:
    """With the payload wrong inside its bound, and by two kilograms, where other limits break."""
    rng = np.random.default_rng(11)
    velocity = share * rng.choice((-1.0, 1.0), 7) * arm().velocity
    demand, _ = power_demand(dynamics()(STRETCHED, velocity), velocity, MOST)
    velocity = velocity * min(1.0, 70 / demand.max())
    run = closed_loop(guard, wish, seconds=1.5, position=STRETCHED, velocity=velocity, payload=payload)
    assert power(run).max() <= 100


def test_less_power_is_less_speed() -> None:
    slow = closed_loop(ArmGuard(changed("limits", power_max=50.0)), bang_bang(0), seconds=0.6)
    assert 5 < power(slow).max() <= 50
