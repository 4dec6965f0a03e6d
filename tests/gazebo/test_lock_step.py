# SPDX-License-Identifier: Apache-2.0
"""The world in Gazebo, all but Gazebo: messages, waiting, the file it would load, torques, and the end."""

from __future__ import annotations

import dataclasses
import importlib.util
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("google.protobuf")

from gz_messages import messages, stand_in

from tidegate.errors import DependencyError, RobotError, SceneError
from tidegate.evaluation.simulators import MEMBERS, check_simulator, load_simulator
from tidegate.records import Command, Frame, Imu
from tidegate.robot import gazebo_description
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path
from tidegate.simulation import gazebo_world
from tidegate.simulation.gazebo import read_start, write_world
from tidegate.simulation.gazebo_records import Inbox, frame_of, imu_of, points_of
from tidegate.simulation.gazebo_world import GazeboWorld, in_step, put_on_stage

SETTINGS = load_settings(share_path("config/car.yaml"))
GZ = messages()
NAME = "tidegate.simulation.gazebo_world:GazeboWorld"
HAS_GZ = importlib.util.find_spec("gz") is not None
MODEL = "<sdf version='1.9'><model name='car'><pose>9 9 9 0 0 0</pose><link name='base_link'/></model></sdf>"
STAMP = {"stamp": {"sec": 2, "nsec": 500_000_001}}


def test_a_picture() -> None:
    image = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    padded = np.concatenate([image.reshape(2, 12), np.full((2, 4), 255, np.uint8)], axis=1)
    message = GZ["Image"](header=STAMP, width=4, height=2, step=16, data=padded.tobytes(), pixel_format_type=3)
    frame = frame_of(message)
    assert frame.stamp == 2_500_000_001
    np.testing.assert_array_equal(frame.image, image)
    for change in ({"pixel_format_type": 8}, {"step": 11}, {"data": b"short"}, {"height": 3}):
        wrong = GZ["Image"](width=4, height=2, step=16, data=padded.tobytes(), pixel_format_type=3)
        for name, value in change.items():
            setattr(wrong, name, value)
        with pytest.raises(SceneError, match="must be RGB_INT8"):
            frame_of(wrong)


def cloud(count: int = 3, drop: str = "") -> object:
    """As gpu_lidar packs it: x, y, z, intensity, ring, with padding."""
    kinds = {"x": (0, 6), "y": (4, 6), "z": (8, 6), "intensity": (16, 6), "ring": (24, 3)}
    data = np.zeros(
        3, np.dtype({"names": ["x", "ring"], "formats": ["<f4", "<u2"], "offsets": [0, 24], "itemsize": 32})
    )
    data["x"], data["ring"] = [5.0, np.inf, 7.0], [0, 1, 6]
    fields = [
        {"name": name, "offset": offset, "datatype": kind, "count": 1}
        for name, (offset, kind) in kinds.items()
        if name != drop
    ]
    return GZ["PointCloudPacked"](
        header=STAMP, field=fields, height=1, width=count, point_step=32, row_step=96, data=data.tobytes()
    )


def test_returns_of_the_range_sensor() -> None:
    points = points_of(cloud(), "range_link")
    assert (points.stamp, points.frame) == (2_500_000_001, "range_link")
    np.testing.assert_array_equal(points.xyz, np.array([[5, 0, 0], [7, 0, 0]], np.float32))  # inf hit nothing
    assert points.ring.tolist() == [0, 6]
    for wrong in (cloud(drop="ring"), cloud(count=4)):
        with pytest.raises(SceneError, match="it must have x, y, z, ring"):
            points_of(wrong, "range_link")


def test_inertia() -> None:
    turn, push = {"x": 0.1, "y": -0.2, "z": 0.3}, {"z": 9.81}
    imu = imu_of(GZ["IMU"](header=STAMP, angular_velocity=turn, linear_acceleration=push))
    assert imu.stamp == 2_500_000_001
    assert imu.angular_velocity.tolist() == [0.1, -0.2, 0.3]
    assert imu.linear_acceleration.tolist() == [0.0, 0.0, 9.81]


def imu(stamp: int) -> Imu:
    return Imu(stamp, np.zeros(3), np.zeros(3))


def test_before_the_first_nothing_is_due_and_later_ones_stay() -> None:
    inbox: Inbox[Imu] = Inbox("IMU", 200.0)
    assert inbox.fetch(5_000_000) is None
    for stamp in (5_000_000, 10_000_000, 15_000_000):
        inbox.put(imu(stamp))
    for now, stamp in ((12_000_000, 10_000_000), (15_000_000, 15_000_000)):
        newest = inbox.fetch(now)
        assert newest is not None
        assert newest.stamp == inbox.last == stamp


def test_what_is_due_is_waited_for_and_nothing_else() -> None:
    inbox: Inbox[Imu] = Inbox("IMU", 200.0)
    inbox.put(imu(5_000_000))
    assert inbox.fetch(5_000_000) is not None
    assert inbox.fetch(9_000_000) is None, "not due before 10 ms"
    late = threading.Timer(0.2, lambda: inbox.put(imu(10_000_000)))
    late.start()
    came = inbox.fetch(10_000_000)
    late.join()
    assert came is not None
    assert came.stamp == 10_000_000


def test_a_sensor_that_is_silent_is_named() -> None:
    inbox: Inbox[Frame] = Inbox("camera", 20.0, patience_s=0.05)
    inbox.put(Frame(50_000_000, np.zeros((1, 1, 3), np.uint8)))
    assert inbox.fetch(50_000_000) is not None
    inbox.put(Frame(150_000_000, np.zeros((1, 1, 3), np.uint8)))  # not yet: it belongs to a later step
    with pytest.raises(SceneError, match=r"Gazebo's camera gave nothing between 0\.050 and 0\.100 s"):
        inbox.fetch(100_000_000)


def changed(section: str, **values: float) -> Settings:
    return dataclasses.replace(SETTINGS, **{section: dataclasses.replace(getattr(SETTINGS, section), **values)})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (changed("camera", rate_hz=30.0), "camera.rate_hz is 30 Hz; in step with Gazebo it must divide 1000 Hz"),
        (changed("ranging", rate_hz=125.0), "ranging.rate_hz is 125 Hz; in step with Gazebo it must divide 200 Hz"),
        (changed("simulator", physics_step_s=0.002), "physics_step_s is 0.002 s; it must divide the control period"),
    ],
)
def test_rates_that_cannot_be_kept_in_step_are_refused(settings: Settings, said: str) -> None:
    assert in_step(SETTINGS) == (20.0, 20.0, 200.0)
    with pytest.raises(SceneError, match=said):
        in_step(settings)


def test_the_car_stands_at_the_start_and_time_is_not_held_back(tmp_path: Path) -> None:
    world = write_world(SETTINGS, "road", 7, tmp_path / "world")
    x, y, z, *turned = read_start(world)
    assert put_on_stage(world, MODEL) == "car"
    found = ElementTree.parse(world).getroot()
    assert found.findtext("world/physics/real_time_factor") == "0"
    poses = [pose.text or "" for pose in found.findall("world/model[@name='car']/pose")]
    assert len(poses) == 1
    assert [float(word) for word in poses[0].split()] == pytest.approx([x, y, z + 0.02, *turned], abs=1e-6)
    assert read_start(world) == (x, y, z, *turned)
    with pytest.raises(SceneError, match="became no model"):
        put_on_stage(world, "<sdf version='1.9'/>")


def test_without_controllers_the_car_has_its_sensors_and_no_ros() -> None:
    alone = ElementTree.fromstring(gazebo_description(SETTINGS, None))
    with_ros = ElementTree.fromstring(gazebo_description(SETTINGS, Path("/somewhere/controllers.yaml")))
    plugins = [[one.attrib["name"] for one in urdf.findall("gazebo/plugin")] for urdf in (alone, with_ros)]
    assert plugins[0] == ["gz::sim::systems::OdometryPublisher"]
    assert plugins[1] == ["gz_ros2_control::GazeboSimROS2ControlPlugin", "gz::sim::systems::OdometryPublisher"]
    assert {one.attrib["type"] for one in alone.findall("gazebo/sensor")} == {"camera", "gpu_lidar", "imu"}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> GazeboWorld:
    """The adaptor with a stand-in on the other end of its pipe."""
    monkeypatch.setattr(gazebo_world, "require_gazebo", lambda: None)
    monkeypatch.setattr(gazebo_world, "_as_sdf", lambda urdf, folder: MODEL)
    monkeypatch.setattr(gazebo_world, "serve", stand_in)
    return GazeboWorld(SETTINGS, "road", 7)


def test_it_has_what_is_asked_of_a_simulator(made: GazeboWorld) -> None:
    assert load_simulator(NAME) is GazeboWorld
    with made:
        assert [member for member in MEMBERS if not hasattr(made, member)] == []


def test_it_drives_and_brakes_in_step(made: GazeboWorld) -> None:
    folder = Path(made._folder.name)
    with made:
        names, period, began = made.car.joint_names, 5_000_000, made.now
        assert made.truth().distance == 0.0
        frames, wheels = [], np.array([0, 0, 0, 0, 300.0, 300.0])
        for tick in range(200):
            sensors = made.observe()
            assert sensors.joints.stamp == sensors.imu.stamp == made.now == began + tick * period
            if sensors.frame is not None:
                frames.append((made.now, sensors.frame.stamp))
            made.apply(Command(made.now, names, wheels))
            made.step()
        driven = made.truth()
        assert driven.speed == pytest.approx(600 / 0.31 / 1240, rel=0.02)
        assert driven.distance == pytest.approx(driven.speed / 2, rel=0.05)
        assert made.observe().odometry.speed == driven.speed
        assert len(frames) in (19, 20, 21)
        assert all(now - stamp == 10_000_000 for now, stamp in frames), "the camera's latency"
        moving = made.state_hash()
        made.apply(Command(made.now, names, np.array([0, 0, -200.0, -200.0, -200.0, -200.0])))
        made.apply(Command(made.now, names, np.full(6, np.nan)))  # counts as no command
        made.step()
        assert made.observe().joints.effort[2:].tolist() == [-200.0] * 4, "against the rotation, faster than the fade"
        for _ in range(600):
            made.step()
        stopped = made.truth()
        assert abs(stopped.speed) < 0.05
        assert np.abs(made.observe().joints.effort[2:]).max() < 40.0, "a standing wheel is not driven backwards"
        assert made.state_hash() != moving
        with pytest.raises(RobotError, match="command names joint 'fifth_wheel'"):
            made.apply(Command(made.now, ("fifth_wheel",), np.zeros(1)))
    assert not folder.exists()


def test_a_gazebo_that_ends_by_itself_is_told(made: GazeboWorld) -> None:
    with made:
        made._process.kill()
        made._process.join()
        with pytest.raises(SceneError, match="Gazebo ended by itself"):
            made.step()


@pytest.mark.skipif(HAS_GZ, reason="Gazebo's bindings (gz) are here")
def test_an_absent_gazebo_is_one_line_with_what_to_install() -> None:
    with pytest.raises(DependencyError, match=r"^Gazebo: gz\.math7, .* 'apt-get install gz-harmonic ") as said:
        check_simulator(NAME, SETTINGS, "road", 7)
    assert "\n" not in str(said.value)


@pytest.mark.skipif(not HAS_GZ, reason="Gazebo's bindings (gz) are absent")
def test_the_car_drives_in_gazebo_in_lock_step() -> None:
    with GazeboWorld(SETTINGS, "road", 7) as world:
        for _ in range(400):
            world.observe()
            world.apply(Command(world.now, world.car.joint_names, np.array([0, 0, 0, 0, 300.0, 300.0])))
            world.step()
        assert world.truth().distance > 1.0
