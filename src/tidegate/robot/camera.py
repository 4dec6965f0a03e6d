# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits on the robot and what it is stated to see."""

from __future__ import annotations

from tidegate.bundle import CameraView
from tidegate.robot.urdf import Description
from tidegate.settings import Settings

CAMERA_LINK = "camera_link"


def camera_view(settings: Settings, description: Description) -> CameraView:
    """The view of the camera that the settings state, on the mount that the URDF says.

    Raises:
        RobotError: ``camera_link`` is not mounted on ``base_link``.
    """
    camera = settings.camera
    xyz, rpy = description.origin(CAMERA_LINK)
    return CameraView(xyz, rpy, camera.width, camera.height, camera.fov_deg)
