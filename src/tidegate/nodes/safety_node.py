# SPDX-License-Identifier: Apache-2.0
"""Everything trusted, and the policy's wish → ``command``, at the safety filter's own rate. Silence gives a stop."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rclpy.parameter import Parameter

from tidegate.errors import SettingsError
from tidegate.messages import encode_efforts
from tidegate.messages.rates import OUTPUTS
from tidegate.nodes.actuator_watch import actuator_faults, commands
from tidegate.nodes.diagnostics import safety_diagnostics
from tidegate.nodes.filter_node import FilterNode
from tidegate.nodes.parameters import changed
from tidegate.nodes.topics import make
from tidegate.records import Mode, Received, SafetyInputs, SafetyState, Tick, UsedInputs, Values
from tidegate.robot import Car, DriveByWire, MotorBrake
from tidegate.safety import Filter, Supervisor
from tidegate.safety.budget import OUT_OF_TIME
from tidegate.safety.supervisor import check_disabled
from tidegate.settings import Settings, adjusted

PERIODS_OFFERED = 4
"""Deadline that ``command`` offers, in periods."""


class SafetyNode(FilterNode[Settings]):
    """Ticks the ``Supervisor``.

    It starts STOPPED. Before it leaves the active state, for whatever reason, it brakes the car to standstill: a
    lifecycle publisher is silent afterwards, and an actuator may hold its last command for ever.
    """

    LIVE = True
    BEHIND = ("features",)
    SENSED = frozenset({"joint_states", "odom", "imu", "points"})

    def __init__(self, arguments: list[str] | None = None) -> None:
        super().__init__(arguments)
        self._supervisor: Supervisor | None = None
        self._changed = changed(self, self.settings)
        self.add_post_set_parameters_callback(self._parameters_set)

    @property
    def silence_s(self) -> float:
        """As the settings say."""
        return self.settings.safety.emergency_stop_timeout_s

    def build(self) -> None:
        """Read the robot; nobody else may command it."""
        self.prepare()
        self._car = Car.from_settings(self.settings)
        self._by_wire = DriveByWire.of(self._car, 1 / self.settings.safety.rate_hz)
        self._motors = MotorBrake(self._car, 1 / self.settings.safety.rate_hz)
        check_disabled(self.disabled, self.settings)
        # without a clock commands do not depend on how fast the machine is: neither in lock-step nor in slow motion
        simulated = self._lock_step or self.get_parameter("use_sim_time").value
        clock = None if simulated else time.monotonic_ns
        self._supervisor = Supervisor(self.settings, self._car, disable=self.disabled, clock=clock)
        self._supervisor.adjust(self._changed)
        if self._dry_run:
            self.advertise("safety_node/would_command")
        else:
            deadline_s = PERIODS_OFFERED / self.settings.safety.rate_hz
            self.advertise("command", deadline_s=deadline_s)
            others = OUTPUTS[self.settings.vehicle.output]
            self.advertise(*others, deadline_s=None if self._by_wire is None else deadline_s)
        self.advertise("safety_node/barriers", "safety_node/inputs", "diagnostics")
        if not self._lock_step:
            self.advertise("timing/commanded")
        self._commanded_stamp: int | None = None

    def drop(self) -> None:
        """Forget the robot."""
        self._supervisor = None

    def commands(self) -> tuple[str, ...]:
        """As the settings' output asks for."""
        return commands(self.settings)

    def switched_off(self) -> list[str]:
        """Barriers that the settings switch off as well."""
        barriers = self.settings.safety.barriers.items()
        return sorted(self.disabled | {name for name, parameters in barriers if not parameters.enabled})

    def consider(self, changed: Mapping[str, float]) -> None:
        """Whether every barrier can be made with what is going to be set, and in time; a user's may raise anything."""
        if self._supervisor is None or not changed:
            return
        compiled = [barrier.name for barrier in self._supervisor.filter.barriers if barrier.compiled]
        if compiled and self._supervisor.rung.mode != Mode.STOPPED:
            raise SettingsError(
                f"at run time: {', '.join(changed)}: changes only while the car stands (STOPPED), because "
                f"{', '.join(compiled)} is compiled anew, which takes longer than a tick"
            )
        try:
            Filter(adjusted(self.settings, {**self._changed, **changed}), self._car, disable=self.disabled)
        except Exception as error:
            raise SettingsError(f"at run time: {', '.join(changed)}: a barrier refuses it ({error})") from error

    def _parameters_set(self, _parameters: Iterable[Parameter]) -> None:
        """Hand on what was changed. Nothing else runs meanwhile, so a tick has all of a change or nothing of it."""
        before, self._changed = self._changed, changed(self, self.settings)
        if self._supervisor is not None and self._changed != before:
            self._supervisor.adjust(self._changed)
            self._untold = True

    def decide(self, now: int, given: Mapping[str, Any]) -> Tick:
        """Ask the supervisor, publish what it says."""
        assert self._supervisor is not None
        inputs = SafetyInputs(now, **given)
        tick = self._supervisor.tick(inputs)
        if self._dry_run:
            self.send("safety_node/would_command", tick.command)
        else:
            self.send("command", tick.command)
            self._actuate(tick, self._supervisor)
        self._tell_latency(inputs.nominal)
        self.send("safety_node/barriers", SafetyState.of(tick))
        self.send("safety_node/inputs", UsedInputs.of(inputs, out_of_time=tick.solve.status == OUT_OF_TIME))
        self._solver.saw(tick.solve)
        return tick

    def _actuate(self, tick: Tick, supervisor: Supervisor) -> None:
        """The command in the form that ``vehicle.output`` asks for."""
        if self._by_wire is None:
            torques = self._motors(tick.command.effort, supervisor.joints)
            self.send_message("effort_controller/commands", encode_efforts(torques, make))
            return
        self._by_wire.tighten(supervisor.limits)
        request = self._by_wire.request(tick.command, tick.allowed[1], supervisor.speed)
        self.send("cmd_vel", request.twist)
        self.send("motion_request", request)

    def _tell_latency(self, nominal: Received[Any] | None) -> None:
        """Real time: when the first command that used a frame went out."""
        if not self._lock_step and nominal is not None and nominal.record.stamp != self._commanded_stamp:
            self._commanded_stamp = nominal.record.stamp
            now = float(time.monotonic_ns())
            self.send("timing/commanded", Values(nominal.record.stamp, {"steady": now}))

    def diagnose(self, tick: Tick) -> Any:
        """Mode, reasons, rows, ages, and who else is on the actuators' topics."""
        faults = self.sources() + (() if self._dry_run else actuator_faults(self, self.settings))
        if faults:
            self.get_logger().error("; ".join(faults), throttle_duration_sec=5.0)
        robot, dropped = self.settings.vehicle.name, self._inbox.dropped
        asked = {"dry_run": self._dry_run, "off": self.switched_off(), "ahead": self._inbox.ahead()}
        return safety_diagnostics(tick, self._solver, dropped, make, robot, faults, self._changed, **asked)

    def asking(self) -> bool:
        """Whether a drive-by-wire car was asked for a speed last."""
        return self._by_wire is not None and not self._by_wire.stopped
