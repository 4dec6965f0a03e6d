# SPDX-License-Identifier: Apache-2.0
"""What really happens: only evaluation, the expert and training labels may read it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.records import Floats


@dataclass(frozen=True, slots=True)
class Truth:
    """True state of the car and the road at one tick.

    Attributes:
        stamp: [ns].
        x, y, z, yaw: pose of ``base_link`` in the world [m, rad].
        speed, acceleration: along the car [m/s, m/s²]; ``yaw_rate`` [rad/s].
        s: arc length along the lane [m]; ``distance`` driven along it since the start [m]; ``laps`` of it.
        offset: left of the lane centre [m]; ``heading`` relative to it [rad]; ``curvature`` (K,) [1/m] of the lane at
            ``perception.preview_m`` ahead.
        slope: rise over run along the car.
        wheels_off: a tyre stands beyond the paved edge.
        gap: from the front bumper to the nearest thing in the corridor of the car's width along the lane [m], inf when
            there is none within 150 m; ``gap_speed``: its speed along the lane [m/s].
        contact: the body touches a vehicle now; ``contacts``: how many times that began since the start.
        blocked: something slower than 0.5 m/s stands across the lane within 30 m.
        limit_excess: largest relative excess over a joint or speed limit at any physics step since the start;
            ``limit_worst`` names it ('' = none).
        goal: distance to drive [m]; ``reached`` whether it was.
        camera_ok: the camera works.
        sink_braking: the actuators brake by themselves because no command came.
    """

    stamp: int
    x: float
    y: float
    z: float
    yaw: float
    speed: float
    acceleration: float
    yaw_rate: float
    s: float
    distance: float
    laps: float
    offset: float
    heading: float
    curvature: Floats
    slope: float
    wheels_off: bool
    gap: float
    gap_speed: float
    contact: bool
    contacts: int
    limit_excess: float
    limit_worst: str
    goal: float
    camera_ok: bool
    sink_braking: bool

    @property
    def blocked(self) -> bool:
        """Something stands across the lane within 30 m."""
        return self.gap < 30.0 and abs(self.gap_speed) < 0.5

    @property
    def reached(self) -> bool:
        """The goal was reached."""
        return self.distance >= self.goal

    @property
    def lateral_acceleration(self) -> float:
        """Speed times yaw rate [m/s²]."""
        return self.speed * self.yaw_rate

    @property
    def gap_known(self) -> bool:
        """Something is on the path."""
        return math.isfinite(self.gap)
