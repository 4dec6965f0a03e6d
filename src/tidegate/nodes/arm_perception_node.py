# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw`` → ``features``, ``health``, ``/diagnostics`` of an arm."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from tidegate.bundle import Bundle
from tidegate.messages import PICTURES
from tidegate.nodes.diagnostics import PERIOD_S, CameraStatus
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, StackNode
from tidegate.nodes.topics import make
from tidegate.perception.arm_perception import ArmPerception
from tidegate.records import Frame
from tidegate.settings.arm import ArmSettings, arm_settings_from


class ArmPerceptionNode(StackNode[ArmSettings]):
    """Reads every camera frame with ``ArmPerception``."""

    OWN = (BUNDLE, LOCK_STEP)
    READ = staticmethod(arm_settings_from)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("perception_node", arguments)
        self._perception: ArmPerception | None = None
        self._timer: Timer | None = None

    def build(self) -> None:
        """Load the bundle."""
        self._perception = ArmPerception(Bundle.load(self.own(BUNDLE), self.settings.arm.name))
        self.advertise("features", "health", "diagnostics")

    def drop(self) -> None:
        """Forget the network."""
        self._perception = None

    def start(self) -> None:
        """Listen to the camera."""
        assert self._perception is not None
        self._perception.forget()
        self._status, self._quiet = CameraStatus(self.settings.camera.rate_hz, self.settings.arm.name), True
        if not self.own(LOCK_STEP):
            self._timer = self.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.listen(PICTURES, self._see)

    def stop(self) -> None:
        """Look for silence no more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def _look(self) -> None:
        """Once a second of real time: a camera that is silent is told all the same."""
        if self._quiet:
            self.send_message("diagnostics", self._status.silent(self.get_clock().now().nanoseconds, make))
        self._quiet = True

    def _see(self, topic: str, data: bytes) -> None:
        frame: Frame | None = self.record(topic, data)
        if frame is None or self._perception is None:
            return
        features, health = self._perception.process(frame)
        self.send("features", features)
        self.send("health", health)
        self._quiet = False
        self._status.saw(health)
        if self._status.due:
            self.send_message("diagnostics", self._status.told(make))
