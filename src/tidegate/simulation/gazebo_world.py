# SPDX-License-Identifier: Apache-2.0
"""A road of the embedded world in Gazebo Harmonic, in lock-step, with the car that ``gazebo.launch.py`` drives.

It has never met a Gazebo: docs/gazebo.md, "In lock-step".
"""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import time
from collections import deque
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from xml.etree import ElementTree

import numpy as np

from tidegate.errors import RobotError, SceneError
from tidegate.records import Command, Floats, Frame, JointStates, Odometry, nanoseconds, seconds
from tidegate.robot import Actuation, Car, gazebo_description, motor_torques
from tidegate.security.parse import parse_xml
from tidegate.settings import Settings
from tidegate.simulation.gazebo import read_start, write_world
from tidegate.simulation.gazebo_server import Moved, Stage, require_gazebo, serve
from tidegate.simulation.simulator import Observation
from tidegate.simulation.track import Track
from tidegate.simulation.truth import Truth

BRAKE_FADE = 1.0
"""Where the settings have friction brakes, which Gazebo has not: as in ``gazebo.launch.py`` [rad/s]."""
DROP_M = 0.02
"""The car is put down from this height."""
SETTLE_S, WARM_UP_S = 1.0, 120.0
"""Simulated time in which the car comes to rest, and real time that the first picture may take."""


class GazeboWorld:
    """As ``evaluation.simulators.AnySimulator``: pictures, scans and inertia are Gazebo's sensors, odometry is true."""

    def __init__(self, settings: Settings, scene: str = "road", seed: int = 0, *, camera: bool = True) -> None:
        """Start Gazebo and stand the car on the road.

        Raises:
            DependencyError: Gazebo is absent; SceneError: no such scene, one with vehicles, or rates that Gazebo's
            sensors cannot keep in step.
        """
        rates = in_step(settings)
        self.car = Car.from_settings(settings)
        self._track = Track(settings, self.car, scene, seed)
        require_gazebo()
        fade = settings.vehicle.brake_fade or BRAKE_FADE
        self._motors = dataclasses.replace(self.car, vehicle=dataclasses.replace(settings.vehicle, brake_fade=fade))
        self._limits = Actuation(self.car, 1 / settings.safety.rate_hz)
        self._steps = round(1 / (settings.safety.rate_hz * settings.simulator.physics_step_s))
        self._latency = nanoseconds(settings.camera.latency_s)
        self._frames: deque[Frame] = deque()
        self._joints: JointStates
        self._truth: Truth
        self._observation: Observation
        self._folder = TemporaryDirectory(prefix="tidegate-gazebo-")
        world = write_world(settings, scene, seed, Path(self._folder.name) / "world")
        model = put_on_stage(world, _as_sdf(gazebo_description(settings, None), Path(self._folder.name)))
        context = get_context("spawn")
        self._orders, far_end = context.Pipe()
        stage = Stage(str(world), model, self.car.joint_names, rates[0] if camera else 0.0, *rates[1:])
        self._process = context.Process(target=serve, args=(far_end, stage), daemon=True)
        self._process.start()
        far_end.close()
        try:
            self._settle(camera)
        except BaseException:
            self.close()
            raise

    @property
    def now(self) -> int:
        """Gazebo's time [ns]."""
        return self._joints.stamp

    def observe(self) -> Observation:
        """What the sensors deliver at this tick."""
        return self._observation

    def apply(self, command: Command) -> None:
        """Hold joint efforts until the next command; there is no time-out. One with NaN counts as no command.

        Raises:
            RobotError: the command names a joint that the car does not have.
        """
        given = dict(zip(command.names, command.effort.tolist(), strict=True))
        if unknown := sorted(set(given) - set(self.car.joint_names)):
            raise RobotError(f"command names joint '{unknown[0]}'; the car has {', '.join(self.car.joint_names)}")
        wanted = np.array([given.get(name, 0.0) for name in self.car.joint_names])
        if np.isfinite(wanted).all():
            self._efforts = np.clip(wanted, self._limits.low, self._limits.high)

    def step(self) -> None:
        """Advance by one control period, and wait for what the sensors measured in it.

        Raises:
            SceneError: Gazebo is gone, or a sensor of it is silent.
        """
        torques = motor_torques(self._motors, self._efforts, self._joints)
        moved = self._run(torques)
        if moved.imu is None:
            raise SceneError(f"Gazebo's IMU gave nothing new by {seconds(moved.now):.3f} s of simulated time")
        self._joints = _joints(self.car, moved, torques)
        self._truth = self._track.advance(moved.pose, moved.speed, moved.yaw_rate, self._joints)
        if moved.frame is not None:
            self._frames.append(moved.frame)
        ready = self._frames and self._frames[0].stamp + self._latency <= moved.now
        frame = self._frames.popleft() if ready else None
        x, y, _, yaw = moved.pose
        odometry = Odometry(moved.now, x, y, yaw, moved.speed, moved.yaw_rate)
        self._observation = Observation(self._joints, odometry, moved.imu, moved.points, frame)

    def truth(self) -> Truth:
        """True state; only evaluation may read it."""
        return self._truth

    def state_hash(self) -> str:
        """SHA-256 of pose, speed and joints."""
        joints, truth = self._joints, self._truth
        pose = np.array([truth.x, truth.y, truth.z, truth.yaw, truth.speed, truth.yaw_rate])
        return hashlib.sha256(pose.tobytes() + joints.position.tobytes() + joints.velocity.tobytes()).hexdigest()

    def close(self) -> None:
        """End Gazebo and remove its files."""
        self._orders.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._folder.cleanup()

    def __enter__(self) -> GazeboWorld:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, torques: Floats) -> Moved:
        try:
            self._orders.send((self._steps, torques))
            answer = self._orders.recv()
        except (EOFError, OSError) as error:
            raise SceneError("Gazebo ended by itself; what it said is above") from error
        if isinstance(answer, Exception):
            raise answer
        moved: Moved = answer
        return moved

    def _settle(self, camera: bool) -> None:
        """Brake until the car stands and every sensor has spoken; drawing begins when Gazebo is ready for it."""
        self._efforts = np.maximum(
            self._limits.low, np.concatenate([np.zeros(len(self.car.steer_joints)), self.car.wheel_efforts(-1e9)])
        )
        began, missing = time.monotonic(), {"imu", "points", *(["frame"] if camera else [])}
        moved = self._run(np.zeros(len(self._efforts)))
        while missing or seconds(moved.now) < SETTLE_S:
            if seconds(moved.now) >= SETTLE_S:
                if time.monotonic() - began > WARM_UP_S:
                    raise SceneError(f"Gazebo gave no {', '.join(sorted(missing))} within {WARM_UP_S:.0f} s")
                time.sleep(0.02)
            self._joints = _joints(self.car, moved, self._efforts)
            moved = self._run(motor_torques(self._motors, self._efforts, self._joints))
            missing -= {name for name in missing if getattr(moved, name) is not None}
        self._joints = _joints(self.car, moved, self._efforts)
        self.step()


def in_step(settings: Settings) -> tuple[float, float, float]:
    """Rates [Hz] of camera, range sensor and IMU, whose periods must be whole control periods.

    Gazebo counts a sensor's period in whole milliseconds, and so must these.

    Raises:
        SceneError: one is not, or the physics step does not divide the control period.
    """
    rates = {
        "camera.rate_hz": settings.camera.rate_hz,
        "ranging.rate_hz": settings.ranging.rate_hz,
        "safety.rate_hz": settings.safety.rate_hz,
    }
    for key, rate in rates.items():
        for unit in (1000.0, settings.safety.rate_hz):
            if abs(unit / rate - round(unit / rate)) > 1e-6:
                raise SceneError(f"{key} is {rate:g} Hz; in step with Gazebo it must divide {unit:g} Hz")
    ratio = 1 / (settings.safety.rate_hz * settings.simulator.physics_step_s)
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise SceneError(
            f"simulator.physics_step_s is {settings.simulator.physics_step_s:g} s; it must divide the control period"
        )
    camera, ranging, imu = rates.values()
    return camera, ranging, imu


def put_on_stage(world: Path, car: str) -> str:
    """Add a model (SDF text) to the file ``world`` at its start, and let time run as fast as it can; the model's name.

    Raises:
        SceneError: the text holds no model.
    """
    model = parse_xml(car.encode()).find("model")
    if model is None:
        raise SceneError("the car's description became no model of Gazebo")
    for pose in model.findall("pose"):
        model.remove(pose)
    x, y, z, *turned = read_start(world)
    pose = ElementTree.Element("pose")
    pose.text = " ".join(f"{value:.9g}" for value in (x, y, z + DROP_M, *turned))
    model.insert(0, pose)
    root = parse_xml(world.read_bytes())
    stage, factor = root.find("world"), root.find("world/physics/real_time_factor")
    assert stage is not None, world
    assert factor is not None, world
    factor.text = "0"
    stage.append(model)
    ElementTree.ElementTree(root).write(world, encoding="utf-8", xml_declaration=True)
    return model.attrib["name"]


def _as_sdf(urdf: str, folder: Path) -> str:
    """SDF of a URDF, as Gazebo's own command has it."""
    path = folder / "car.urdf"
    path.write_text(urdf, encoding="utf-8")
    made = subprocess.run(["gz", "sdf", "-p", str(path)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise SceneError(f"'gz sdf -p' refuses the car's description: {' '.join(made.stderr.split())}")
    return made.stdout


def _joints(car: Car, moved: Moved, effort: Floats) -> JointStates:
    return JointStates(moved.now, car.joint_names, np.array(moved.position), np.array(moved.velocity), effort)
