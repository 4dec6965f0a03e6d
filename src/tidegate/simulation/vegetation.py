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


@dataclass(frozen=True, slots=True)
class Standing:
    """Foliage or a trunk: name of its ``mesh`` ('' = a trunk of ``height`` [m]), centre [m], ``yaw`` [rad]."""

    mesh: str
    material: str
    position: tuple[float, float, float]
    yaw: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Vegetation:
    """Meshes by name, shared by shape and size, and where they stand."""

    meshes: dict[str, Mesh]
    standing: list[Standing]


TRUNK_RADIUS = 0.16


def stand(seed: int, road: Road, terrain: Terrain, clearings: list[tuple[float, float]]) -> Vegetation:
    """The plants of a seed on the ground, none in a clearing; materials leaf0, leaf1, bark."""
    plants = [
        plant for plant in scatter(seed, road) if all(math.hypot(plant.x - x, plant.y - y) > 9.0 for x, y in clearings)
    ]
    rng = np.random.default_rng([seed, 6])
    shapes: dict[str, Mesh] = {f"blob{k}": blob(rng) for k in range(3)} | {"cone": cone()}
    x, y = np.array([plant.x for plant in plants]), np.array([plant.y for plant in plants])
    foot = (terrain.height(x, y) - dip(road, x, y)).tolist()
    # one texture after the other: to change it takes as long as to draw a plant
    placed = sorted(zip(plants, foot, strict=True), key=lambda place: place[0].leaf)
    made: dict[str, Mesh] = {}
    leaves, trunks = [], []
    for plant, z in placed:
        shape = "cone" if plant.kind == "conifer" else f"blob{plant.shape}"
        name = f"{plant.kind}_{shape}_{plant.size}"
        trunk, middle, size = _sizes(plant)
        made.setdefault(name, shapes[shape].scaled(size))
        leaves.append(Standing(name, f"leaf{plant.leaf}", (plant.x, plant.y, z + middle), plant.yaw))
        if trunk > 0:
            trunks.append(Standing("", "bark", (plant.x, plant.y, z + trunk / 2), height=trunk))
    return Vegetation(made, leaves + trunks)


def add_plants(spec: Any, vegetation: Vegetation) -> None:
    """Add the plants' meshes and geoms to a ``MjSpec``."""
    for name, mesh in vegetation.meshes.items():
        add_mesh(spec, name, mesh)
    for one in vegetation.standing:
        shape: dict[str, Any]
        if one.mesh:
            turned = [math.cos(one.yaw / 2), 0.0, 0.0, math.sin(one.yaw / 2)]
            shape = {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": one.mesh, "quat": turned}
        else:
            shape = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [TRUNK_RADIUS, one.height / 2, 0]}
        _geom(spec, material=one.material, pos=one.position, **shape)


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
