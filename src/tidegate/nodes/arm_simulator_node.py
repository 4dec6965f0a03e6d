# SPDX-License-Identifier: Apache-2.0
"""``command`` → joint states, wrench at the tool and ``/clock`` of an arm, in a scene by name pictures and the force
that is asked for; in lock-step ``tick`` as well."""

from __future__ import annotations

from tidegate.messages import PICTURES
from tidegate.nodes.stack_node import LOCK_STEP
from tidegate.nodes.world_node import SCENE, SEED, WorldNode
from tidegate.records import Values
from tidegate.settings.arm import ArmSettings, arm_settings_from
from tidegate.simulation.arm.plant import ArmPlant


class ArmSimulatorNode(WorldNode[ArmSettings]):
    """The arm in its scene: ``ArmPlant`` behind the topics that a real arm would have."""

    READ = staticmethod(arm_settings_from)
    _world: ArmPlant | None

    def build(self) -> None:
        """Build the world."""
        self._world = ArmPlant(self.settings, self.own(SCENE), self.own(SEED))
        seen = (PICTURES, "wrench_request") if self.own(SCENE) else ()
        tick = ("tick",) if self.own(LOCK_STEP) else ()
        self.advertise("clock", "joint_states", "wrench", "truth", *seen, *tick)

    def sense(self) -> tuple[str, ...]:
        """Publish joint states, wrench and truth, pictures when they are due. A tick must have the first, and where
        there is something to do what is asked for."""
        assert self._world is not None
        seen = self._world.observe()
        self.send("wrench", seen.wrench)
        if seen.frame is not None and seen.request is not None:
            self.send("wrench_request", seen.request)
            self.send(PICTURES, seen.frame)
        self.send("joint_states", seen.joints)
        self.send("truth", Values(self._world.now, self._world.truth()))
        return ("joint_states", "nominal") if self.own(SCENE) else ("joint_states",)
