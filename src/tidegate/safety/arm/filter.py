# SPDX-License-Identifier: Apache-2.0
"""Rows of the arm's barriers → quadratic programme → the nearest torques that keep them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tidegate.records import BarrierState, Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm.backup import ArmBackup
from tidegate.safety.arm.barrier import ArmBarrier, ArmState, arm_barriers
from tidegate.safety.arm.nearest import Nearest, nearest
from tidegate.safety.arm.programme import Programme, layout, programme
from tidegate.safety.filter import GAVE_WAY
from tidegate.safety.relaxation import HARD, solve_by_priority

FARTHEST = 1e3
"""Efforts beyond which a wish is not told apart."""


class ArmFiltered(NamedTuple):
    """What the filter let through: ``torque`` (N,) [N·m]; ``solved`` False means that it is the backup's."""

    torque: Floats
    barriers: tuple[BarrierState, ...]
    intervened: str
    solved: bool


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
        self._hard = np.full(len(self._box), HARD)
        farthest = np.full(len(arm.effort), FARTHEST)
        self._wishes = -farthest, farthest

    def rows(self, state: ArmState) -> Programme:
        """Rows of all barriers at ``state``."""
        if not self.barriers:
            return Programme(np.empty((0, len(self.scale))), np.empty(0), np.empty(0), (), layout((), ()))
        return programme([barrier.rows(state) for barrier in self.barriers], self.scale)

    def __call__(self, state: ArmState, wanted: Floats) -> ArmFiltered:
        """The torques nearest to ``wanted`` (N,) [N·m] that keep the rows inside the window of ``state``."""
        rows = self.rows(state)
        low, high = state.low / self.scale, state.high / self.scale
        wish = (wanted / self.scale).clip(*self._wishes)
        point = wish.clip(low, high)  # the nearest in the window: the answer, if it keeps the rows
        margins, pushes = rows.margins(point), [0.0] * len(rows.layout.present)
        if not _kept(margins, 0.0):
            if math.isfinite(sum(margins)):
                point, multipliers = nearest(wish, rows.distinct, rows.tight, low, high)
                margins, multipliers = rows.margins(point), rows.shared(multipliers)
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

    def unchanged(self, state: ArmState, command: Floats) -> ArmFiltered:
        """``command`` (N,) [N·m] as it is, and what is to be told of each barrier with it."""
        rows = self.rows(state)
        return self._told(command, rows, rows.margins(command / self.scale), [0.0] * len(rows.layout.present), True)

    def _give_way(self, wish: Floats, rows: Programme, low: Floats, high: Floats) -> Nearest:
        """As ``nearest``, with rows that give way where they contradict; checked."""
        cutting = rows.cutting(low, high)
        result = solve_by_priority(
            wish,
            np.concatenate((self._box, rows.distinct[rows.layout.place[cutting]])),
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
