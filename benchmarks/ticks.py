# SPDX-License-Identifier: Apache-2.0
"""Ticks of the safety filter without ROS while a car drives off; tells the last one's rung and their median time."""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
from common import SETTINGS
from straight_road import Way, records

from tidegate.records import Received, SafetyInputs, nanoseconds
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.settings import Settings, load_settings

LONGEST = 800
"""Ticks for which inputs are made, however few of them are used."""
FIELDS = {"joint_states": "joints", "odom": "odometry"}
"""Topics that ``SafetyInputs`` calls otherwise."""


def main(ticks: int) -> None:
    """Tick ``ticks`` times."""
    settings = load_settings(SETTINGS)
    car = Car.from_settings(settings)
    supervisor = Supervisor(settings, car)
    times = []
    for inputs in heard(settings, car)[:ticks]:
        start = time.perf_counter_ns()
        tick = supervisor.tick(inputs)
        times.append((time.perf_counter_ns() - start) / 1e3)
    print(json.dumps({"mode": tick.mode.name, "median_us": statistics.median(times)}))


def heard(settings: Settings, car: Car) -> list[SafetyInputs]:
    """Sensors of every tick, a frame and a scan at the camera's rate; the car stands for a second, then drives off."""
    period, seldom = 1 / settings.safety.rate_hz, round(settings.safety.rate_hz / settings.camera.rate_hz)
    way, rng, known, made = Way(), np.random.default_rng(0), {}, []
    for tick in range(LONGEST):
        now = nanoseconds(tick * period)
        known |= records(settings, car, way, now, rng, tick % seldom == 0)
        fresh = {FIELDS.get(name, name): Received(record, now - record.stamp) for name, record in known.items()}
        released = tick * period > 1.0
        made.append(SafetyInputs(now, **fresh, reset_requested=not released))
        way.step(period, released)
    return made


if __name__ == "__main__":
    main(int(sys.argv[1]))
