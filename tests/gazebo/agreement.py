# SPDX-License-Identifier: Apache-2.0
"""Reads every file that describes the car or its road, and says where two of them tell different things."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import mujoco
import numpy as np
import xacro
import yaml

from tidegate.bag.typestore import make
from tidegate.errors import TidegateError
from tidegate.messages import TOPICS, camera_info, encode
from tidegate.messages.camera import OPTICAL_FRAME
from tidegate.records import Imu, Odometry
from tidegate.robot import Car, check_controllers, gazebo_description, load_description
from tidegate.robot.gazebo import HARDWARE
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Simulator
from tidegate.simulation.car import add_car
from tidegate.simulation.road import CENTRE_LINE, RIGHT_LINE
from tidegate.simulation.wavefront import read_obj

GZ_TYPES = {
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
    "sensor_msgs/msg/Image": "gz.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "gz.msgs.CameraInfo",
    "sensor_msgs/msg/Imu": "gz.msgs.IMU",
    "sensor_msgs/msg/PointCloud2": "gz.msgs.PointCloudPacked",
    "nav_msgs/msg/Odometry": "gz.msgs.Odometry",
}
"""As the table of ros_gz_bridge pairs them."""
SENSED = {"camera/image_raw", "camera/camera_info", "imu", "points", "odom", "clock"}
LINE = 0.01
"""Largest distance of a lane's centre [m]."""


def disagreements(folder: Path, world: Path, simulator: Simulator) -> list[str]:
    """What differs, in words; empty = all say the same.

    Args:
        folder: holds ``config`` and ``urdf``.
        world: made by ``tidegate world``, of the scene and seed of ``simulator``.
        simulator: the embedded world.
    """
    try:
        settings = load_settings(folder / "config" / "car.yaml")
        car = Car.from_settings(settings)
        controllers = folder / "config" / "controllers.yaml"
        check_controllers(controllers, car)
        urdf = ElementTree.fromstring(gazebo_description(settings, controllers))
    except TidegateError as error:
        return [f"refused: {error}"]
    return [
        *_defaults(settings, controllers, urdf),
        *_control(yaml.safe_load(controllers.read_text()), urdf, settings, car),
        *_model(folder, urdf, settings, car),
        *_frames(urdf),
        *_camera(urdf, settings),
        *_range(urdf, simulator),
        *_bridge(yaml.safe_load((folder / "config" / "gazebo_bridge.yaml").read_text()), urdf),
        *_road(world, simulator),
        *_scene(ElementTree.parse(world / "world.sdf").getroot(), simulator),
    ]


def _close(one: object, other: object, within: float = 1e-9) -> bool:
    return np.shape(one) == np.shape(other) and bool(np.allclose(one, other, rtol=0, atol=within))  # type: ignore[arg-type]


def _number(element: Element, path: str) -> float:
    return float(element.findtext(path) or "nan")


def _defaults(settings: Settings, controllers: Path, urdf: Element) -> Iterator[str]:
    mappings = {"hardware": HARDWARE, "controllers": str(controllers)}
    plain = ElementTree.fromstring(xacro.process_file(settings.vehicle.urdf, mappings=mappings).toxml())
    for one, other in zip(plain.iter(), urdf.iter(), strict=True):
        if (one.text or "").strip() != (other.text or "").strip() or one.attrib != other.attrib:
            yield f"default of gazebo.xacro: {one.tag} {one.text} is not the settings' {other.text}"


def _control(
    controllers: dict[str, dict[str, dict[str, object]]], urdf: Element, settings: Settings, car: Car
) -> Iterator[str]:
    manager = controllers["controller_manager"]["ros__parameters"]
    if manager["update_rate"] != settings.safety.rate_hz:
        yield "update_rate of the controllers is not the filter's"
    types = {
        "joint_state_broadcaster": "joint_state_broadcaster/JointStateBroadcaster",
        "effort_controller": "forward_command_controller/ForwardCommandController",
    }
    if {name: value["type"] for name, value in manager.items() if isinstance(value, dict)} != types:
        yield "types of the controllers"
    joints = urdf.findall("ros2_control/joint")
    if [joint.get("name") for joint in joints] != list(car.joint_names):
        yield "joints of ros2_control are not the command's"
        return
    for joint in joints:
        limit = car.description.limits(joint.get("name", "")).effort
        commanded = {
            (one.get("name"), param.get("name"), float(param.text or "nan"))
            for one in joint.findall("command_interface")
            for param in one
        }
        if commanded != {("effort", "min", -limit), ("effort", "max", limit)}:
            yield f"command interface of {joint.get('name')}: {commanded}"
        if [one.get("name") for one in joint.findall("state_interface")] != ["position", "velocity", "effort"]:
            yield f"state interfaces of {joint.get('name')}"


def _model(folder: Path, urdf: Element, settings: Settings, car: Car) -> Iterator[str]:
    """Masses, joints and limits: URDF as the stack reads it, as Gazebo gets it, and the MuJoCo model."""
    made = folder / "gazebo.urdf"
    made.write_bytes(ElementTree.tostring(urdf))
    gazebo = load_description(made)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    add_car(spec, car, friction=1.0, load=1.0)
    model = spec.compile()
    mounts = gazebo.mounts()
    for name, link in car.description.links.items():
        if gazebo.links[name].mass != link.mass:
            yield f"mass of {name} in Gazebo: {gazebo.links[name].mass} is not {link.mass}"
        if link.mass and not _close(model.body(name).mass[0], link.mass):
            yield f"mass of {name} in MuJoCo"
    if gazebo.joints != car.description.joints:
        yield "joints in Gazebo"
    for name in car.joint_names:
        limits, joint = car.limits[name], model.joint(name)
        if model.jnt_limited[joint.id] != ("steer" in name):
            yield f"{name} is {'' if model.jnt_limited[joint.id] else 'not '}limited in MuJoCo"
        elif "steer" in name and not _close(joint.range, (limits.lower, limits.upper)):
            yield f"range of {name} in MuJoCo"
        if not _close(model.actuator(name).ctrlrange, (-limits.effort, limits.effort)):
            yield f"effort of {name} in MuJoCo"
        child = car.description.joint(name).child
        if "steer" in name:
            turned = car.description.links[child].inertia[2] + model.dof_armature[joint.dofadr[0]]
            if not _close(gazebo.links[child].inertia[2], turned):
                yield f"inertia about {name}: {gazebo.links[child].inertia[2]} in Gazebo, {turned} in MuJoCo"
        if not _close(model.dof_damping[joint.dofadr[0]], gazebo.joint(name).damping):
            yield f"damping of {name}"
    # a MuJoCo camera looks along its -z with y up, a link along its x with z up
    looks = _axes(model.camera("front").quat) @ np.array([[0, -1, 0], [0, 0, 1], [-1, 0, 0]])
    for sensor, axes, place in (
        ("camera_link", looks, model.camera("front").pos),
        ("imu_link", _axes(model.site("imu").quat), model.site("imu").pos),
    ):
        if not _close(mounts[sensor][1], place):
            yield f"place of {sensor}"
        if not _close(mounts[sensor][0], axes):
            yield f"orientation of {sensor}"
    if settings.safety.rate_hz != _number(urdf, "gazebo/plugin/odom_publish_frequency"):
        yield "rate of the odometry"


def _axes(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) of a quaternion (w, x, y, z)."""
    made = np.zeros(9)
    mujoco.mju_quat2Mat(made, quaternion)
    return made.reshape(3, 3)


def _frames(urdf: Element) -> Iterator[str]:
    """Frame ids of Gazebo's IMU and odometry against what the stack publishes of the embedded world's."""
    imu = encode(Imu(0, np.zeros(3), np.zeros(3)), make).header.frame_id
    odometry = encode(Odometry(0, 0.0, 0.0, 0.0, 0.0, 0.0), make)
    said = {
        "frame of the IMU": (urdf.findtext("gazebo[@reference='imu_link']/sensor/gz_frame_id"), imu),
        "frame of the odometry": (urdf.findtext("gazebo/plugin/odom_frame"), odometry.header.frame_id),
        "body of the odometry": (urdf.findtext("gazebo/plugin/robot_base_frame"), odometry.child_frame_id),
    }
    for what, (gazebo, ours) in said.items():
        if gazebo != ours:
            yield f"{what}: {gazebo} is not {ours}"


def _camera(urdf: Element, settings: Settings) -> Iterator[str]:
    (sensor,) = urdf.findall("gazebo[@reference='camera_link']/sensor")
    told = camera_info(0, settings.camera)
    width, height = _number(sensor, "camera/image/width"), _number(sensor, "camera/image/height")
    if (width, height) != (told.width, told.height):
        yield "size of the camera's image"
    focal = width / 2 / math.tan(_number(sensor, "camera/horizontal_fov") / 2)
    if not _close((focal, focal), (told.k[0, 0], told.k[1, 1]), 1e-6):
        yield f"field of view of the camera: focal length {focal} is not {told.k[0, 0]}"
    if _number(sensor, "update_rate") != settings.camera.rate_hz:
        yield "rate of the camera"
    if sensor.findtext("gz_frame_id") != OPTICAL_FRAME:
        yield "frame of the camera's pictures"


def _range(urdf: Element, simulator: Simulator) -> Iterator[str]:
    """Planes and beams of Gazebo's sensor against a scan of the embedded world: noise is along the beams alone."""
    (sensor,) = urdf.findall("gazebo[@reference='range_link']/sensor")
    ranging = simulator.settings.ranging
    planes, beams = (
        np.linspace(
            _number(sensor, f"lidar/scan/{axis}/min_angle"),
            _number(sensor, f"lidar/scan/{axis}/max_angle"),
            int(_number(sensor, f"lidar/scan/{axis}/samples")),
        )
        for axis in ("vertical", "horizontal")
    )
    if not _close(np.degrees(planes), ranging.elevation_deg, 1e-6):
        yield f"planes of the range sensor: {np.degrees(planes)}"
    scan = simulator.observe().points
    assert scan is not None
    seen = scan.xyz - np.array(simulator.car.description.origin("range_link")[0])
    if not _close(
        planes[np.minimum(scan.ring, len(planes) - 1)], np.arctan2(seen[:, 2], np.hypot(*seen[:, :2].T)), 1e-4
    ):
        yield "planes of the range sensor against a scan"
    azimuth = np.arctan2(seen[:, 1], seen[:, 0])
    if len(beams) != ranging.beams or np.abs(azimuth[:, None] - beams).min(axis=1).max() > 1e-4:
        yield "beams of the range sensor against a scan"
    if (_number(sensor, "lidar/range/max"), _number(sensor, "update_rate")) != (ranging.range_max, ranging.rate_hz):
        yield "reach or rate of the range sensor"


def _bridge(entries: list[dict[str, str]], urdf: Element) -> Iterator[str]:
    said = {f"/{sensor.findtext('topic')}" for sensor in urdf.iter("sensor")}
    said |= {"/clock", "/camera/camera_info", f"/{urdf.findtext('gazebo/plugin/odom_topic')}"}
    said = {topic + "/points" if topic == "/range" else topic for topic in said}
    if {entry["gz_topic_name"] for entry in entries} != said:
        yield f"Gazebo's topics: {said}"
    if {entry["ros_topic_name"].lstrip("/") for entry in entries} != SENSED:
        yield "topics of the stack that the bridge serves"
    for entry in entries:
        topic, kind = entry["ros_topic_name"].lstrip("/"), entry["ros_type_name"]
        if topic not in TOPICS or TOPICS[topic].type != kind or GZ_TYPES.get(kind) != entry["gz_type_name"]:
            yield f"types of {topic}"
        if entry["direction"] != "GZ_TO_ROS":
            yield f"direction of {topic}"


@cache
def _road(world: Path, simulator: Simulator) -> tuple[str, ...]:
    """Kept for a world that is read again and again."""
    return tuple(_lane(world, simulator))


def _lane(world: Path, simulator: Simulator) -> Iterator[str]:
    """Centre of the own lane: half a lane left of the right line, and as far right of the centre line."""
    road, terrain = simulator.road, simulator.world.terrain
    for name, offset in (("lines_right", RIGHT_LINE), ("lines_centre", CENTRE_LINE)):
        vertices = read_obj(world / "meshes" / f"{name}.obj").vertices
        middle = (vertices[::2] + vertices[1::2]) / 2
        off = [road.locate(x, y).offset - offset for x, y, _ in middle.tolist()]
        if np.abs(off).max() > LINE:
            yield f"lane of {name} is off by {np.abs(off).max():.3f} m"
        passed = np.sort([road.locate(x, y).s for x, y, _ in middle.tolist()])
        if np.diff(passed, append=passed[0] + road.length).max() > 4.5:
            yield f"{name} does not go around"
    vertices = read_obj(world / "meshes" / "road.obj").vertices
    if np.abs(vertices[:, 2] - terrain.height(vertices[:, 0], vertices[:, 1])).max() > LINE:
        yield "height of the road"


def _scene(sdf: Element, simulator: Simulator) -> Iterator[str]:
    truth, model = simulator.truth(), simulator.world.model
    x, y, z, _, _, yaw = (float(value) for value in (sdf.findtext("world/frame[@name='start']/pose") or "").split())
    if not _close((x, y, z, yaw), (truth.x, truth.y, truth.z, truth.yaw), 1e-6):
        yield "start"
    if _number(sdf, "world/physics/max_step_size") != model.opt.timestep:
        yield "physics step"
    if not _close([float(value) for value in (sdf.findtext("world/gravity") or "").split()], model.opt.gravity):
        yield "gravity"
    sun = [float(value) for value in (sdf.findtext("world/light/direction") or "").split()]
    if not _close(sun, model.light("sun").dir, 1e-6):
        yield "sun"
    for mesh in {element.text for element in sdf.iter("uri")}:
        if not (mesh or "").startswith("meshes/"):
            yield f"mesh {mesh}"
