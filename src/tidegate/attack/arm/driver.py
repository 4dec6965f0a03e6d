# SPDX-License-Identifier: Apache-2.0
"""Who asks for torques in a hostile episode: an adversary from the start, or a policy until something goes wrong."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.attack.arm.adversary import ArmAdversary
from tidegate.attack.arm.policy import PolicyAsItIs
from tidegate.evaluation.arm_asked import ToolDriver
from tidegate.evaluation.arm_pilot import ArmPilot
from tidegate.records import Floats
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.simulation.arm import ArmTask, ArmTruth

Ask = Callable[[float, ArmTruth, Floats], tuple[Floats | None, float]]
"""What is asked for (N,) [N·m], None = nothing is sent, and how old its stamp says that it is [s]; by time [s] since
the start, what is true, and joints (2, N) as they are measured."""


def hostile(adversary: ArmAdversary) -> Ask:
    """An adversary that sees the truth."""

    def ask(now: float, truth: ArmTruth, _: Floats) -> tuple[Floats | None, float]:
        return adversary.wish(now, truth.position, truth.velocity), adversary.late

    return ask


class PolicyDriver:
    """An ``Ask``: a bundle's policy in its scene, and from ``onset`` [s] on one that is ``wrong``, or whoever is in its
    place: ``instead``. Nothing watches over pictures: what the health of images would keep from it goes through."""

    def __init__(self, scene: ArmTask, pilot: ArmPilot, wrong: PolicyAsItIs, instead: Ask | None, onset: float) -> None:
        self._scene, self._pilot, self._driver = scene, pilot, ToolDriver(scene, self._aim)
        self._now, self._wrong, self._instead, self._onset = PolicyAsItIs(wrong.arm, wrong.rng), wrong, instead, onset

    def __call__(self, now: float, truth: ArmTruth, seen: Floats) -> tuple[Floats | None, float]:
        """As ``Ask``."""
        if now >= self._onset:
            self._now = self._wrong
            if self._instead is not None:
                return self._instead(now, truth, seen)
        return self._now.torque(self._driver.torque(truth, *seen)), 0.0

    def _aim(self, _: ArmTruth, senses: ToolSenses) -> ToolAim:
        camera, policy = self._scene.settings.camera, self._now
        senses = policy.senses(senses)
        picture = policy.picture(self._scene.image(camera.width, camera.height, "closer"))
        return policy.aim(self._pilot.decide(policy.sights(self._pilot.see(picture)), senses), senses)
