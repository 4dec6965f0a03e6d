# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw`` and ``camera/camera_info`` → ``saliency``: the picture with what the network looks at over it.

In a process of its own: in perception's a second thread would hold the interpreter while a frame waits for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidegate.errors import ImageError
from tidegate.messages import LENS, PICTURES, encode
from tidegate.nodes.stack_node import BUNDLE, trusted_bundle
from tidegate.nodes.topics import make
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.perception import Perception
from tidegate.perception.saliency import overlay


class SaliencyNode(ViewerNode):
    """VisualBackProp of the newest frame, at first at most five times a second; frames in between are dropped."""

    OWN = (BUNDLE,)
    SHOWS = "saliency"
    HEARS = (PICTURES, LENS)
    RATE_HZ = 5.0

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("saliency_node", arguments)

    def build(self) -> None:
        """Load the bundle."""
        self._perception = Perception(trusted_bundle(self, self.settings), self.settings)

    def show(self) -> Any:
        """The newest frame, with its own stamp."""
        info = self.take(LENS)
        if info is not None:
            self._perception.calibrate(info)
        frame = self.take(PICTURES)
        if frame is None:
            return None
        try:
            saliency = self._perception.saliency(frame)
        except ImageError as error:
            self.get_logger().warning(f"{PICTURES}: {error}", throttle_duration_sec=5.0)
            return None
        return encode(replace(frame, image=overlay(frame.image, saliency)), make)
