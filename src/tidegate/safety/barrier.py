# SPDX-License-Identifier: Apache-2.0
"""What a barrier is: linear rows on the car's command that keep a set forward invariant.

All barriers share u = (force [N], curvature [1/m]) and one shape of row,

    G u ≥ min(fixed − gain · scaled, cap),

with ``gain`` the outermost class-K gain, the only one that may vary while driving (ψ̇ + p(t) ψ ≥ 0 keeps ψ ≥ 0 for
every p(t) > 0; an inner gain that varies breaks it), ``scaled`` = ψ, and ``cap`` the value that the barrier's own
backup command reaches, so that a row with a backup is never infeasible by itself. Being linear in the gain, the same
rows serve the live filter (NumPy) and the training layer (torch).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from tidegate import registry
from tidegate.robot import Car
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.settings import BarrierParameters, Settings

OFF = -1e29
"""A ``fixed`` below this means: no such row at this tick."""


class Priority(IntEnum):
    """The order in which rows give way, lowest first, where not all can hold."""

    COMFORT = 0
    SPEED = 1
    LANE = 2
    EDGE = 3
    GRIP = 4
    DISTANCE = 5


@dataclass(slots=True)
class Ahead:
    """The nearest thing in a corridor.

    ``distance`` [m] from the front bumper, inf where free; ``receding`` [m/s] its speed away from us along the
    corridor that may be counted on, ``approaching`` [m/s] its speed towards us that must be counted with; both ≥ 0.
    """

    distance: float = np.inf
    receding: float = 0.0
    approaching: float = 0.0


@dataclass(slots=True)
class State:
    """What barriers may know at a tick; every number is finite.

    ``speed`` [m/s]; ``force`` [N] and ``curvature`` [1/m] commanded last; ``force_low``, ``force_high`` [N] the slew
    window of this tick; ``disturbance`` [m/s²] acceleration that the force does not explain (slope, drag).
    ``arc``: nearest thing on the present arc, trusted sensors alone; ``along_lane``: the same along the trusted lane.
    ``x``, ``y`` [m], ``yaw`` [rad]: pose in the odometry frame, which drifts.
    ``speed_left`` [m/s], ``lateral_left`` [m/s²]: what a limit that was lowered while driving still lets through, as a
    measured speed and as v² |κ|, until it has come down; 0 = it has. The former falls by ``speed_falling`` [m/s²].
    """

    speed: float = 0.0
    force: float = 0.0
    curvature: float = 0.0
    force_low: float = 0.0
    force_high: float = 0.0
    disturbance: float = 0.0
    lane: TrackedLane | None = None
    arc: Ahead = field(default_factory=Ahead)
    along_lane: Ahead = field(default_factory=Ahead)
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    speed_left: float = 0.0
    speed_falling: float = 0.0
    lateral_left: float = 0.0


Row = tuple[float, float, float, float, float]
"""``force``, ``curvature`` (together G), ``fixed``, ``scaled``, ``cap``."""


class Rows:
    """The ``count`` rows of one barrier, from ``start`` in the ``table`` of all; a row that is not set is None: off."""

    __slots__ = ("_count", "_start", "_table")

    def __init__(self, table: list[Row | None], start: int, count: int) -> None:
        self._table, self._start, self._count = table, start, count

    def set(
        self, row: int, force: float, curvature: float, fixed: float, scaled: float = 0.0, cap: float = math.inf
    ) -> None:
        """Row ``force``·F + ``curvature``·κ ≥ min(``fixed`` − gain·``scaled``, ``cap``).

        Raises:
            IndexError: the barrier declares fewer rows; the next row is another's.
        """
        if not 0 <= row < self._count:
            raise IndexError(f"row {row} of a barrier with {self._count} rows")
        self._table[self._start + row] = (force, curvature, fixed, scaled, cap)

    def set_all(self, rows: list[Row]) -> None:
        """All of them, as ``set`` one by one, in less time.

        Raises:
            IndexError: the barrier declares another number.
        """
        if len(rows) != self._count:
            raise IndexError(f"{len(rows)} rows of a barrier with {self._count} rows")
        self._table[self._start : self._start + self._count] = rows


class Barrier(ABC):
    """One barrier. The docstring of every subclass states h, relative degree, trusted inputs, guarantee, assumption.

    Attributes:
        name: of this one in the robot's file and in ``BarrierState``; the filter sets it.
        Parameters: what the robot's file may say of it; ``parameters`` is what it says.
        priority: when its rows give way.
        rows: how many rows it has at most.
        unit: of what its rows compare, in which it is told by how much one gave way.
        gain: name of its outermost gain among the policy's gains; '' where it has none that varies.
        learned: whether it uses what the camera says (off while a driver drives).
        compiled: whether making one takes longer than a tick: settings then change only while the car stands.
    """

    name: str = ""
    Parameters: ClassVar[type[BarrierParameters]] = BarrierParameters
    priority: ClassVar[Priority]
    rows: int
    unit: ClassVar[str] = ""
    gain: ClassVar[str] = ""
    learned: ClassVar[bool] = False
    compiled: ClassVar[bool] = False

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        """``parameters``: of the type ``Parameters``; None = its defaults."""
        self.settings = settings
        self.car = car
        self.parameters: Any = parameters or self.Parameters()
        self.period = 1.0 / settings.safety.rate_hz

    @abstractmethod
    def fill(self, state: State, rows: Rows) -> float:
        """Write the rows for ``state`` and return h (inf where the barrier does not apply)."""


barriers: registry.Registry[type[Barrier]] = registry.barriers
