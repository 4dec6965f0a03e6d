# SPDX-License-Identifier: Apache-2.0
"""Barrier rows → quadratic programme → the nearest command that keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from tidegate.records import UNNEEDED, BarrierState, Floats, RowState, Solve, nanoseconds
from tidegate.robot import Car
from tidegate.safety.backup import Backup
from tidegate.safety.barrier import OFF, Barrier, Row, Rows, State, barriers
from tidegate.safety.budget import Budget, Clock
from tidegate.safety.joints import Box
from tidegate.safety.planar import Planar, nearest
from tidegate.safety.qp import PUSHES, UNBOUNDED, QPResult
from tidegate.safety.relaxation import HARD, ROOM, QPSolver, solve_by_priority
from tidegate.settings import BarrierParameters, Settings

BOX = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
"""Rows of the joint box: force low and high, curvature low and high."""
_BOX_ROWS: list[tuple[float, ...]] = [tuple(row) for row in BOX.tolist()]
_NO_MULTIPLIERS: list[float] = []

GAVE_WAY = 20
"""A row that is broken by more tolerances than this gave way: ten may be kept with, and fifty are lowered by."""

UnitRow = tuple[float, float, float, int, int]
"""A row of unit norm in units of deviation: by force and by curvature, bound; its place in the table, its barrier's
index."""


class Filtered(NamedTuple):
    """What the filter let through, and what it has to tell of it as in ``Tick``."""

    force: float
    curvature: float
    barriers: tuple[BarrierState, ...] = ()
    intervened: str = ""
    rows: tuple[RowState, ...] = ()
    solve: Solve = UNNEEDED

    @property
    def solved(self) -> bool:
        """False means that the backup command was taken instead."""
        return self.solve.solved


class Filter:
    """All barriers of a car over one quadratic programme.

    Attributes:
        barriers: in the order of their rows.
        gain_names: names of the gains that the barriers take from the policy.
        gain_default: outermost gain [1/s] while the policy gives none.
        gain_index: for each row, which of them it takes, -1 = the default.
        scale: (2,) force [N] and curvature [1/m] that count as one unit of deviation.
        priority: (m,) ``Priority`` of each row.

    min ½‖(u − u_wanted)/scale‖² subject to the joint box (hard always) and the barriers' rows. Where they contradict,
    rows give way by priority, lowest first, each by as little as the ones above it leave room for.
    """

    def __init__(
        self, settings: Settings, car: Car, *, disable: frozenset[str] = frozenset(), clock: Clock | None = None
    ) -> None:
        """``disable``: names of barriers to leave out, for evaluation. ``clock``: see ``Supervisor``."""
        self._clock, self._longest = clock, nanoseconds(1 / settings.safety.rate_hz)
        self._settings = settings
        self._filter = settings.safety.filter
        self.gain_default = self._filter.gain_default
        self._broken = -GAVE_WAY * self._filter.tolerance
        self._backup = Backup(settings, car)
        self.barriers: tuple[Barrier, ...] = tuple(
            _made(name, parameters, settings, car)
            for name, parameters in settings.safety.barriers.items()
            if parameters.enabled and name not in disable
        )
        self._units = car.effective_mass * self._filter.acceleration_scale, self._filter.curvature_scale
        self.scale = np.array(self._units)
        starts = [0, *accumulate(barrier.rows for barrier in self.barriers)]
        self._table: list[Row | None] = [None] * starts.pop()
        self._starts = starts
        self._off = [None] * len(self._table)
        self._fills = [
            (barrier, Rows(self._table, start, barrier.rows))
            for start, barrier in zip(starts, self.barriers, strict=True)
        ]
        self._places = range(len(self._table))
        self._owner = [index for index, barrier in enumerate(self.barriers) for _ in range(barrier.rows)]
        self.gain_names = tuple(sorted({barrier.gain for barrier in self.barriers if barrier.gain}))
        owners = [self.barriers[index] for index in self._owner]
        self.gain_index = [self.gain_names.index(owner.gain) if owner.gain else -1 for owner in owners]
        self.priority = [int(owner.priority) for owner in owners]
        self._given: list[float] = []

    def rows(self, state: State, *, learned: bool = True) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Rows of all barriers at ``state``: G (m, 2), fixed (m,), scaled (m,), cap (m,), and h by barrier.

        Rows that are off have ``fixed`` below ``OFF``. ``learned`` False leaves the camera's barriers out.
        """
        values = self._fill(state, learned)
        table = np.array([row or (0.0, 0.0, 10 * OFF, 0.0, np.inf) for row in self._table]).reshape(len(self._table), 5)
        return table[:, :2], table[:, 2], table[:, 3], table[:, 4], np.array(values)

    def row_gains(self, gains: Mapping[str, float]) -> list[float]:
        """Outermost gain of each row: the policy's, or the default where it gives none, clamped to the interval."""
        given = [*[gains.get(name, math.nan) for name in self.gain_names], self.gain_default]  # index -1
        if given != self._given:  # they change with a frame at most
            low, high = self._settings.policy.gain_low, self._settings.policy.gain_high
            finite = [gain if math.isfinite(gain) else self.gain_default for gain in given]
            chosen = [min(max(gain, low), high) for gain in finite]
            self._given, self._row_gains = given, [chosen[index] for index in self.gain_index]
        return self._row_gains

    def _fill(self, state: State, learned: bool) -> list[float]:
        """Fill the table of rows; h by barrier."""
        self._table[:] = self._off
        return [
            barrier.fill(state, rows) if learned or not barrier.learned else math.inf for barrier, rows in self._fills
        ]

    def __call__(
        self,
        state: State,
        wanted: tuple[float, float],
        gains: Mapping[str, float],
        box: Box,
        *,
        learned: bool = True,
        out_of_time: bool = False,
    ) -> Filtered:
        """The command nearest to ``wanted`` (force [N], curvature [1/m]) that keeps the rows and the joint ``box``.

        ``learned``: see ``rows``; ``out_of_time``: the solver has no time left, as in ``SafetyInputs``.
        """
        values = self._fill(state, learned)
        force_unit, curvature_unit = self._units
        wish = wanted[0] / force_unit, wanted[1] / curvature_unit
        unit_box = Box(
            box.force_low / force_unit,
            box.force_high / force_unit,
            box.curvature_low / curvature_unit,
            box.curvature_high / curvature_unit,
        )
        rows, cutting = self._unit_rows(gains, unit_box)  # only those that cut need an answer
        x, y = unit_box.clip(*wish)  # the nearest point of the box; where it keeps the rows it is the answer
        inside, pushes = math.isfinite(sum(wish)) and unit_box.holds(x, y), [0.0] * len(self.barriers)
        solve, multipliers = UNNEEDED, _NO_MULTIPLIERS
        if not (inside and all(a * x + b * y >= bound for a, b, bound, _, _ in cutting)):
            reachable = self._within_reach(cutting, unit_box)
            found = _few(wish, cutting, reachable, unit_box) if inside else None
            if found is None:
                budget = Budget(self._clock, self._longest, out_of_time=out_of_time)
                result = self._solve(wish, cutting, reachable, unit_box, budget)
                solve, multipliers = budget.spent(result.status), result.multipliers[len(BOX) :].tolist()
                x, y = result.solution.tolist()
            else:
                x, y, multipliers = found
            for row, push in zip(cutting, multipliers, strict=True):
                if push > pushes[row[-1]]:
                    pushes[row[-1]] = push
        if solve.solved:
            command = box.clip(x * force_unit, y * curvature_unit)
        else:
            command = self.fallback(state, box)
        x, y = command[0] / force_unit, command[1] / curvature_unit
        margins = [math.inf] * len(self.barriers)
        for a, b, bound, _, owner in rows:
            margin = a * x + b * y - bound
            if not margin >= margins[owner]:
                margins[owner] = margin
        broken = self._broken
        states = tuple(
            [
                BarrierState(barrier.name, h, least, push, least < broken)
                for barrier, h, least, push in zip(self.barriers, values, margins, pushes, strict=True)
            ]
        )
        most = max(pushes, default=0.0)
        told = self._told(cutting, multipliers, x, y) if multipliers else ()
        return Filtered(*command, states, self.barriers[pushes.index(most)].name if most > 1e-6 else "", told, solve)

    def _told(self, rows: list[UnitRow], multipliers: list[float], x: float, y: float) -> tuple[RowState, ...]:
        """Of ``rows``, those that push, or give way at a command in units of deviation."""
        told = []
        for (a, b, bound, place, owner), push in zip(rows, multipliers, strict=True):
            margin, slack = a * x + b * y - bound, 0.0
            if not margin >= self._broken:  # NaN too
                slack = -margin * self._norm(place)
            elif push <= PUSHES:
                continue
            barrier = self.barriers[owner]
            told.append(RowState(barrier.name, place - self._starts[owner], push, slack, barrier.unit))
        return tuple(told)

    def fallback(self, state: State, box: Box) -> tuple[float, float]:
        """Where there is no solution: a hard stop within the grip, and the steering as it is; never what was wanted."""
        return box.clip(self._backup.brake(state.speed, state.curvature, state.disturbance), state.curvature)

    def _unit_rows(self, gains: Mapping[str, float], box: Box) -> tuple[list[UnitRow], list[UnitRow]]:
        """What the table holds, in units of deviation; and those of it that not all of ``box`` keeps. A NaN cuts."""
        force_unit, curvature_unit = self._units
        low, high, right, left = box
        rows: list[UnitRow] = []
        cutting: list[UnitRow] = []
        for place, row, gain, owner in zip(self._places, self._table, self.row_gains(gains), self._owner, strict=True):
            if row is None:
                continue
            by_force, by_curvature, fixed, scaled, cap = row
            by_force, by_curvature = by_force * force_unit, by_curvature * curvature_unit
            norm = math.sqrt(by_force * by_force + by_curvature * by_curvature)
            bound = fixed - gain * scaled
            if norm < 1e-12:
                norm = 1.0
            elif norm == math.inf:  # divided by it the row would be none
                bound = math.nan
            if cap < bound or cap != cap:  # NaN must not get lost
                bound = cap
            by_force, by_curvature, bound = by_force / norm, by_curvature / norm, bound / norm
            made = (by_force, by_curvature, bound, place, owner)
            rows.append(made)
            least = by_force * (low if by_force > 0 else high) + by_curvature * (right if by_curvature > 0 else left)
            if not least >= bound:
                cutting.append(made)
        return rows, cutting

    def _norm(self, place: int) -> float:
        """What a row of the table was divided by."""
        row = self._table[place]
        assert row is not None
        norm = math.hypot(row[0] * self._units[0], row[1] * self._units[1])
        return 1.0 if norm < 1e-12 else norm

    def _solve(
        self,
        wish: tuple[float, float],
        rows: list[UnitRow],
        reachable: list[float] | None,
        box: Box,
        solve: QPSolver,
    ) -> QPResult:
        """The programme of the joint ``box``, hard always, and of ``rows``, all in units of deviation; ``reachable`` as
        of ``_within_reach``."""
        lower = [box.force_low, -box.force_high, box.curvature_low, -box.curvature_high]
        return solve_by_priority(
            np.array(wish),
            np.array([*_BOX_ROWS, *[row[:2] for row in rows]]),
            np.array(lower + [row[2] for row in rows]),
            [HARD] * len(lower) + [self.priority[row[3]] for row in rows],
            self._filter.slack_cost,
            self._filter.tolerance,
            solve,
            within_reach=None if reachable is None else np.array(lower + reachable),
        )

    def _within_reach(self, rows: list[UnitRow], box: Box) -> list[float] | None:
        """Bounds of ``rows`` in which those that no point of ``box`` keeps have given way to what the best one does.

        None where each row can be kept by itself, and where two of a level cannot: these share their slack.
        """
        low, high, right, left = box
        tolerance, gave_way, bounds = self._filter.tolerance, set(), []
        for a, b, bound, place, _ in rows:
            most = a * (high if a > 0 else low) + b * (left if b > 0 else right)
            if most + tolerance < bound < UNBOUNDED:
                if self.priority[place] in gave_way:
                    return None
                gave_way.add(self.priority[place])
                bound = most - ROOM * tolerance
            bounds.append(bound)
        return bounds if gave_way else None


def _few(wish: tuple[float, float], rows: list[UnitRow], reachable: list[float] | None, box: Box) -> Planar | None:
    """The answer where few rows cut, by their ``reachable`` bounds as of ``Filter._within_reach``."""
    bounds = [row[2] for row in rows] if reachable is None else reachable
    return nearest(wish, [(row[0], row[1], bound) for row, bound in zip(rows, bounds, strict=True)], box)


def _made(name: str, parameters: BarrierParameters, settings: Settings, car: Car) -> Barrier:
    """One barrier of the robot's file."""
    made = barriers[parameters.type](settings, car, parameters)
    made.name = name
    return made
