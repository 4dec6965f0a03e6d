# SPDX-License-Identifier: Apache-2.0
"""The world against physics, geometry and itself."""

import dataclasses
import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tidegate.errors import RobotError, SceneError
from tidegate.records import Command
from tidegate.robot import Actuation
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import SCENES, Expert, Simulator, Truth
from tidegate.simulation.scene import CameraFault

SETTINGS = load_settings(share_path("config/car.yaml"))


class Drive:
    """A simulator with the actuation that turns (force, curvature) into efforts."""

    def __init__(self, scene="road", seed=0, camera=False, speed=0.0):
        self.sim = Simulator(SETTINGS, scene, seed, camera=camera)
        self.car = self.sim.car
        self.actuation = Actuation(self.car, 1 / SETTINGS.safety.rate_hz)
        if speed:
            self.sim._place_car(self.sim.scene.start, 0.0, 0.0, speed)

    def tick(self, force, curvature):
        seen = self.sim.observe()
        efforts = self.actuation.efforts(force, curvature, seen.joints, self.sim.now)
        self.sim.apply(Command(self.sim.now, self.car.joint_names, efforts))
        self.sim.step()
        return seen

    def follow(self, force, seconds):
        """Keep the lane at a fixed force; the truth after every tick."""
        expert, truths = Expert(SETTINGS, self.sim), []
        for _ in range(round(seconds * SETTINGS.safety.rate_hz)):
            self.tick(force, expert.act().curvature)
            truths.append(self.sim.truth())
        return truths


def flat(drive):
    """The same world without hills or tyre and mass scatter, for comparison with closed formulas."""
    drive.sim.world.terrain.amplitude[:] = 0.0
    mass = drive.sim._model.body_mass
    mass[drive.sim._model.body("base_link").id] += drive.car.mass - mass.sum()
    drive.sim._place_car(drive.sim.scene.start, 0.0, 0.0, drive.sim.truth().speed)


def test_same_seed_gives_the_same_bytes_in_another_process(capfd):
    code = (
        "import hashlib\n"
        "from tidegate.settings import load_settings\n"
        "from tidegate.share import share_path\n"
        "from tidegate.simulation import Simulator\n"
        "sim = Simulator(load_settings(share_path('config/car.yaml')), 'traffic', 7)\n"
        "image = hashlib.sha256()\n"
        "for _ in range(60):\n"
        "    seen = sim.observe()\n"
        "    image.update(seen.frame.image.tobytes() if seen.frame else b'')\n"
        "    image.update(seen.imu.linear_acceleration.tobytes())\n"
        "    image.update(seen.points.xyz.tobytes() if seen.points else b'')\n"
        "    sim.step()\n"
        "print(sim.state_hash(), image.hexdigest())\n"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exec(code, {})  # here, after whatever other tests have left
    here = capfd.readouterr().out
    assert here == other.stdout
    assert len(here.split()) == 2


def test_acceleration_is_force_over_mass():
    drive = Drive(speed=6.0)
    flat(drive)
    force = 1800.0
    truths = drive.follow(force, 2.5)
    gained = truths[-1].speed - truths[99].speed
    took = (truths[-1].stamp - truths[99].stamp) * 1e-9
    damping = drive.car.description.joint(drive.car.wheel_joints[0]).damping
    mean_speed = (truths[-1].speed + truths[99].speed) / 2
    drag = 4 * damping * mean_speed / drive.car.wheel_radius**2
    assert gained / took == pytest.approx((force - drag) / drive.car.effective_mass, rel=0.03)


def test_braking_reaches_what_was_asked_and_stands_without_rolling_back():
    drive = Drive(speed=12.0)
    flat(drive)
    truths = drive.follow(-5.0 * drive.car.effective_mass, 4.0)
    window = [truth for truth in truths if 4.0 < truth.speed < 10.0]
    decelerated = (window[0].speed - window[-1].speed) / ((window[-1].stamp - window[0].stamp) * 1e-9)
    assert decelerated == pytest.approx(5.0, rel=0.06)
    assert min(truth.speed for truth in truths) > -0.15  # the body nods back on its springs, the wheels do not turn
    wheels = np.array([drive.sim._model.joint(name).dofadr[0] for name in drive.car.wheel_joints])
    assert np.abs(drive.sim._data.qvel[wheels]).max() < 0.01
    assert abs(truths[-1].speed) < 0.01


@pytest.mark.parametrize(("speed", "curvature"), [(5.0, 0.05), (10.0, 0.02), (12.0, -0.02)])
def test_path_curvature_follows_the_steering(speed, curvature):
    drive = Drive(speed=speed)
    flat(drive)
    measured = []
    for k in range(600):
        drive.tick(600.0 * (speed - drive.sim.truth().speed), curvature)
        if k > 400:
            truth = drive.sim.truth()
            measured.append(truth.yaw_rate / truth.speed)
    assert np.mean(measured) == pytest.approx(curvature, rel=0.05)


def test_a_braked_car_does_not_creep_on_a_slope():
    steepest = max(range(4), key=lambda seed: abs(Simulator(SETTINGS, "road", seed, camera=False).truth().slope))
    drive = Drive(seed=steepest)
    assert abs(drive.sim.truth().slope) > 0.005
    drive.follow(-6000.0, 1.0)
    start = drive.sim.truth().distance
    drive.follow(-6000.0, 2.0)
    assert abs(drive.sim.truth().distance - start) < 0.005


def test_silence_brakes_to_standstill_and_the_next_command_is_obeyed():
    drive = Drive(speed=10.0)
    drive.follow(0.0, 0.2)
    assert not drive.sim.truth().sink_braking
    for _ in range(700):
        drive.sim.step()
    truth = drive.sim.truth()
    assert truth.sink_braking
    assert abs(truth.speed) < 0.02
    assert abs(truth.offset) < 1.0
    drive.actuation.reset()
    drive.follow(2500.0, 1.0)
    assert drive.sim.truth().speed > 0.5


def test_a_violated_limit_is_seen_and_named():
    drive = Drive()
    names = drive.car.joint_names
    drive.sim.apply(Command(drive.sim.now, names, np.zeros(6)))
    drive.sim.step()
    assert drive.sim.truth().limit_excess == 0.0
    drive.sim.apply(Command(drive.sim.now, names, np.array([0, 0, 0, 0, 700.0, 0])))
    truth = drive.sim.truth()
    assert truth.limit_worst == "effort rate rear_left_wheel_joint"
    assert truth.limit_excess == pytest.approx(700 / (SETTINGS.vehicle.wheel_effort_rate / 200) - 1)
    sent = Truth.from_values(truth.stamp, truth.to_values())
    assert sent.limit_worst == truth.limit_worst
    assert sent.limit_excess == truth.limit_excess


def test_an_unknown_joint_and_an_unknown_scene_are_refused():
    drive = Drive()
    with pytest.raises(RobotError, match="left_elbow"):
        drive.sim.apply(Command(drive.sim.now, ("left_elbow",), np.zeros(1)))
    with pytest.raises(SceneError, match="truck_whiteout"):
        Simulator(SETTINGS, "moon", 0, camera=False)
    odd = dataclasses.replace(SETTINGS, simulator=dataclasses.replace(SETTINGS.simulator, physics_step_s=0.003))
    with pytest.raises(SceneError, match=r"0\.003"):
        Simulator(odd, "road", 0, camera=False)


def test_truth_agrees_with_finite_differences():
    drive = Drive(seed=2, speed=9.0)
    expert = Expert(SETTINGS, drive.sim)
    truths = []
    for _ in range(800):
        nominal = expert.act()
        drive.tick(nominal.force, nominal.curvature)
        truths.append(drive.sim.truth())
    t = np.array([truth.stamp for truth in truths]) * 1e-9
    x, y, s, d, v, mu = (
        np.array([getattr(truth, key) for truth in truths])
        for key in ("x", "y", "distance", "offset", "speed", "heading")
    )
    kappa = np.array([truth.curvature[0] for truth in truths])
    moved = np.hypot(np.diff(x), np.diff(y)) / np.diff(t)
    np.testing.assert_allclose(moved, v[:-1], atol=0.25)
    # design §5: ḋ = v sin μ (slip of the rear axle aside) and ṡ = v cos μ / (1 − κ d)
    wide = 100
    drift = (d[wide:] - d[:-wide]) / (wide * 0.005)
    expected = np.convolve(v * np.sin(mu), np.ones(wide) / wide, "valid")[:-1]
    np.testing.assert_allclose(drift, expected, atol=0.08)
    pace = (s[wide:] - s[:-wide]) / (wide * 0.005)
    expected = np.convolve(v * np.cos(mu) / (1 - kappa * d), np.ones(wide) / wide, "valid")[:-1]
    np.testing.assert_allclose(pace, expected, atol=0.08)


def test_a_perturbation_moves_the_car_and_keeps_its_speed():
    drive = Drive(speed=8.0)
    drive.follow(0.0, 0.3)
    before = drive.sim.truth()
    drive.sim.perturb(0.8, -0.1)
    after = drive.sim.truth()
    assert after.offset - before.offset == pytest.approx(0.8, abs=0.01)
    assert after.heading - before.heading == pytest.approx(-0.1, abs=0.01)
    assert after.speed == pytest.approx(before.speed, abs=0.05)
    assert after.distance == pytest.approx(before.distance, abs=0.05)


def test_a_shifted_car_goes_on_as_it_went():
    """Beside itself and turned; its motions, its wheels and what it feels stay."""
    drive = Drive(speed=8.0)
    drive.follow(0.4, 0.3)
    sim = drive.sim
    before, moving = sim.truth(), sim._data.qvel.copy()
    turn, way = sim._data.qvel[3:6].copy(), float(np.hypot(*sim._data.qvel[:2]))
    sim.shift(-0.3, 0.05)
    after = sim.truth()
    assert after.offset - before.offset == pytest.approx(-0.3, abs=0.005)
    assert after.heading - before.heading == pytest.approx(0.05, abs=0.005)
    assert after.speed == pytest.approx(before.speed, abs=0.02)
    assert after.distance == pytest.approx(before.distance, abs=0.05)
    assert np.array_equal(sim._data.qvel[3:6], turn)
    assert np.array_equal(sim._data.qvel[6:], moving[6:])
    assert float(np.hypot(*sim._data.qvel[:2])) == pytest.approx(way)
    sim.shift(0.3, -0.05)
    assert sim.truth().x == pytest.approx(before.x, abs=0.01)
    assert sim.truth().z == pytest.approx(before.z, abs=0.001)


def test_range_sees_the_trailer_above_its_floor_and_the_ground():
    drive = Drive(scene="truck", seed=1)
    truck = drive.sim.scene.actors[0]
    truck.u = 1.5
    truck._place()
    drive.sim._place_car(truck.site - 30.0, 0.0, 0.0, 0.0)
    truth = drive.sim.truth()
    points = drive.sim.observe().points
    assert truth.gap == pytest.approx(30.0 - 1.25 - drive.car.front, abs=1.0)
    above = height_above_ground(drive.sim, points)
    index = drive.sim.road.locate(*truck.target).index
    _, offset = drive.sim.road.project(in_world(drive.sim, points)[:, :2], index, 60.0)
    lane = np.abs(offset) < 0.8  # the middle of the trailer: between its axles there is only air below the floor
    trailer = above[lane & (above > 0.3)]
    assert len(trailer) > 5
    assert trailer.min() > 1.2 - 0.1
    assert (np.abs(above[lane]) < 0.05).sum() > 3  # and beneath it the road goes on


def in_world(sim, points):
    """Range points (P, 3) in the world."""
    rotation = sim._data.xmat[sim._range._body].reshape(3, 3)
    return points.xyz @ rotation.T + sim._data.qpos[:3]


def height_above_ground(sim, points):
    """Height (P,) of range points above the terrain below them."""
    world = in_world(sim, points)
    return world[:, 2] - sim.world.terrain.height(world[:, 0], world[:, 1])


def test_ground_returns_lie_on_the_terrain():
    drive = Drive(seed=3)
    points = drive.sim.observe().points
    assert len(points.xyz) > 50
    assert np.abs(height_above_ground(drive.sim, points)).max() < 0.05


def test_returns_scatter_by_the_stated_noise():
    def ranges(noise):
        ranging = dataclasses.replace(SETTINGS.ranging, noise_std=noise)
        with Simulator(dataclasses.replace(SETTINGS, ranging=ranging), "truck", 1, camera=False) as sim:
            return np.linalg.norm(sim.observe().points.xyz - sim.car.description.origin("range_link")[0], axis=1)

    off = ranges(0.03) - ranges(0.0)
    assert np.std(off) == pytest.approx(0.03, rel=0.2)
    assert abs(np.mean(off)) < 0.01


@pytest.mark.parametrize("name", list(SCENES))
def test_every_scene_resets_and_steps(name):
    drive = Drive(scene=name, seed=11, camera=True)
    images = [seen.frame for seen in (drive.tick(500.0, 0.0) for _ in range(25)) if seen.frame is not None]
    assert [image.stamp for image in images] == [1_000_000_000 + k * 50_000_000 for k in range(len(images))]
    assert images[0].image.shape == (80, 160, 3)
    masks = drive.sim.masks()
    assert np.sum(list(masks.values()), axis=0).tolist() == np.ones((80, 160)).tolist()
    assert masks["road"][60:].mean() > 0.3
    assert masks["sky"][:10].mean() > 0.3
    assert masks["lines"].sum() > 20
    assert drive.sim.truth().contacts == 0
    drive.sim.close()


def test_a_car_that_does_not_brake_hits_the_trailer():
    drive = Drive(scene="truck", seed=3)
    truck = drive.sim.scene.actors[0]
    drive.sim._place_car(truck.site - 90.0, 0.0, 0.0, 13.0)
    drive.sim._distance = truck.distance - 90.0
    expert = Expert(SETTINGS, drive.sim)
    for _ in range(2000):
        truth = drive.sim.truth()
        drive.tick(400.0 * (13.0 - truth.speed), expert.act(truth).curvature)
        if truth.contacts:
            break
    assert drive.sim.truth().contacts > 0


@pytest.mark.parametrize(("front_share", "locks"), [(SETTINGS.vehicle.brake_front_share, False), (0.5, True)])
def test_hard_braking_in_a_bend_locks_no_wheel_if_the_front_takes_its_share(front_share, locks):
    """The load moves forward and outward: with even brakes the inner rear wheel stands, and odometry with it."""
    vehicle = dataclasses.replace(SETTINGS.vehicle, brake_front_share=front_share)
    sim = Simulator(dataclasses.replace(SETTINGS, vehicle=vehicle), "road", 1003, camera=False)
    bend = int(np.argmax(np.abs(sim.road.curvature)))
    curvature = sim.road.curvature.item(bend)
    sim.place(bend * sim.road.step, speed=math.sqrt(3.0 / abs(curvature)))
    actuation, slip = Actuation(sim.car, 1 / SETTINGS.safety.rate_hz), 0.0
    actuation.curvature = curvature
    while sim.truth().speed > 2.0:
        joints = sim.observe().joints
        slowest = min(sim.car.wheel_spins(joints)) * sim.car.wheel_radius
        slip = max(slip, 1 - slowest / sim.truth().speed)
        efforts = actuation.efforts(-6.5 * sim.car.effective_mass, curvature, joints, sim.now)
        sim.apply(Command(sim.now, sim.car.joint_names, efforts))
        sim.step()
    assert (slip > 0.5) == locks
    assert locks or slip < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_what_the_camera_leaves_out_is_outside_the_picture(seed):
    drive = Drive(scene="road", seed=seed, camera=True)
    camera = drive.sim._camera
    for station in range(0, 600, 60):
        drive.sim.place(float(station), offset=0.4, heading=0.1)
        camera._look(drive.sim._data)
        pruned, drawn = camera._renderer.render(), camera._renderer.scene.ngeom
        reach, camera._reach = camera._reach, np.full_like(camera._reach, np.inf)
        camera._look(drive.sim._data)
        assert camera._renderer.scene.ngeom > 1.5 * drawn
        np.testing.assert_array_equal(camera._renderer.render(), pruned)
        camera._reach = reach


def test_white_out_is_saturated_and_a_lost_camera_is_silent():
    drive = Drive(scene="truck_whiteout", seed=1, camera=True)
    assert drive.sim._camera.capture(drive.sim._data, CameraFault.NONE).mean() < 230
    white = drive.sim._camera.capture(drive.sim._data, CameraFault.WHITE)
    sky, road = white[:20], white[-20:]
    assert (sky.max(axis=2) == 255).mean() > 0.9
    assert (road.max(axis=2) < 250).mean() > 0.2  # the asphalt is still darker than the rest
    drive.sim.close()
    lost = Drive(scene="camera_lost", seed=1, camera=True)
    lost.sim.scene.lost_at = -1.0
    assert all(lost.tick(0.0, 0.0).frame is None for _ in range(40))
    lost.sim.close()


def expert_lap(scene, seed):
    drive = Drive(scene=scene, seed=seed)
    expert, worst, still = Expert(SETTINGS, drive.sim), 0.0, 0
    for _ in range(200 * 240):
        truth = drive.sim.truth()
        worst = max(worst, abs(truth.offset))
        still = still + 1 if truth.speed < 0.1 else 0
        if truth.reached or still > 200 * 20:
            break
        nominal = expert.act(truth)
        drive.tick(nominal.force, nominal.curvature)
    return truth, worst


def test_the_expert_recovers_from_offsets():
    for lateral, yaw in ((1.0, 0.15), (-1.0, -0.15)):  # the second starts with a front wheel on the gravel
        drive = Drive(seed=5, speed=9.0)
        drive.sim.perturb(lateral, yaw)
        expert = Expert(SETTINGS, drive.sim)
        for _ in range(1200):
            nominal = expert.act()
            drive.tick(nominal.force, nominal.curvature)
            assert abs(drive.sim.truth().offset) < 2.1
        assert abs(drive.sim.truth().offset) < 0.2
        assert not drive.sim.truth().wheels_off


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["road", "traffic", "truck", "demo"])
@pytest.mark.parametrize("seed", range(20, 23))
def test_the_expert_drives_every_scene(scene, seed):
    truth, worst = expert_lap(scene, seed)
    assert truth.contacts == 0
    assert truth.limit_excess == 0.0
    assert worst < 0.25
    assert truth.reached or (scene == "truck" and truth.blocked)
    assert math.isfinite(truth.speed)


def test_seeds_differ():
    hashes = {
        hashlib.sha256(Simulator(SETTINGS, "road", seed, camera=False).road.xy.tobytes()).digest() for seed in range(5)
    }
    assert len(hashes) == 5


def test_camera_and_range_sensor_sit_as_the_urdf_turns_them(tmp_path):
    """Each axis of ``rpy`` counts: SciPy's rotation is the judge."""
    text = share_path("urdf/car.urdf.xacro").read_text()
    turned = (0.1, 0.15, -0.2)
    rpy = " ".join(map(str, turned))
    text = text.replace('rpy="0 ${radians(4)} 0"', f'rpy="{rpy}"')
    text = text.replace('xyz="2.0 0 1.5" rpy="0 0 0"', f'xyz="2.0 0 1.5" rpy="{rpy}"')
    path = tmp_path / "turned.urdf.xacro"
    path.write_text(text)
    settings = dataclasses.replace(SETTINGS, vehicle=dataclasses.replace(SETTINGS.vehicle, urdf=str(path)))
    mount = Rotation.from_euler("xyz", turned).as_matrix()
    with Simulator(settings, "road", 0, camera=False) as sim:
        data = sim._data
        base = data.body("base_link").xmat.reshape(3, 3)
        right, up, back = data.camera("front").xmat.reshape(3, 3).T
        np.testing.assert_allclose(base.T @ np.stack([-back, -right, up], axis=1), mount, atol=1e-9)
        seen = sim.observe().points
        beams = (seen.xyz - [2.0, 0.0, 1.5]) @ mount
        elevation = np.degrees(np.arctan2(beams[:, 2], np.hypot(beams[:, 0], beams[:, 1])))
        np.testing.assert_allclose(elevation, np.array(SETTINGS.ranging.elevation_deg)[seen.ring], atol=0.01)
