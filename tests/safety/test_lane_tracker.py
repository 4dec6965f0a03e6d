# SPDX-License-Identifier: Apache-2.0
"""Dead reckoning in the remembered lane: the arithmetic of one step, growth of the bounds, and every gate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from safety_plant import PERIOD, settings
from scipy.integrate import solve_ivp, trapezoid

from tidegate.records import LaneEstimate, nanoseconds
from tidegate.safety.lane_tracker import LaneTracker, TrackedLane, centre_line, interpolate

LANE, PREVIEW = settings().safety.lane, settings().perception.preview_m
BEND = (0.01, 0.02, -0.01, 0.03)


def estimate(time: float = 0.0, curvature: tuple[float, ...] = BEND, **changes: float) -> LaneEstimate:
    made = LaneEstimate(nanoseconds(time), 0.0, 0.0, np.array(curvature), np.array([0.2, 0.03, 0.01, 0.01, 0.01, 0.01]))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


Sample = tuple[int, float, float]
"""Of odometry: stamp [ns], speed [m/s], yaw rate [rad/s]."""


def odometry(time: float, speed: float = 10.0, yaw_rate: float = 0.0) -> Sample:
    return nanoseconds(time), speed, yaw_rate


def tracking(lane: LaneEstimate, *samples: Sample) -> LaneTracker:
    """A tracker that was given the first sample, then the lane, then the other samples."""
    tracker = LaneTracker(settings())
    tracker.odometry(*samples[0])
    assert tracker.offer(lane, gated=True)
    for sample in samples[1:]:
        tracker.odometry(*sample)
    return tracker


def known(tracker: LaneTracker, ahead_s: float = 0.0) -> TrackedLane:
    lane = tracker.lane(ahead_s) if ahead_s else tracker.lane()
    assert lane is not None
    return lane


def test_between_knots_linear_outside_constant_as_numpy_does() -> None:
    knots, values = (1.0, 2.0, 4.0, 4.5), (3.0, -1.0, 2.0, 5.0)
    for at in (-9.0, 1.0, 1.3, 2.0, 3.5, 4.0, 4.2, 4.5, 9.0):
        assert interpolate(at, knots, values) == pytest.approx(float(np.interp(at, knots, values)))
    lane = TrackedLane(0.0, 0.0, 0.1, 0.1, knots, values, 4.5)
    assert lane.curvature_at(3.0) == pytest.approx(0.5)


def test_nothing_is_known_before_the_first_estimate_nor_after_a_reset() -> None:
    tracker = LaneTracker(settings())
    assert (tracker.lane(), tracker.lane(0.1), tracker.stamp) == (None, None, None)
    tracker.odometry(*odometry(0.0))
    tracker.odometry(*odometry(0.1))
    tracker.offer(estimate(0.05), gated=True)
    assert tracker.stamp == nanoseconds(0.05)
    tracker.reset()
    assert (tracker.lane(), tracker.stamp) == (None, None)


def wider(driven: float, heading: float = 0.03, bend: float = 0.01) -> tuple[float, float]:
    """Growth of the bounds of offset and heading: sums of what a short piece of the way adds, each up to its cap."""
    pieces = 4000
    step, bend = driven / pieces, min(bend, LANE.curvature_cap) + LANE.drift_heading
    askew = bend * step * np.arange(pieces + 1)
    side = min(heading, LANE.heading_cap) + LANE.drift_offset + askew
    return float(trapezoid(side, dx=step)), float(askew[-1])


def moved(offset: float, heading: float, along: float, speed: float, turn: float, step: float) -> tuple[float, ...]:
    """One step of the road frame, heading at its middle."""
    bend = float(np.interp(along, PREVIEW, BEND))
    advance = speed * math.cos(heading) / (1 - bend * offset)
    turned = step * (turn - bend * advance)
    return offset + step * speed * math.sin(heading + turned / 2), heading + turned, along + step * advance


@pytest.mark.parametrize(("speed", "turn"), [(10.0, 0.3), (12.0, -0.2), (-4.0, 0.1)])
def test_each_sample_carries_the_lane_on_until_the_next(speed: float, turn: float) -> None:
    tracker = tracking(estimate(offset=0.4, heading=0.1), odometry(0.0, speed, turn), odometry(0.1, 5.0, 0.0))
    offset, heading, along = moved(0.4, 0.1, 0.0, speed, turn, 0.1)
    lane = known(tracker)
    assert (lane.offset, lane.heading) == pytest.approx((offset, heading))
    assert lane.remaining == pytest.approx(PREVIEW[-1] - along)
    driven = abs(speed) * 0.1
    assert lane.offset_bound == pytest.approx(0.2 + wider(driven)[0])
    assert lane.heading_bound == pytest.approx(0.03 + wider(driven)[1])
    assert lane.heading_growth == pytest.approx(wider(driven)[1])
    assert lane.curvature_bound == 0.01
    assert TrackedLane(0.0, 0.0, 0.1, 0.02, (0.0,), (0.0,), 20.0).curvature_bound == 0.0
    tracker.odometry(*odometry(0.3, 0.0, 0.0))
    offset, heading, along = moved(offset, heading, along, 5.0, 0.0, 0.2)
    lane = known(tracker)
    assert (lane.offset, lane.heading) == pytest.approx((offset, heading))
    assert lane.offset_bound == pytest.approx(0.2 + wider(driven + 1.0)[0])


def test_of_the_curvatures_bounds_the_largest_counts() -> None:
    bound = np.array([0.2, 0.03, 0.001, 0.003, 0.002, 0.0])
    lane = known(tracking(dataclasses.replace(estimate(), bound=bound), odometry(0.0)))
    assert lane.curvature_bound == 0.003


def test_it_is_predicted_with_the_newest_motion() -> None:
    times = (0.0, 0.1, 0.2, 0.3)
    tracker = tracking(estimate(), *[odometry(time, 5.0 + 20.0 * time, 0.1) for time in times])
    lane = known(tracker)
    ahead = known(tracker, 0.05)
    _, _, along = moved(lane.offset, lane.heading, PREVIEW[-1] - lane.remaining, 11.0, 0.1, 0.05)
    assert ahead.remaining == pytest.approx(PREVIEW[-1] - along)


def test_samples_that_are_not_newer_are_ignored() -> None:
    tracker = tracking(estimate(), odometry(0.0, 10.0, 0.1), odometry(0.1, 8.0, 0.2))
    before = known(tracker)
    for late in (0.1, 0.05):
        tracker.odometry(*odometry(late, 99.0, 9.0))
    assert known(tracker) == before
    tracker.odometry(*odometry(0.2))
    assert known(tracker).offset_bound == pytest.approx(0.2 + wider(1.0 + 0.8)[0])


def test_an_estimate_counts_from_when_its_frame_was_exposed() -> None:
    """Exposed between two samples, arriving after a third: carried on by the rest of the first, and by the second."""
    tracker = LaneTracker(settings())
    for sample in (odometry(0.0, 10.0, 0.3), odometry(0.1, 6.0, -0.2), odometry(0.3, 1.0, 0.0)):
        tracker.odometry(*sample)
    tracker.offer(estimate(0.06, offset=0.2, heading=0.05), gated=True)
    place = moved(*moved(0.2, 0.05, 0.0, 10.0, 0.3, 0.04), 6.0, -0.2, 0.2)
    lane = known(tracker)
    assert (lane.offset, lane.heading, PREVIEW[-1] - lane.remaining) == pytest.approx(place)
    assert lane.offset_bound == pytest.approx(0.2 + wider(10.0 * 0.04 + 6.0 * 0.2)[0])


def test_an_estimate_newer_than_the_odometry_waits_for_it() -> None:
    tracker = tracking(estimate(0.05, heading=0.1), odometry(0.0), odometry(0.02), odometry(0.08, 3.0))
    assert known(tracker).offset_bound == pytest.approx(0.2 + wider(10.0 * 0.03)[0])


@pytest.mark.parametrize("ahead", [0.1, 0.4])
def test_the_lag_is_predicted_with_the_newest_sample(ahead: float) -> None:
    tracker = tracking(estimate(offset=0.4, heading=0.1), odometry(0.0, 10.0, 0.2), odometry(0.1, 8.0, -0.3))
    offset, heading, along = moved(*moved(0.4, 0.1, 0.0, 10.0, 0.2, 0.1), 8.0, -0.3, ahead)
    lane = known(tracker, ahead)
    assert (lane.offset, lane.heading, PREVIEW[-1] - lane.remaining) == pytest.approx((offset, heading, along))
    driven = 1.0 + 8.0 * ahead  # what the prediction drives widens as well: it turns with the estimate's own bend
    assert (lane.offset_bound - 0.2, lane.heading_bound - 0.03) == pytest.approx(wider(driven, 0.03))
    blank = LaneTracker(settings())
    blank.offer(estimate(offset=0.4), gated=True)
    assert known(blank, 1.0).offset == 0.4  # no odometry: nothing to predict with


def test_knots_behind_the_car_fall_away_and_the_first_is_at_the_axle() -> None:
    first = known(tracking(estimate(), odometry(0.0)))
    assert first.ahead == tuple(PREVIEW)
    assert first.curvature == BEND
    along = PREVIEW[1] + 1.0
    lane = known(tracking(estimate(curvature=(0.0, 0.01, 0.02, 0.03)), odometry(0.0, along), odometry(1.0)))
    along = PREVIEW[-1] - lane.remaining
    assert lane.ahead == pytest.approx((0.0, PREVIEW[2] - along, PREVIEW[3] - along))
    at_axle = float(np.interp(along, PREVIEW, (0.0, 0.01, 0.02, 0.03)))
    assert lane.curvature == pytest.approx((at_axle, 0.02, 0.03))
    beyond = known(tracking(estimate(curvature=(0.0,) * 4), odometry(0.0, 100.0), odometry(1.0)))
    assert (beyond.ahead, beyond.curvature) == ((0.0,), (0.0,))
    assert beyond.remaining == pytest.approx(PREVIEW[-1] - 100.0)


@pytest.mark.parametrize(("field", "limit"), [("offset", 10.0), ("heading", 1.2)])
def test_far_from_the_road_there_is_no_lane(field: str, limit: float) -> None:
    for sign in (-1.0, 1.0):
        straight = (0.0,) * 4
        near = tracking(estimate(curvature=straight, **{field: sign * 0.999 * limit}), odometry(0.0))
        assert near.lane() is not None
        assert tracking(estimate(curvature=straight, **{field: sign * limit}), odometry(0.0)).lane() is None


@pytest.mark.parametrize("driven", [0.0, 20.0])
@pytest.mark.parametrize(("field", "gate"), [("offset", LANE.gate_offset), ("heading", LANE.gate_heading)])
def test_a_gate_widens_as_the_bounds_do(field: str, gate: float, driven: float) -> None:
    straight = (0.0,) * 4
    wide = gate + wider(driven)[field == "heading"]
    for sign in (-1.0, 1.0):
        for share, taken in ((0.999, True), (1.001, False)):
            tracker = tracking(estimate(curvature=straight), odometry(0.0, driven), odometry(1.0, 0.0))
            assert tracker._now is not None
            setattr(tracker._now, field, 0.04)
            offered = estimate(1.0, curvature=straight, **{field: 0.04 + sign * share * wide})
            assert tracker.offer(offered, gated=True) == taken
            assert tracker.stamp == (offered.stamp if taken else 0)
            assert tracker.offer(offered, gated=False)
            assert tracker.stamp == offered.stamp


@pytest.mark.parametrize(
    ("field", "at"),
    [("offset", LANE.gate_offset), ("heading", LANE.gate_heading), ("curvature", (LANE.gate_curvature, *(0.0,) * 3))],
)
def test_an_estimate_at_the_gate_itself_passes(field: str, at: Any) -> None:
    tracker = tracking(estimate(curvature=(0.0,) * 4), odometry(0.0, 0.0), odometry(1.0, 0.0))
    assert tracker.offer(estimate(1.0, **{"curvature": (0.0,) * 4, field: at}), gated=True)


def test_the_gate_of_the_curvature_looks_at_where_the_car_is() -> None:
    gate = LANE.gate_curvature
    for share, taken in ((0.999, True), (1.001, False)):
        for sign in (-1.0, 1.0):
            tracker = tracking(estimate(curvature=(0.01,) * 4), odometry(0.0))
            here = estimate(1.0, curvature=(0.01 + sign * share * gate, 0.0, 0.0, 0.0))
            assert tracker.offer(here, gated=True) == taken
    tracker = tracking(estimate(curvature=(0.0,) * 4), odometry(0.0))
    assert tracker.offer(estimate(1.0, curvature=(0.0, 9.0, 9.0, 9.0)), gated=True)


def test_near_the_centre_of_a_bend_the_step_stays_finite() -> None:
    """1 − κ d is kept from 0.2 up."""
    tight, wide = ((0.5,) * 4), 1.9
    lanes = [
        known(tracking(estimate(curvature=tight, offset=d), odometry(0.0, 1.0), odometry(0.1))) for d in (1.6, wide)
    ]
    assert lanes[0].remaining == pytest.approx(lanes[1].remaining)
    assert lanes[0].remaining == pytest.approx(PREVIEW[-1] - 0.1 / 0.2)


def test_the_centre_line_is_the_lane_integrated_from_beside_the_car() -> None:
    lane = TrackedLane(0.6, 0.2, 0.1, 0.02, (0.0, 10.0, 20.0), (0.02, 0.05, -0.03), 20.0)
    line = centre_line(lane, 24.0)
    assert len(line) == 25
    assert line[0] == pytest.approx((-0.6 * math.sin(0.2), -0.6 * math.cos(0.2), -0.2))
    x, y, heading = line[0]
    for metre in range(24):
        bend = (np.interp(metre, lane.ahead, lane.curvature) + np.interp(metre + 1, lane.ahead, lane.curvature)) / 2
        x, y = x + math.cos(heading + bend / 2), y + math.sin(heading + bend / 2)
        heading += bend
        assert line[metre + 1] == pytest.approx((x, y, heading))
    fine = centre_line(lane, 24.0, 0.25)
    np.testing.assert_allclose(fine[::4], line, atol=0.05)
    assert len(fine) == 97


SPEED = 12.0
shares = st.floats(-1.0, 1.0)


@given(
    bends=st.tuples(*[st.floats(-0.03, 0.03)] * 4),
    bounds=st.tuples(st.floats(0.0, LANE.heading_cap), st.floats(0.0, LANE.curvature_cap)),
    wrong=st.tuples(*[shares] * 4),
    start=st.tuples(shares, shares),
    drifts=st.tuples(shares, shares),
    swing=st.floats(0.5, 3.0),
)
@profile(max_examples=40, deadline=None)
def test_the_true_lane_stays_within_the_bounds_that_grow(
    bends: tuple[float, ...],
    bounds: tuple[float, float],
    wrong: tuple[float, ...],
    start: tuple[float, float],
    drifts: tuple[float, float],
    swing: float,
) -> None:
    """Against SciPy's integral of the car in the true road, on which it weaves: every error within its bound, whatever
    its sign at each knot; besides the odometry's yaw rate and the slip of the axle. First order: 5 % of the bound."""
    slip, turn = drifts[0] * LANE.drift_offset, drifts[1] * LANE.drift_heading
    side = 0.2

    def yaw_rate(time: float) -> float:
        return SPEED * float(np.interp(SPEED * time, PREVIEW, bends)) + 0.1 * math.cos(swing * time)

    def road(time: float, state: np.ndarray) -> list[float]:
        offset, heading, along = state
        bend = float(np.interp(along, PREVIEW, bends))
        advance = SPEED * math.cos(heading) / (1 - bend * offset)
        return [SPEED * (math.sin(heading) + slip), yaw_rate(time) - bend * advance, advance]

    ends = [0.5, 1.0, 2.0]
    true = solve_ivp(road, (0.0, ends[-1]), (0.0, 0.0, 0.0), t_eval=ends, max_step=0.05, rtol=1e-7).y.T
    curvature = np.array(bends) + bounds[1] * np.array(wrong)
    stated = np.array([side, bounds[0], *[bounds[1]] * 4])
    tracker = LaneTracker(settings())
    tracker.odometry(*odometry(0.0, SPEED, yaw_rate(0.0)))
    tracker.offer(LaneEstimate(0, side * start[0], bounds[0] * start[1], curvature, stated), gated=False)
    for end, (offset, heading, _) in zip(ends, true, strict=True):
        for time in np.arange(round(end / PERIOD) + 1) * PERIOD:
            tracker.odometry(*odometry(time, SPEED, yaw_rate(time + PERIOD / 2) + turn * SPEED))
        lane = known(tracker)
        assert abs(lane.offset - offset) <= 1.05 * lane.offset_bound
        assert abs(lane.heading - heading) <= 1.05 * lane.heading_bound + 1e-3


def test_errors_that_push_the_same_way_reach_the_bounds() -> None:
    bend, doubt = LANE.curvature_cap, LANE.heading_cap
    stated = np.array([0.2, doubt, *[bend] * 4])
    tracker = LaneTracker(settings())
    tracker.odometry(*odometry(0.0, SPEED))
    tracker.offer(LaneEstimate(0, 0.2, doubt, np.full(4, -bend), stated), gated=False)
    for time in np.arange(1, 401) * PERIOD:  # the car goes straight, on a straight road
        tracker.odometry(*odometry(time, SPEED, SPEED * LANE.drift_heading))
    lane = known(tracker)
    assert lane.offset + LANE.drift_offset * SPEED * 2.0 == pytest.approx(lane.offset_bound, rel=0.03)
    assert lane.heading == pytest.approx(lane.heading_bound, rel=0.03)
