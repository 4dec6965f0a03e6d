# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw`` and ``camera/camera_info`` → ``features``, ``lane``, ``health``."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy

from tidegate.errors import TidegateError
from tidegate.messages import decode, stamp_of
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode, trusted_bundle
from tidegate.perception import Perception
from tidegate.records import ImageHealth, Level

CAMERA, LENS = "camera/image_raw", "camera/camera_info"


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
        """Listen to the camera. What it says of its lens comes with each picture, or was left once by who keeps it."""
        offered = {info.qos_profile.durability for info in self.get_publishers_info_by_topic(LENS)}
        kept = offered == {DurabilityPolicy.TRANSIENT_LOCAL} and not self.own(LOCK_STEP)
        self.listen(LENS, self._calibrate, latched=kept)
        self.listen(CAMERA, self._see)

    def _calibrate(self, topic: str, data: bytes) -> None:
        info = self.record(topic, data)
        if self._perception is None or info is None:
            return
        said = self._perception.calibrate(info)
        if self._perception.fault and said:
            self.get_logger().error(said)
        elif said:
            self.get_logger().info(said)

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
