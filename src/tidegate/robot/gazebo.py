# SPDX-License-Identifier: Apache-2.0
"""The robot's URDF for Gazebo: the sensors as the settings have them, and ros2_control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xacro

from tidegate.errors import RobotError
from tidegate.settings import Settings

HARDWARE = "gz_ros2_control/GazeboSimSystem"


def gazebo_arguments(settings: Settings) -> dict[str, str]:
    """The xacro arguments of ``urdf/gazebo.xacro`` by name.

    Raises:
        RobotError: planes of the range sensor that are not evenly apart, from low to high: Gazebo has no others.
    """
    camera, ranging, noise = settings.camera, settings.ranging, settings.simulator
    planes = ranging.elevation_deg
    if not np.allclose(planes, np.linspace(planes[0], planes[-1], len(planes))) or planes[0] > planes[-1]:
        raise RobotError(
            f"ranging.elevation_deg is {', '.join(f'{plane:g}' for plane in planes)}; "
            "Gazebo's range sensor needs planes evenly apart, from low to high"
        )
    values = {
        "rate": settings.safety.rate_hz,
        "camera_rate": camera.rate_hz,
        "camera_width": camera.width,
        "camera_height": camera.height,
        "camera_fov": camera.fov_deg,
        "range_rate": ranging.rate_hz,
        "range_lowest": planes[0],
        "range_highest": planes[-1],
        "range_planes": len(planes),
        "range_azimuth": ranging.azimuth_deg,
        "range_beams": ranging.beams,
        "range_max": ranging.range_max,
        "range_noise": ranging.noise_std,
        "gyro_noise": noise.gyro_noise,
        "accelerometer_noise": noise.accelerometer_noise,
    }
    return {name: str(value) for name, value in values.items()}


def gazebo_description(settings: Settings, controllers: Path | None) -> str:
    """The URDF that Gazebo spawns; ``controllers`` is the YAML file of its controller manager (None = it has none).

    Raises:
        RobotError: a description that is no xacro, or planes that Gazebo cannot have.
    """
    path = settings.vehicle.urdf
    arguments = {"hardware": HARDWARE, "controllers": str(controllers or ""), **gazebo_arguments(settings)}
    try:
        return str(xacro.process_file(path, mappings=arguments).toxml())
    except (xacro.XacroException, ValueError, OSError) as error:
        raise RobotError(f"{path}: is no robot description: {' '.join(str(error).split())}") from error
