# SPDX-License-Identifier: Apache-2.0
"""``command`` → joint states, wrench at the tool and ``/clock`` of an arm; in lock-step ``tick`` as well."""

from __future__ import annotations

from tidegate.nodes.stack_node import LOCK_STEP
from tidegate.nodes.world_node import SCENE, SEED, WorldNode
from tidegate.records import Values
from tidegate.settings.arm import ArmSettings, arm_settings_from
from tidegate.simulation.arm.plant import ArmPlant


class ArmSimulatorNode(WorldNode[ArmSettings]):
    """The arm at its surface: ``ArmPlant`` behind the topics that a real arm would have."""

    READ = staticmethod(arm_settings_from)
    _world: ArmPlant | None

    def build(self) -> None:
        """Build the world."""
        self._world = ArmPlant(self.settings, self.own(SCENE), self.own(SEED))
        self.advertise("clock", "joint_states", "wrench", "truth", *(("tick",) if self.own(LOCK_STEP) else ()))

    def sense(self) -> tuple[str, ...]:
        """Publish joint states, wrench and truth; a tick must have the first."""
        assert self._world is not None
        joints, wrench = self._world.observe()
        self.send("joint_states", joints)
        self.send("wrench", wrench)
        self.send("truth", Values(self._world.now, self._world.truth()))
        return ("joint_states",)
