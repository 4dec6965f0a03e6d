# SPDX-License-Identifier: Apache-2.0
"""Robots with other cameras than the shipped network was trained with."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.messages import camera_info
from tidegate.records import CameraInfo
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
MOUNT = 'xyz="2.4 0 1.36" rpy="0 ${radians(4)} 0"'


def robot(
    folder: Path, rpy_deg: tuple[float, float, float] = (0, 4, 0), xyz: str = "2.4 0 1.36", **camera: Any
) -> Settings:
    """The car with its camera turned and placed so; ``camera`` are settings of it. Its pictures come at once."""
    text = share_path("urdf/car.urdf.xacro").read_text("utf-8")
    assert MOUNT in text
    path = folder / "turned.urdf.xacro"
    turned = " ".join(f"{math.radians(angle)!r}" for angle in rpy_deg)
    path.write_text(text.replace(MOUNT, f'xyz="{xyz}" rpy="{turned}"'), "utf-8")
    vehicle = replace(SETTINGS.vehicle, urdf=str(path))
    return replace(SETTINGS, vehicle=vehicle, camera=replace(SETTINGS.camera, latency_s=0.0, **camera))


def info(settings: Settings = SETTINGS, **other: Any) -> CameraInfo:
    """What the stated camera says of itself, but for ``other``."""
    return replace(camera_info(0, settings.camera), **other)


def shifted(by: float) -> np.ndarray:
    """K of the stated camera with its principal point ``by`` pixels to the right and down."""
    k = camera_info(0, SETTINGS.camera).k.copy()
    k[:2, 2] += by
    return k
