# SPDX-License-Identifier: Apache-2.0
"""Breaches are seen where they are, and explain what comes soon after them, nothing else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tidegate.attack.assumption import FEEDBACK, LANE_BOUND, NEARER, REMEMBERED, Assumptions
from tidegate.evaluation.pilot import Moment
from tidegate.records import ImageHealth, LaneEstimate, Level, Mode, Received
from tidegate.robot import Car
from tidegate.safety.braking import Braking
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator, Truth
from tidegate.simulation.adversarial import stated_gap

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
RESERVE = SETTINGS.safety.distance.standstill_gap + SETTINGS.safety.distance.noise_m
COUNTED = SETTINGS.safety.lane
PERIOD = 5_000_000


@pytest.fixture(scope="module")
def truth() -> Truth:
    with Simulator(SETTINGS, "road", 5000, camera=False) as simulator:
        return replace(simulator.truth(), speed=10.0, stamp=0)


def moment(
    truth: Truth,
    lane: LaneEstimate | None = None,
    force: float = 0.0,
    mode: Mode = Mode.NORMAL,
    health: ImageHealth | None = None,
) -> Moment:
    received = (None if record is None else Received(record, 0) for record in (lane, health))
    inputs = SimpleNamespace(**dict(zip(("lane", "health"), received, strict=True)))
    step: Any = SimpleNamespace(tick=SimpleNamespace(allowed=(force, 0.0), mode=mode), inputs=inputs)
    return Moment(cast(Any, None), step, truth)


@pytest.mark.parametrize("force", [CAR.force_min, 0.0, CAR.force_max])
@pytest.mark.parametrize("before", [np.inf, 100.0])
def test_what_appears_nearer_than_the_stopping_distance_is_a_breach(truth: Truth, before: float, force: float) -> None:
    least = Braking(SETTINGS, CAR).stop(10.0, force).way + RESERVE
    for gap, broken in ((least - 0.1, [NEARER]), (least + 0.1, [])):
        seen = Assumptions(SETTINGS, CAR)
        seen.watch(moment(replace(truth, gap=before), force=force), blind=False)
        seen.watch(moment(replace(truth, gap=gap, stamp=PERIOD), force=force), blind=False)
        assert seen.broken == broken


def test_what_comes_nearer_step_by_step_is_none_and_what_approaches_must_appear_farther_off(truth: Truth) -> None:
    seen = Assumptions(SETTINGS, CAR)
    for step, gap in enumerate(np.arange(80.0, 0.0, -1.0)):
        seen.watch(moment(replace(truth, gap=float(gap), stamp=step * PERIOD)), blind=False)
    assert seen.broken == []
    least = Braking(SETTINGS, CAR).stop(10.0, 0.0).way + RESERVE
    seen.watch(moment(replace(truth, gap=np.inf, stamp=10**9)), blind=False)
    seen.watch(moment(replace(truth, gap=least + 2.0, gap_speed=-8.0, stamp=2 * 10**9)), blind=False)
    assert seen.broken == [NEARER]


@pytest.mark.parametrize("speed", np.linspace(0.0, 17.0, 18))
def test_the_stated_gap_of_a_car_that_moves_in_is_more_than_the_distance_barrier_needs(speed: float) -> None:
    for force in (CAR.force_min, 0.0, CAR.force_max):
        assert stated_gap(speed) > Braking(SETTINGS, CAR).stop(speed, force).way + RESERVE


@pytest.mark.parametrize(
    ("offset", "heading", "bound", "broken"),
    [
        (0.09, 0.0, (0.1, 0.0), False),
        (0.11, 0.0, (0.1, 0.0), True),
        (0.3, 0.0, (0.2, 0.05), True),
        (0.36, 0.0, (2.0, 0.0), True),  # beyond bound_cap nothing is covered
        (0.09, 0.02, (0.1, 0.02), False),
        (0.09, 0.03, (0.1, 0.02), True),  # the front axle is off by more
    ],
)
def test_a_lane_estimate_is_held_to_its_bound(
    truth: Truth, offset: float, heading: float, bound: tuple[float, float], broken: bool
) -> None:
    lane = LaneEstimate(0, truth.offset + offset, truth.heading + heading, np.zeros(4), np.array([*bound, 0, 0, 0, 0]))
    seen = Assumptions(SETTINGS, CAR)
    seen.watch(moment(truth, lane), blind=False)
    assert seen.broken == [LANE_BOUND] * broken


def test_a_breach_explains_what_rests_on_it_for_some_seconds(truth: Truth) -> None:
    seen = Assumptions(SETTINGS, CAR)
    seen.watch(moment(replace(truth, stamp=10**9)), blind=True)
    assert seen.broken == [FEEDBACK]
    assert seen.behind("lane", 2 * 10**9) == [FEEDBACK]
    assert seen.behind("limit", 10**9) == [FEEDBACK]
    assert seen.behind("contact", 10**9) == seen.behind("fault", 10**9) == []
    assert seen.behind("lane", 7 * 10**9) == seen.behind("lane", 10**9 - 1) == []


@pytest.mark.parametrize(
    ("heading", "bend", "driven", "broken"),
    [
        (0.0, 0.0, 30.0, False),
        (0.0, 0.95 * COUNTED.sight_cap, 30.0, False),  # what drifts besides is counted as well
        (0.0, 2.0 * COUNTED.sight_cap, 30.0, True),
        (0.02, 0.0, 1.0, True),  # more than the lever of the front axle makes of it
        (0.02, 0.0, 0.0, False),  # not driven on yet
        (0.003, 0.9 * COUNTED.sight_cap, 30.0, False),
    ],
)
def test_the_lane_that_is_remembered_is_held_to_what_sight_counts(
    truth: Truth, heading: float, bend: float, driven: float, broken: bool
) -> None:
    bound = np.array([0.1, 0.02, *[0.004] * len(truth.curvature)])
    lane = LaneEstimate(0, truth.offset, truth.heading + heading, truth.curvature - bend, bound)
    health = ImageHealth(0, Level.OK)
    later = replace(truth, stamp=10**9, distance=truth.distance + driven)
    seen = Assumptions(SETTINGS, CAR)
    seen.watch(moment(truth, lane, health=health), blind=False)
    seen.watch(moment(later, lane, health=health), blind=False)
    assert REMEMBERED not in seen.broken  # in NORMAL the camera sees
    seen.watch(moment(later, lane, mode=Mode.STOPPING), blind=False)
    assert (REMEMBERED in seen.broken) is broken


def test_a_lane_that_image_health_has_not_passed_is_not_what_is_remembered(truth: Truth) -> None:
    right, wrong = (
        LaneEstimate(
            stamp, truth.offset, truth.heading + error, truth.curvature, np.full(2 + len(truth.curvature), 0.1)
        )
        for stamp, error in ((0, 0.0), (PERIOD, 0.05))
    )
    later = replace(truth, stamp=PERIOD)
    gone = replace(truth, stamp=10**9, distance=truth.distance + 20.0)
    for health, broken in (
        (ImageHealth(0, Level.OK), False),
        (ImageHealth(PERIOD, Level.ERROR), False),
        (None, False),
        (ImageHealth(PERIOD, Level.OK), True),
    ):
        seen = Assumptions(SETTINGS, CAR)
        seen.watch(moment(truth, right, health=ImageHealth(0, Level.OK)), blind=False)
        seen.watch(moment(later, wrong, health=health), blind=False)
        seen.watch(moment(gone, wrong, mode=Mode.HOLD), blind=False)
        assert (REMEMBERED in seen.broken) is broken
