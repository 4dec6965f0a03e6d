# SPDX-License-Identifier: Apache-2.0
"""The truth on a road of ours from the motion alone is what the embedded world says of the same motion."""

import math
from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("mujoco")

from tidegate.errors import SceneError
from tidegate.records import Command, JointStates
from tidegate.robot import Actuation, Car
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Expert, Simulator
from tidegate.simulation.track import Track

SETTINGS = load_settings(share_path("config/car.yaml"))
SEED = 1003


def true_joints(simulator: Simulator) -> JointStates:
    """Without the encoders' noise."""
    data, model, names = simulator._data, simulator._model, simulator.car.joint_names
    position = np.array([data.joint(name).qpos[0] for name in names])
    velocity = np.array([data.joint(name).qvel[0] for name in names])
    assert model.njnt > len(names)
    return JointStates(simulator.now, names, position, velocity, np.zeros(len(names)))


def test_it_agrees_with_the_embedded_world_all_along_a_drive() -> None:
    with Simulator(SETTINGS, "road", SEED, camera=False) as simulator:
        track, expert = Track(SETTINGS, simulator.car, "road", SEED), Expert(SETTINGS, simulator)
        x, y, z, yaw = track.start()
        first = simulator.truth()
        assert (x, y, z) == pytest.approx((first.x, first.y, first.z), abs=1e-9)
        assert yaw == pytest.approx(first.yaw, abs=1e-3), "but for the tilt of the slope"
        actuation = Actuation(simulator.car, 1 / SETTINGS.safety.rate_hz)
        wanted, furthest = expert.act(), 0.0
        for tick in range(1200):
            truth = simulator.truth()
            pose = truth.x, truth.y, truth.z, truth.yaw
            told = track.advance(pose, truth.speed, truth.yaw_rate, true_joints(simulator))
            for item in fields(truth):
                if item.name not in ("limit_excess", "limit_worst", "sink_braking", "acceleration"):
                    assert getattr(told, item.name) == pytest.approx(getattr(truth, item.name), abs=1e-9), item.name
            assert told.acceleration == pytest.approx(truth.acceleration, abs=1e-6)
            furthest = max(furthest, truth.distance)
            if tick % 10 == 0:
                wanted = expert.act(truth)
            efforts = actuation.efforts(wanted.force, wanted.curvature, simulator.observe().joints, simulator.now)
            simulator.apply(Command(simulator.now, simulator.car.joint_names, efforts))
            simulator.step()
    assert furthest > 15.0


@pytest.mark.parametrize(("left", "off"), [(-1.1, False), (-1.2, True), (4.5, False), (4.6, True)])
def test_wheels_beyond_the_edge_are_seen(left: float, off: bool) -> None:
    """The paved edge lies 1.925 m right and 5.275 m left of the lane's centre; the wheels 0.75 m beside the car's."""
    car = Car.from_settings(SETTINGS)
    track = Track(SETTINGS, car, "proving_ground", 0)
    x, y, yaw = track.road.point(50.0, left)
    nothing = JointStates(1, car.joint_names, np.zeros(6), np.zeros(6), np.zeros(6))
    truth = track.advance((x, y, 0.0, yaw), 0.0, 0.0, nothing)
    assert truth.wheels_off is off
    assert truth.camera_ok
    assert math.isinf(truth.gap)


def test_limits_that_the_joints_exceed_are_named() -> None:
    car = Car.from_settings(SETTINGS)
    track = Track(SETTINGS, car, "road", SEED)
    velocity = np.zeros(6)
    for spin, excess, worst in (
        (60.0, 0.0, ""),
        (66.0, 66 / 65 - 1, "velocity rear_left_wheel_joint"),
        (10.0, 66 / 65 - 1, "velocity rear_left_wheel_joint"),
    ):
        velocity[4] = spin
        joints = JointStates(1, car.joint_names, np.zeros(6), velocity.copy(), np.zeros(6))
        truth = track.advance(track.start(), 3.0, 0.0, joints)
        assert (truth.limit_worst, truth.limit_excess) == (worst, pytest.approx(excess))


def test_a_scene_with_vehicles_is_refused() -> None:
    with pytest.raises(SceneError, match="scene 'truck' has vehicles"):
        Track(SETTINGS, Car.from_settings(SETTINGS), "truck", SEED)
