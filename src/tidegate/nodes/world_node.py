# SPDX-License-Identifier: Apache-2.0
"""What the simulators of all robots share: a world that goes on by commands in lock-step, else by a steady clock."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, Protocol

from rclpy.clock import Clock, ClockType

from tidegate.errors import RobotError
from tidegate.messages import encode_clock
from tidegate.nodes.pacing import Pacer
from tidegate.nodes.parameters import Own
from tidegate.nodes.stack_node import LOCK_STEP, AnySettings, StackNode
from tidegate.nodes.topics import make
from tidegate.records import Command, Round, nanoseconds

SCENE = Own("scene", "", "what to drive in; empty = the robot's first")
SEED = Own("seed", 0, "of the road, its light and the sensors' noise")
PATIENCE = 6
"""Periods that simulated time may lag behind a steady clock and still catch up: a frame takes two or three to render.
A machine that is slower drives in slow motion."""


class World(Protocol):
    """What a simulator of any robot offers beside its sensors."""

    @property
    def now(self) -> int:
        """Simulated time [ns]."""

    def apply(self, command: Command) -> None:
        """Take a command; raises a RobotError where it is none of this robot."""

    def step(self) -> None:
        """Go on by one period."""

    def close(self) -> None:
        """Release what is held."""


class WorldNode(StackNode[AnySettings]):
    """A robot in its world behind the topics that a real one would have: subclasses make the world and publish what
    its sensors see."""

    OWN = (SCENE, SEED, LOCK_STEP)

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__("simulator_node", arguments)
        self._world: World | None = None
        self._timer: Any = None

    @abstractmethod
    def sense(self) -> tuple[str, ...]:
        """Publish all sensors that are due; the topics that a tick must have in lock-step."""

    def drop(self) -> None:
        """Release the world and its graphics context."""
        if self._world is not None:
            self._world.close()
            self._world = None

    def start(self) -> None:
        """Publish the first sensors; then time passes by commands (lock-step) or by the steady clock."""
        self.listen("command", self._commanded)
        self._lock_step = self.own(LOCK_STEP)
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
        if command is None or self._world is None:
            return
        if self._lock_step and command.stamp != self._world.now:  # of a round that is over
            return
        try:
            self._world.apply(command)
        except RobotError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
        if self._lock_step:
            self._world.step()
            self._publish_round()

    def _publish_round(self) -> None:
        """Lock-step: the sensors of this moment, then what a tick must have before it may run."""
        assert self._world is not None
        self.send_message("clock", encode_clock(self._world.now, make))
        self.send("tick", Round(self._world.now, self.sense()))

    def _run(self) -> None:
        """Real time: simulate what is due, and hear the commands of every moment."""
        if self._world is None:  # a call that was queued when the timer went comes all the same
            return
        for _ in range(self._pacer.due(time.monotonic_ns())):
            self.fetch()
            self._world.step()
            self.sense()
            self.send_message("clock", encode_clock(self._world.now, make))
        if self._pacer.lost > 2 * self._lost:  # not a line for every hiccup
            self._lost = self._pacer.lost
            self.get_logger().warning(f"slower than real time: {self._lost / 1e9:.1f} s behind so far")
