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
FEW = 1
"""So many spots that are left are not gone back for: one alone is hard to see."""
INSIDE = 0.008
"""Who looks where to wipe goes so far past the first spots that are left, along x [m]."""
SWING, RATE = 0.06, 3.5
"""To and fro over them by so much [m], at this rate [rad/s]."""
NEAR = 0.008
"""Begins where the tool is within so much of the board [m]."""
SHIFT = 0.012
"""The tool is led along x, and to rest, by at most so much at a time [m]."""


@ARM_SCENES.register("wipe")
class Wipe(ArmTask):
    """The board is bent up or down about a direction drawn by the seed. A spot is wiped where the tool passes within
    ``REACH`` with at least half of the wanted force. The goal goes to and fro along y, and slowly along x."""

    name, seconds, scored = "wipe", 6.6, 2.0
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
        along = min(max(self.time - self.scored, 0.0), self.seconds - self.scored)
        rate = STROKES * math.pi / (self.seconds - self.scored)
        going = 0.0 < along < self.seconds - self.scored
        swing, ahead = LONG / 2, WIDE / (self.seconds - self.scored) * going
        x = CENTRE[0] - WIDE / 2 + WIDE * along / (self.seconds - self.scored)
        y = CENTRE[1] - swing * math.cos(rate * along)
        normal = self.board.normal(x, y)
        speed = np.array([ahead, swing * rate * math.sin(rate * along), 0.0])
        speed[2] = -(normal[:2] @ speed[:2]) / normal[2]
        change = np.array([0.0, swing * rate**2 * math.cos(rate * along) * going, 0.0])
        return Goal(np.array([x, y, float(self.board.height(x, y))]), speed, change, normal, self.wanted)

    def due(self, truth: ArmTruth) -> Goal:
        """To and fro along y over the first spots that are left, where in that is told by the tool's place and speed.
        It begins at one end once the tool is near the board; where nothing is left it comes to rest."""
        here = truth.tool[:2]
        x, y = here + np.clip([self._line() - here[0], CENTRE[1] - here[1]], -SHIFT, SHIFT)
        speed = change = 0.0
        if self._left().any():
            turn = complex(here[1] - CENTRE[1], -truth.tool_velocity[1] / RATE)
            near = self.board.meet(truth.tool)[0] > -NEAR
            turn = SWING * (turn / abs(turn) if near and abs(turn) > 0 else complex(-1.0))
            y, speed, change = CENTRE[1] + turn.real, -RATE * turn.imag, -(RATE**2) * turn.real * near
        normal = self.board.normal(x, y)
        moves = np.array([0.0, speed, -normal[1] * speed / normal[2]])
        place = np.array([x, y, float(self.board.height(x, y))])
        return Goal(place, moves, np.array([0.0, change, 0.0]), normal, self.wanted)

    def sights(self) -> Floats:
        """See ``ArmTask.sights``: the middle of the line that is to be wiped next."""
        line, wide = self._line(), LONG / 2 if self._left().any() else 0.0
        return np.array([line, CENTRE[1], float(self.board.height(line, CENTRE[1])), wide, *[math.nan] * 3])

    def show(self, position: Floats, time: float) -> None:
        """See ``ArmTask.show``: what the goal has gone over by ``time`` is gone."""
        super().show(position, time)
        self.restart()
        for moment in np.arange(self.scored, time, 0.02):
            self.data.time = moment
            self._wipe(self.goal().place)
        self.data.time = time

    def _line(self) -> float:
        """x [m] of what is to be wiped next."""
        left = self._left()
        end = CENTRE[0] + WIDE / 2
        return min(float(left[0]) + INSIDE, end) if len(left) else float(end)

    def _left(self) -> Floats:
        """x [m] of the spots that are to be gone for, the first one first."""
        return np.sort(self._spots[~self._wiped, 0])[FEW:]

    def _wipe(self, place: Floats) -> None:
        """Take away what is within reach of ``place`` (3,)."""
        near = np.hypot(*(self._spots[:, :2] - place[:2]).T) <= REACH
        for number in np.flatnonzero(near & ~self._wiped):
            self.model.geom(f"spot_{number}").rgba[3] = 0.0
        self._wiped |= near

    def restart(self) -> None:
        """See ``ArmTask.restart``."""
        self._squares, self._count = 0.0, 0
        self._wiped = np.zeros(len(self._spots), bool)
        for number in range(len(self._spots)):
            self.model.geom(f"spot_{number}").rgba[3] = 1.0

    def watch(self, truth: ArmTruth) -> None:
        """See ``ArmTask.watch``."""
        if truth.force >= self.wanted / 2:
            self._wipe(truth.tool)
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
