# SPDX-License-Identifier: Apache-2.0
"""Tells things from the road in the returns of several scan planes."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats, Points
from tidegate.robot import Car
from tidegate.settings import Settings


class GroundFilter:
    """Splits returns of several scan planes into road and things.

    In one azimuth sector the rings of a plane-scanning sensor meet the road one behind the other: from the height H
    ring i reaches it at H/tan(−elevation_i), and in a sag of ±6 % grade neighbouring returns still rise by no more
    than about 0.16 per metre of distance (change of grade 0.12, pitch of the car 2°). On something that stands up,
    neighbouring rings return from nearly the same distance. A pair of rings counts as a thing where the upper return
    lies less than Δz/``steepness`` behind the lower one, or before it (a trailer's floor that lower rings pass
    under). A single return counts where it is higher than ``rise_max`` of its distance: no road climbs so fast.

    Where a ring has several returns in a sector (a finer sensor, several echoes), the nearest stands for them.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        ranging, self._distance = settings.ranging, settings.safety.distance
        (self._x, _, self._z), _ = car.description.origin("range_link")
        self._mounts = car.description.mounts()
        self._rings = len(ranging.elevation_deg)
        order = np.argsort(ranging.elevation_deg)
        self._row = np.empty(self._rings, np.intp)
        self._row[order] = np.arange(self._rings)
        self._half = math.radians(ranging.azimuth_deg)
        self._beams = ranging.beams
        self._sector = 2 * self._half / (ranging.beams - 1)

    @np.errstate(all="ignore")  # whatever a scan holds; and no return less no return
    def things(self, points: Points) -> Floats:
        """Nearest return of a thing per azimuth sector, (N, 2) x and y in the base frame [m]."""
        xyz = points.xyz.T.astype(np.float64)
        if points.frame != "base_link":
            rotation, position = self._mounts[points.frame]
            xyz = rotation @ xyz + position[:, None]
        x, y, z = xyz
        x, ring = x - self._x, points.ring
        reach, sector = np.hypot(x, y), np.rint((np.arctan2(y, x) + self._half) / self._sector)
        good = np.isfinite(reach) & np.isfinite(z) & (ring >= 0) & (ring < self._rings)
        good &= (sector >= 0) & (sector < self._beams)
        kept = np.flatnonzero(good)
        kept = kept[
            np.lexsort((z[kept], -reach[kept]))
        ]  # of several in a cell the last stays: the nearest, the highest
        cell = self._row[ring[kept]], sector[kept].astype(np.intp)
        far = np.full((self._rings, self._beams), np.inf)
        height = np.zeros((self._rings, self._beams))
        far[cell], height[cell] = reach[kept], z[kept]
        seen = np.isfinite(far)
        thing = seen & (height > self._distance.rise_max * far)
        for gap in (1, 2):  # the next ring, and the one after it where a return is missing
            lower, upper = far[:-gap], far[gap:]
            stands = upper - lower <= (height[gap:] - height[:-gap]) / self._distance.steepness
            stands &= seen[gap:] & seen[:-gap]
            if gap == 2:
                stands &= ~seen[1:-1]
            thing[gap:] |= stands
            thing[:-gap] |= stands & (lower <= upper + 1.0)
        thing &= height < self._distance.height_max
        nearest = np.where(thing, far, np.inf).min(axis=0)
        hit = np.flatnonzero(np.isfinite(nearest))
        azimuth = hit * self._sector - self._half
        return np.stack([self._x + nearest[hit] * np.cos(azimuth), nearest[hit] * np.sin(azimuth)], axis=1)
