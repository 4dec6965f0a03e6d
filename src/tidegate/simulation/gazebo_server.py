# SPDX-License-Identifier: Apache-2.0
"""Gazebo Harmonic in a process of its own, which steps when told to; the only home of Gazebo's Python bindings.

The server runs inside that process and not beside it: torques are set in the very step for which they are meant,
where a message would come in its own time, and it stands still in between without being asked to.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from tidegate.errors import DependencyError, TidegateError
from tidegate.records import Floats, Frame, Imu, Points
from tidegate.simulation.gazebo_records import Inbox, frame_of, imu_of, points_of

BINDINGS = ("gz.math7", "gz.msgs10", "gz.sim8", "gz.transport13")
PACKAGES = "gz-harmonic python3-gz-math7 python3-gz-msgs10 python3-gz-sim8 python3-gz-transport13"


@dataclass(frozen=True, slots=True)
class Stage:
    """What to run: text and numbers alone. ``world`` is the SDF file, ``model`` the car's name in it, ``rates`` [Hz] of
    camera (0 = no pictures), range sensor and IMU; ``joints`` in the order of the torques."""

    world: str
    model: str
    joints: tuple[str, ...]
    camera_rate: float
    range_rate: float
    imu_rate: float


@dataclass(frozen=True, slots=True)
class Moved:
    """State and sensors after some steps.

    ``now`` [ns]; ``position``, ``velocity`` (J,) of the joints; ``pose`` x, y, z [m], yaw [rad] of ``base_link``,
    ``speed`` along it [m/s], ``yaw_rate`` [rad/s]; a sensor is None where nothing new was due.
    """

    now: int
    position: tuple[float, ...]
    velocity: tuple[float, ...]
    pose: tuple[float, float, float, float]
    speed: float
    yaw_rate: float
    imu: Imu | None
    points: Points | None
    frame: Frame | None


def require_gazebo() -> None:
    """See whether Gazebo is there, without loading it.

    Raises:
        DependencyError: it is not.
    """
    here = importlib.util.find_spec("gz") is not None
    absent = [name for name in BINDINGS if not here or importlib.util.find_spec(name) is None]
    if shutil.which("gz") is None:
        absent.append("the command gz")
    if absent:
        raise DependencyError(f"Gazebo: {', '.join(absent)} not found; install with 'apt-get install {PACKAGES}'")


def serve(orders: Connection, stage: Stage) -> None:
    """Run the world: each order (number of physics steps, torques (J,)) is answered with ``Moved`` or with an error."""
    try:
        server = _Server(stage)
        while True:
            steps, torques = orders.recv()
            orders.send(server.run(steps, torques))
    except EOFError:  # the other side is gone
        pass
    except TidegateError as error:
        orders.send(error)


class _Server:
    """The server with the car's joints and sensors."""

    def __init__(self, stage: Stage) -> None:
        os.environ["GZ_PARTITION"] = f"tidegate{os.getpid()}"  # worlds of other processes have the same topics
        try:
            import gz.math7  # its types are what the others return
            import gz.sim8
            from gz.msgs10.image_pb2 import Image
            from gz.msgs10.imu_pb2 import IMU
            from gz.msgs10.pointcloud_packed_pb2 import PointCloudPacked
            from gz.transport13 import Node
        except (ImportError, TypeError) as error:  # protobuf says TypeError where it is too new for the messages
            raise DependencyError(f"Gazebo: {error}; install with 'apt-get install {PACKAGES}'") from error
        self._gz, self._stage = gz.sim8, stage
        self._torques: Floats | None = None
        self._link: Any = None
        self._joints: list[Any] = []
        self._state: dict[str, Any] = {}
        self._imu: Inbox[Imu] = Inbox("IMU", stage.imu_rate)
        self._points: Inbox[Points] = Inbox("range sensor", stage.range_rate)
        self._frames: Inbox[Frame] | None = Inbox("camera", stage.camera_rate) if stage.camera_rate else None
        self._node = Node()
        self._node.subscribe(IMU, "/imu", lambda message: self._imu.put(imu_of(message)))
        cloud = partial(points_of, frame="range_link")
        self._node.subscribe(PointCloudPacked, "/range/points", lambda message: self._points.put(cloud(message)))
        if (frames := self._frames) is not None:
            self._node.subscribe(Image, "/camera/image_raw", lambda message: frames.put(frame_of(message)))
        self._fixture = gz.sim8.TestFixture(stage.world)
        self._fixture.on_pre_update(self._before)
        self._fixture.on_post_update(self._after)
        self._fixture.finalize()

    def run(self, steps: int, torques: Floats) -> Moved:
        """Hold ``torques`` (J,) [N·m] for some physics steps."""
        self._torques = torques
        self._fixture.server().run(True, steps, False)
        now = self._state["now"]
        frame = None if self._frames is None else self._frames.fetch(now)
        return Moved(**self._state, imu=self._imu.fetch(now), points=self._points.fetch(now), frame=frame)

    def _before(self, info: Any, ecm: Any) -> None:
        """Torques last for one physics step."""
        if self._link is None:
            gz, stage = self._gz, self._stage
            model = gz.Model(gz.World(gz.world_entity(ecm)).model_by_name(ecm, stage.model))
            self._joints = [gz.Joint(model.joint_by_name(ecm, name)) for name in stage.joints]
            self._link = gz.Link(model.link_by_name(ecm, "base_link"))
            self._link.enable_velocity_checks(ecm, True)
            for joint in self._joints:
                joint.enable_position_check(ecm, True)
                joint.enable_velocity_check(ecm, True)
        assert self._torques is not None
        for joint, torque in zip(self._joints, self._torques.tolist(), strict=True):
            joint.set_force(ecm, [torque])

    def _after(self, info: Any, ecm: Any) -> None:
        """Read the state; what Gazebo has not worked out yet is zero."""
        pose, velocity = self._link.world_pose(ecm), self._link.world_linear_velocity(ecm)
        turn = self._link.world_angular_velocity(ecm)
        self._state = {
            "now": info.sim_time // timedelta(microseconds=1) * 1000,
            "position": tuple((joint.position(ecm) or [0.0])[0] for joint in self._joints),
            "velocity": tuple((joint.velocity(ecm) or [0.0])[0] for joint in self._joints),
            "pose": (pose.x(), pose.y(), pose.z(), pose.yaw()),
            "speed": 0.0 if velocity is None else pose.rot().rotate_vector_reverse(velocity).x(),
            "yaw_rate": 0.0 if turn is None else turn.z(),
        }
