# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes of the landscape: road, lines, verge, ground, far hills, foliage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.simulation.road import CENTRE_LINE, LEFT_LINE, PAVED_LEFT, PAVED_RIGHT, RIGHT_LINE, Road
from tidegate.simulation.terrain import Terrain

GRAVEL = 0.7
"""Width of the unpaved shoulder [m]."""
TILE = 8.0
"""Length of road that one road texture covers [m]."""
GRASS_TILE = 20.0
DASH, DASH_PERIOD = 4.0, 8.0
_ALONG = 2.0
_LINE_LIFT = 0.015


@dataclass(frozen=True, slots=True)
class Mesh:
    """``vertices`` (V, 3) [m], ``texture`` (V, 2) coordinates, ``faces`` (F, 3) counter-clockwise from outside."""

    vertices: Floats
    texture: Floats
    faces: NDArray[np.int32]

    def scaled(self, size: tuple[float, float, float]) -> Mesh:
        """The same mesh, stretched."""
        return Mesh(self.vertices * np.array(size), self.texture, self.faces)

    def pieces(self, count: int) -> Iterator[Mesh]:
        """The same faces in ``count`` meshes, cut in the order of the vertices."""
        first = self.faces.min(axis=1)
        of_piece = first * count // (first.max() + 1)
        for number in range(count):
            faces = self.faces[of_piece == number]
            used, renumbered = np.unique(faces, return_inverse=True)
            yield Mesh(self.vertices[used], self.texture[used], renumbered.reshape(-1, 3).astype(np.int32))


def grid_faces(rows: int, columns: int) -> NDArray[np.int32]:
    """Two triangles for each cell of a grid of vertices, row after row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([corner, corner + columns, corner + 1], axis=1)
    upper = np.stack([corner + 1, corner + columns, corner + columns + 1], axis=1)
    faces: NDArray[np.int32] = np.concatenate([lower, upper]).astype(np.int32)
    return faces


def _facing_up(mesh: Mesh) -> Mesh:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)[:, 2]
    faces = np.where((normal > 0)[:, None], mesh.faces, mesh.faces[:, [0, 2, 1]])
    return Mesh(mesh.vertices, mesh.texture, faces)


def ribbon(road: Road, terrain: Terrain, s: Floats, offsets: Floats, lift: Floats, across: Floats, tile: float) -> Mesh:
    """A strip along the road: ``offsets`` (C,) left of the lane [m], raised by ``lift`` (C,), texture u ``across``."""
    rows, columns = len(s), len(offsets)
    at, side = np.repeat(s, columns), np.tile(offsets, rows)
    xy = road.points(at, side)
    z = terrain.height(xy[:, 0], xy[:, 1]) + np.tile(lift, rows)
    texture = np.stack([np.tile(across, rows), at / tile], axis=1)
    return _facing_up(Mesh(np.column_stack([xy, z]), texture, grid_faces(rows, columns)))


def _lap(road: Road) -> tuple[Floats, float]:
    """Stations of a closed lap about 2 m apart, a whole number of dash periods, and the length of a road tile."""
    periods = round(road.length / DASH_PERIOD)
    return np.linspace(0.0, road.length, periods * round(DASH_PERIOD / _ALONG) + 1), road.length / periods


def surface(road: Road, terrain: Terrain) -> Mesh:
    """Asphalt and gravel shoulders; columns lie under the lines so that these never sink in."""
    s, tile = _lap(road)
    low, high = PAVED_RIGHT - GRAVEL, PAVED_LEFT + GRAVEL
    offsets = np.array([low, RIGHT_LINE, CENTRE_LINE, LEFT_LINE, high])
    return ribbon(road, terrain, s, offsets, np.zeros(5), (offsets - low) / (high - low), tile * TILE / DASH_PERIOD)


def verge(road: Road, terrain: Terrain, side: int) -> Mesh:
    """Grass bank that falls from the shoulder to below the ground mesh; ``side`` is 1 left, −1 right."""
    s, _ = _lap(road)
    edge = PAVED_LEFT + GRAVEL if side > 0 else PAVED_RIGHT - GRAVEL
    offsets = edge + side * np.array([-0.02, 3.0, 7.0])
    mesh = ribbon(road, terrain, s[::2], offsets, np.array([-0.01, -0.2, -0.8]), np.zeros(3), 1.0)
    return Mesh(mesh.vertices, mesh.vertices[:, :2] / GRASS_TILE, mesh.faces)


def edge_line(road: Road, terrain: Terrain, offset: float, width: float) -> Mesh:
    """A solid line at ``offset`` [m]."""
    s, _ = _lap(road)
    sides = offset + width * np.array([-0.5, 0.5])
    return ribbon(road, terrain, s, sides, np.full(2, _LINE_LIFT), np.array([0.0, 1.0]), 16.0)


def dashed_line(road: Road, terrain: Terrain, offset: float, width: float) -> Mesh:
    """Dashes of 4 m every 8 m."""
    s, _ = _lap(road)
    solid = ribbon(
        road,
        terrain,
        s,
        offset + width * np.array([-0.5, 0.5]),
        np.full(2, _LINE_LIFT),
        np.array([0.0, 1.0]),
        16.0,
    )
    step = round(DASH / _ALONG)
    row = solid.faces.min(axis=1) // 2
    return Mesh(solid.vertices, solid.texture, solid.faces[row % (2 * step) < step])


def ground(road: Road, terrain: Terrain, cell: float = 10.0, reach: float = 430.0) -> Mesh:
    """Terrain to the horizon: even cells around the road, ever wider ones beyond; lowered where the road lies on it."""
    axes = []
    for low, high in zip(road.xy.min(axis=0) - 40, road.xy.max(axis=0) + 40, strict=True):
        count = math.ceil((high - low) / cell)
        beyond = cell * np.cumsum(1.7 ** np.arange(1, 6))
        beyond = beyond[beyond < reach - 60]
        inner = np.linspace(low, high, count + 1)
        axes.append(np.concatenate([[-reach], low - beyond[::-1], inner, high + beyond, [reach]]))
    x, y = (grid.ravel() for grid in np.meshgrid(axes[0], axes[1], indexing="ij"))
    z = terrain.height(x, y) - dip(road, x, y)
    texture = np.stack([x, y], axis=1) / GRASS_TILE
    return _facing_up(Mesh(np.column_stack([x, y, z]), texture, grid_faces(len(axes[0]), len(axes[1]))))


def dip(road: Road, x: Floats, y: Floats) -> Floats:
    """How far the drawn ground lies below the terrain [m]: next to the road the verge covers it."""
    points = np.stack([x, y], axis=1)
    samples = road.points(np.arange(0.0, road.length, 3.0), np.full(math.ceil(road.length / 3.0), CENTRE_LINE))
    nearest = np.sqrt(((points[:, None] - samples[None]) ** 2).sum(axis=2).min(axis=1))
    lowered: Floats = 0.5 * np.clip((27.0 - nearest) / 9.0, 0.0, 1.0)
    return lowered


def hills(rng: np.random.Generator, radius: float = 420.0, count: int = 96) -> Mesh:
    """A closed silhouette on the horizon."""
    angle = np.linspace(0, 2 * np.pi, count + 1)
    top = sum(rng.normal(0, k**-0.6) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(1, 14))
    top = 12 + 16 * (top - np.min(top)) / np.ptp(top)
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.concatenate([np.column_stack([ring, np.full(count + 1, -25.0)]), np.column_stack([ring, top])])
    texture = np.concatenate([np.stack([angle, angle * 0], axis=1), np.stack([angle, angle * 0 + 1], axis=1)])
    return Mesh(vertices, texture, grid_faces(2, count + 1))


def blob(rng: np.random.Generator, rings: int = 5, sectors: int = 8, roughness: float = 0.11) -> Mesh:
    """A bumpy ball of radius one: a bush or the crown of a tree."""
    polar = np.pi * np.arange(1, rings) / rings
    turn = 2 * np.pi * np.arange(sectors) / sectors
    radius = 1 + rng.normal(0, roughness, (rings - 1, sectors))
    shell = np.stack(
        [
            radius * np.sin(polar)[:, None] * np.cos(turn),
            radius * np.sin(polar)[:, None] * np.sin(turn),
            radius * np.cos(polar)[:, None],
        ],
        axis=-1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0.0, 0.0, 1.0]], shell, [[0.0, 0.0, -1.0]]])
    faces, last = [], len(vertices) - 1
    for j in range(sectors):
        k = (j + 1) % sectors
        faces.append((0, 1 + j, 1 + k))
        faces.append((last, last - sectors + k, last - sectors + j))
        for i in range(rings - 2):
            a, b = 1 + i * sectors, 1 + (i + 1) * sectors
            faces += [(a + j, b + j, a + k), (a + k, b + j, b + k)]
    return Mesh(vertices, _wrap(vertices), np.array(faces, np.int32))


def cone(sectors: int = 8) -> Mesh:
    """A cone of radius one from z = −1 to z = 1: a conifer."""
    turn = 2 * np.pi * np.arange(sectors) / sectors
    base = np.stack([np.cos(turn), np.sin(turn), -np.ones(sectors)], axis=1)
    vertices = np.concatenate([[[0.0, 0.0, 1.0]], base, [[0.0, 0.0, -1.0]]])
    faces = []
    for j in range(sectors):
        k = (j + 1) % sectors
        faces += [(0, 1 + j, 1 + k), (sectors + 1, 1 + k, 1 + j)]
    return Mesh(vertices, _wrap(vertices), np.array(faces, np.int32))


def _wrap(vertices: Floats) -> Floats:
    """Texture coordinates around the z axis."""
    return np.stack([np.arctan2(vertices[:, 1], vertices[:, 0]) / np.pi * 3, vertices[:, 2] * 2.4], axis=1)
