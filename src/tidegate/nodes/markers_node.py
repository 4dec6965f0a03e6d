# SPDX-License-Identifier: Apache-2.0
"""``safety_node/barriers``, ``lane``, ``health``, ``odom`` → ``markers``, for RViz and Foxglove."""

from __future__ import annotations

from typing import Any

from tidegate.messages import encode_shapes
from tidegate.messages.graph import GRAPH
from tidegate.nodes.topics import make
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.operate.shapes import Scene
from tidegate.records import Level
from tidegate.robot import Car


class MarkersNode(ViewerNode):
    """Draws what the safety filter goes by with ``Scene``."""

    SHOWS = "markers"
    HEARS = GRAPH["markers_node"].subscribes
    RATE_HZ = 10.0

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("markers_node", arguments)

    def build(self) -> None:
        """Read the robot."""
        self._scene = Scene(self.settings, Car.from_settings(self.settings))
        self._trusted = False

    def show(self) -> Any:
        """The scene at the newest tick."""
        odometry, health, lane, state = (self.take(topic) for topic in self.HEARS)
        if odometry is not None:
            self._scene.moved(odometry)
        if health is not None:
            self._trusted = health.level != Level.ERROR
        if lane is not None and self._trusted:
            self._scene.saw(lane)
        return None if state is None else encode_shapes(state.stamp, self._scene.shapes(state), make)
