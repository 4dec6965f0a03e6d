# SPDX-License-Identifier: Apache-2.0
"""Where ``edge`` is off the lane row keeps the front wheels in their lane too, in bends as well."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from safety_drive import Drive
from safety_plant import Plant, car, settings

from tidegate.records import LaneEstimate, Mode
from tidegate.safety.lane import room

OFF = 0.3


@dataclass
class Misled(Plant):
    """The camera sees the car further in by all that it says it may err."""

    def lane(self, now: int, bound: float = 0.1) -> LaneEstimate:
        knots = len(settings().perception.preview_m)
        error = math.copysign(OFF, self.road_curvature)
        bend = np.full(knots, self.road_curvature)
        return LaneEstimate(now, self.offset + error, self.heading, bend, np.array([OFF, 0.0, *[0.0] * knots]))

    @property
    def beyond(self) -> float:
        """Offset [m] of the front axle, outward of the bend, by its distance from the bend's centre."""
        radius = 1 / abs(self.road_curvature)
        outward = -math.copysign(1.0, self.road_curvature)
        axle = outward * self.offset + radius + car().wheelbase * math.sin(outward * self.heading)
        return math.hypot(axle, car().wheelbase * math.cos(self.heading)) - radius


@pytest.mark.parametrize("bend", [1 / 28, -1 / 28, 1 / 40])
def test_a_wish_held_for_long_takes_no_front_wheel_out_of_a_bend(bend: float) -> None:
    plant = Misled(road_curvature=bend)
    drive = Drive(plant, gains={"lane": settings().policy.gain_high})
    drive.run(0.5, (0.0, 0.0), reset_requested=True)
    drive.modes.clear()
    plant.speed, plant.steer = 8.0, np.array(car().steering(bend))
    drive.supervisor._state.curvature = drive.supervisor._actuation.curvature = bend
    farthest = 0.0
    for _ in range(300):
        drive.run(0.02, (2500.0 * (8.5 - plant.speed) + 300.0, 0.0))  # straight on, where the lane bends
        farthest = max(farthest, plant.beyond)
    assert set(drive.modes) == {Mode.NORMAL}
    assert plant.speed > 7.0
    assert farthest < room(settings(), car())
    assert farthest > room(settings(), car()) - 0.1  # and all of the room is used
