# SPDX-License-Identifier: Apache-2.0
"""``command`` → camera, joint states, odometry, IMU, range and ``/clock``; in lock-step ``tick`` as well."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from rclpy.clock import Clock, ClockType

from tidegate.errors import RobotError
from tidegate.messages import camera_info, encode_clock
from tidegate.nodes.pacing import Pacer
from tidegate.nodes.parameters import Own
from tidegate.nodes.stack_node import LOCK_STEP, StackNode
from tidegate.nodes.topics import make
from tidegate.records import Command, Round, Values, nanoseconds
from tidegate.simulation import Observation, Simulator

SCENE = Own("scene", "road", "what to drive in")
SEED = Own("seed", 0, "of the road, its light and the sensors' noise")
SENSORS = {"joint_states": "joints", "odom": "odometry", "imu": "imu", "points": "points"}
PATIENCE = 6
"""Periods that simulated time may lag behind a steady clock and still catch up: a frame takes two or three to render.
A machine that is slower drives in slow motion."""
FROM_FRAME = ("lane", "health", "nominal", "gains")
"""What perception and policy make of every frame."""


class SimulatorNode(StackNode):
    """The car in its world: ``Simulator`` behind the topics that a real car would have."""

    OWN = (SCENE, SEED, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("simulator_node", arguments)
        self._simulator: Simulator | None = None
        self._timer: Any = None

    def build(self) -> None:
        """Build the world; in real time the camera's latency is that of this machine, not a simulated one."""
        self._lock_step = self.own(LOCK_STEP)
        settings = self.settings
        if not self._lock_step:
            settings = replace(settings, camera=replace(settings.camera, latency_s=0.0))
        self._simulator = Simulator(settings, self.own(SCENE), self.own(SEED))
        self.advertise("clock", "camera/image_raw", "camera/camera_info", *SENSORS, "truth")
        self.advertise("tick" if self._lock_step else "timing/rendered")

    def drop(self) -> None:
        """Release the world and its graphics context."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def start(self) -> None:
        """Publish the first sensors; then time passes by commands (lock-step) or by the steady clock."""
        assert self._simulator is not None
        self.listen("command", self._commanded)
        if self._lock_step:
            self._publish_round()
            return
        period = nanoseconds(1 / self.settings.safety.rate_hz)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._lost = 0
        self._pacer = Pacer(period, PATIENCE, time.monotonic_ns())
        self._timer = self.create_timer(period / 1e9, self._run, clock=steady)

    def stop(self) -> None:
        """Stop the clock; the world stays as it is."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def _commanded(self, topic: str, data: bytes) -> None:
        command: Command | None = self.record(topic, data)
        if command is None or self._simulator is None:
            return
        if self._lock_step and command.stamp != self._simulator.now:  # of a round that is over
            return
        try:
            self._simulator.apply(command)
        except RobotError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
        if self._lock_step:
            self._simulator.step()
            self._publish_round()

    def _publish_round(self) -> None:
        """Lock-step: the sensors of this moment, then what a tick must have before it may run."""
        assert self._simulator is not None
        self.send_message("clock", encode_clock(self._simulator.now, make))
        awaited = self._publish(self._simulator.observe())
        self.send("tick", Round(self._simulator.now, awaited))

    def _run(self) -> None:
        """Real time: simulate what is due, and hear the commands of every moment."""
        if self._simulator is None:  # a call that was queued when the timer went comes all the same
            return
        for _ in range(self._pacer.due(time.monotonic_ns())):
            self.fetch()
            self._simulator.step()
            observation = self._simulator.observe()
            rendered = float(time.monotonic_ns())
            self._publish(observation)
            self.send_message("clock", encode_clock(self._simulator.now, make))
            if observation.frame is not None:
                self.send("timing/rendered", Values(observation.frame.stamp, {"steady": rendered}))
        if self._pacer.lost > 2 * self._lost:  # not a line for every hiccup
            self._lost = self._pacer.lost
            self.get_logger().warning(f"slower than real time: {self._lost / 1e9:.1f} s behind so far")

    def _publish(self, observation: Observation) -> tuple[str, ...]:
        """Publish all that is due, the frame first, for it has the longest way; the topics that a tick must have."""
        assert self._simulator is not None
        awaited: tuple[str, ...] = ()
        if observation.frame is not None:
            self.send("camera/image_raw", observation.frame)
            self.send("camera/camera_info", camera_info(observation.frame.stamp, self.settings.camera))
            awaited += FROM_FRAME
        for topic, field in SENSORS.items():
            record = getattr(observation, field)
            if record is not None:
                self.send(topic, record)
                awaited += (topic,)
        self.send("truth", Values(self._simulator.now, self._simulator.truth().to_values()))
        return awaited
