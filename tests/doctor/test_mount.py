# SPDX-License-Identifier: Apache-2.0
"""A camera that is turned on its mount is told by the lane that it sees."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bundle import Bundle
from tidegate.doctor.finding import Verdict
from tidegate.doctor.mount import ASKEW_DEG, WAY_M, askew, check_mount
from tidegate.evaluation.drivers import BundleDriver
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, roll
from tidegate.records import LaneEstimate, Odometry
from tidegate.settings import load_settings
from tidegate.simulation import Simulator

ROOT = Path(__file__).parents[2]
FRAME_NS = 50_000_000
Drive = tuple[list[LaneEstimate], list[Odometry]]


def drive(way: float, speed: float, turned: float, phase: float = 0.0) -> Drive:
    """A car that weaves in its lane, seen by a camera that is turned by ``turned`` [rad] to the left."""
    lanes, odometry, offset = [], [], 0.3
    for index in range(round(way / (speed * 0.05)) + 1):
        heading, stamp = 0.05 * math.sin(0.4 * index + phase), index * FRAME_NS
        lanes.append(LaneEstimate(stamp, offset, heading + turned, np.zeros(4), np.zeros(6)))
        odometry += [Odometry(stamp - lag, 0.0, 0.0, 0.0, speed, 0.0) for lag in (10_000_000, 0)]
        offset += speed * 0.05 * math.sin(heading)
    return lanes, odometry


@pytest.mark.slow
@given(st.floats(20, 300), st.floats(1, 20), st.floats(-0.15, 0.15), st.floats(0, 6), st.randoms())
def test_it_is_the_angle_by_which_the_camera_is_turned_in_whatever_order_the_messages_come(
    way, speed, turned, phase, random
):
    lanes, odometry = drive(way, speed, turned, phase)
    random.shuffle(lanes)
    random.shuffle(odometry)
    found = askew(lanes, odometry)
    assert found.heading == pytest.approx(turned, abs=2e-3)
    assert found.way == pytest.approx(way, abs=speed * 0.05)


def test_what_is_not_finite_counts_for_nothing():
    lanes, odometry = drive(150.0, 10.0, 0.05)
    wrong = [
        dataclasses.replace(lanes[40], stamp=lanes[40].stamp + 1, **{name: math.nan}) for name in ("offset", "heading")
    ]
    lost = dataclasses.replace(odometry[9], stamp=odometry[9].stamp + 1, speed=math.inf)
    assert askew([*lanes, *wrong], [*odometry, lost]) == askew(lanes, odometry)


@pytest.mark.parametrize(
    ("lanes", "odometry"), [drive(150.0, 10.0, 0.1)[:1] + ([],), ([], drive(150.0, 10.0, 0.1)[1]), ([], [])]
)
def test_without_a_way_there_is_nothing_to_tell(lanes, odometry):
    assert askew(lanes, odometry).way == 0.0
    assert math.isnan(askew(lanes, odometry).heading)
    assert not list(check_mount(lanes, odometry))


@pytest.mark.parametrize(("turned", "side"), [(0.0, ""), (ASKEW_DEG + 0.1, "left"), (-ASKEW_DEG - 0.1, "right")])
def test_it_is_told_after_some_way_only(turned, side):
    assert not list(check_mount(*drive(WAY_M - 1.0, 10.0, math.radians(turned))))
    (finding,) = check_mount(*drive(WAY_M + 1.0, 10.0, math.radians(turned)))
    assert finding.verdict is (Verdict.WARN if side else Verdict.OK)
    assert f"{turned:+.1f}°".replace("-0.0", "+0.0") in finding.said.replace("-0.0", "+0.0")
    assert side in finding.remedy


@pytest.mark.slow
@pytest.mark.parametrize("turned", [0.0, 5.0, -5.0])
def test_the_shipped_network_lets_a_camera_that_is_5_degrees_off_be_noticed(turned):
    settings = load_settings(ROOT / "config/car.yaml")
    bundle = Bundle.load(ROOT / "models/car-ltc19", settings.vehicle.name)
    lanes: dict[int, LaneEstimate] = {}
    odometry: list[Odometry] = []

    def turn(simulator: Simulator) -> BundleDriver:
        camera = simulator.world.model.camera("front")
        w, x, y, z = camera.quat
        half = math.radians(turned) / 2  # about the picture's upward axis
        c, s = math.cos(half), math.sin(half)
        camera.quat[:] = w * c - y * s, x * c - z * s, y * c + w * s, z * c + x * s
        return BundleDriver(bundle, settings)

    def watch(moment: Moment) -> None:
        odometry.append(moment.sensors.odometry)
        if moment.step.percept is not None:
            lanes[moment.step.percept.lane.stamp] = moment.step.percept.lane

    roll(settings, Task("", "", "road", 904), turn, watch, 20.0, camera=True)
    (finding,) = check_mount(list(lanes.values()), odometry)
    assert finding.verdict is (Verdict.WARN if turned else Verdict.OK), finding.said
    assert ("left" if turned > 0 else "right" if turned else "") in finding.remedy
