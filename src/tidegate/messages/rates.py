# SPDX-License-Identifier: Apache-2.0
"""How often each topic comes, by the settings."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tidegate.records import seconds
from tidegate.settings import Settings

FROM_FRAME = ("features", "lane", "health", "nominal", "gains", "neurons")
"""One message per camera frame, with the frame's stamp."""
FROM_TICK = ("command", "safety_node/barriers", "safety_node/inputs")
"""One message per tick of the safety filter."""
OUTPUTS = {"effort": ("effort_controller/commands",), "twist": ("cmd_vel", "motion_request")}
"""One message per tick each: what goes out besides ``command``, by ``vehicle.output``."""
EVERY_OUTPUT = tuple(topic for topics in OUTPUTS.values() for topic in topics)
TRUSTED = ("joint_states", "odom", "imu")
SLOW = 0.9
"""Share of the stated rate below which a topic comes too seldom."""


def stated_rates(settings: Settings) -> dict[str, float]:
    """Rate [Hz] by relative topic, where the settings state one; the robot's own sensors come as often as they do."""
    camera = ("camera/image_raw", "camera/camera_info", *FROM_FRAME)
    return {
        **dict.fromkeys(camera, settings.camera.rate_hz),
        "points": settings.ranging.rate_hz,
        **dict.fromkeys((*FROM_TICK, *EVERY_OUTPUT), settings.safety.rate_hz),
    }


def least_rates(settings: Settings) -> dict[str, float]:
    """Rate [Hz] that the safety filter needs at least: a trusted sensor twice in its time-out, the camera once."""
    safety = settings.safety
    return {
        **dict.fromkeys(("camera/image_raw", *FROM_FRAME), 1 / safety.camera_timeout_s),
        **dict.fromkeys(TRUSTED, 2 / safety.trusted_timeout_s),
        "points": 2 / safety.range_timeout_s,
    }


def rate_of(stamps: Iterable[int]) -> float:
    """Rate [Hz] by ``stamps`` [ns], which no slow motion and no busy listener bends; NaN = fewer than two."""
    known = sorted(set(stamps))
    return (len(known) - 1) / seconds(known[-1] - known[0]) if len(known) > 1 else math.nan
