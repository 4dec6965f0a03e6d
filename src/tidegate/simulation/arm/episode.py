# SPDX-License-Identifier: Apache-2.0
"""One episode: who asks for torques, the filter between, physics in steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.arm.task import ArmTask
from tidegate.simulation.arm.world import ArmTruth


class Guard(Protocol):
    """What stands between; ``tidegate.safety.arm.ArmGuard`` of the scene's settings is one."""

    def engage(self, position: Floats) -> None:
        """Begin at joint ``position`` (N,) [rad]."""

    def __call__(self, position: Floats, velocity: Floats, wanted: Floats) -> Any:
        """What is let through: ``torque`` (N,) [N·m] and ``intervened``."""


@dataclass(frozen=True, slots=True)
class ArmRun:
    """What an episode showed: of K physics steps, K of ``torque`` (K, N) [N·m] as applied and of ``truth``; of T ticks
    ``wanted`` (T, N) [N·m] and ``intervened``, the barrier that changed it."""

    period: float
    truth: tuple[ArmTruth, ...]
    torque: Floats
    wanted: Floats
    intervened: tuple[str, ...]

    def of(self, name: str) -> Floats:
        """A quantity of ``ArmTruth`` at every physics step (K, …)."""
        return np.array([getattr(one, name) for one in self.truth])


def drive(
    scene: ArmTask, act: Callable[[ArmTruth], Floats], guard: Guard | None, seconds: float | None = None
) -> ArmRun:
    """Begin the scene anew and drive it for ``seconds`` (None: its own).

    The guard sees joint positions and velocities that err within what the settings say, by the scene's seed; ``act``
    sees the truth. Without a guard the wanted torques go through, cut to the joints' efforts.
    """
    limits, most = scene.settings.safety.limits, scene.arm.effort
    rng = np.random.default_rng([scene.seed, 32])
    truth = scene.begin()
    if guard is not None:
        guard.engage(truth.position)
    steps: list[ArmTruth] = []
    torques: list[Floats] = []
    wishes: list[Floats] = []
    intervened: list[str] = []
    rate = scene.settings.safety.rate_hz
    for _ in range(round((scene.seconds if seconds is None else seconds) * rate)):
        wish = act(truth)
        torque = np.clip(wish, -most, most)
        wishes.append(wish)
        if guard is not None:
            place = truth.position + limits.position_error * rng.uniform(-1, 1, len(most))
            told = guard(place, truth.velocity + limits.velocity_error * rng.uniform(-1, 1, len(most)), wish)
            torque = told.torque
            intervened.append(told.intervened)
        for _ in range(scene.substeps):
            truth = scene.step(torque)
            steps.append(truth)
            torques.append(torque)
    return ArmRun(1 / (rate * scene.substeps), tuple(steps), np.array(torques), np.array(wishes), tuple(intervened))
