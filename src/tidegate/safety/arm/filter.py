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


class Programme(NamedTuple):
    """All barriers' rows in units of deviation (torque over effort limit) and of unit norm: ``matrix`` (m, N),
    ``lower`` (m,), the index of each row's ``owner`` (m,), h by barrier in ``values`` and how many rows are whose in
    ``counts``."""

    matrix: Floats
    lower: Floats
    owner: NDArray[np.intp]
    values: list[float]
    counts: tuple[int, ...]


class Layout(NamedTuple):
    """Whose a row is, (m,), and the first row of each barrier that has any."""

    owner: NDArray[np.intp]
    starts: NDArray[np.intp]


@lru_cache(maxsize=256)
def _layout(counts: tuple[int, ...]) -> Layout:
    """Of so many rows by barrier."""
    ends = np.cumsum((0, *counts))[:-1]
    return Layout(np.repeat(np.arange(len(counts)), counts), np.array(list(compress(ends, counts)), np.intp))


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

    def rows(self, state: ArmState) -> Programme:
        """Rows of all barriers at ``state``."""
        made = [barrier.rows(state) for barrier in self.barriers]
        counts = tuple([len(lower) for _, lower, _ in made])
        owner, values = _layout(counts).owner, [h for _, _, h in made]
        if not made:
            return Programme(np.empty((0, len(self.scale))), np.empty(0), owner, values, counts)
        matrix = np.concatenate([matrix for matrix, _, _ in made]) * self.scale
        lower = np.concatenate([lower for _, lower, _ in made])
        norm = np.sqrt((matrix * matrix).dot(self._ones))
        if not norm.min(initial=1.0) >= NOTHING:
            norm[norm < NOTHING] = 1.0  # 0 ≥ lower: nothing to have, or nothing that torques can do
        return Programme(matrix / norm[:, None], lower / norm, owner, values, counts)

    def __call__(self, state: ArmState, wanted: Floats) -> ArmFiltered:
        """The torques nearest to ``wanted`` (N,) [N·m] that keep the rows inside the window of ``state``."""
        rows = self.rows(state)
        low, high = state.low / self.scale, state.high / self.scale
        wish = np.minimum(np.maximum(wanted / self.scale, -FARTHEST), FARTHEST)
        torque = np.minimum(np.maximum(wish, low), high)  # the nearest in the window: the answer, if it keeps the rows
        pushes = [0.0] * len(self.barriers)
        worst = rows.matrix.dot((low + high) / 2) - np.abs(rows.matrix).dot((high - low) / 2)
        cutting = np.flatnonzero(~(worst >= rows.lower))  # that not all of the window keeps; a NaN cuts
        solved = bool(np.isfinite(wish).all())
        if not (solved and bool((rows.matrix.dot(torque) >= rows.lower).all())):
            owner = rows.owner[cutting]
            result = solve_by_priority(
                wish,
                np.concatenate((self._box, rows.matrix[cutting])),
                np.concatenate((low, -high, rows.lower[cutting])),
                np.concatenate((self._hard, self.priority[owner])),
                self._filter.slack_cost,
                self._filter.tolerance,
            )
            solved, torque = result.status == "solved", result.solution
            for index, push in zip(owner.tolist(), result.multipliers[len(self._box) :].tolist(), strict=True):
                pushes[index] = max(pushes[index], push)
        if solved:
            command = np.minimum(np.maximum(torque * self.scale, state.low), state.high)
        else:
            command = self._backup(state)
        return self._told(command, rows, pushes, solved)

    def _told(self, command: Floats, rows: Programme, pushes: list[float], solved: bool) -> ArmFiltered:
        """What is told of each barrier at ``command``."""
        margins, starts = [math.inf] * len(self.barriers), _layout(rows.counts).starts
        if len(starts):  # a NaN is told as one
            left = rows.matrix.dot(command / self.scale) - rows.lower
            least = iter(np.minimum.reduceat(left, starts).tolist())
            margins = [next(least) if count else math.inf for count in rows.counts]
        broken = -GAVE_WAY * self._filter.tolerance
        states = tuple(
            [
                BarrierState(barrier.name, h, margin, push, not margin >= broken)
                for barrier, h, margin, push in zip(self.barriers, rows.values, margins, pushes, strict=True)
            ]
        )
        most = max(pushes, default=0.0)
        return ArmFiltered(command, states, self.barriers[pushes.index(most)].name if most > 1e-6 else "", solved)
