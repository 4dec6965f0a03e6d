# SPDX-License-Identifier: Apache-2.0
"""What a barrier of the arm is: linear rows on the joint torques.

The arm shares with the car the quadratic programme, the order in which rows give way, the limiter and the records that
tell of barriers. Its rows are taken in discrete time: G τ ≥ lower says what must hold at the end of the period in which
τ is held, so that the barrier's backup can keep its limit from there. ``lower`` is capped at what the backup reaches
within one period, so that a row is never infeasible by itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np

from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Motion
from tidegate.settings.arm import ArmLimitSettings


class ArmPriority(IntEnum):
    """The order in which rows give way, lowest first, where not all can hold; the torque window never does."""

    ACCELERATION = 0
    TOOL_SPEED = 1
    VELOCITY = 2
    POSITION = 3
    FORCE = 4
    POWER = 5


class Carried(NamedTuple):
    """Joint rows of an arm that is free or carried by a rigid surface: ``matrix`` (4N, N), first those of ``ArmState``.
    ``free`` and ``now`` (2N,) are the carried arm's accelerations as ``free_toward`` and ``now_toward``."""

    matrix: Floats
    free: Floats
    now: Floats


@dataclass(slots=True, eq=False)
class ArmState:
    """What barriers may know at a tick; every number is finite. (N,) in the order of the arm's joints.

    ``position`` [rad] and ``velocity`` [rad/s] as measured, moved on by the model over their ``age`` [s], in which they
    go astray by its error; ``torque`` [N·m] commanded last; ``low``, ``high`` [N·m] the window of this tick's torque;
    ``motion`` the dynamics here; ``free`` [rad/s²] the acceleration without torque and ``acceleration`` [rad/s²] the
    one with ``torque``, by the model.

    What several barriers need of these is worked out once. Towards the upper ends of the joints, then the lower ones:
    ``position_toward``, ``velocity_toward``, ``free_toward``, ``now_toward`` (2N,), of which ``free`` and
    ``acceleration`` are the last two, and ``matrix`` (2N, N), −M⁻¹ over M⁻¹. Of the tool point: ``tool`` (3, 2N + 7),
    side by side J M⁻¹, J, the mobility J M⁻¹ Jᵀ [1/kg], the acceleration [m/s²] with ``free`` and with
    ``acceleration``, velocity and drift, so that one product tells them along a direction; ``mobility_most``, the
    mobility's largest eigenvalue; ``tool_size``, the length of the acceleration now. ``lowest`` [m] along the surface's
    normal, as ``lowest`` says, and ``carried``: once they are asked for.
    """

    position: Floats
    velocity: Floats
    torque: Floats
    low: Floats
    high: Floats
    motion: Motion
    free: Floats
    acceleration: Floats
    matrix: Floats
    position_toward: Floats
    velocity_toward: Floats
    free_toward: Floats
    now_toward: Floats
    tool: Floats
    mobility_most: float
    tool_size: float
    age: float = 0.0
    lowest: float | None = None
    carried: Carried | None = None

    @classmethod
    def of(
        cls,
        position: Floats,
        velocity: Floats,
        torque: Floats,
        window: tuple[Floats, Floats],
        motion: Motion,
        age: float = 0.0,
    ) -> ArmState:
        """The state with what follows from it."""
        inverse, jacobian = motion.inverse, motion.jacobian
        free = -inverse.dot(motion.bias)
        now = inverse.dot(torque) + free
        joints = np.array((position, velocity, free, now))
        position_toward, velocity_toward, free_toward, now_toward = np.concatenate((joints, -joints), axis=1)
        reach = jacobian.dot(inverse)
        mobility = reach.dot(jacobian.T)
        drift = motion.drift[:, None]
        moved = jacobian.dot(joints[2:].T) + drift
        return cls(
            position,
            velocity,
            torque,
            *window,
            motion,
            free,
            now,
            np.concatenate((-inverse, inverse)),
            position_toward,
            velocity_toward,
            free_toward,
            now_toward,
            np.concatenate((reach, jacobian, mobility, moved, motion.velocity[:, None], drift), axis=1),
            largest_eigenvalue(mobility),
            math.hypot(*moved[:, 1].tolist()),
            age,
        )


def lowest(state: ArmState, normal: Floats, limits: ArmLimitSettings) -> float:
    """Where the tool point may be at the lowest, n·p [m] along the surface's ``normal`` (3,), for all that joint
    positions and the model's tool point may err by."""
    if state.lowest is None:
        reach = float(np.abs(normal.dot(state.motion.jacobian)).sum())
        known = float(normal.dot(state.motion.position))
        state.lowest = known - limits.tool_position_error - limits.position_error * reach
    return state.lowest


class ArmRows(NamedTuple):
    """The rows ``matrix`` (m, N) τ ≥ ``lower`` (m,), and h; m = 0 and h = inf where the barrier does not apply."""

    matrix: Floats
    lower: Floats
    h: float


class ArmBarrier(ABC):
    """One barrier. The docstring of every subclass states h, relative degree, trusted inputs, guarantee, assumption.

    Attributes:
        name: as registered; also in ``BarrierState``.
        priority: when its rows give way.
    """

    name: ClassVar[str]
    priority: ClassVar[ArmPriority]

    def __init__(self, arm: Arm) -> None:
        self.arm, self.settings = arm, arm.settings
        self.period = 1.0 / arm.settings.safety.rate_hz

    @abstractmethod
    def rows(self, state: ArmState) -> ArmRows:
        """The rows for ``state``."""

    def nothing(self) -> ArmRows:
        """No rows: the barrier does not apply."""
        return ArmRows(np.empty((0, len(self.arm.joint_names))), np.empty(0), np.inf)


def toward(array: Floats) -> Floats:
    """(2N, …): what is (N, …) along the joints, towards the upper ends, then towards the lower ones."""
    return np.concatenate((array, -array))


def largest_eigenvalue(matrix: Floats) -> float:
    """Of a symmetric (3, 3), within 1e-8 of it (Smith, Eigenvalues of a symmetric 3 × 3 matrix, 1961)."""
    (a, d, e), (_, b, f), (_, _, c) = matrix.tolist()
    middle = (a + b + c) / 3
    a, b, c = a - middle, b - middle, c - middle
    spread = math.sqrt((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6)
    if spread == 0:
        return float(middle)
    shape = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / (2 * spread**3)
    return float(middle + 2 * spread * math.cos(math.acos(min(max(shape, -1.0), 1.0)) / 3))


LIGHTEST = 1e-9
"""Least 1/mass of the tool along the normal [1/kg]: where no joint moves it along that, it has none."""


arm_barriers: Registry[type[ArmBarrier]] = Registry("arm_barriers")
"""Barrier types of the arm by name; the order of registration does not matter."""
