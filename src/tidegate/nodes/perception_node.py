# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw``, raw or compressed, and ``camera/camera_info`` → ``features``, ``lane``, ``health``,
``/diagnostics``."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy

from tidegate.messages import LENS, PICTURES
from tidegate.nodes.camera_node import CameraNode
from tidegate.nodes.diagnostics import CameraStatus
from tidegate.nodes.stack_node import LOCK_STEP, trusted_bundle
from tidegate.nodes.topics import heard_as, latched_qos
from tidegate.perception import Perception
from tidegate.records import Frame, ImageHealth
from tidegate.settings import Settings

AFTER_STAMP = 12
"""Where in a serialised message what follows the stamp begins [bytes]."""
UNBOUNDED = "the bundle's lane is not calibrated: its error bounds are not known, so lane, edge and sight are off"


class PerceptionNode(CameraNode[Settings]):
    """Reads every camera frame with ``Perception``."""

    _perception: Perception | None

    def build(self) -> None:
        """Load the bundle."""
        self._perception = Perception(trusted_bundle(self, self.settings), self.settings)
        self._notes = () if self._perception.bounded else (UNBOUNDED,)
        if self._notes:
            self.get_logger().warning(UNBOUNDED)
        self.advertise("features", "lane", "health", "diagnostics")

    def start(self) -> None:
        """Listen to the camera. What it says of its lens comes with each picture, or was left once by who keeps it."""
        camera = self.settings.camera
        self._lens, self._lens_left = b"", False
        name, kind = heard_as(self, PICTURES, camera.topic)
        self._lens_name, lens_kind = heard_as(self, LENS, camera.topic)
        self.listen(LENS, self._calibrate)
        status = CameraStatus(camera.rate_hz, self.settings.vehicle.name, self._notes)
        self.watch(status, kind, {name: kind, self._lens_name: lens_kind})
        if not self.own(LOCK_STEP):
            self._hear_what_was_left()

    def _hear_what_was_left(self) -> None:
        """A driver may have told of its lens once, before this node was there, or found it."""
        offered = {info.qos_profile.durability for info in self.get_publishers_info_by_topic(self._lens_name)}
        if not self._lens_left and DurabilityPolicy.TRANSIENT_LOCAL in offered:
            self._lens_left = True
            self.listen(LENS, self._calibrate, profile=latched_qos(LENS))

    def look(self) -> None:
        """See ``CameraNode.look``."""
        self._hear_what_was_left()
        super().look()

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

    def process(self, frame: Frame) -> ImageHealth:
        """See ``CameraNode.process``."""
        assert self._perception is not None
        percept = self._perception.process(frame)
        self.send("features", percept.features)
        self.send("lane", percept.lane)
        return percept.health
