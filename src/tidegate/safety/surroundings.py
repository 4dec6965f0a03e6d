# SPDX-License-Identifier: Apache-2.0
"""What stands or moves in the car's way, from scan to scan and between them."""

from __future__ import annotations

import math

from tidegate.records import Floats, Points
from tidegate.robot import Car
from tidegate.safety.barrier import Ahead
from tidegate.safety.corridor import Corridor, Pose, Track, moved
from tidegate.safety.crossing import Crossing
from tidegate.safety.ground import GroundFilter
from tidegate.safety.lane_tracker import TrackedLane, centre_line
from tidegate.safety.motion import Motion
from tidegate.settings import Settings

LEAST_REACH = 5.0
"""How far ahead [m] a lane is followed at least, however little of it is left."""


class Surroundings:
    """Remembers the returns of the last scan, and of the nearest thing in each corridor how fast it goes."""

    def __init__(self, settings: Settings, car: Car) -> None:
        self._car, self._ground = car, GroundFilter(settings, car)
        self._crossing = Crossing(settings, car)
        self._arc, self._lane = Track(settings), Track(settings)
        self._stamp: int | None = None
        self._driven = 0.0
        # of the last scan: its things, where the car was then, and how far ahead one of them will cross
        self._things: Floats
        self._pose: Pose
        self._crosses: float
        self.adjust(settings)

    def adjust(self, settings: Settings) -> None:
        """Go by other corridors and margins from the next tick on; what was seen is remembered."""
        self._reach = settings.safety.lane.reach_m
        self._corridor = Corridor(settings, self._car)
        self._crossing.adjust(settings)

    def look(
        self, now: int, points: Points | None, motion: Motion, curvature: float, lane: TrackedLane | None
    ) -> tuple[Ahead, Ahead]:
        """Nearest thing on the car's arc, looked for anew every tick, and along the ``lane``, every scan.

        Args:
            now: of the tick [ns].
            points: the newest scan; None = there is none, and nothing is known to be ahead.
            motion: of the car; its arc is as bent as it is measured, as commanded, and all between.
            curvature: as commanded [1/m].
            lane: the remembered one that binds.
        """
        if points is None:
            return Ahead(), Ahead()
        low, high = sorted((motion.curvature, curvature))
        new = points.stamp != self._stamp
        if new:
            pose, driven = motion.at(points.stamp)
            since = driven - self._driven
            self._stamp, self._pose, self._driven = points.stamp, pose, driven
            self._things = self._ground.things(points)
            middle = (low + high) / 2
            self._crosses = self._crossing.nearest(points.stamp, self._things, self._pose, middle, motion.speed)
        since_scan = motion.driven - self._driven
        things = moved(self._things, self._pose, motion.pose) if len(self._things) else self._things
        on_arc = min(self._corridor.on_arc(things, low, high), self._crosses - since_scan)
        if new:
            self._arc.update(points.stamp, on_arc + since_scan, since)
            self._lane.update(points.stamp, self._along(things, lane) + since_scan, since)
        arc = self._arc.ahead(now, since_scan)
        if math.isfinite(on_arc):
            arc.distance = min(arc.distance, on_arc)
        return arc, self._lane.ahead(now, since_scan)

    def _along(self, things: Floats, lane: TrackedLane | None) -> float:
        if lane is None or not len(things):
            return math.inf
        return self._corridor.along_lane(things, centre_line(lane, max(lane.remaining + self._reach, LEAST_REACH)))
