# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can draw."""

from __future__ import annotations

from tidegate.simulation.engine import mujoco, no_graphics


def draw_something() -> None:
    """Draw an empty picture.

    Raises:
        DependencyError: no graphics library or device.
    """
    try:
        with mujoco.Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8) as renderer:
            renderer.render()
    except Exception as error:  # whatever the graphics library raises, the cause is its absence
        raise no_graphics(error) from error
