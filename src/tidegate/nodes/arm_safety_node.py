# SPDX-License-Identifier: Apache-2.0
"""The safety node of an arm: joint states and torques that are asked for → ``command``, at the filter's own rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tidegate.messages import ARM_FORMS, encode_efforts
from tidegate.nodes.actuator_watch import topic_faults
from tidegate.nodes.diagnostics import safety_diagnostics
from tidegate.nodes.filter_node import FilterNode
from tidegate.nodes.safety_node import PERIODS_OFFERED
from tidegate.nodes.topics import make
from tidegate.records import ArmInputs, ArmSafetyState, ArmTick, UsedInputs
from tidegate.safety.arm import ArmSupervisor
from tidegate.settings.arm import ArmSettings, arm_settings_from

COMMANDS = ("command", "effort_controller/commands")
LATE = 1.5
"""Periods after which a tick is late: its torques were held for longer than the filter counts with."""


class ArmSafetyNode(FilterNode[ArmSettings]):
    """Ticks the ``ArmSupervisor``; name, topics and services are those of the car's safety node.

    ``nominal`` are torques by joint (sensor_msgs/JointState, in effort). It starts STOPPED, and says nothing before it
    has seen joint states. Before it leaves the active state it brakes the arm and holds it; then the actuators must.
    """

    READ = staticmethod(arm_settings_from)
    HEARS = ("nominal", "joint_states")
    SENSED = frozenset({"joint_states"})

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__(arguments)
        self._supervisor: ArmSupervisor | None = None

    @property
    def silence_s(self) -> float:
        """As the settings say."""
        return self.settings.safety.ladder.emergency_stop_timeout_s

    def build(self) -> None:
        """Read the robot and hold what is promised of it against the model; nobody else may command it."""
        self.prepare()
        self._supervisor = ArmSupervisor(self.settings, disable=self.disabled)
        self._joints = self._supervisor.guard.arm.joint_names
        self._late, self._before = 0, 0
        self._gave_way: Counter[str] = Counter()
        if self._dry_run:
            self.advertise("safety_node/would_command")
        else:
            self.advertise(*COMMANDS, deadline_s=PERIODS_OFFERED / self.settings.safety.rate_hz)
        self.advertise("safety_node/barriers", "safety_node/inputs", "diagnostics")

    def commands(self) -> tuple[str, ...]:
        """Both."""
        return COMMANDS

    def drop(self) -> None:
        """Forget the robot."""
        self._supervisor = None

    def record(self, topic: str, data: bytes) -> Any:
        """As ever; what is asked for has the form of a command here."""
        return super().record(ARM_FORMS.get(topic, topic), data)

    def decide(self, now: int, given: Mapping[str, Any]) -> ArmTick:
        """Ask the supervisor, publish what it says."""
        assert self._supervisor is not None
        self._late += 0 < self._before < now - round(LATE * self._period)
        self._before = now
        inputs = ArmInputs(now, **given, steady=self._ticked)
        tick = self._supervisor.tick(inputs)
        if tick.command is not None:
            if self._dry_run:
                self.send("safety_node/would_command", tick.command)
            else:
                self.send("command", tick.command)
                self.send_message("effort_controller/commands", encode_efforts(tick.command.effort, make))
        self.send("safety_node/barriers", ArmSafetyState.of(tick, self._joints))
        self.send("safety_node/inputs", UsedInputs.of(inputs))
        self._solver.saw(tick.solve)
        self._gave_way.update(barrier.name for barrier in tick.barriers if barrier.relaxed)
        return tick

    def diagnose(self, tick: ArmTick) -> Any:
        """Mode, reasons, ages, who else is on the actuators' topics; since the last one late ticks, and rows of limits
        that gave way, however briefly."""
        faults = self.sources() + (() if self._dry_run else topic_faults(self, COMMANDS))
        if faults:
            self.get_logger().error("; ".join(faults), throttle_duration_sec=5.0)
        robot, dropped = self.settings.arm.name, self._inbox.dropped
        asked = {"dry_run": self._dry_run, "off": self.switched_off(), "ahead": self._inbox.ahead()}
        late, self._late = self._late, 0
        gave_way, self._gave_way = self._gave_way, Counter()
        told = {"late": late, "gave_way": gave_way, **asked}
        return safety_diagnostics(tick, self._solver, dropped, make, robot, faults, **told)
