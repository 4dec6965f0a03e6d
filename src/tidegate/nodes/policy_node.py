# SPDX-License-Identifier: Apache-2.0
"""``features``, ``odom`` → ``nominal``, ``gains``, ``neurons``, ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.liquid import LiquidPolicy
from tidegate.nodes.diagnostics import LiquidStatus
from tidegate.nodes.pairing import Pairing
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode, trusted_bundle
from tidegate.nodes.topics import make
from tidegate.records import Features, Neurons, Odometry
from tidegate.settings import Settings

HISTORY = 400
"""Records of odometry that are kept: two seconds at the rate of the safety filter."""


class PolicyNode(StackNode[Settings]):
    """Steps ``LiquidPolicy`` on every set of features."""

    OWN = (BUNDLE, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("policy_node", arguments)

    def build(self) -> None:
        """Load the bundle."""
        self._policy: LiquidPolicy | None = LiquidPolicy(trusted_bundle(self, self.settings), self.settings)
        self.advertise("nominal", "gains", "neurons", "diagnostics")
        self.get_logger().info(f"liquid step in {self._policy.runs_in}")

    def drop(self) -> None:
        """Forget the network."""
        self._policy = None

    def start(self) -> None:
        """Begin with neurons at rest; listen to features and odometry."""
        if self._policy is not None:
            self._policy.reset()
            layers, robot = self._policy.wiring.sizes, self.settings.vehicle.name
            self._status = LiquidStatus(self._policy.runs_in, layers, robot)
        self._pairing = Pairing(HISTORY)
        self.listen("odom", self._moved)
        self.listen("features", self._saw)

    def _moved(self, topic: str, data: bytes) -> None:
        record = self.record(topic, data)
        if record is not None:
            self._decide(self._pairing.odometry(record))

    def _saw(self, topic: str, data: bytes) -> None:
        record = self.record(topic, data)
        if record is not None:
            self._decide(self._pairing.features(record))

    def _decide(self, pairs: Iterable[tuple[Features, Odometry]]) -> None:
        for features, odometry in pairs:
            if self._policy is not None:
                decision = self._policy.step(features, odometry)
                self.send("nominal", decision.nominal)
                self.send("gains", decision.gains)
                self.send("neurons", Neurons(decision.nominal.stamp, decision.neurons))
                if (told := self._status.told(decision.nominal.stamp, make)) is not None:
                    self.send_message("diagnostics", told)
