# SPDX-License-Identifier: Apache-2.0
"""The profile that gives the middleware room for camera images: which file, and by which variable it is told."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.share import share_path

FAST_DDS, CYCLONE_DDS = "rmw_fastrtps_cpp", "rmw_cyclonedds_cpp"
VARIABLES = {
    FAST_DDS: ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"),
    CYCLONE_DDS: ("CYCLONEDDS_URI",),
}
"""Environment variables by middleware; Fast DDS reads the first in Jazzy, the second from Kilted on."""
FILES = {FAST_DDS: "config/fastdds.xml", CYCLONE_DDS: "config/cyclonedds.xml"}


def middleware_of(environment: Mapping[str, str]) -> str:
    """The middleware that ``RMW_IMPLEMENTATION`` names, or ROS takes by itself."""
    return environment.get("RMW_IMPLEMENTATION") or FAST_DDS


def profile_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to set before a node is made; none where the user has a profile, or of another middleware.

    Raises:
        SettingsError: the file is nowhere to be found.
    """
    chosen = middleware_of(environment)
    names = VARIABLES.get(chosen, ())
    if not names or any(environment.get(name) for name in names):
        return {}
    scheme = "file://" if chosen == CYCLONE_DDS else ""
    return dict.fromkeys(names, f"{scheme}{share_path(FILES[chosen])}")
