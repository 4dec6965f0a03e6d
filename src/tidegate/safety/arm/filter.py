# SPDX-License-Identifier: Apache-2.0
"""Rows of the arm's barriers → quadratic programme → the nearest torques that keep them."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.records import BarrierState, Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm.backup import ArmBackup
from tidegate.safety.arm.barrier import ArmBarrier, ArmState, arm_barriers
from tidegate.safety.arm.nearest import Nearest, nearest
from tidegate.safety.filter import GAVE_WAY
from tidegate.safety.relaxation import HARD, solve_by_priority

FARTHEST = 1e3
"""Efforts beyond which a wish is not told apart."""
NOTHING = 1e-12
"""A row of a smaller norm is none."""


class ArmFiltered(NamedTuple):
    """What the filter let through: ``torque`` (N,) [N·m]; ``solved`` False means that it is the backup's."""

    torque: Floats
    barriers: tuple[BarrierState, ...]
    intervened: str
    solved: bool


class Layout(NamedTuple):
    """Whose a row is, (m,); the first row of each barrier that has any, and its index; how many ``barriers``."""

    owner: NDArray[np.intp]
    starts: NDArray[np.intp]
    present: list[int]
    barriers: int

    def spread(self, values: list[float], absent: float) -> list[float]:
        """By barrier: ``values`` of those that have rows, ``absent`` of the others."""
        spread = [absent] * self.barriers
        for index, value in zip(self.present, values, strict=True):
            spread[index] = value
        return spread


@lru_cache(maxsize=256)
def _layout(counts: tuple[int, ...]) -> Layout:
    """Of so many rows by barrier."""
    count = len(counts)
    present = list(compress(range(count), counts))
    return Layout(np.repeat(np.arange(count), counts), np.cumsum((0, *counts))[present], present, count)


class Programme(NamedTuple):
    """All barriers' rows in units of deviation (torque over effort limit) and of unit norm: ``matrix`` (m, N),
    ``lower`` (m,), h by barrier in ``values`` and whose the rows are in ``layout``."""

    matrix: Floats
    lower: Floats
    values: tuple[float, ...]
    layout: Layout

    def margins(self, torque: Floats) -> list[float]:
        """Of ``torque`` (N,) in units of deviation: the least of each barrier that has rows; a NaN is told as one."""
        if not len(self.lower):
            return []
        margins: list[float] = np.minimum.reduceat(self.matrix.dot(torque) - self.lower, self.layout.starts).tolist()
        return margins

    def pushes(self, multipliers: Floats) -> list[float]:
        """The most of each barrier that has rows, of ``multipliers`` (m,)."""
        pushes: list[float] = np.maximum.reduceat(multipliers, self.layout.starts).tolist()
        return pushes

    def cutting(self, low: Floats, high: Floats) -> NDArray[np.intp]:
        """(k,), the rows that not all of the window keeps. A NaN cuts."""
        least = self.matrix.dot(low) + np.minimum(self.matrix, 0.0).dot(high - low)
        return np.flatnonzero(~(least >= self.lower))


class ArmFilter:
    """All barriers of an arm over one quadratic programme.

    min ½‖(τ − τ_wanted)/τ_max‖² subject to the window of torque box and rate (hard always) and the barriers' rows.
    Where they contradict, rows give way by priority, lowest first, each by as little as those above leave room for.

    Attributes:
        barriers: in the order of their rows.
        scale: (N,) torque [N·m] that counts as one unit of deviation.
        priority: of each barrier.
    """

    def __init__(self, arm: Arm, *, disable: frozenset[str] = frozenset()) -> None:
        """``disable``: names of barriers to leave out, for evaluation."""
        self._filter = arm.settings.safety.filter
        self.barriers: tuple[ArmBarrier, ...] = tuple(
            arm_barriers[name](arm) for name in arm_barriers if name not in disable
        )
        self.priority = np.array([int(barrier.priority) for barrier in self.barriers])
        self.scale = arm.effort
        self._backup = ArmBackup(arm)
        self._box = np.concatenate((np.eye(len(arm.effort)), -np.eye(len(arm.effort))))
        self._hard, self._ones = np.full(len(self._box), HARD), np.ones(len(arm.effort))
        farthest = np.full(len(arm.effort), FARTHEST)
        self._wishes = -farthest, farthest

    def rows(self, state: ArmState) -> Programme:
        """Rows of all barriers at ``state``."""
        if not self.barriers:
            return Programme(np.empty((0, len(self.scale))), np.empty(0), (), _layout(()))
        matrices, lowers, values = zip(*[barrier.rows(state) for barrier in self.barriers], strict=True)
        matrix, lower = np.concatenate(matrices) * self.scale, np.concatenate(lowers)
        norm = np.sqrt((matrix * matrix).dot(self._ones))
        if min(norm.tolist(), default=1.0) < NOTHING:
            norm[norm < NOTHING] = 1.0  # 0 ≥ lower: nothing to have, or nothing that torques can do
        matrix /= norm[:, None]
        lower /= norm
        return Programme(matrix, lower, values, _layout(tuple(map(len, lowers))))

    def __call__(self, state: ArmState, wanted: Floats) -> ArmFiltered:
        """The torques nearest to ``wanted`` (N,) [N·m] that keep the rows inside the window of ``state``."""
        rows = self.rows(state)
        low, high = state.low / self.scale, state.high / self.scale
        wish = (wanted / self.scale).clip(*self._wishes)
        point = wish.clip(low, high)  # the nearest in the window: the answer, if it keeps the rows
        margins, pushes = rows.margins(point), [0.0] * len(rows.layout.present)
        if not _kept(margins, 0.0):
            if math.isfinite(sum(margins)):
                point, multipliers = nearest(wish, rows.matrix, rows.lower, low, high)
                margins = rows.margins(point)
            if not _kept(margins, self._filter.tolerance):
                point, multipliers = self._give_way(wish, rows, low, high)
                margins = rows.margins(point)
            pushes = rows.pushes(multipliers)
        solved = math.isfinite(point.dot(point))
        if solved:
            command = (point * self.scale).clip(state.low, state.high)
        else:
            command = self._backup(state)
            margins = rows.margins(command / self.scale)
        return self._told(command, rows, margins, pushes, solved)

    def _give_way(self, wish: Floats, rows: Programme, low: Floats, high: Floats) -> Nearest:
        """As ``nearest``, with rows that give way where they contradict; checked."""
        cutting = rows.cutting(low, high)
        result = solve_by_priority(
            wish,
            np.concatenate((self._box, rows.matrix[cutting])),
            np.concatenate((low, -high, rows.lower[cutting])),
            np.concatenate((self._hard, self.priority[rows.layout.owner[cutting]])),
            self._filter.slack_cost,
            self._filter.tolerance,
        )
        multipliers = np.zeros(len(rows.lower))
        multipliers[cutting] = result.multipliers[len(self._box) :]
        return Nearest(result.solution.clip(low, high), multipliers)

    def _told(
        self, command: Floats, rows: Programme, margins: list[float], pushes: list[float], solved: bool
    ) -> ArmFiltered:
        """What is told of each barrier at ``command``."""
        margins, pushes = rows.layout.spread(margins, math.inf), rows.layout.spread(pushes, 0.0)
        broken = -GAVE_WAY * self._filter.tolerance
        states = tuple(
            [
                BarrierState(barrier.name, h, margin, push, not margin >= broken)
                for barrier, h, margin, push in zip(self.barriers, rows.values, margins, pushes, strict=True)
            ]
        )
        most = max(pushes, default=0.0)
        return ArmFiltered(command, states, self.barriers[pushes.index(most)].name if most > 1e-6 else "", solved)


def _kept(margins: list[float], tolerance: float) -> bool:
    """Whether all rows are, but for ``tolerance``; with a NaN they are not."""
    return all(margin >= -tolerance for margin in margins)
