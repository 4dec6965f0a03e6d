# SPDX-License-Identifier: Apache-2.0
"""``camera/image_raw`` → ``features``, ``health``, ``/diagnostics`` of an arm."""

from __future__ import annotations

from tidegate.bundle import Bundle
from tidegate.messages import PICTURES
from tidegate.nodes.camera_node import CameraNode
from tidegate.nodes.diagnostics import CameraStatus
from tidegate.nodes.stack_node import BUNDLE
from tidegate.nodes.topics import heard_as
from tidegate.perception.arm_perception import ArmPerception
from tidegate.records import Frame, ImageHealth
from tidegate.settings.arm import ArmSettings, arm_settings_from


class ArmPerceptionNode(CameraNode[ArmSettings]):
    """Reads every camera frame with ``ArmPerception``."""

    READ = staticmethod(arm_settings_from)
    _perception: ArmPerception | None

    def build(self) -> None:
        """Load the bundle."""
        self._perception = ArmPerception(Bundle.load(self.own(BUNDLE), self.settings.arm.name))
        self.advertise("features", "health", "diagnostics")

    def start(self) -> None:
        """Listen to the camera."""
        assert self._perception is not None
        self._perception.forget()
        name, kind = heard_as(self, PICTURES, PICTURES)
        self.watch(CameraStatus(self.settings.camera.rate_hz, self.settings.arm.name), kind, {name: kind})

    def process(self, frame: Frame) -> ImageHealth:
        """See ``CameraNode.process``."""
        assert self._perception is not None
        features, health = self._perception.process(frame)
        self.send("features", features)
        return health
