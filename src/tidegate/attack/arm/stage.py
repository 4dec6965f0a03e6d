# SPDX-License-Identifier: Apache-2.0
"""Where an arm is attacked: with nothing but a surface, or in a scene in which a policy drives first."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from tidegate.attack.arm.adversary import ARM_ADVERSARIES
from tidegate.attack.arm.conditions import Body, Errors, draw_start
from tidegate.attack.arm.driver import Ask, PolicyDriver, hostile
from tidegate.attack.arm.policy import ARM_POLICIES, PolicyAsItIs
from tidegate.bundle import Bundle
from tidegate.evaluation.arm_pilot import ArmPilot
from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm import ArmSupervisor
from tidegate.simulation.arm import ArmScene, ArmTruth, make_arm_scene

SOFTEST = 1e3
"""Of a surface that is drawn [N/m], but no more than what the filter is told."""
LATEST = 0.7
"""Share of a scene's time by which something is wrong with its policy."""


class Stage(Protocol):
    """``torque`` (N,) [N·m] is what is sent when an episode begins, ``supervisor`` is for one alone."""

    supervisor: ArmSupervisor
    torque: Floats
    body: Body
    errors: Errors

    @property
    def scene(self) -> ArmScene:
        """The world."""

    def begin(self) -> ArmTruth:
        """Put everything where it begins."""

    def ask(self, adversary: str, rng: np.random.Generator, plan: tuple[float, ...]) -> Ask:
        """Who asks.

        Raises:
            KeyError: no such adversary.
        """

    def close(self) -> None:
        """Release what graphics there are."""


class Bare:
    """The arm alone, at one of ``STARTS``; its surface is a plane, and may be softer than its filter is told."""

    def __init__(
        self, rng: np.random.Generator, supervisor: ArmSupervisor, kind: str, sensors: str, overload: float
    ) -> None:
        """Draw it, for the ``supervisor`` that is to hold it.

        Raises:
            SettingsError: as ``draw_start``.
        """
        self.supervisor, guard = supervisor, supervisor.guard
        self._start, most = draw_start(rng, guard, kind), guard.arm.settings.safety.surface.stiffness
        self.torque = self._start.torque
        stiffness = math.exp(rng.uniform(math.log(min(SOFTEST, most)), math.log(most)))
        self.errors = Errors(guard, rng, sensors, near=kind == "surface")
        self.body = Body.draw(rng, guard.arm, sensors, overload)
        self.scene = ArmScene(guard.arm, payload=self.body.payload, stiffness=stiffness)
        self.scene.model.dof_frictionloss[:] = self.body.friction

    def begin(self) -> ArmTruth:
        """See ``Stage.begin``."""
        return self.scene.place(self._start.position, self._start.velocity)

    def ask(self, adversary: str, rng: np.random.Generator, plan: tuple[float, ...]) -> Ask:
        """See ``Stage.ask``."""
        guard = self.supervisor.guard
        return hostile(ARM_ADVERSARIES[adversary](guard.arm, guard.dynamics, rng, plan))

    def close(self) -> None:
        """See ``Stage.close``."""


class InScene:
    """One of ``ARM_SCENES``, all of it by its seed but what the arm is. A bundle's policy drives; at a random moment
    something is wrong with it, or an adversary is in its place."""

    def __init__(
        self,
        rng: np.random.Generator,
        arm: Arm,
        name: str,
        seed: int,
        sensors: str,
        overload: float,
        disable: tuple[str, ...],
        bundle: str,
        seconds: float,
    ) -> None:
        """Build it, of the settings of ``arm`` and what its filter must be told of the scene.

        Args:
            rng: for what the arm is and how its joints are measured.
            arm: as its settings say.
            name, seed: of the scene.
            sensors, overload, disable: as ``ArmEpisode``.
            bundle: whose policy drives.
            seconds: of the episode.

        Raises:
            SceneError: as ``make_arm_scene``; BundleError: it is unusable; RobotError: as ``ArmSupervisor``.
        """
        self._policy, self._seconds = Bundle.load(bundle, arm.settings.arm.name), seconds
        self.body = Body.draw(rng, arm, sensors, overload)
        self.scene = make_arm_scene(name, arm.settings, seed, self.body.payload)
        self.scene.model.dof_frictionloss[:] = self.body.friction
        self.supervisor = ArmSupervisor(self.scene.settings, disable=frozenset(disable))
        guard, start = self.supervisor.guard, self.scene.start
        self.torque = guard.dynamics(start, np.zeros(len(start))).bias
        self.errors = Errors(guard, rng, sensors, near=self.scene.surface() is not None)

    def begin(self) -> ArmTruth:
        """See ``Stage.begin``; the pictures' noise begins anew too."""
        self.close()
        return self.scene.begin()

    def ask(self, adversary: str, rng: np.random.Generator, plan: tuple[float, ...]) -> Ask:
        """See ``Stage.ask``."""
        guard, scene = self.supervisor.guard, self.scene
        onset = self._seconds * float(rng.uniform(0, LATEST))
        pilot, wrong, instead = ArmPilot(self._policy, scene.settings), PolicyAsItIs, None
        if adversary in ARM_POLICIES:
            wrong = ARM_POLICIES[adversary]
        else:
            instead = hostile(ARM_ADVERSARIES[adversary](guard.arm, guard.dynamics, rng, plan))
        return PolicyDriver(scene, pilot, wrong(guard.arm, rng), instead, onset)

    def close(self) -> None:
        """See ``Stage.close``."""
        self.scene.close()
