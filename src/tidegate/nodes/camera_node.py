# SPDX-License-Identifier: Apache-2.0
"""What the perception nodes of all robots share: every frame is judged, told of once a second, and missed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from tidegate.errors import TidegateError
from tidegate.messages import PICTURES, serialised_stamp
from tidegate.nodes.diagnostics import PERIOD_S, CameraStatus
from tidegate.nodes.input_watch import input_faults
from tidegate.nodes.stack_node import BUNDLE, LOCK_STEP, AnySettings, StackNode
from tidegate.nodes.topics import make, read
from tidegate.records import Frame, ImageHealth, Level

UNTOLD = 3
"""Seconds of real time in which frames come and a second of their own time should have passed."""
NO_FRAME = f"no frame for {PERIOD_S:g} s"
TIME_STANDS = "frames come, but their stamps do not go on"


class CameraNode(StackNode[AnySettings]):
    """Hears a camera: subclasses ``process`` each frame, publish what comes of it and give its health."""

    OWN = (BUNDLE, LOCK_STEP)
    _perception: Any = None
    """What ``process`` asks; made by ``build``."""

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("perception_node", arguments)
        self._timer: Timer | None = None

    @abstractmethod
    def process(self, frame: Frame) -> ImageHealth:
        """Publish all but the health of a frame that could be read."""

    def drop(self) -> None:
        """Forget the network."""
        self._perception = None

    def watch(self, status: CameraStatus, kind: str, heard: Mapping[str, str]) -> None:
        """Begin: ``status`` counts; pictures are of the type ``kind``; all that is ``heard``, types by name."""
        self._status, self._kind, self._heard = status, kind, heard
        self._frames = self._untold = 0
        self.listen(PICTURES, self._see)
        if not self.own(LOCK_STEP):
            self._timer = self.create_timer(PERIOD_S, self.look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def stop(self) -> None:
        """Look for silence no more; stop listening."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def look(self) -> None:
        """Once a second of real time: a camera that is silent, or whose time stands still, is told all the same."""
        self._status.sources = input_faults(self, self._heard)
        self._untold += 1
        if not self._frames or self._untold > UNTOLD:
            now, why = self.get_clock().now().nanoseconds, TIME_STANDS if self._frames else NO_FRAME
            self.send_message("diagnostics", self._status.silent(now, make, why))
        self._frames = 0

    def _see(self, topic: str, data: bytes) -> None:
        if self._perception is None:  # a frame that was queued when the node was cleaned up comes all the same
            return
        try:
            frame = read(topic, data, self._kind)
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
            health = ImageHealth(serialised_stamp(data) or 0, Level.ERROR, (str(error),))
            self._tell(health, readable=False)
            return
        self._tell(self.process(frame))

    def _tell(self, health: ImageHealth, *, readable: bool = True) -> None:
        self.send("health", health)
        self._frames += 1
        self._status.saw(health, readable=readable)
        if self._status.due:
            self._untold = 0
            self.send_message("diagnostics", self._status.told(make))
