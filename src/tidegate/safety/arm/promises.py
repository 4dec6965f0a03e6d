# SPDX-License-Identifier: Apache-2.0
"""Whether the arm can do what its settings promise: the backup's feasibility, held against the model at many states.

The joints' rows count on four promises (``safety.motion``). That all joints can be given ±``acceleration`` at once
inside the torque box, and changed by ``jerk`` inside the rate, is what makes every row that is capped at its backup
feasible together with every other one. The states are drawn: a check, no proof.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tidegate.errors import RobotError
from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics, Motion
from tidegate.safety.arm.power import power_demand

STEP = 1e-4
"""Time [s] over which drift is a difference."""


class Promises(NamedTuple):
    """Largest share of each promise that was used, by joint (N,): above 1 it cannot be kept.

    ``torque``: of the effort limit by ``acceleration``; ``rate``: of the effort's rate by ``jerk``; ``error``: of
    ``acceleration`` − ``braking`` by payload, torque balance and drift in one period; ``drift``.
    """

    torque: Floats
    rate: Floats
    error: Floats
    drift: Floats


def promises(arm: Arm, samples: int, seed: int = 0) -> Promises:
    """The worst over so many states inside the joints' limits: half with each velocity at 0 or a limit."""
    rng = np.random.default_rng(seed)
    motion, model = arm.settings.safety.motion, arm.settings.arm
    most, jerk, drift = np.array(motion.acceleration), np.array(motion.jerk), np.array(motion.drift)
    allowed = most - np.array(motion.braking)
    told = Dynamics(arm)
    others = [Dynamics(arm, max(model.payload + side * model.payload_error, 0.0)) for side in (-1, 1)]
    period, torque_error = 1 / arm.settings.safety.rate_hz, np.array(model.torque_error)
    found = []
    for number in range(samples):
        position = rng.uniform(arm.lower, arm.upper)
        spread = rng.uniform(-1, 1, len(most)) if number % 2 else rng.integers(-1, 2, len(most))
        velocity, wanted = spread * arm.velocity, rng.choice((-1.0, 1.0), len(most)) * most
        here = told(position, velocity)
        torque = here.mass @ wanted + here.bias
        error = np.zeros(len(most))
        for other in others:
            there = other(position, velocity)
            off = there.inverse @ (torque - there.bias) - wanted
            error = np.maximum(error, np.abs(off) + np.abs(there.inverse) @ torque_error)
        change = _drift(told, position, velocity, here, torque, wanted)
        found.append(
            (
                (np.abs(here.mass) @ most + np.abs(here.bias)) / arm.effort,
                np.abs(here.mass) @ jerk / arm.effort_rate,
                (error + change * period) / allowed,
                change / drift,
            )
        )
    return Promises(*(np.max(part, axis=0) for part in zip(*found, strict=True)))


def power_drift(arm: Arm, samples: int, seed: int = 0) -> float:
    """Largest share of ``power_drift`` that was used, over so many states as ``promises`` draws where braking takes all
    of ``power_max``, or as fast as the joints may be."""
    rng, told = np.random.default_rng(seed), Dynamics(arm)
    limits, most = arm.settings.safety.limits, np.array(arm.settings.safety.motion.acceleration)
    worst = 0.0
    for number in range(samples):
        position = rng.uniform(arm.lower, arm.upper)
        velocity = (rng.uniform(-1, 1, len(most)) if number % 2 else rng.integers(-1, 2, len(most))) * arm.velocity
        demand, _ = power_demand(told(position, velocity), velocity, most)
        velocity = velocity * min(1.0, limits.power_max / float(demand.max()))
        acceleration = rng.choice((-1.0, 1.0), len(most)) * most
        demand, slope = power_demand(told(position, velocity), velocity, most)
        moved, faster = position + STEP * (velocity + STEP / 2 * acceleration), velocity + STEP * acceleration
        later, _ = power_demand(told(moved, faster), faster, most)
        worst = max(worst, float(((later - demand) / STEP - slope @ acceleration).max()))
    return worst / limits.power_drift


def check_promises(arm: Arm, samples: int) -> Promises:
    """``promises``, if all of them and ``power_drift`` can be kept.

    Raises:
        RobotError: one cannot, naming it, the joint and by how much.
    """
    found = promises(arm, samples)
    for name, key, shares in (
        ("torque", "acceleration", found.torque),
        ("torque rate", "jerk", found.rate),
        ("error of the acceleration", "braking", found.error),
        ("drift of the acceleration", "drift", found.drift),
    ):
        worst = int(shares.argmax())
        if not shares[worst] <= 1:
            raise RobotError(
                f"{arm.description.source}: 'safety.motion.{key}' of {arm.joint_names[worst]} cannot be kept: the "
                f"{name} is {shares[worst]:.2f} of what is there (drawn states); it must be at most 1"
            )
    share = power_drift(arm, samples)
    if not share <= 1:
        raise RobotError(
            f"{arm.description.source}: 'safety.limits.power_drift' cannot be kept: the power that braking takes "
            f"changes {share:.2f} times as fast (drawn states); it must be at most 1"
        )
    return found


def _drift(model: Dynamics, position: Floats, velocity: Floats, here: Motion, torque: Floats, now: Floats) -> Floats:
    """How fast the acceleration ``now`` changes while ``torque`` is held (N,) [rad/s³]."""
    moved = position + STEP * (velocity + STEP / 2 * now)
    there = model(moved, velocity + STEP * now)
    later: Floats = there.inverse @ (torque - there.bias)
    change: Floats = np.abs(later - now) / STEP
    return change
