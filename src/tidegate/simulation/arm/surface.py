# SPDX-License-Identifier: Apache-2.0
"""Surfaces that the tool point presses on: they give way like a spring with a damper, without friction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tidegate.records import Floats


class Surface(Protocol):
    """What pushes back."""

    def meet(self, place: Floats) -> tuple[float, Floats]:
        """How deep a point at ``place`` (3,) [m] is in it (negative outside) [m], and the outward normal (3,) there."""

    def push(self, depth: float, closing: float) -> float:
        """Force [N] along the normal at ``depth`` [m] while the point comes nearer with ``closing`` [m/s]."""


@dataclass(frozen=True, slots=True)
class Spring:
    """``stiffness`` [N/m] and ``damping`` [N·s/m]; it never pulls."""

    stiffness: float
    damping: float

    def push(self, depth: float, closing: float) -> float:
        """See ``Surface.push``."""
        return max(self.stiffness * depth + self.damping * closing, 0.0) if depth > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Plane(Spring):
    """The points p with n·p ≤ ``offset`` [m] are inside; ``normal`` n (3,) is a unit vector."""

    normal: Floats
    offset: float

    def meet(self, place: Floats) -> tuple[float, Floats]:
        """See ``Surface.meet``."""
        return self.offset - float(self.normal @ place), self.normal


@dataclass(frozen=True, slots=True)
class Board(Spring):
    """A board bent about one horizontal axis, level beyond it: its height is ``top`` − κ s²/2 with s along ``angle``.

    Attributes:
        centre: (2,) x, y [m]; ``top`` [m] the height there.
        curvature: κ [1/m], positive where its middle is the highest.
        angle: of the direction across the bend, in the plane x, y [rad].
        half: as far as it is bent, to either side of the centre [m].
    """

    centre: Floats
    top: float
    curvature: float
    angle: float
    half: float

    def height(self, x: Floats | float, y: Floats | float) -> Floats:
        """Over x, y (…) [m]."""
        s = np.clip(self._across(x, y), -self.half, self.half)
        high: Floats = self.top - self.curvature * s * s / 2
        return high

    def normal(self, x: float, y: float) -> Floats:
        """Outward unit normal (3,) over x, y [m]."""
        s = float(self._across(x, y))
        slope = self.curvature * s if abs(s) <= self.half else 0.0
        upward = np.array([slope * math.cos(self.angle), slope * math.sin(self.angle), 1.0])
        return upward / math.hypot(slope, 1.0)

    def meet(self, place: Floats) -> tuple[float, Floats]:
        """See ``Surface.meet``; the depth along the normal, to first order in it."""
        normal = self.normal(place[0], place[1])
        return (float(self.height(place[0], place[1])) - float(place[2])) * float(normal[2]), normal

    def _across(self, x: Floats | float, y: Floats | float) -> Floats:
        """s over x, y (…) [m]."""
        s: Floats = np.asarray(
            (x - self.centre[0]) * math.cos(self.angle) + (y - self.centre[1]) * math.sin(self.angle)
        )
        return s
