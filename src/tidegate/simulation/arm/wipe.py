# SPDX-License-Identifier: Apache-2.0
"""Wipe: go all over a bent board with a wanted force; what was wiped is gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.arm.furniture import SIGNAL, STEEL, opaque
from tidegate.simulation.arm.surface import Board, Surface
from tidegate.simulation.arm.task import ARM_SCENES, ArmTask, Bound, Goal
from tidegate.simulation.arm.world import ArmTruth
from tidegate.simulation.engine import mujoco
from tidegate.simulation.meshes import Mesh, grid_faces
from tidegate.simulation.vegetation import add_mesh

CENTRE = np.array([0.50, 0.0])
TOP = 0.27
"""Height of the board's middle [m]."""
WIDE, LONG = 0.10, 0.14
"""What is to be wiped, along x and along y [m]."""
MARGIN = 0.03
"""Of the board around it [m]."""
HALF = math.hypot(WIDE / 2 + MARGIN, LONG / 2 + MARGIN)
THICK = 0.012
SPOTS = (7, 10)
"""Along x and along y."""
SLIDE = 0.5
"""Fastest that the filter lets the tool go here [m/s]."""
REACH = 0.02
"""The tool wipes so far around its point [m]."""
STROKES = 6
"""From side to side, one after the other."""
BEGIN, WIPING = 2.0, 4.6
"""When the goal sets out, and how long it goes [s]."""
ALIKE = 0.15
"""Who goes faster by a speed is as unlike the goal as who is away by so much of it [s]."""


@ARM_SCENES.register("wipe")
class Wipe(ArmTask):
    """The board is bent up or down about a direction drawn by the seed. A spot is wiped where the tool passes within
    ``REACH`` with at least half of the wanted force. The goal goes to and fro along y, and slowly along x."""

    name, seconds, scored = "wipe", BEGIN + WIPING, BEGIN
    passing = (Bound("coverage", least=0.95), Bound("force_share", most=0.1))

    def draw(self, rng: np.random.Generator) -> None:
        """See ``ArmTask.draw``."""
        bend = float(rng.choice((-1.0, 1.0)) * rng.uniform(1.0, 2.0))
        told = self.settings.safety.surface.stiffness
        stiffness = float(np.exp(rng.uniform(math.log(0.2 * told), math.log(told))))
        angle = float(rng.uniform(0, math.pi))
        self.board = Board(stiffness, self.settings.simulator.surface_damping, CENTRE, TOP, bend, angle, HALF)
        self.wanted = float(rng.uniform(6.0, 8.0))
        x, y = (np.linspace(-half, half, count) for half, count in zip((WIDE / 2, LONG / 2), SPOTS, strict=True))
        flat = np.stack(np.meshgrid(CENTRE[0] + x, CENTRE[1] + y, indexing="ij"), axis=-1).reshape(-1, 2)
        self._spots = np.column_stack((flat, self.board.height(*flat.T)))
        # the filter knows planes: from the board's highest point on it counts as touching, and who slides slowly is not
        # thrown off by a slope that it does not know
        highest = max(TOP, float(self.board.height(*(CENTRE + HALF * np.array([math.cos(angle), math.sin(angle)])))))
        self.tell("surface", enabled=True, clearance=0.0, normal=(0.0, 0.0, 1.0), offset=highest)
        self.tell("limits", tool_speed_max=min(SLIDE, self.settings.safety.limits.tool_speed_max))

    def surface(self) -> Surface:
        """See ``ArmTask.surface``."""
        return self.board

    def furnish(self, spec: Any) -> None:
        """See ``ArmTask.furnish``."""
        add_mesh(spec, "board", self._mesh())
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="board", rgba=opaque((0.86, 0.88, 0.90)))
        high = (TOP - 0.02 - self.table) / 2
        block, foot = [WIDE / 2, LONG / 2, high], [*CENTRE, self.table + high]
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=block, pos=foot, rgba=opaque(STEEL))
        for number, place in enumerate(self._spots):
            spec.worldbody.add_geom(
                name=f"spot_{number}",
                type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
                size=[0.005, 0.005, 0.0015],
                pos=place,
                rgba=opaque(SIGNAL),
            )

    def goal(self) -> Goal:
        """See ``ArmTask.goal``."""
        return self._goal(self.time - self.scored)

    def due(self, truth: ArmTruth) -> Goal:
        """The goal's place and motion that are most like the tool's; until something is wiped, where it begins."""
        if not self._wiped.any():
            return self._goal(0.0)
        along = np.linspace(0.01, WIPING, round(100 * WIPING))
        place, speed, _ = _way(along)
        off = np.square(place - truth.tool[:2, None]).sum(axis=0)
        slip = np.square(speed - truth.tool_velocity[:2, None]).sum(axis=0)
        return self._goal(float(along[np.argmin(off + ALIKE**2 * slip)]))

    def sights(self) -> Floats:
        """See ``ArmTask.sights``."""
        return np.array([*CENTRE, TOP, LONG / 2, *[math.nan] * 3])

    def _goal(self, along: float) -> Goal:
        """On its way since ``along`` [s]."""
        along = min(max(along, 0.0), WIPING)
        (x, y), flat, change = (np.array(part) for part in _way(along))
        moving = float(0.0 < along < WIPING)
        normal = self.board.normal(x, y)
        speed = moving * np.append(flat, -(normal[:2] @ flat) / normal[2])
        place = np.array([x, y, float(self.board.height(x, y))])
        return Goal(place, speed, moving * np.append(change, 0.0), normal, self.wanted)

    def restart(self) -> None:
        """See ``ArmTask.restart``."""
        self._squares, self._count = 0.0, 0
        self._wiped = np.zeros(len(self._spots), bool)
        for number in range(len(self._spots)):
            self.model.geom(f"spot_{number}").rgba[3] = 1.0

    def watch(self, truth: ArmTruth) -> None:
        """See ``ArmTask.watch``."""
        if truth.force >= self.wanted / 2:
            near = np.hypot(*(self._spots[:, :2] - truth.tool[:2]).T) <= REACH
            for number in np.flatnonzero(near & ~self._wiped):
                self.model.geom(f"spot_{number}").rgba[3] = 0.0
            self._wiped |= near
        if self.time >= self.scored:
            self._squares, self._count = self._squares + (truth.force - self.wanted) ** 2, self._count + 1

    def score(self) -> dict[str, float]:
        """Share of the spots that were wiped; error of the force from ``scored`` on, and as a share of the wanted."""
        rms = math.sqrt(self._squares / self._count) if self._count else math.nan
        return {"coverage": float(self._wiped.mean()), "force_rms_n": rms, "force_share": rms / self.wanted}

    def _outline(self) -> tuple[Floats, Floats]:
        """x and y of a grid over the whole board, (n, m) each."""
        x = CENTRE[0] + np.linspace(-1, 1, 13) * (WIDE / 2 + MARGIN)
        y = CENTRE[1] + np.linspace(-1, 1, 17) * (LONG / 2 + MARGIN)
        rows, columns = np.meshgrid(x, y, indexing="ij")
        return rows, columns

    def _mesh(self) -> Mesh:
        """The board's upper side and its rim."""
        x, y = self._outline()
        z = self.board.height(x, y)
        x, y, z = (np.pad(part, 1, mode="edge") for part in (x, y, z))
        z[[0, -1], :] -= THICK
        z[1:-1, [0, -1]] -= THICK
        vertices = np.stack((x, y, z), axis=-1).reshape(-1, 3)
        return Mesh(vertices, np.zeros((len(vertices), 2)), grid_faces(*x.shape))


def _way(along: Floats | float) -> tuple[Floats, Floats, Floats]:
    """The goal's x, y (2, …) [m], their speed and its change, after ``along`` (…) [s] on its way."""
    along = np.asarray(along)
    rate, swing = STROKES * math.pi / WIPING, LONG / 2
    place = np.stack((CENTRE[0] - WIDE / 2 + WIDE * along / WIPING, CENTRE[1] - swing * np.cos(rate * along)))
    speed = np.stack((np.full_like(along, WIDE / WIPING), swing * rate * np.sin(rate * along)))
    return place, speed, np.stack((np.zeros_like(along), swing * rate**2 * np.cos(rate * along)))
