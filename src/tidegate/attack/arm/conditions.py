# SPDX-License-Identifier: Apache-2.0
"""What an episode of an arm begins with: where it is, what it carries, how wrong its sensors and its model are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tidegate.errors import SettingsError
from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.safety.arm import ArmGuard
from tidegate.simulation.arm import ArmTruth

STARTS = ("rest", "speed", "surface")
"""Where an episode begins: at rest, with joints that move, close to the surface and towards it."""
SENSORS = ("exact", "wrong")
FASTEST, LEAST = 0.95, 0.02
"""Share of the velocity limits up to which starts are drawn; every barrier's h is larger than this."""
CLOSE = 0.002, 0.05
"""Between these the tool's distance from the surface lies where it starts there [m]; else it is larger."""
TRIES = 1000


class Start(NamedTuple):
    """Joints (N,): ``position`` [rad], ``velocity`` [rad/s], and the ``torque`` [N·m] with which none accelerates."""

    position: Floats
    velocity: Floats
    torque: Floats


def draw_start(rng: np.random.Generator, guard: ArmGuard, kind: str) -> Start:
    """A state from which the backup keeps every limit: every row holds where no joint accelerates.

    Args:
        kind: one of ``STARTS``.

    Raises:
        SettingsError: none is found, or there is no surface.
    """
    arm, surface, normal = guard.arm, guard.arm.settings.safety.surface, surface_normal(guard.arm.settings)
    if kind == "surface" and not surface.enabled:
        raise SettingsError("safety.surface.enabled is false; episodes cannot start at the surface, leave it out")
    for _ in range(TRIES):
        position = rng.uniform(0.9 * arm.lower, 0.9 * arm.upper)
        velocity = rng.uniform(-FASTEST, FASTEST, len(position)) * arm.velocity * (kind != "rest")
        motion = guard.dynamics(position, velocity)
        gap = float(normal.dot(motion.position)) - surface.offset - surface.clearance
        if surface.enabled and (gap < CLOSE[0] or (kind == "surface") != (gap < CLOSE[1])):
            continue
        if kind == "surface" and normal.dot(motion.velocity) > 0:
            velocity = -velocity
        for _ in range(12):
            start = Start(position, velocity, guard.dynamics(position, velocity).bias)
            if _safe(guard, start):
                return start
            velocity = 0.8 * velocity
    raise SettingsError(f"no state to start from ({kind}) was found in {TRIES} tries")


def _safe(guard: ArmGuard, start: Start) -> bool:
    if (np.abs(start.torque) > guard.arm.effort).any():
        return False
    guard.engage(start.position, start.torque)
    rows = guard.filter.rows(guard.state(start.position, start.velocity))
    return min(rows.values) > LEAST and min(rows.margins(start.torque / guard.filter.scale), default=0.0) >= 0


class Body(NamedTuple):
    """What an arm is and its model does not know: ``payload`` [kg], dry ``friction`` and a constant error ``motor`` of
    the torques, both (N,) [N·m]."""

    payload: float
    friction: Floats
    motor: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, arm: Arm, sensors: str, overload: float) -> Body:
        """Draw it; ``sensors`` of ``SENSORS``; ``overload`` [kg] comes on top of the payload.

        'exact': everything is as the filter is told, with the URDF's friction. 'wrong': as far off as the settings
        bound it: payload, friction and motors (together ``arm.torque_error``).
        """
        model, count = arm.settings.arm, len(arm.effort)
        if sensors == "exact":
            return cls(model.payload + overload, arm.friction, np.zeros(count))
        payload = model.payload + model.payload_error * float(rng.choice((-1, 1)) * rng.uniform(0, 1) ** 0.5)
        bound, share = np.array(model.torque_error), rng.uniform(0, 1, count)
        motor = (1 - share) * bound * rng.choice((-1.0, 1.0), count)
        return cls(payload + overload, share * bound, motor)


class Errors:
    """What joint positions and velocities are measured as: constant errors, ones that jump, or that swing slowly; or
    ones that hide: those of all joints together make the tool seem slower, at the surface higher and slower there."""

    def __init__(self, guard: ArmGuard, rng: np.random.Generator, sensors: str, *, near: bool) -> None:
        """``sensors`` of ``SENSORS``: 'exact' has none. ``near``: the episode is one at the surface."""
        limits, count = guard.arm.settings.safety.limits, len(guard.arm.effort)
        most = np.array([[limits.position_error], [limits.velocity_error]])
        self._most = most * (sensors == "wrong") * np.ones(count)
        self._shape = str(rng.choice(["constant", "jump", "swing", "hide"]))
        self._dynamics = guard.dynamics
        self._away = surface_normal(guard.arm.settings) if near else None
        self._signs = rng.choice((-1.0, 1.0), (2, count))
        self._rates, self._seed = rng.uniform(1.0, 30.0, (2, count)), int(rng.integers(2**31))
        self._rng = np.random.default_rng(self._seed)

    def begin(self) -> None:
        """From the start again: the same errors."""
        self._rng = np.random.default_rng(self._seed)

    def __call__(self, now: float, truth: ArmTruth) -> Floats:
        """Of positions [rad] and velocities [rad/s], (2, N), ``now`` [s] after the start, where the arm is."""
        if self._shape == "hide":
            away = -truth.tool_velocity if self._away is None else self._away
            share = np.sign(away @ self._dynamics(truth.position, truth.velocity).jacobian)
        elif self._shape == "jump":
            share = self._rng.uniform(-1, 1, self._signs.shape)
        elif self._shape == "swing":
            share = self._signs * np.sin(self._rates * now)
        else:
            share = self._signs
        error: Floats = self._most * share
        return error
