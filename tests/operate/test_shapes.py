# SPDX-License-Identifier: Apache-2.0
"""Shapes in space against circles and braking that are reckoned here by other means."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bag import typestore
from tidegate.messages import Shape, encode_shapes
from tidegate.operate.shapes import Scene
from tidegate.records import BarrierState, LaneEstimate, Mode, Odometry, SafetyState
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
NOW = 5_000_000_000
HALF = SETTINGS.safety.lane.half_width


def drawn(
    lane: LaneEstimate | None,
    *,
    speed: float = 8.0,
    wanted: tuple[float, float] = (500.0, 0.02),
    allowed: tuple[float, float] = (-2000.0, 0.01),
    barriers: tuple[BarrierState, ...] = (),
    intervened: str = "",
    stamp: int = NOW,
) -> dict[str, Shape]:
    scene = Scene(SETTINGS, CAR)
    scene.moved(Odometry(NOW, 0.0, 0.0, 0.0, speed, 0.0))
    if lane is not None:
        scene.saw(lane)
    state = SafetyState(stamp, Mode.NORMAL, wanted, allowed, barriers, intervened)
    shapes = list(scene.shapes(state))
    found = {shape.name: shape for shape in shapes}
    assert len(found) == len(shapes)
    return found


def estimate(offset: float, heading: float, curvature: float, bound: float = 0.0) -> LaneEstimate:
    knots = len(SETTINGS.perception.preview_m)
    return LaneEstimate(NOW, offset, heading, np.full(knots, curvature), np.full(2 + knots, bound))


@given(
    st.floats(-1.0, 1.0),
    st.floats(-0.2, 0.2),
    st.floats(0.002, 0.05) | st.floats(-0.05, -0.002),
)
def test_the_lane_is_a_circle_where_its_curvature_is_constant(offset: float, heading: float, curvature: float) -> None:
    """The car is ``offset`` left of the centre and turned by ``heading`` against it: so is the circle's middle."""
    found = drawn(estimate(offset, heading, curvature))
    radius = 1 / curvature
    normal = np.array([math.sin(heading), math.cos(heading)])  # to the left of the lane, in the car's frame
    middle = (radius - offset) * normal
    for name, left in (("centre", 0.0), ("left edge", HALF), ("right edge", -HALF)):
        points = found[name].points[:, :2]
        np.testing.assert_allclose(np.hypot(*(points - middle).T), abs(radius - left), atol=0.02)
    assert found["centre"].points[-1, 0] > 12.0


def test_bounds_are_drawn_as_far_as_they_say_anything() -> None:
    lane = estimate(0.0, 0.0, 0.0)
    lane = replace(lane, bound=np.array([0.2, 0.05, 0.0, 0.0, 0.0, 0.0]))
    found = drawn(lane)
    inner, outer = found["left inner"].points, found["left outer"].points
    np.testing.assert_allclose(inner[:, 1], HALF - 0.2 - 0.05 * inner[:, 0], atol=1e-9)
    np.testing.assert_allclose(outer[:, 1], HALF + 0.2 + 0.05 * outer[:, 0], atol=1e-9)
    assert inner[-1, 1] > 0
    assert 0.2 + 0.05 * (inner[-1, 0] + 1) >= HALF
    assert "left edge" in drawn(estimate(0.0, 0.0, 0.0, bound=5.0))
    assert "left inner" not in drawn(estimate(0.0, 0.0, 0.0, bound=5.0))


@pytest.mark.parametrize("lane", [None, estimate(math.nan, 0.0, 0.0), estimate(0.0, 0.0, 0.0, bound=math.inf)])
def test_an_unknown_lane_is_not_drawn(lane: LaneEstimate | None) -> None:
    found = drawn(lane)
    assert not {"centre", "left edge", "left inner"} & set(found)
    assert "allowed course" in found


def stopping_way(speed: float, force: float) -> float:
    """The stop by small steps: lag, drive off, brake on at its rate, down to standstill, on the steepest slope."""
    vehicle, step = SETTINGS.vehicle, 1e-4
    slope = 9.81 * vehicle.slope_max
    acceleration, way, time = force / CAR.loaded_mass if force < 0 else force / CAR.effective_mass, 0.0, 0.0
    build = -CAR.force_rate(-1) / CAR.loaded_mass
    while speed > 0 and time < 30:
        if time >= SETTINGS.safety.distance.lag_s:
            acceleration = max(acceleration + build * step, -vehicle.brake_guaranteed)
            felt = acceleration + (slope if acceleration > -vehicle.brake_guaranteed else 0.0)
            speed += felt * step
        way += max(speed, 0.0) * step
        time += step
    return way


def test_the_bar_is_where_the_bumper_comes_to_stand() -> None:
    found = drawn(None, speed=10.0, allowed=(0.0, 0.0))
    bar = found["stands here"].points
    assert np.ptp(bar[:, 0]) == pytest.approx(0.0)
    assert np.ptp(bar[:, 1]) == pytest.approx(CAR.width)
    assert bar[0, 0] - CAR.front == pytest.approx(stopping_way(10.0, 0.0), rel=0.1)
    distance = SETTINGS.safety.distance
    gap = found["free up to here"].points[0, 0] - bar[0, 0]
    assert gap == pytest.approx(distance.standstill_gap + distance.noise_m)


def test_the_thing_ahead_is_where_the_barrier_counts_it() -> None:
    def bar(h: float) -> float:
        found = drawn(None, allowed=(0.0, 0.0), barriers=(BarrierState("distance", h, 0.0, 0.0),))
        return float(found["thing"].points[0, 0] - found["free up to here"].points[0, 0])

    assert bar(7.5) == pytest.approx(7.5)
    assert bar(-1.0) == pytest.approx(-1.0)
    assert "thing" not in drawn(None, barriers=(BarrierState("distance", math.inf, 0.0, 0.0),))


@given(st.floats(-0.15, 0.15), st.floats(0.0, 16.0))
def test_courses_are_arcs_of_the_commanded_curvature(curvature: float, speed: float) -> None:
    points = drawn(None, speed=speed, allowed=(0.0, curvature))["allowed course"].points
    x, y = points[:, 0], points[:, 1]
    np.testing.assert_allclose(curvature * (x**2 + y**2) / 2, y, atol=1e-6)  # a circle through the origin along x
    length = np.hypot(np.diff(x), np.diff(y)).sum()
    assert length == pytest.approx(max(1.5 * speed, 4.0), rel=0.05)


def test_forces_point_where_they_push_and_what_is_not_commanded_is_not_drawn() -> None:
    found = drawn(None)
    for name, sign in (("wanted force", 1.0), ("allowed force", -1.0)):
        start, end = found[name].points
        assert sign * (end - start)[0] > 0
        assert not (end - start)[1:].any()
    found = drawn(None, wanted=(math.nan, math.nan), allowed=(0.0, 0.0))
    assert not [name for name in found if name.startswith("wanted")]
    assert "allowed force" not in found


def test_the_verdict_names_mode_and_barriers() -> None:
    barriers = (BarrierState("speed", -0.5, 0.0, 1.0, relaxed=True), BarrierState("distance", math.inf, 0.0, 0.0))
    text = drawn(None, barriers=barriers, intervened="speed")["verdict"].text
    assert text.splitlines() == ["NORMAL", "speed acts", "gives way: speed", "speed -0.50"]


def test_old_odometry_leaves_the_verdict_alone() -> None:
    assert set(drawn(estimate(0.0, 0.0, 0.0), stamp=NOW + 2_000_000_000)) == {"verdict"}


def test_time_that_goes_back_begins_anew() -> None:
    scene = Scene(SETTINGS, CAR)
    scene.moved(Odometry(NOW, 0.0, 0.0, 0.0, 8.0, 0.0))
    scene.saw(estimate(0.0, 0.0, 0.0))
    scene.moved(Odometry(1, 0.0, 0.0, 0.0, 8.0, 0.0))
    state = SafetyState(1, Mode.NORMAL, (0.0, 0.0), (0.0, 0.0), ())
    assert "centre" not in {shape.name for shape in scene.shapes(state)}


def test_as_messages_they_are_in_the_cars_frame_and_vanish_when_nobody_draws_them() -> None:
    shapes = drawn(estimate(0.1, 0.0, 0.01), barriers=(BarrierState("distance", 3.0, 0.0, 0.0),)).values()
    array = encode_shapes(NOW, shapes, typestore.make)
    again = typestore.deserialise(typestore.serialise(array), array.__msgtype__)
    assert len(again.markers) == len(shapes)
    assert len({(marker.ns, marker.id) for marker in again.markers}) == len(shapes)
    for marker, shape in zip(again.markers, shapes, strict=True):
        assert marker.header.frame_id in CAR.description.links
        assert marker.header.stamp.sec == 5
        assert marker.lifetime.nanosec == 500_000_000
        assert marker.pose.orientation.w == 1.0
        assert marker.color.a > 0
        assert (
            marker.type
            == {"arrow": marker.ARROW, "line": marker.LINE_STRIP, "text": marker.TEXT_VIEW_FACING}[shape.kind]
        )
        if shape.kind == "text":
            assert marker.text == shape.text
        else:
            assert [marker.points[0].x, marker.points[-1].y] == [shape.points[0, 0], shape.points[-1, 1]]
