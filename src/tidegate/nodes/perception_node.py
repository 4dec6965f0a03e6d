# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw`` → ``features``, ``lane``, ``health``."""

from __future__ import annotations

from tidegate.errors import TidegateError
from tidegate.messages import decode, stamp_of
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode, trusted_bundle
from tidegate.perception import Perception
from tidegate.records import ImageHealth, Level

CAMERA = "camera/image_raw"


class PerceptionNode(StackNode):
    """Reads every camera frame with ``Perception``."""

    OWN = (BUNDLE, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("perception_node", arguments)

    def build(self) -> None:
        """Load the bundle."""
        self._perception: Perception | None = Perception(trusted_bundle(self, self.settings), self.settings)
        self.advertise("features", "lane", "health")

    def drop(self) -> None:
        """Forget the network."""
        self._perception = None

    def start(self) -> None:
        """Listen to the camera."""
        self.listen(CAMERA, self._see)

    def _see(self, topic: str, data: bytes) -> None:
        if self._perception is None:
            return
        message = self.message(topic, data)
        try:
            frame = decode(topic, message)
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
            self.send("health", ImageHealth(stamp_of(message), Level.ERROR, (str(error),)))
            return
        percept = self._perception.process(frame)
        self.send("features", percept.features)
        self.send("lane", percept.lane)
        self.send("health", percept.health)
