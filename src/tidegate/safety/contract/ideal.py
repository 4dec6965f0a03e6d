# SPDX-License-Identifier: Apache-2.0
"""The model that barrier rows are derived from: the control-affine car on its road, no lag; what it is told may err."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.robot import GRAVITY, Car
from tidegate.safety.barrier import Ahead, State
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.lane_tracker import TrackedLane, interpolate
from tidegate.settings import Settings

SUBSTEPS = 5


@dataclass(slots=True)
class IdealCar:
    """A car on a road, and a thing ahead of it; integrated finely between the ticks.

    ``offset`` [m], ``heading`` [rad], ``speed`` [m/s] in the road frame; ``x``, ``y`` [m], ``yaw`` [rad] in odometry;
    ``force`` [N] and ``curvature`` [1/m] commanded last; ``slope`` (rise over run) along the way, of which the car is
    told ``misjudged`` [m/s²] too much or too little. The road's curvature
    is ``bends`` [1/m] at ``knots`` [m] of its length, linear between; ``station`` [m] is where the car is on it.
    ``bound`` [m], [rad], [1/m] are the stated error bounds of offset, heading and the road's curvature; what the car is
    told of them is the truth and ``error``. ``free`` [m] is left before the bumper to a
    thing that recedes at ``receding`` [m/s], or comes at ``approaching`` [m/s] for as long as the car moves;
    ``driven`` [m] is the way so far. ``speed_left`` [m/s], ``lateral_left`` [m/s²]: limits that were lowered while
    driving, on their way down as in ``Lowering``; below the settings' ones they are none.
    """

    settings: Settings
    car: Car
    speed: float = 0.0
    offset: float = 0.0
    heading: float = 0.0
    slope: float = 0.0
    misjudged: float = 0.0
    force: float = 0.0
    curvature: float = 0.0
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    knots: tuple[float, ...] = (0.0, 36.0)
    bends: tuple[float, ...] = (0.0, 0.0)
    bound: tuple[float, float, float] = (0.1, 0.02, 0.0)
    error: tuple[float, float, float] = (0.0, 0.0, 0.0)
    free: float = math.inf
    receding: float = 0.0
    approaching: float = 0.0
    station: float = 0.0
    driven: float = 0.0
    speed_left: float = 0.0
    lateral_left: float = 0.0

    @property
    def period(self) -> float:
        """One tick [s]."""
        return 1.0 / self.settings.safety.rate_hz

    def state(self) -> State:
        """What the barriers are told."""
        vehicle, safety = self.settings.vehicle, self.settings.safety
        low, high = self.car.force_window(self.force, self.period)
        ahead = Ahead(self.free, self.receding, self.approaching)
        drift = self.misjudged - GRAVITY * self.slope
        lane, place = self._lane(), (self.x, self.y, self.yaw)
        state = State(self.speed, self.force, self.curvature, low, high, drift, lane, ahead, ahead, *place)
        if self.speed_left > vehicle.speed_max - safety.speed_margin:
            state.speed_left, state.speed_falling = self.speed_left, safety.curve_deceleration
        if self.lateral_left > vehicle.lateral_acceleration_max:
            state.lateral_left = self.lateral_left
        return state

    def truth(self) -> IdealCar:
        """The same car, told what is so: nothing errs, and what erred is known exactly."""
        offset, heading, bend = (0.0 if error else bound for error, bound in zip(self.error, self.bound, strict=True))
        return dataclasses.replace(self, misjudged=0.0, error=(0.0, 0.0, 0.0), bound=(offset, heading, bend))

    def box(self) -> Box:
        """What the joints can do within the next tick."""
        return joint_box(self.car, self.force, self.curvature, self.period, self.settings.safety.steering_share)

    def hold(self, force: float, curvature: float) -> None:
        """Hold a command for one tick."""
        self.force, self.curvature = force, curvature
        for _ in range(SUBSTEPS):
            self._move(force, curvature, self.period / SUBSTEPS)

    def moved(self, force: float, curvature: float, step: float) -> IdealCar:
        """Where the command takes it in a small ``step`` [s], backwards where negative; what was commanded stays."""
        made = dataclasses.replace(self)
        made._move(force, curvature, step)
        return made

    def _move(self, force: float, curvature: float, step: float) -> None:
        braking = self.settings.safety.curve_deceleration
        self.speed_left -= step * braking
        self.lateral_left -= step * 2 * braking * self.lateral_left / max(self.speed, 1.0)
        self.speed += step * (force / self.car.effective_mass - GRAVITY * self.slope)
        if force < 0 < step:  # brakes hold a car that stands
            self.speed = max(self.speed, 0.0)
        way, road = step * self.speed, interpolate(self.station, self.knots, self.bends)
        along = way * math.cos(self.heading) / max(1 - road * self.offset, 0.2)
        self.offset += way * math.sin(self.heading)
        self.heading += way * curvature - road * along
        self.station += along
        self.x += way * math.cos(self.yaw)
        self.y += way * math.sin(self.yaw)
        self.yaw += way * curvature
        self.driven += way
        comes = self.approaching if self.speed > self.settings.safety.ladder.standstill_speed else 0.0
        self.free -= way + step * (comes - self.receding)

    def _lane(self) -> TrackedLane | None:
        """The lane as tracked; None where the road frame means nothing, as in ``LaneTracker``."""
        if not (abs(self.offset) < 10.0 and abs(self.heading) < 1.2):
            return None
        here = interpolate(self.station, self.knots, self.bends)
        later = [(knot - self.station, bend) for knot, bend in zip(self.knots, self.bends, strict=True)]
        ahead, curvature = zip((0.0, here), *(knot for knot in later if knot[0] > 0), strict=True)
        (off, turned, bent), (side, askew, doubt) = self.error, self.bound
        told = tuple(bend + bent for bend in curvature)
        return TrackedLane(self.offset + off, self.heading + turned, side, askew, ahead, told, ahead[-1], doubt)


def draw(rng: np.random.Generator, settings: Settings, car: Car, **given: Any) -> IdealCar:
    """A random car on a random road, anywhere within ±60 m in odometry; ``given``: attributes that are not drawn."""
    vehicle, most = settings.vehicle, settings.safety.steering_share * car.curvature_max
    speed = given.get("speed", rng.uniform(0.0, vehicle.speed_max))
    limit = min(vehicle.lateral_acceleration_max / max(speed, 1.0) ** 2, most)
    first, second, bend = rng.uniform(-0.02, 0.02), rng.uniform(-0.05, 0.05), rng.uniform(5.0, 60.0)
    away = rng.uniform(-settings.safety.distance.approach_max, 6.0)
    lowered = rng.random(2) < 0.5
    drawn: dict[str, Any] = {
        "speed": speed,
        "offset": rng.uniform(-0.6, 0.6),
        "heading": rng.uniform(-0.2, 0.2),
        "slope": rng.uniform(-vehicle.slope_max, vehicle.slope_max),
        "force": rng.uniform(-vehicle.brake_guaranteed * car.effective_mass, car.force_max),
        "curvature": rng.uniform(-limit, limit),
        "x": rng.uniform(-60.0, 60.0),
        "y": rng.uniform(-60.0, 60.0),
        "yaw": rng.uniform(-math.pi, math.pi),
        "free": rng.uniform(5.0, 90.0),
        "receding": max(away, 0.0),
        "approaching": max(-away, 0.0),
        "knots": (0.0, bend, bend + 12.0),
        "bends": (first, first, second),
        "bound": (rng.uniform(0.05, 0.35), rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.006)),
        "speed_left": lowered[0] * rng.uniform(vehicle.speed_max, 1.3 * vehicle.speed_max),
        "lateral_left": lowered[1] * rng.uniform(1.0, 1.5) * vehicle.lateral_acceleration_max,
    }
    return IdealCar(settings, car, **{**drawn, **given})
