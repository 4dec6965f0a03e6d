# SPDX-License-Identifier: Apache-2.0
"""The arm's rows: what each leaves is what MuJoCo's dynamics say, and all of them can be had at once."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

pytest.importorskip("pinocchio")

import mujoco
from arm_plant import ELBOW_UP, PERIOD, arm, changed, closed_loop, drawn, dynamics, settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tidegate.robot.arm import Arm, surface_normal
from tidegate.safety.arm import ArmFilter, ArmState, arm_barriers
from tidegate.safety.arm.barrier import largest_eigenvalue
from tidegate.safety.relaxation import HARD
from tidegate.simulation.arm import ArmScene

JOINTS = ("acceleration", "velocity", "position")


def at(position: np.ndarray, velocity: np.ndarray, torque: np.ndarray | None = None) -> ArmState:
    """A state; without ``torque`` the one that gives no acceleration."""
    here = dynamics()(position, velocity)
    applied = here.bias if torque is None else torque
    return ArmState.of(position, velocity, applied, arm().torque_window(applied, PERIOD), here)


@pytest.mark.parametrize("name", sorted(arm_barriers))
def test_the_docstring_says_what_a_barrier_is(name: str) -> None:
    text = inspect.getdoc(arm_barriers[name]) or ""
    for word in ("h = ", "elative degree", "Trusted inputs:", "Guarantee:", "Assumption:"):
        assert word in text, f"{name} lacks {word!r}"
    assert arm_barriers[name].name == name
    assert 0 <= arm_barriers[name].priority < HARD


@pytest.mark.parametrize("name", sorted(arm_barriers))
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_finite_and_the_same_when_asked_again(name: str, seed: int) -> None:
    barrier, state = arm_barriers[name](arm()), drawn(np.random.default_rng(seed), calm=seed == 0)
    first, second = barrier.rows(state), barrier.rows(state)
    assert first.matrix.shape == (len(first.lower), 7)
    assert np.isfinite(first.matrix).all()
    assert np.isfinite(first.lower).all()
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_array_equal(first.lower, second.lower)


@pytest.mark.parametrize("offset", [0.25, 1.39])
def test_an_upright_arm_whose_joints_do_not_move_the_tool_along_the_normal_has_rows(offset: float) -> None:
    """Above the surface, and pressed into it; nothing divides by the tool's mobility, which is 0."""
    made = dataclasses.replace(arm(), settings=changed("surface", offset=offset))
    state = at(np.zeros(7), np.zeros(7))
    assert np.abs(state.motion.jacobian[2]).max() < 1e-12
    for name in arm_barriers:
        rows = arm_barriers[name](made).rows(state)
        assert np.isfinite(rows.matrix).all()
        assert np.isfinite(rows.lower).all()
    assert ArmFilter(made)(state, arm().effort).solved


@pytest.mark.parametrize("angle", np.linspace(-1.5, 1.5, 16))
def test_an_arm_stretched_along_a_tilted_normal_has_rows(angle: float) -> None:
    """No joint moves the tool along the normal; rounding may leave a mobility below 0."""
    made = dataclasses.replace(arm(), settings=changed("surface", normal=(np.sin(angle), 0.0, np.cos(angle))))
    position = np.array([0.0, angle, 0.0, 0.0, 0.0, 0.0, 0.0])
    state = at(position, np.zeros(7))
    assert np.abs(state.motion.jacobian.T @ made.settings.safety.surface.normal).max() < 1e-12
    assert ArmFilter(made)(state, arm().effort).solved


def test_against_the_surface_joint_rows_hold_for_the_carried_arm_too() -> None:
    """The second half of the rows is the acceleration of an arm whose tool a constraint keeps where it is along n."""
    position = np.array([0.1, 0.3, 0.2, 1.5, 0.1, 1.2, 0.3])
    here = dynamics()(position, np.zeros(7))
    made = dataclasses.replace(arm(), settings=changed("surface", offset=float(here.position[2])))
    rng = np.random.default_rng(8)
    state = at(position, rng.uniform(-0.3, 0.3, 7))
    first, second = rng.uniform(-1, 1, (2, 7)) * arm().effort
    carried = []
    for torque in (first, second):
        # the Karush-Kuhn-Tucker system of M q̈ − Jᵀ n f = τ − b, n·J q̈ = −n·J̇ q̇
        along = state.motion.jacobian[2]
        system = np.block([[state.motion.mass, -along[:, None]], [along[None], np.zeros((1, 1))]])
        told = np.append(torque - state.motion.bias, -state.motion.drift[2])
        carried.append(np.linalg.solve(system, told)[:7])
    free = state.motion.inverse @ (first - state.motion.bias)
    for name in ("velocity", "position"):
        rows = arm_barriers[name](made).rows(state)
        assert rows.matrix.shape == (28, 7)
        gained = np.concatenate((carried[1] - carried[0], carried[0] - carried[1]))
        np.testing.assert_allclose(rows.matrix[14:] @ (first - second), gained, rtol=1e-6, atol=1e-9)
        # both leave the same bound, for none is capped here: what differs is the acceleration
        left = rows.matrix @ first - rows.lower
        np.testing.assert_allclose(left[14:] - left[:14], np.concatenate((free - carried[0], carried[0] - free)))
    assert arm_barriers["acceleration"](made).rows(state).matrix.shape == (14, 7)


@pytest.mark.parametrize(
    "values", [(1.0, 2.0, 3.0), (2.0, 2.0, 2.0), (0.0, 0.0, 5.0), (0.0, 5.0, 5.0), (0.0, 0.0, 0.0)]
)
def test_the_largest_eigenvalue_is_lapacks(values: tuple[float, ...]) -> None:
    turned, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    for matrix in (np.diag(values), turned @ np.diag(values) @ turned.T):
        symmetric = (matrix + matrix.T) / 2
        assert largest_eigenvalue(symmetric) == pytest.approx(np.linalg.eigvalsh(symmetric)[-1], rel=1e-7, abs=1e-15)


def accelerations(state: ArmState, torque: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the joints and of the tool point, by MuJoCo without dry friction and without the surface."""
    scene = ArmScene(arm())
    scene.model.dof_frictionloss[:] = 0
    scene.place(state.position, state.velocity)
    scene.data.qfrc_applied[:] = torque
    mujoco.mj_forward(scene.model, scene.data)
    joints = scene.data.qacc.copy()
    step, places = 1e-5, []
    for side in (1, -1):  # the tool moved along the joints' parabola
        moved = state.position + side * step * state.velocity + step**2 / 2 * joints
        places.append(scene.place(moved, state.velocity).tool)
    middle = scene.place(state.position, state.velocity).tool
    return joints, (places[0] - 2 * middle + places[1]) / step**2


@pytest.mark.parametrize("seed", range(6))
def test_what_a_row_leaves_is_the_bound_less_the_acceleration(seed: int) -> None:
    """So that between two torques it changes as the true accelerations do."""
    rng = np.random.default_rng(seed)
    state = drawn(rng)
    first, second = rng.uniform(-1, 1, (2, 7)) * arm().effort
    (q_first, p_first), (q_second, p_second) = accelerations(state, first), accelerations(state, second)
    for name in JOINTS:
        rows = arm_barriers[name](arm()).rows(state)
        gained = rows.matrix @ (first - second)
        np.testing.assert_allclose(gained, np.concatenate((q_second - q_first, q_first - q_second)), rtol=1e-5)
    acceleration = arm_barriers["acceleration"](arm()).rows(state)
    most = np.array(settings().safety.motion.acceleration)
    left = np.concatenate((most - q_first, most + q_first))
    np.testing.assert_allclose(acceleration.matrix @ first - acceleration.lower, left, rtol=1e-5, atol=1e-5)
    speed = arm_barriers["tool_speed"](arm()).rows(state)
    acceleration_now = state.tool[:, -3]
    jerk = settings().safety.limits.tool_jerk - settings().safety.limits.tool_drift
    later = state.motion.velocity + acceleration_now * np.linalg.norm(acceleration_now) / (2 * jerk)
    along = later / np.linalg.norm(later)
    gained = speed.matrix @ (first - second)
    assert float(gained[0]) == pytest.approx(float(along @ (p_second - p_first)), rel=1e-3)
    np.testing.assert_allclose(gained[:3], -gained[3:])
    assert np.linalg.norm(gained[:3]) == pytest.approx(float(np.linalg.norm(p_second - p_first)), rel=1e-3)


def test_the_force_row_is_the_static_force_of_the_scene() -> None:
    """Torques that the row puts at a force press the spring of the scene with that force, once it rests."""
    told = changed("limits", tool_speed_max=19.0)
    made = Arm.from_settings(told)
    scene = ArmScene(made, payload=0.25)
    scene.model.dof_frictionloss[:] = 0
    down = np.array([0.0, 0.3, 0.0, 1.5, 0.0, np.pi - 1.8, 0.0])
    truth = scene.place(down, np.zeros(7))
    sink = truth.tool[2] - settings().safety.surface.offset
    # stand the surface under the tool, so that it rests where it begins
    scene._surface = dataclasses.replace(scene._surface, offset=truth.tool[2])
    force, hold = 15.0, np.diag([400.0] * 7)
    for _ in range(4000):
        motion = dynamics()(truth.position, truth.velocity)
        push = motion.jacobian.T @ np.array([0.0, 0.0, -force])
        # springs keep the pose but for the direction of pressing
        along = motion.jacobian[2] / (motion.jacobian[2] @ motion.jacobian[2])
        away = (truth.position - down) - along * (motion.jacobian[2] @ (truth.position - down))
        torque = motion.bias + push - hold @ away - 20 * truth.velocity
        truth = scene.step(torque)
    assert sink > 0.1
    assert truth.force == pytest.approx(force, abs=0.5)
    assert np.abs(truth.velocity).max() < 1e-3
    state = at(truth.position, truth.velocity, torque)
    lightness = float(motion.jacobian[2] @ motion.inverse @ motion.jacobian[2])
    row = -float(state.motion.jacobian[2] @ state.acceleration + state.motion.drift[2]) / lightness
    assert row == pytest.approx(force, abs=0.7)
    surface = dataclasses.replace(told.safety.surface, offset=float(truth.tool[2]))
    here = dataclasses.replace(made, settings=changed("surface", **dataclasses.asdict(surface)))
    told_h = arm_barriers["force"](here).rows(state).h
    assert told_h == pytest.approx(0.4 * 60 - row, abs=1e-6)


@hypothesis_settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["any", "calm", "edge"]))
def test_joint_rows_can_be_had_at_once_inside_the_torque_window(seed: int, kind: str) -> None:
    """Of a free arm: each is capped at its backup, and all backups fit together by the promises; none gives way."""
    rng = np.random.default_rng(seed)
    state = drawn(rng, calm=kind == "calm")
    if kind == "edge":  # at limits of position and velocity, and beyond
        position = np.where(rng.random(7) < 0.5, np.sign(state.position) * arm().upper * 1.01, state.position)
        velocity = np.where(rng.random(7) < 0.5, np.sign(state.velocity) * arm().velocity, state.velocity)
        state = at(position, velocity)
    free = dataclasses.replace(arm(), settings=changed("surface", enabled=False))
    made = ArmFilter(free, disable=frozenset(arm_barriers) - set(JOINTS))
    told = made(state, rng.choice((-1.0, 1.0), 7) * arm().effort)
    assert told.solved
    assert not any(barrier.relaxed for barrier in told.barriers)
    assert ((told.torque >= state.low) & (told.torque <= state.high)).all()


def test_a_row_asks_for_no_more_than_its_backup_reaches() -> None:
    """Far beyond its limits a joint is braked by one step of the jerk."""
    state = at(np.array([0.0, 2.5, 0.0, 1.0, 0.0, 0.5, 0.0]), np.array([0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    for name in ("position", "velocity"):
        rows = arm_barriers[name](arm()).rows(state)
        needed = rows.lower - rows.matrix @ state.torque  # by how much −q̈ must grow
        assert needed[1] == pytest.approx(settings().safety.motion.jerk[1] * PERIOD)


def test_without_a_surface_and_far_from_it_there_are_no_rows() -> None:
    off = dataclasses.replace(arm(), settings=changed("surface", enabled=False))
    for name in ("force", "approach"):
        assert arm_barriers[name](off).rows(at(ELBOW_UP, np.zeros(7))).h == np.inf
    assert len(arm_barriers["force"](arm()).rows(at(ELBOW_UP, np.zeros(7))).lower) == 0
    assert len(arm_barriers["approach"](arm()).rows(at(ELBOW_UP, np.zeros(7))).lower) == 1


def test_a_tool_at_rest_may_be_accelerated_either_way_but_no_faster_than_it_can_be_taken_off() -> None:
    limits = settings().safety.limits
    rows = arm_barriers["tool_speed"](arm()).rows(at(ELBOW_UP, np.zeros(7)))
    assert (rows.h, rows.matrix.shape) == (limits.tool_speed_max, (6, 7))
    still = dynamics().gravity(ELBOW_UP)
    left = rows.matrix @ still - rows.lower
    np.testing.assert_allclose(left[:3], left[3:])
    most = np.sqrt(2 * (limits.tool_jerk - limits.tool_drift) * np.array([0.95, 0.22, 0.22]) * limits.tool_speed_max)
    assert (left[:3] > 0.5 * most - 3).all()
    assert (left[:3] < most).all()


def test_the_blow_of_touching_is_as_the_speed_row_says() -> None:
    """Free flight onto the spring with the allowed speed, pressing with the static share: the peak is the limit's."""
    barrier = arm_barriers["approach"](arm())
    surface = settings().safety.surface
    position = np.array([0.0, 0.3, 0.0, 1.5, 0.0, np.pi - 1.8, 0.0])
    _, (along,) = barrier.along(at(position, np.zeros(7)), surface_normal(settings())[None])
    speed = barrier.touching(along)
    # one mass on one spring
    mass = 1 / (speed / surface.force_max / np.sqrt((1 - 2 * surface.static_share) / surface.stiffness)) ** 2
    depth, rate, peak, step = 0.0, speed, 0.0, 1e-6
    for _ in range(200_000):
        force = surface.stiffness * max(depth, 0.0)
        peak = max(peak, force)
        rate += step * (surface.static_share * surface.force_max - force) / mass
        depth += step * rate
        if rate < 0:
            break
    assert peak == pytest.approx(surface.force_max, rel=1e-3)


def test_only_with_a_clearance_the_tool_stays_off() -> None:
    """Pushed down with full force, the tool stops before the surface, or presses it inside the limit."""
    from tidegate.safety.arm import ArmGuard

    def push(_: float, truth: object) -> np.ndarray:
        motion = dynamics()(truth.position, truth.velocity)  # type: ignore[attr-defined]
        return motion.bias + motion.jacobian.T @ np.array([0.0, 0.0, -300.0])

    keeps_off = closed_loop(ArmGuard(changed("surface", clearance=0.03)), push, seconds=1.2)
    assert keeps_off.force.max() == 0
    lowest = min(one.tool[2] for one in keeps_off.truth)
    assert 0.28 <= lowest < 0.30
    presses = closed_loop(ArmGuard(settings()), push, seconds=1.2)
    assert 5 < presses.force.max() <= 60


def test_the_tool_stays_off_however_encoders_that_are_off_as_told_hide_how_low_it_is() -> None:
    """Counted was the tool point's own error alone: with encoders good to 0.01 rad the tool came 12 mm too near."""
    from tidegate.safety.arm import ArmGuard

    loose = changed("limits", position_error=0.01)
    surface = dataclasses.replace(loose.safety.surface, clearance=0.03)
    made = ArmGuard(dataclasses.replace(loose, safety=dataclasses.replace(loose.safety, surface=surface)))
    higher = 0.01 * np.sign(dynamics()(ELBOW_UP, np.zeros(7)).jacobian[2])

    def push(_: float, truth: object) -> np.ndarray:
        motion = dynamics()(truth.position, truth.velocity)  # type: ignore[attr-defined]
        return motion.bias + motion.jacobian.T @ np.array([0.0, 0.0, -300.0])

    run = closed_loop(made, push, seconds=1.2, offset=higher)
    assert 0.28 <= min(one.tool[2] for one in run.truth) < 0.30


def test_a_tool_that_may_touch_for_all_that_encoders_tell_has_the_rows_of_the_carried_arm() -> None:
    here = dynamics()(ELBOW_UP, np.zeros(7))
    hidden = settings().safety.limits.position_error * np.abs(here.jacobian[2]).sum()
    hidden += settings().safety.limits.tool_position_error
    for gap, count in ((0.95 * hidden, 28), (1.05 * hidden, 14)):
        near = dataclasses.replace(arm(), settings=changed("surface", offset=float(here.position[2]) - gap))
        assert arm_barriers["position"](near).rows(at(ELBOW_UP, np.zeros(7))).matrix.shape == (count, 7)


def test_rows_of_joints_that_were_measured_a_while_ago_count_with_what_the_model_errs_by_in_that_time() -> None:
    motion, state, age = settings().safety.motion, drawn(np.random.default_rng(9)), 0.018
    error = np.tile(np.array(motion.acceleration) - np.array(motion.braking), 2)
    nearer = dataclasses.replace(
        state,
        velocity_toward=state.velocity_toward + error * age,
        position_toward=state.position_toward + error * age**2 / 2,
    )
    for name in ("velocity", "position"):
        barrier = arm_barriers[name](arm())
        old, _ = barrier.bound(dataclasses.replace(state, age=age))
        np.testing.assert_allclose(old, barrier.bound(nearer)[0], rtol=1e-9)
    for name in ("power", "tool_speed", "approach"):
        barrier = arm_barriers[name](arm())
        fresh, old = barrier.rows(state), barrier.rows(dataclasses.replace(state, age=age))
        assert (old.lower >= fresh.lower).all()
        assert (old.lower > fresh.lower).any()
