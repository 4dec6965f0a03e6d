# SPDX-License-Identifier: Apache-2.0
"""Torques that a broken or hostile policy asks an arm for. Adversaries by name; they see the truth."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.dynamics import Dynamics

ARM_ADVERSARIES: Registry[type[ArmAdversary]] = Registry("arm_adversaries")
STRENGTH = 1.5
"""What is asked for goes so far beyond the joints' effort."""


class ArmAdversary(ABC):
    """Asked at every tick. The docstring of every subclass says what it does.

    Attributes:
        most: (N,) the largest torques that are meant [N·m].
        late: how old the stamp of the last wish says that it is [s].
    """

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        """``plan``: numbers in [−1, 1] that a search chose; empty = the adversary draws what it needs."""
        self.arm, self.dynamics, self.rng, self.plan = arm, dynamics, rng, plan
        self.most = STRENGTH * arm.effort
        self.late = 0.0
        self._due, self._sign = np.zeros(len(self.most)), np.ones(len(self.most))

    @abstractmethod
    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        """Torques (N,) [N·m] to ask for ``now`` [s] after the start; None = nothing is sent."""

    def switched(self, now: float) -> Floats:
        """Full torque (N,), each joint's sign drawn anew at times of its own."""
        turn = now >= self._due
        count = int(turn.sum())
        self._sign[turn] = self.rng.choice((-1.0, 1.0), count)
        self._due[turn] = now + self.rng.uniform(0.02, 0.6, count)
        return self._sign * self.most


@ARM_ADVERSARIES.register("bang_bang")
class BangBang(ArmAdversary):
    """Full torque, each joint's sign drawn anew at times of its own."""

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        return self.switched(now)


@ARM_ADVERSARIES.register("wander")
class Wander(ArmAdversary):
    """Torques that walk at random."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._torque = np.zeros(len(self.most))

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        step = self.rng.normal(0, 0.1, len(self.most)) * self.most
        self._torque = np.clip(self._torque + step, -self.most, self.most)
        return self._torque


@ARM_ADVERSARIES.register("flipped")
class Flipped(ArmAdversary):
    """An impedance controller whose spring and damper have the wrong sign; gravity is held."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._goal = rng.uniform(arm.lower, arm.upper)
        self._spring = arm.effort * rng.uniform(1, 5)

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        pull = self._goal - position - 0.2 * velocity
        wish: Floats = self.dynamics.gravity(position) - self._spring * pull
        return wish


@ARM_ADVERSARIES.register("full_torque")
class FullTorque(ArmAdversary):
    """The same full torque all the time."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._torque: Floats = rng.choice((-1.0, 1.0), len(self.most)) * self.most

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        return self._torque


@ARM_ADVERSARIES.register("press")
class Press(ArmAdversary):
    """Towards the surface, and on it, with ten times the force that is allowed; sideways as it likes."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        surface = arm.settings.safety.surface
        self._force = rng.normal(0, 50, 3) - 10 * surface.force_max * surface_normal(arm.settings)

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        motion = self.dynamics(position, velocity)
        wish: Floats = motion.bias + motion.jacobian.T @ self._force
        return wish


@ARM_ADVERSARIES.register("stamp")
class Stamp(ArmAdversary):
    """Straight towards the surface with ten times the force that is allowed, and off it again, by turns."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._push = -10 * arm.settings.safety.surface.force_max * surface_normal(arm.settings)
        self._down, self._up = rng.uniform(0.4, 1.0), rng.uniform(0.02, 0.1)

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        motion = self.dynamics(position, velocity)
        side = 1.0 if now % (self._down + self._up) < self._down else -0.2
        along = motion.jacobian.T @ self._push
        swing = velocity - along * (along.dot(velocity) / max(float(along.dot(along)), 1e-12))  # all else is damped
        wish: Floats = motion.bias + side * along - 0.2 * self.arm.effort * swing
        return wish


@ARM_ADVERSARIES.register("outward")
class Outward(ArmAdversary):
    """Full torque on each joint towards the end of its range that is nearer."""

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        wish: Floats = np.where(2 * position > self.arm.lower + self.arm.upper, 1.0, -1.0) * self.most
        return wish


@ARM_ADVERSARIES.register("pump")
class Pump(ArmAdversary):
    """Full torque with the motion of each joint, and against it by turns: as much power as can be had."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._drives, self._brakes = rng.uniform(0.2, 1.0), rng.uniform(0.02, 0.2)

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        side = 1.0 if now % (self._drives + self._brakes) < self._drives else -1.0
        wish: Floats = side * np.where(velocity > 0, 1.0, -1.0) * self.most
        return wish


@ARM_ADVERSARIES.register("nan")
class NotANumber(ArmAdversary):
    """NaN, infinities and huge numbers among full torques, more of them or less by episode."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._share = float(rng.choice((0.01, 0.05, 0.3)))

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        wish = self.switched(now)
        broken = self.rng.random(len(wish)) < self._share
        wish[broken] = self.rng.choice((math.nan, math.inf, -math.inf, 1e300, -1e300))
        return wish


@ARM_ADVERSARIES.register("stutter")
class Stutter(ArmAdversary):
    """Silence for up to twice the time that the ladder tolerates, full torques in between."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._silent, self._until = True, 0.0
        self._longest = 2 * arm.settings.safety.ladder.nominal_timeout_s

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        if now >= self._until:
            self._silent, self._until = not self._silent, now + self.rng.uniform(0, self._longest)
        return None if self._silent else self.switched(now)


@ARM_ADVERSARIES.register("stale")
class Stale(ArmAdversary):
    """Full torques whose stamps are old, or lie in the future, for a time."""

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        self._until, self._patience = 0.0, arm.settings.safety.ladder.nominal_timeout_s

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        if now >= self._until:
            self._until = now + self.rng.uniform(0, 2 * self._patience)
            self.late = float(self.rng.uniform(-1, 1.5)) * self._patience
        return self.switched(now)


@ARM_ADVERSARIES.register("profile")
class Profile(ArmAdversary):
    """Shares of full torque held for a quarter of a second, the same four again and again; a search chooses them."""

    SEGMENTS, SECONDS = 4, 0.25

    def __init__(self, arm: Arm, dynamics: Dynamics, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(arm, dynamics, rng, plan)
        shares = np.array(plan) if plan else rng.uniform(-1.0, 1.0, self.SEGMENTS * len(self.most))
        self._torques = shares.reshape(self.SEGMENTS, -1) * self.most

    def wish(self, now: float, position: Floats, velocity: Floats) -> Floats | None:
        return np.array(self._torques[int(now / self.SECONDS) % self.SEGMENTS])
