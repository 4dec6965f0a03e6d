# SPDX-License-Identifier: Apache-2.0
"""Camera and range sensor: where they sit, what they deliver and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.settings.schema import setting

TOPIC = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
"""Name of a topic, relative to the nodes' namespace or absolute (https://design.ros2.org/articles/topic_and_service_names.html)."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """The forward camera. Its pose in ``base_link`` comes from the URDF link ``camera_link``."""

    topic: str = setting(
        "camera/image_raw",
        "",
        "where its driver publishes pictures, camera_info beside; a name that ends in /compressed: CompressedImage",
    )
    rate_hz: float = setting(20.0, "Hz", "frames per second", low=1, high=120)
    width: int = setting(160, "px", "image width", low=16, high=4096)
    height: int = setting(80, "px", "image height", low=16, high=4096)
    fov_deg: float = setting(42.0, "deg", "vertical field of view", low=5, high=150)
    latency_s: float = setting(0.01, "s", "simulated time from exposure to publication (lock-step)", low=0, high=0.5)


@dataclass(frozen=True, slots=True)
class RangingSettings:
    """A range sensor with several scan planes. Its pose in ``base_link`` comes from the URDF link ``range_link``."""

    rate_hz: float = setting(20.0, "Hz", "scans per second", low=1, high=200)
    elevation_deg: tuple[float, ...] = setting(
        (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0), "deg", "elevation of each scan plane, up positive", low=-45, high=45
    )
    azimuth_deg: float = setting(30.0, "deg", "half of the horizontal field of view", low=1, high=180)
    beams: int = setting(61, "1", "beams per plane", low=3, high=4096)
    range_max: float = setting(80.0, "m", "returns beyond this are not reported", low=1, high=500)
    noise_std: float = setting(0.03, "m", "standard deviation of one return (simulated)", low=0, high=5)
