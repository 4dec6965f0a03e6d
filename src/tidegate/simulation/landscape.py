# SPDX-License-Identifier: Apache-2.0
"""What a world is made of, whoever draws it: ground, road, lines and verges as meshes with their materials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegate.simulation import meshes
from tidegate.simulation.meshes import Mesh
from tidegate.simulation.road import CENTRE_LINE, LEFT_LINE, RIGHT_LINE, Road
from tidegate.simulation.terrain import Terrain

EDGE_WIDTH, DASH_WIDTH = 0.16, 0.15
"""Widths of the lines [m]."""


@dataclass(frozen=True, slots=True)
class Part:
    """A ``mesh`` with the texture ``material``; ``along`` = it runs along the road."""

    name: str
    mesh: Mesh
    material: str
    along: bool


def landscape(road: Road, terrain: Terrain, seed: int) -> list[Part]:
    """All that does not grow, in the order in which to draw it: what lies on top first, so that what it hides need not
    be shaded."""
    ribbons = [
        ("lines_left", meshes.edge_line(road, terrain, LEFT_LINE, EDGE_WIDTH), "paint"),
        ("lines_right", meshes.edge_line(road, terrain, RIGHT_LINE, EDGE_WIDTH), "paint"),
        ("lines_centre", meshes.dashed_line(road, terrain, CENTRE_LINE, DASH_WIDTH), "paint"),
        ("road", meshes.surface(road, terrain), "road"),
        ("ground_left", meshes.verge(road, terrain, 1), "grass"),
        ("ground_right", meshes.verge(road, terrain, -1), "grass"),
    ]
    return [
        *(Part(name, mesh, material, True) for name, mesh, material in ribbons),
        Part("ground", meshes.ground(road, terrain), "grass", False),
        Part("ground_hills", meshes.hills(np.random.default_rng([seed, 9])), "hills", False),
    ]
