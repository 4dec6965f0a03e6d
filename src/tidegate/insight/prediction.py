# SPDX-License-Identifier: Apache-2.0
"""What a command that was asked for would have led to, by a simple model of the tick's own state."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tidegate.insight.moment import TickView
from tidegate.robot import Car
from tidegate.safety.barrier import Ahead
from tidegate.safety.lane import room
from tidegate.settings import Settings

STEP_S = 0.01
HORIZON_S = 8.0
"""How far [s] the model looks ahead."""
MODEL = (
    "The asked force and curvature are held, reached at the torque and steering rates; slope and drag stay as "
    "estimated; the thing ahead keeps its speed; the car is a kinematic single-track model in the lane that the filter "
    "remembered. Where the filter changed the force alone, the car is taken to stay in its lane."
)


@dataclass(frozen=True, slots=True)
class Prediction:
    """When [s] each thing would come; None = not within ``horizon_s``, or what it needs is not known.

    ``contact`` with what is ahead, ``lane_left`` a side of the car over the lane's edge, ``too_fast`` above the speed
    limit. ``lane_known_s``: for how long the place in the lane was carried on; 0 = it was not.
    """

    contact: float | None
    lane_left: float | None
    too_fast: float | None
    lane_known_s: float
    horizon_s: float = HORIZON_S


def predict(settings: Settings, car: Car, view: TickView, *, steers: bool) -> Prediction:
    """Carry the state of a tick on under what was asked at it (``MODEL``); ``steers``: the curvature was changed."""
    state, lane = view.state, view.state.lane if steers else None
    force, curvature = view.before
    wanted_force, wanted_curvature = view.tick.wanted
    limit, half = settings.vehicle.speed_max, room(settings, car)
    speed, gap = max(state.speed, 0.0), nearest(state.arc, state.along_lane)
    offset, heading, along = (lane.offset, lane.heading, 0.0) if lane is not None else (0.0, 0.0, 0.0)
    distance = gap.distance
    contact = left = fast = None
    known = 0.0
    for step in range(1, round(HORIZON_S / STEP_S) + 1):
        time = step * STEP_S
        most = car.force_rate(1 if force > 0 else -1) * STEP_S
        force += min(max(wanted_force - force, -most), most)
        turn = car.curvature_rate * STEP_S
        curvature += min(max(wanted_curvature - curvature, -turn), turn)
        speed = max(speed + (force / car.effective_mass + state.disturbance) * STEP_S, 0.0)
        distance -= (speed - gap.receding + gap.approaching) * STEP_S
        if contact is None and distance <= 0 < speed + gap.approaching:
            contact = time
        if fast is None and speed > limit:
            fast = time
        if lane is None or left is not None or along > lane.remaining or abs(heading) > 1.2 or abs(offset) > 10:
            continue
        known = time
        road = lane.curvature_at(along)
        forward = speed * math.cos(heading) / max(1 - road * offset, 0.2)
        offset, along = offset + speed * math.sin(heading) * STEP_S, along + forward * STEP_S
        heading += (speed * curvature - road * forward) * STEP_S
        if max(abs(offset), abs(car.front_offset(offset, heading, lane.curvature_at(along)))) > half:
            left = time
    return Prediction(contact, left, fast, known)


def nearest(arc: Ahead, along_lane: Ahead) -> Ahead:
    """The nearer thing of the two corridors."""
    return arc if arc.distance <= along_lane.distance else along_lane
