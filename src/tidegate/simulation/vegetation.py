# SPDX-License-Identifier: Apache-2.0
"""Bushes and trees beside the road."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.simulation.engine import mujoco
from tidegate.simulation.meshes import Mesh, blob, cone, dip
from tidegate.simulation.road import CENTRE_LINE, PAVED_LEFT, Road
from tidegate.simulation.terrain import Terrain

GROUP_VEGETATION = 2
PREFIX = "plant"


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant ``kind`` at (x, y) [m] of one of three sizes, turned by ``yaw`` [rad], with leaf texture 0 or 1."""

    kind: str
    x: float
    y: float
    yaw: float
    size: int
    shape: int
    leaf: int


def scatter(seed: int, road: Road, count: int = 170) -> list[Plant]:
    """Place plants along both sides, none on or over the road."""
    rng = np.random.default_rng([seed, 5])
    edge = PAVED_LEFT - CENTRE_LINE
    centre = road.points(np.arange(0.0, road.length, 2.0), np.full(math.ceil(road.length / 2.0), CENTRE_LINE))
    plants: list[Plant] = []
    while len(plants) < count:
        kind = str(rng.choice(["bush", "tree", "conifer"], p=[0.4, 0.35, 0.25]))
        away = edge + (2.0 if kind == "bush" else 4.2) + abs(rng.normal(0, 9))
        side = float(rng.choice([-1.0, 1.0]))
        x, y = road.points(np.array([rng.uniform(0, road.length)]), np.array([CENTRE_LINE + side * away]))[0]
        yaw, (size, shape, leaf) = float(rng.uniform(0, 2 * np.pi)), rng.integers((3, 3, 2)).tolist()
        if np.hypot(centre[:, 0] - x, centre[:, 1] - y).min() >= edge + (1.8 if kind == "bush" else 4.0):
            plants.append(Plant(kind, float(x), float(y), yaw, size, shape, leaf))
    return plants


def add_plants(spec: Any, seed: int, plants: list[Plant], road: Road, terrain: Terrain) -> None:
    """Add the plants' meshes (shared by shape and size) and geoms to a ``MjSpec``; materials leaf0, leaf1, bark."""
    rng = np.random.default_rng([seed, 6])
    shapes: dict[str, Mesh] = {f"blob{k}": blob(rng) for k in range(3)} | {"cone": cone()}
    x, y = np.array([plant.x for plant in plants]), np.array([plant.y for plant in plants])
    foot = terrain.height(x, y) - dip(road, x, y)
    # one texture after the other: to change it takes as long as to draw a plant
    standing = sorted(zip(plants, foot, strict=True), key=lambda place: place[0].leaf)
    made: set[str] = set()
    for plant, z in standing:
        shape = "cone" if plant.kind == "conifer" else f"blob{plant.shape}"
        name = f"{plant.kind}_{shape}_{plant.size}"
        _, middle, size = _sizes(plant)
        if name not in made:
            made.add(name)
            add_mesh(spec, name, shapes[shape].scaled(size))
        half = [math.cos(plant.yaw / 2), 0.0, 0.0, math.sin(plant.yaw / 2)]
        _geom(
            spec,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            material=f"leaf{plant.leaf}",
            quat=half,
            pos=[plant.x, plant.y, z + middle],
        )
    for plant, z in standing:
        trunk, _, _ = _sizes(plant)
        if trunk > 0:
            _geom(
                spec,
                type=mujoco.mjtGeom.mjGEOM_CYLINDER,
                size=[0.16, trunk / 2, 0],
                material="bark",
                pos=[plant.x, plant.y, z + trunk / 2],
            )


def _sizes(plant: Plant) -> tuple[float, float, tuple[float, float, float]]:
    """Height of the trunk, height of the foliage's centre, half sizes of the foliage [m]."""
    k = plant.size
    if plant.kind == "bush":
        return 0.0, 0.3 + 0.12 * k, (0.6 + 0.3 * k, 0.6 + 0.3 * k, 0.45 + 0.2 * k)
    if plant.kind == "tree":
        trunk = 2.2 + 0.6 * k
        return trunk, trunk + 1.1, (1.4 + 0.45 * k, 1.4 + 0.45 * k, 1.6 + 0.5 * k)
    return 1.2, 3.4 + 0.7 * k, (1.1 + 0.3 * k, 1.1 + 0.3 * k, 2.4 + 0.7 * k)


def _geom(spec: Any, **options: Any) -> None:
    index = len(spec.worldbody.geoms)
    spec.worldbody.add_geom(name=f"{PREFIX}_{index}", contype=0, conaffinity=0, group=GROUP_VEGETATION, **options)


def add_mesh(spec: Any, name: str, mesh: Mesh) -> None:
    """Add a mesh to a ``MjSpec``; it has no volume of its own."""
    made = spec.add_mesh(
        name=name,
        uservert=mesh.vertices.astype(np.float64).ravel(),
        usertexcoord=mesh.texture.astype(np.float64).ravel(),
        userface=mesh.faces.ravel(),
    )
    made.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
