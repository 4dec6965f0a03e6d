# SPDX-License-Identifier: Apache-2.0
"""Drives the embedded world's car past the school, with a barrier and without it; prints the top speed in the zone."""

from __future__ import annotations

import math
from pathlib import Path

from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.settings import load_settings

HERE = Path(__file__).parent


def top_speed(disable: tuple[str, ...]) -> tuple[float, str]:
    """Highest true speed [m/s] inside the zone of ``car.yaml`` in 13 s, and which barriers changed the command."""
    settings = load_settings(HERE / "car.yaml")
    school = settings.safety.barriers["school"]
    fastest, acted = 0.0, set()

    def watch(moment: Moment) -> None:
        nonlocal fastest
        place = moment.sensors.odometry
        acted.add(moment.step.tick.intervened)
        if math.hypot(place.x - school.x, place.y - school.y) <= school.radius:  # type: ignore[attr-defined]
            fastest = max(fastest, moment.truth.speed)

    task = Task(str(HERE / "car.yaml"), "", "road", 7, driver="expert", disable=disable)
    roll(settings, task, driver_of(settings, None), watch, 13.0, camera=False)
    return fastest, ", ".join(sorted(acted - {""})) or "none"


if __name__ == "__main__":
    for disable in ((), ("school",)):
        speed, acted = top_speed(disable)
        print(f"without {', '.join(disable) or 'nothing'}: {speed:.2f} m/s at most in the zone; acted: {acted}")
