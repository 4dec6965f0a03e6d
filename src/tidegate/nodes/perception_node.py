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
from tidegate.nodes.input_watch import input_faults
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode, trusted_bundle
from tidegate.nodes.topics import heard_as, latched_qos, make, read
from tidegate.perception import Perception
from tidegate.records import ImageHealth, Level
from tidegate.settings import Settings

AFTER_STAMP = 12
"""Where in a serialised message what follows the stamp begins [bytes]."""
UNTOLD = 3
"""Seconds of real time in which frames come and a second of their own time should have passed."""
NO_FRAME = f"no frame for {PERIOD_S:g} s"
UNBOUNDED = "the bundle's lane is not calibrated: its error bounds are not known, so lane, edge and sight are off"
TIME_STANDS = "frames come, but their stamps do not go on"


class PerceptionNode(StackNode[Settings]):
    """Reads every camera frame with ``Perception``."""

    OWN = (BUNDLE, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("perception_node", arguments)
        self._timer: Timer | None = None

    def build(self) -> None:
        """Load the bundle."""
        self._perception: Perception | None = Perception(trusted_bundle(self, self.settings), self.settings)
        self._notes = () if self._perception.bounded else (UNBOUNDED,)
        if self._notes:
            self.get_logger().warning(UNBOUNDED)
        self.advertise("features", "lane", "health", "diagnostics")

    def drop(self) -> None:
        """Forget the network."""
        self._perception = None

    def start(self) -> None:
        """Listen to the camera. What it says of its lens comes with each picture, or was left once by who keeps it."""
        self._status = CameraStatus(self.settings.camera.rate_hz, self.settings.vehicle.name, self._notes)
        self._frames, self._untold, self._lens = 0, 0, b""
        self._name, self._kind = heard_as(self, PICTURES, self.settings.camera.topic)
        self._lens_name, lens_kind = heard_as(self, LENS, self.settings.camera.topic)
        self._heard = {self._name: self._kind, self._lens_name: lens_kind}
        self._lens_left = False
        self.listen(LENS, self._calibrate)
        self.listen(PICTURES, self._see)
        if not self.own(LOCK_STEP):
            self._timer = self.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
            self._hear_what_was_left()

    def stop(self) -> None:
        """Look for silence no more; stop listening."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def _hear_what_was_left(self) -> None:
        """A driver may have told of its lens once, before this node was there, or found it."""
        offered = {info.qos_profile.durability for info in self.get_publishers_info_by_topic(self._lens_name)}
        if not self._lens_left and DurabilityPolicy.TRANSIENT_LOCAL in offered:
            self._lens_left = True
            self.listen(LENS, self._calibrate, profile=latched_qos(LENS))

    def _look(self) -> None:
        """Once a second of real time: a camera that is silent, or whose time stands still, is told all the same."""
        self._hear_what_was_left()
        self._status.sources = input_faults(self, self._heard)
        self._untold += 1
        if not self._frames or self._untold > UNTOLD:
            now, why = self.get_clock().now().nanoseconds, TIME_STANDS if self._frames else NO_FRAME
            self.send_message("diagnostics", self._status.silent(now, make, why))
        self._frames = 0

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
        self._frames += 1
        self._status.saw(health, readable=readable)
        if self._status.due:
            self._untold = 0
            self.send_message("diagnostics", self._status.told(make))
