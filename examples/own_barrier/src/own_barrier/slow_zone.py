# SPDX-License-Identifier: Apache-2.0
"""A circle on the map in which the car drives slowly: a school, a yard, a crossing of pedestrians."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.robot import GRAVITY, Car
from tidegate.safety import Barrier, Priority, Rows, State
from tidegate.settings import BarrierParameters, Settings, setting


@dataclass(frozen=True, slots=True)
class SlowZoneParameters(BarrierParameters):
    """Where, how slowly, and how it is braked for."""

    x: float = setting(0.0, "m", "centre of the zone, in odometry")
    y: float = setting(0.0, "m", "centre of the zone, in odometry")
    radius: float = setting(20.0, "m", "radius of the zone", low=1, high=1000)
    speed: float = setting(5.0, "m/s", "never exceeded inside", low=1, high=50)
    deceleration: float = setting(2.0, "m/s²", "braking before the zone", low=0.1, high=4)
    drift: float = setting(1.0, "m", "error of the odometry that is covered", low=0, high=100)


class SlowZone(Barrier):
    """Slow inside a circle, braking in time before it.

    h = √((v_z − ε)² + 2 a s) − v, relative degree 1: s ≥ 0 is the distance to the circle, whose radius is widened by
    ``drift``; ṡ = −v cos θ with θ the angle between the car's heading and the centre.
    Trusted inputs: odometry (pose and speed).
    Guarantee: v ≤ ``speed`` inside the circle.
    Assumption: odometry errs by at most ``drift`` and, in speed, ε = ``speed_margin``; slope and drag are estimated to
    ``disturbance_margin``; the car starts with h ≥ 0. Its backup is to brake at a = ``deceleration``: it keeps h from
    falling, so the row never has to give way to the brakes.
    The margin for the hold of one period is T/2 · max |ḧ|, from |v̇| ≤ μ_f g and θ̇ ≤ a_lat/v + v/r.
    """

    priority = Priority.SPEED
    rows = 1
    unit = "m/s²"
    gain = "speed"
    Parameters = SlowZoneParameters

    def __init__(self, settings: Settings, car: Car, parameters: SlowZoneParameters | None = None) -> None:
        super().__init__(settings, car, parameters)
        self._mass = car.effective_mass
        self._radius = self.parameters.radius + self.parameters.drift
        self._slow = self.parameters.speed - settings.safety.speed_margin
        self._margin = settings.safety.disturbance_margin
        self._swerve = settings.vehicle.tyre_friction * GRAVITY + settings.vehicle.lateral_acceleration_max

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        braking, east, north = self.parameters.deceleration, self.parameters.x - state.x, self.parameters.y - state.y
        away = math.hypot(east, north)
        outside = max(away - self._radius, 0.0)
        allowed = math.sqrt(self._slow**2 + 2 * braking * outside)
        h = allowed - state.speed
        falling = hold = 0.0
        if outside > 0:
            towards = (math.cos(state.yaw) * east + math.sin(state.yaw) * north) / away
            falling = braking * min(state.speed / allowed, 1.0) * towards
            hold = self.period / 2 * braking * ((self._swerve + braking) / allowed + allowed / self._radius)
        backup = max(-braking - max(state.disturbance, 0.0) - hold - self._margin, state.force_low / self._mass)
        # ḣ = −falling − F/m − w
        rows.set(0, -1.0 / self._mass, 0.0, falling + state.disturbance + hold + self._margin, h, -backup)
        return h
