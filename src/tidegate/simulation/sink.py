# SPDX-License-Identifier: Apache-2.0
"""The simulated actuators: they latch the last command, keep to their range and brake by themselves in silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.errors import RobotError
from tidegate.records import Command, Floats, nanoseconds
from tidegate.robot import Actuation, Car
from tidegate.settings import Settings
from tidegate.simulation.excess import ROUNDING


class Sink:
    """Drive motors, friction brakes and steering motors of a car.

    A negative wheel effort is a brake request: dry friction up to that torque, so it never turns a wheel backwards.
    """

    def __init__(self, settings: Settings, car: Car, model: Any) -> None:
        self._car, self._model, self._vehicle = car, model, settings.vehicle
        self._period = 1 / settings.safety.rate_hz
        self._timeout = nanoseconds(settings.simulator.command_timeout_s)
        limits = Actuation(car, self._period)
        self._low, self._high, self._step = limits.low, limits.high, limits.step
        self._most = np.where(self._high > 0, self._high, np.inf)
        self._motor = np.concatenate((self._low[: len(car.steer_joints)], np.zeros(len(car.wheel_joints))))
        names = car.joint_names
        self._actuator = np.array([model.actuator(name).id for name in names])
        self._steer, self._wheels = slice(0, len(car.steer_joints)), slice(len(car.steer_joints), len(names))
        self._steer_qpos = np.array([model.joint(name).qposadr[0] for name in car.steer_joints])
        self._steer_dof = np.array([model.joint(name).dofadr[0] for name in car.steer_joints])
        self._wheel_dof = np.array([model.joint(name).dofadr[0] for name in car.wheel_joints])
        braking = car.wheel_efforts(-car.effective_mass * settings.vehicle.brake_guaranteed)
        self._own_brake = np.maximum(braking, -settings.vehicle.brake_effort_max)
        self._latched: Floats = np.zeros(len(names))
        self._latched[self._wheels] = self._own_brake
        self._last: int | None = None
        self._stamp = 0
        self._commanded = False
        self._held: Floats | None = None
        self.excess: dict[str, float] = {}

    @property
    def silent(self) -> bool:
        """Whether it brakes by itself because no command came."""
        return not self._commanded

    def apply(self, command: Command, now: int) -> None:
        """Latch a command; joints that it does not name get no effort, one with NaN counts as no command.

        Raises:
            RobotError: a joint that the car does not have.
        """
        names = self._car.joint_names
        if command.names == names:
            wanted = np.array(command.effort, np.float64)
        else:
            efforts = dict(zip(command.names, command.effort, strict=True))
            unknown = sorted(set(efforts) - set(names))
            if unknown:
                raise RobotError(f"command names joint '{unknown[0]}'; the car has {', '.join(names)}")
            wanted = np.array([float(efforts.get(name, 0.0)) for name in names])
        if not all(map(math.isfinite, wanted.tolist())):
            return
        self._note("effort", (np.maximum(wanted / self._most, wanted / self._low) - 1).tolist())
        if self._commanded:  # in real time a command may overtake the one before: the rate is judged by their stamps
            periods = max(1, round((command.stamp - self._stamp) / nanoseconds(self._period)))
            self._note("effort rate", (np.abs(wanted - self._latched) / (periods * self._step) - 1).tolist())
        self._latched, self._stamp = np.minimum(np.maximum(wanted, self._low), self._high), command.stamp
        self._last, self._commanded, self._held = now, True, None

    def _note(self, kind: str, excess: Sequence[float]) -> None:
        """Keep the largest relative excess of each joint; rounding does not count."""
        if max(excess) <= ROUNDING:
            return
        for name, value in zip(self._car.joint_names, excess, strict=True):
            if value > ROUNDING:
                self.excess[f"{kind} {name}"] = max(self.excess.get(f"{kind} {name}", 0.0), value)

    def actuate(self, data: Any, now: int) -> None:
        """Set the motors and brakes for the period that starts at ``now`` [ns]."""
        if self._last is None or now - self._last > self._timeout:
            self._brake(data)
        data.ctrl[self._actuator] = np.maximum(self._latched, self._motor)  # no motor of a wheel turns it backwards
        self._model.dof_frictionloss[self._wheel_dof] = np.maximum(-self._latched[self._wheels], 0.0)

    def _brake(self, data: Any) -> None:
        """Brake at the torque rate and hold the steering angles of the moment when the commands stopped."""
        self._commanded = False
        angles = data.qpos[self._steer_qpos]
        if self._held is None:
            self._held = angles.copy()
        vehicle = self._vehicle
        wanted = np.empty(len(self._latched))
        wanted[self._wheels] = self._own_brake
        wanted[self._steer] = vehicle.steer_stiffness * (self._held - angles) - (
            vehicle.steer_damping * data.qvel[self._steer_dof]
        )
        wanted = np.clip(wanted, self._low, self._high)
        self._latched = np.clip(wanted, self._latched - self._step, self._latched + self._step)

    def effort(self, data: Any) -> Floats:
        """Torque (J,) [N·m] that acts in each joint: the motor's, and what the brake really takes up."""
        acting: Floats = data.ctrl[self._actuator]
        if self._latched[self._wheels].min() < 0:
            rows = slice(data.ne, data.ne + data.nf)  # dry friction comes right after the equalities
            force = dict(zip(data.efc_id[rows].tolist(), data.efc_force[rows].tolist(), strict=True))
            acting[self._wheels] += [force.get(dof, 0.0) for dof in self._wheel_dof.tolist()]
        return acting
