# SPDX-License-Identifier: Apache-2.0
"""Barrier rows → quadratic programme → the nearest command that keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tidegate.errors import SettingsError
from tidegate.records import BarrierState, Floats
from tidegate.robot import Car
from tidegate.safety.barrier import OFF, Barrier, Rows, State, barriers
from tidegate.safety.joints import Box
from tidegate.safety.relaxation import HARD, solve_by_priority
from tidegate.settings import Settings

BOX = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
"""Rows of the joint box: force low and high, curvature low and high."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What the filter let through; ``solved`` False means that the backup command was taken instead."""

    force: float
    curvature: float
    barriers: tuple[BarrierState, ...]
    intervened: str
    solved: bool


class Filter:
    """All barriers of a car over one quadratic programme.

    Attributes:
        barriers: in the order of their rows.
        gain_names: names of the gains that the barriers take from the policy.
        gain_index: (m,) which of them each row takes, -1 = the default.
        scale: (2,) force [N] and curvature [1/m] that count as one unit of deviation.
        priority: (m,) ``Priority`` of each row.

    min ½‖(u − u_wanted)/scale‖² subject to the joint box (hard always) and the barriers' rows. Where they contradict,
    rows give way by priority, lowest first, each by as little as the ones above it leave room for.
    """

    def __init__(self, settings: Settings, car: Car, *, disable: frozenset[str] = frozenset()) -> None:
        """``disable``: names of barriers to leave out, for evaluation.

        Raises:
            SettingsError: ``safety.barriers`` names an unknown barrier.
        """
        self._settings = settings
        self._filter = settings.safety.filter
        known = set(barriers)
        for name in settings.safety.barriers:
            if name not in known:
                raise SettingsError(f"safety.barriers: no barrier '{name}'; known: {', '.join(sorted(known))}")
        kept = [name for name in settings.safety.barriers if name not in disable]
        self.barriers: tuple[Barrier, ...] = tuple(barriers[name](settings, car) for name in kept)
        self.scale = np.array([car.effective_mass * self._filter.acceleration_scale, self._filter.curvature_scale])
        count = sum(barrier.rows for barrier in self.barriers)
        self._slices: list[slice] = []
        start = 0
        for barrier in self.barriers:
            self._slices.append(slice(start, start + barrier.rows))
            start += barrier.rows
        self._G = np.zeros((count, 2))
        self._fixed, self._scaled, self._cap = np.zeros(count), np.zeros(count), np.zeros(count)
        self.gain_names = tuple(sorted({barrier.gain for barrier in self.barriers if barrier.gain}))
        self.gain_index = np.repeat(
            [self.gain_names.index(barrier.gain) if barrier.gain else -1 for barrier in self.barriers],
            [barrier.rows for barrier in self.barriers],
        )
        self._views = [
            Rows(self._G[part], self._fixed[part], self._scaled[part], self._cap[part]) for part in self._slices
        ]
        self.priority = np.repeat(
            [int(barrier.priority) for barrier in self.barriers], [barrier.rows for barrier in self.barriers]
        )
        self._box_priority = np.full(len(BOX), HARD)

    def rows(self, state: State, *, learned: bool = True) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Rows of all barriers at ``state``: G (m, 2), fixed (m,), scaled (m,), cap (m,), and h by barrier.

        Rows that are off have ``fixed`` below ``OFF``. ``learned`` False leaves the camera's barriers out.
        """
        self._G[:] = 0.0
        self._fixed[:] = 10 * OFF
        self._scaled[:] = 0.0
        self._cap[:] = np.inf
        values = np.full(len(self.barriers), np.inf)
        for index, (barrier, view) in enumerate(zip(self.barriers, self._views, strict=True)):
            if learned or not barrier.learned:
                values[index] = barrier.fill(state, view)
        return self._G, self._fixed, self._scaled, self._cap, values

    def row_gains(self, gains: Mapping[str, float]) -> Floats:
        """Outermost gain (m,) of each row: the policy's, clamped to its interval; the default where it gives none."""
        low, high, default = self._settings.policy.gain_low, self._settings.policy.gain_high, self._filter.gain_default
        given = [gains.get(name, math.nan) for name in self.gain_names]
        clamped = [min(max(gain, low), high) if math.isfinite(gain) else default for gain in given]
        by_row: Floats = np.array([*clamped, default])[self.gain_index]  # index -1 is the default
        return by_row

    def __call__(
        self, state: State, wanted: tuple[float, float], gains: Mapping[str, float], box: Box, *, learned: bool = True
    ) -> Filtered:
        """The command nearest to ``wanted`` (force [N], curvature [1/m]) that keeps the rows and the joint ``box``."""
        G, fixed, scaled, cap, values = self.rows(state, learned=learned)
        on = np.flatnonzero(fixed > OFF)
        G = G[on] * self.scale
        lower = np.minimum(fixed - self.row_gains(gains) * scaled, cap)[on]
        norm = np.sqrt(np.einsum("ij,ij->i", G, G))
        norm[norm < 1e-12] = 1.0
        G /= norm[:, None]
        lower /= norm
        box_lower = np.array(
            [
                box.force_low / self.scale[0],
                -box.force_high / self.scale[0],
                box.curvature_low / self.scale[1],
                -box.curvature_high / self.scale[1],
            ]
        )
        rows = np.concatenate((BOX, G))
        bounds = np.concatenate((box_lower, lower))
        z_wanted = np.array(wanted) / self.scale
        priority = np.concatenate((self._box_priority, self.priority[on]))
        result = solve_by_priority(z_wanted, rows, bounds, priority, self._filter.slack_cost, self._filter.tolerance)
        solved = result.status == "solved"
        if solved:
            command = box.clip(*(result.solution * self.scale).tolist())
        else:  # never the wanted command: the brakes, and the steering as it is
            command = box.clip(box.force_low, state.curvature)
        margin = G @ (np.array(command) / self.scale) - lower
        states = self._states(on, margin, result.multipliers[len(BOX) :], values)
        pushing = max(states, key=lambda state: state.multiplier, default=None)
        intervened = pushing.name if pushing is not None and pushing.multiplier > 1e-6 else ""
        return Filtered(*command, states, intervened, solved)

    def _states(
        self, on: np.ndarray[tuple[int], np.dtype[np.int_]], margin: Floats, multipliers: Floats, values: Floats
    ) -> tuple[BarrierState, ...]:
        made = []
        margins, pushes = [math.inf] * len(self._fixed), [0.0] * len(self._fixed)
        for row, least, push in zip(on.tolist(), margin.tolist(), multipliers.tolist(), strict=True):
            margins[row], pushes[row] = least, push
        broken = -20 * self._filter.tolerance
        for barrier, part, h in zip(self.barriers, self._slices, values.tolist(), strict=True):
            least = min(margins[part])
            made.append(BarrierState(barrier.name, h, least, max(pushes[part]), least < broken))
        return tuple(made)
