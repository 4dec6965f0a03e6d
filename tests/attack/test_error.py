# SPDX-License-Identifier: Apache-2.0
"""Errors stay within the bounds that are stated, and use them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.driver import HostileDriver
from tidegate.attack.error import BOUNDS, Disordered, WrongLane, WrongSensors
from tidegate.attack.fault import Late
from tidegate.evaluation.drivers import EXPERT_BOUND, ExpertDriver
from tidegate.evaluation.rollout import Task, roll
from tidegate.records import Imu, LaneEstimate, Odometry, Points, Received, SafetyInputs
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator

SETTINGS = load_settings(share_path("config/car.yaml"))
SAFETY = SETTINGS.safety
PERIOD = round(1e9 / SAFETY.rate_hz)


@pytest.mark.parametrize("seed", range(12))
def test_a_wrong_lane_is_wrong_within_its_bounds_and_uses_them(seed: int) -> None:
    wrong = WrongLane(np.random.default_rng(seed))
    exact = LaneEstimate(0, 0.1, 0.02, np.zeros(4), np.array([*EXPERT_BOUND[:2], *[EXPERT_BOUND[2]] * 4]))
    largest = 0.0
    for stamp in range(0, 20_000_000_000, 50_000_000):
        lane = wrong(replace(exact, stamp=stamp))
        assert abs(lane.offset - exact.offset) <= lane.bound[0] + 1e-12
        assert abs(lane.heading - exact.heading) <= lane.bound[1] + 1e-12
        assert (np.abs(lane.curvature) <= lane.bound[2:] + 1e-12).all()
        assert BOUNDS[0][0] <= lane.bound[0] <= BOUNDS[0][1]
        largest = max(largest, abs(lane.offset - exact.offset) / lane.bound[0])
    assert largest > 0.95


def inputs(now: int, speed: float, slip: float = 0.0) -> SafetyInputs:
    """What a car that drives straight would hear; ``slip`` [m/s] is how wrong the wheels are by themselves."""
    points = now // 50_000_000 * 50_000_000
    return SafetyInputs(
        now,
        odometry=Received(Odometry(now, 0.0, 0.0, 0.0, speed + slip, 0.0), 0),
        imu=Received(Imu(now, np.zeros(3), np.zeros(3)), 0),
        points=Received(Points(points, np.array([[30.0, 0, 0]], np.float32), np.zeros(1, np.int32)), now - points),
    )


@pytest.mark.parametrize(("speed", "slip"), [(0.0, 0.0), (0.4, 0.0), (12.0, 0.05), (12.0, -0.5)])
def test_wrong_sensors_err_and_lag_by_what_is_stated_and_by_all_of_it(speed: float, slip: float) -> None:
    worst = {"speed": 0.0, "turn": 0.0, "imu": 0.0, "range": 0.0}
    lag = {"odometry": 0, "imu": 0, "points": 0}
    for seed in range(16):
        wrong = WrongSensors(np.random.default_rng(seed), SETTINGS, lambda: speed)
        for now in range(PERIOD, 200 * PERIOD, PERIOD):
            heard = wrong(inputs(now, speed, slip))
            assert heard.odometry is not None
            assert heard.imu is not None
            assert heard.points is not None
            worst["speed"] = max(worst["speed"], abs(heard.odometry.record.speed - speed))
            worst["turn"] = max(worst["turn"], abs(heard.odometry.record.yaw_rate))
            worst["imu"] = max(worst["imu"], float(np.abs(heard.imu.record.angular_velocity).max()))
            worst["range"] = max(worst["range"], abs(float(heard.points.record.xyz[0, 0]) - 30.0))
            for name in lag:
                lag[name] = max(lag[name], getattr(heard, name).age)
    margin = SAFETY.speed_margin * min(speed, 1.0)
    assert worst["speed"] == pytest.approx(max(margin, abs(slip)))
    assert worst["turn"] == pytest.approx(SAFETY.lane.drift_heading * speed)
    assert worst["imu"] == pytest.approx(SAFETY.plausibility.turn_difference / 2)
    assert worst["range"] == pytest.approx(SAFETY.distance.noise_m - 2 * SETTINGS.ranging.noise_std, abs=1e-5)
    period = 1 / SAFETY.rate_hz
    for name in ("odometry", "imu"):
        assert 0.9 * SAFETY.trusted_timeout_s / 4 < lag[name] / 1e9 < SAFETY.trusted_timeout_s / 4 + period
    assert 0.1 < lag["points"] / 1e9 < SAFETY.range_timeout_s


def test_what_was_overtaken_is_not_heard_and_nothing_is_older_than_it_may_be() -> None:
    disordered = Disordered("odometry", 0.025, np.random.default_rng(3))
    heard = []
    for now in range(PERIOD, 1000 * PERIOD, PERIOD):
        one = disordered(inputs(now, 5.0)).odometry
        assert one is not None
        assert one.age == now - one.record.stamp
        assert 0 <= one.age < 25_000_000 + PERIOD
        heard.append(one.record.stamp)
    steps = set(np.diff(heard).tolist())
    assert min(steps) == 0
    assert max(steps) > PERIOD
    assert heard[0] == PERIOD


def steering_with_late_joints(late_s: float) -> float:
    """Largest relative excess over a limit while an adversary steers from lock to lock for some seconds."""

    def driver(simulator: Simulator) -> HostileDriver:
        adversary = ADVERSARIES["bang_bang"](simulator.car, np.random.default_rng(1))
        return HostileDriver(simulator, ExpertDriver(SETTINGS, simulator), adversary, None, 4.0)

    task = Task(str(share_path("config/car.yaml")), "", "road", 5001, driver="expert")
    log, _, _ = roll(SETTINGS, task, driver, None, 6.0, camera=False, tampered=lambda _: Late("joints", late_s))
    assert log.last is not None
    return log.last.limit_excess


@pytest.mark.parametrize("late_s", [PERIOD / 1e9, SAFETY.trusted_timeout_s / 4, 0.9 * SAFETY.trusted_timeout_s])
def test_the_steering_servo_bears_joint_states_within_their_time_out(late_s: float) -> None:
    assert steering_with_late_joints(late_s) == 0.0
