# SPDX-License-Identifier: Apache-2.0
"""Figures of the shipped car on docs/safety.md are those that its settings and the code give."""

from __future__ import annotations

import math
import re
from functools import cache

import pytest
from safety_plant import ROOT, car, settings

from tidegate.robot import GRAVITY
from tidegate.safety.barrier import Rows, State
from tidegate.safety.braking import Braking
from tidegate.safety.lane import room
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.qp import ITERATIONS
from tidegate.safety.relaxation import SOLVES
from tidegate.safety.speed import Sight

VEHICLE, SAFETY, POLICY = settings().vehicle, settings().safety, settings().policy


def sight(bound: float) -> float:
    """v_s [m/s] where the offset's bound [m] is that and the curvature's is beyond what is counted."""
    lane = TrackedLane(0.0, 0.0, bound, 0.0, (0.0, 50.0), (0.0, 0.0), 50.0, 1.0)
    return Sight(settings(), car()).fill(State(lane=lane), Rows([None], 0, 1))


def blind_stop(speed: float) -> float:
    """The way [m] of a stop from ``speed`` [m/s] whose camera has to count as late first."""
    return speed * SAFETY.camera_timeout_s + Braking(settings(), car()).stop(speed, 0.0).way


def drift(speed: float) -> float:
    """What the curvature's error adds [cm] on that way at the front axle."""
    way = blind_stop(speed)
    return 100 * (SAFETY.lane.drift_heading + SAFETY.lane.sight_cap) * way * (way / 2 + car().wheelbase)


def behind(slope: float) -> float:
    """By how much [m/s] a car under full throttle may be faster than a limit that was lowered."""
    hardest = car().force_max / car().effective_mass + GRAVITY * slope
    rate = car().force_rate(1) / car().effective_mass
    return float((hardest + SAFETY.curve_deceleration + SAFETY.disturbance_margin) ** 2 / (2 * rate))


def fastest_gain() -> float:
    """Largest gain [1/s] that ``speed`` bears."""
    hardest = car().force_max / car().effective_mass + GRAVITY * VEHICLE.slope_max
    return float(2 * car().force_rate(1) / car().effective_mass / hardest)


FIGURES = {
    r"joints, (\d+) times a second": SAFETY.rate_hz,
    r"SOLVES` \((\d+)\)": SOLVES,
    r"ITERATIONS` \((\d+)\)": ITERATIONS,
    r"p ≤ 2R/a, ([\d.]+) 1/s": fastest_gain(),
    r"\(([\d.]+) m/s under full throttle": behind(0.0),
    r"under full throttle, ([\d.]+) down": behind(VEHICLE.slope_max),
    r"L S\) = ([\d.]+) m": room(settings(), car()),
    r"0\.22 m and v_s ([\d.]+) m/s": sight(0.22),
    r"with 0\.45 m it is\s+([\d.]+),": sight(0.45),
    r"with 0\.6 m ([\d.]+)\.\s": sight(0.6),
    r"blind stop from 6 m/s\s+takes ([\d.]+) m": blind_stop(6.0),
    r"on which k adds ([\d.]+) cm": drift(6.0),
    r"from 5 m/s it would add ([\d.]+),": drift(5.0),
    r"below v = p₁ L = ([\d.]+) m/s": SAFETY.lane.inner_gain * car().wheelbase,
    r"√\(p a_lat / r\) = ([\d.]+) m/s": math.sqrt(
        POLICY.gain_high * VEHICLE.lateral_acceleration_max / car().curvature_rate
    ),
    r"lock that is used \(([\d.]+)°\)": math.degrees(
        math.atan(SAFETY.steering_share * car().curvature_max * car().wheelbase)
    ),
}
"""What the page says (a pattern with one number) and what it must be."""


@cache
def page() -> str:
    return (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("said", FIGURES)
def test_a_figure_on_the_page_is_the_shipped_cars_to_its_last_digit(said: str) -> None:
    (figure,) = re.findall(said, page())
    digits = len(figure.partition(".")[2])
    assert abs(float(figure) - FIGURES[said]) <= 0.5001 * 10.0**-digits
