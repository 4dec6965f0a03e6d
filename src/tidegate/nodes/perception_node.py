# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw``, raw or compressed, and ``camera/camera_info`` → ``features``, ``lane``, ``health``,
``/diagnostics``."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy
from rclpy.timer import Timer

from tidegate.errors import TidegateError
from tidegate.messages import LENS, PICTURES, serialised_stamp
from tidegate.nodes.diagnostics import PERIOD_S, CameraStatus
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode, trusted_bundle
from tidegate.nodes.topics import heard_as, make, read
from tidegate.perception import Perception
from tidegate.records import ImageHealth, Level
from tidegate.settings import Settings

AFTER_STAMP = 12
"""Where in a serialised message what follows the stamp begins [bytes]."""


class PerceptionNode(StackNode[Settings]):
    """Reads every camera frame with ``Perception``."""

    OWN = (BUNDLE, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("perception_node", arguments)
        self._timer: Timer | None = None

    def build(self) -> None:
        """Load the bundle."""
        self._perception: Perception | None = Perception(trusted_bundle(self, self.settings), self.settings)
        self.advertise("features", "lane", "health", "diagnostics")

    def drop(self) -> None:
        """Forget the network."""
        self._perception = None

    def start(self) -> None:
        """Listen to the camera. What it says of its lens comes with each picture, or was left once by who keeps it."""
        self._status = CameraStatus(self.settings.camera.rate_hz, self.settings.vehicle.name)
        self._quiet, self._lens = True, b""
        self._name, self._kind = heard_as(self, PICTURES, self.settings.camera.topic)
        lens, _ = heard_as(self, LENS, self.settings.camera.topic)
        if not self.own(LOCK_STEP):
            self._timer = self.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        offered = {info.qos_profile.durability for info in self.get_publishers_info_by_topic(lens)}
        kept = offered == {DurabilityPolicy.TRANSIENT_LOCAL} and not self.own(LOCK_STEP)
        self.listen(LENS, self._calibrate, latched=kept)
        self.listen(PICTURES, self._see)

    def stop(self) -> None:
        """Look for silence no more; stop listening."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def _look(self) -> None:
        """Once a second of real time: a camera that is silent is told all the same."""
        if self._quiet:
            now = self.get_clock().now().nanoseconds
            self.send_message("diagnostics", self._status.silent(now, make, self._unfit()))
        self._quiet = True

    def _unfit(self) -> str:
        """Why the pictures that somebody publishes cannot come; empty = not for their type."""
        offered = {info.topic_type for info in self.get_publishers_info_by_topic(self._name)}
        if not offered or self._kind in offered:
            return ""
        return f"{self._name} is {' and '.join(sorted(offered))}; it must be {self._kind}"

    def _calibrate(self, topic: str, data: bytes) -> None:
        if self._perception is None or data[AFTER_STAMP:] == self._lens:  # it comes with each picture
            return
        self._lens = data[AFTER_STAMP:]
        info = self.record(topic, data)
        if info is None:
            return
        said = self._perception.calibrate(info)
        if self._perception.fault and said:
            self.get_logger().error(said)
        elif said:
            self.get_logger().info(said)

    def _see(self, topic: str, data: bytes) -> None:
        if self._perception is None:
            return
        try:
            frame = read(topic, data, self._kind)
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
            health = ImageHealth(serialised_stamp(data) or 0, Level.ERROR, (str(error),))
            self.send("health", health)
            self._tell(health, readable=False)
            return
        percept = self._perception.process(frame)
        self.send("features", percept.features)
        self.send("lane", percept.lane)
        self.send("health", percept.health)
        self._tell(percept.health)

    def _tell(self, health: ImageHealth, *, readable: bool = True) -> None:
        self._quiet = False
        self._status.saw(health, readable=readable)
        if self._status.due:
            self.send_message("diagnostics", self._status.told(make))
