# SPDX-License-Identifier: Apache-2.0
"""``command`` → camera, joint states, odometry, IMU, range and ``/clock``; in lock-step ``tick`` as well."""

from __future__ import annotations

import time
from dataclasses import replace

from tidegate.messages import camera_info
from tidegate.nodes.stack_node import LOCK_STEP
from tidegate.nodes.world_node import SCENE, SEED, WorldNode
from tidegate.records import Values
from tidegate.settings import Settings
from tidegate.simulation import Simulator

SENSORS = {"joint_states": "joints", "odom": "odometry", "imu": "imu", "points": "points"}
FROM_FRAME = ("lane", "health", "nominal", "gains")
"""What perception and policy make of every frame."""
FIRST = "road"
"""The scene, where none is asked for."""


class SimulatorNode(WorldNode[Settings]):
    """The car in its world: ``Simulator`` behind the topics that a real car would have."""

    _world: Simulator | None

    def build(self) -> None:
        """Build the world; in real time the camera's latency is that of this machine, not a simulated one."""
        settings, lock_step = self.settings, self.own(LOCK_STEP)
        if not lock_step:
            settings = replace(settings, camera=replace(settings.camera, latency_s=0.0))
        self._world = Simulator(settings, self.own(SCENE) or FIRST, self.own(SEED))
        self.advertise("clock", "camera/image_raw", "camera/camera_info", *SENSORS, "truth")
        self.advertise("tick" if lock_step else "timing/rendered")

    def sense(self) -> tuple[str, ...]:
        """Publish all that is due, the frame first, for it has the longest way; the topics that a tick must have."""
        assert self._world is not None
        awaited: tuple[str, ...] = ()
        observation = self._world.observe()
        rendered, frame = float(time.monotonic_ns()), observation.frame
        if frame is not None:
            self.send("camera/image_raw", frame)
            self.send("camera/camera_info", camera_info(frame.stamp, self.settings.camera))
            awaited += FROM_FRAME
        for topic, field in SENSORS.items():
            record = getattr(observation, field)
            if record is not None:
                self.send(topic, record)
                awaited += (topic,)
        self.send("truth", Values(self._world.now, self._world.truth().to_values()))
        if frame is not None and not self._lock_step:
            self.send("timing/rendered", Values(frame.stamp, {"steady": rendered}))
        return awaited
