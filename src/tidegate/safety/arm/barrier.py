# SPDX-License-Identifier: Apache-2.0
"""What a barrier of the arm is: linear rows on the joint torques.

The arm shares with the car the quadratic programme, the order in which rows give way, the limiter and the records that
tell of barriers. Its rows are taken in discrete time: G τ ≥ lower says what must hold at the end of the period in which
τ is held, so that the barrier's backup can keep its limit from there. ``lower`` is capped at what the backup reaches
within one period, so that a row is never infeasible by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np

from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Motion
from tidegate.settings.arm import SurfaceSettings


class ArmPriority(IntEnum):
    """The order in which rows give way, lowest first, where not all can hold; the torque window never does."""

    ACCELERATION = 0
    TOOL_SPEED = 1
    VELOCITY = 2
    POSITION = 3
    FORCE = 4
    POWER = 5


@dataclass(frozen=True, slots=True)
class ArmState:
    """What barriers may know at a tick; every number is finite. (N,) in the order of the arm's joints.

    ``position`` [rad] and ``velocity`` [rad/s] as measured; ``torque`` [N·m] commanded last; ``low``, ``high`` [N·m]
    the window of this tick's torque; ``motion`` the dynamics here; ``free`` [rad/s²] the acceleration without torque
    and ``acceleration`` [rad/s²] the one with ``torque``, by the model.
    """

    position: Floats
    velocity: Floats
    torque: Floats
    low: Floats
    high: Floats
    motion: Motion
    free: Floats
    acceleration: Floats

    @classmethod
    def of(
        cls, position: Floats, velocity: Floats, torque: Floats, window: tuple[Floats, Floats], motion: Motion
    ) -> ArmState:
        """The state with what follows from it."""
        free = -(motion.inverse @ motion.bias)
        return cls(position, velocity, torque, *window, motion, free, motion.inverse @ torque + free)


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


LIGHTEST = 1e-9
"""Least 1/mass of the tool along the normal [1/kg]: where no joint moves it along that, it has none."""


def surface_gap(surface: SurfaceSettings, normal: Floats, motion: Motion) -> float:
    """From the tool point to the surface [m], ``normal`` (3,) its unit normal; negative = pressed in."""
    return float(normal @ motion.position) - surface.offset


arm_barriers: Registry[type[ArmBarrier]] = Registry("arm_barriers")
"""Barrier types of the arm by name; the order of registration does not matter."""
