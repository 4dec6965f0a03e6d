# SPDX-License-Identifier: Apache-2.0
"""``features``, ``joint_states``, ``wrench``, ``wrench_request`` → ``nominal``, ``neurons``, ``policy_node/inputs``,
``/diagnostics`` of an arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tidegate.bundle import Bundle
from tidegate.errors import RobotError
from tidegate.liquid.arm_policy import ArmPolicy, Made
from tidegate.nodes.diagnostics import LiquidStatus
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode
from tidegate.nodes.topics import make
from tidegate.records import Command, Neurons
from tidegate.settings.arm import ArmSettings, arm_settings_from


class ArmPolicyNode(StackNode[ArmSettings]):
    """Steps ``ArmPolicy`` with every record."""

    OWN = (BUNDLE, LOCK_STEP)
    READ = staticmethod(arm_settings_from)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("policy_node", arguments)
        self._policy: ArmPolicy | None = None

    def build(self) -> None:
        """Load the bundle."""
        bundle = Bundle.load(self.own(BUNDLE), self.settings.arm.name)
        self._policy = ArmPolicy(bundle, self.settings, lock_step=self.own(LOCK_STEP))
        self.advertise("nominal", "neurons", "policy_node/inputs", "diagnostics")
        self.get_logger().info(f"liquid step in {self._policy.runs_in}")

    def drop(self) -> None:
        """Forget the network."""
        self._policy = None

    def start(self) -> None:
        """Begin with neurons at rest; listen."""
        assert self._policy is not None
        self._policy.reset()
        self._status = LiquidStatus(self._policy.runs_in, self._policy.wiring.sizes, self.settings.arm.name)
        steps: dict[str, Callable[[Any], Iterator[Made]]] = {
            "wrench": self._policy.touch,
            "wrench_request": self._policy.request,
            "features": self._policy.see,
            "joint_states": self._policy.move,
        }
        for topic, step in steps.items():
            self.listen(topic, self._hearing(step))

    def _hearing(self, step: Callable[[Any], Iterator[Made]]) -> Callable[[str, bytes], None]:
        def heard(topic: str, data: bytes) -> None:
            record = self.record(topic, data)
            if record is None or self._policy is None:
                return
            try:
                for made in step(record):
                    self._tell(made)
            except RobotError as error:
                self.get_logger().error(str(error), throttle_duration_sec=1.0)

        return heard

    def _tell(self, made: Made) -> None:
        if isinstance(made, Command):
            self.send("nominal", made)
        elif isinstance(made, Neurons):
            self.send("neurons", made)
            if (told := self._status.told(made.stamp, make)) is not None:
                self.send_message("diagnostics", told)
        else:
            self.send("policy_node/inputs", made)
