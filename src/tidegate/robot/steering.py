# SPDX-License-Identifier: Apache-2.0
"""The steering servo: torques that turn the front wheels to their angles, on feedback that may be late."""

from __future__ import annotations

from collections import deque

from tidegate.records import Floats, JointStates, seconds
from tidegate.robot.car import Car

REMEMBERED = 64
"""Commands that are kept while no joint states come."""


class SteeringServo:
    """A spring and a damper about the wanted angle and its rate, on the angle and rate *predicted for now*.

    Fed back late, a damper pushes the wheel instead of holding it. What was measured is therefore carried forward
    through J ω̇ = τ − b ω with the torques that were commanded since (a state predictor: Artstein, Linear systems with
    delayed controls, IEEE Trans. Automatic Control 27(4), 1982). Joint states of this moment are taken as
    they are.

    A command may stay in force for ``vehicle.command_hold_s`` before the next one comes or the actuators brake by
    themselves: no torque would take the free wheel past its velocity limit within that time.
    """

    def __init__(self, car: Car) -> None:
        vehicle = car.vehicle
        self._stiffness, self._damping = vehicle.steer_stiffness, vehicle.steer_damping
        self._joints = car.steer_joints
        self._inertia, self._hold = vehicle.steer_inertia, vehicle.command_hold_s
        self._friction = [car.description.joint(name).damping for name in car.steer_joints]
        self._fastest = [car.limits[name].velocity for name in car.steer_joints]
        self._acted: deque[tuple[int, list[float]]] = deque(maxlen=REMEMBERED)

    def reset(self) -> None:
        """Forget the commands."""
        self._acted.clear()

    def commanded(self, stamp: int, torques: Floats) -> None:
        """Remember the torques (2,) [N·m] that are in force from ``stamp`` [ns] on."""
        self._acted.append((stamp, torques.tolist()))

    def torques(
        self, angles: tuple[float, float], rates: tuple[float, float], joints: JointStates, now: int
    ) -> list[float]:
        """Torques (2,) [N·m] in the order of ``car.steer_joints``; zero for a joint that ``joints`` does not hold.

        Args:
            angles, rates: wanted [rad], [rad/s].
            joints: as measured, at most as late as the commands that are remembered.
            now: [ns], when the torques begin to act.
        """
        while len(self._acted) > 1 and self._acted[1][0] <= joints.stamp:
            self._acted.popleft()  # over before the joints were measured
        servo = [0.0] * len(self._joints)
        for side, name in enumerate(self._joints):
            if name in joints.names:
                at = joints.names.index(name)
                angle, rate = self._predicted(
                    side, joints.position.item(at), joints.velocity.item(at), joints.stamp, now
                )
                torque = self._stiffness * (angles[side] - angle) + self._damping * (rates[side] - rate)
                per_rate, fastest = self._inertia / self._hold, self._fastest[side]
                servo[side] = min(max(torque, per_rate * (-fastest - rate)), per_rate * (fastest - rate))
        return servo

    def _predicted(self, side: int, angle: float, rate: float, stamp: int, now: int) -> tuple[float, float]:
        """Angle and rate at ``now`` of a wheel that was measured at ``stamp``."""
        commands = self._acted
        for index, (since, torques) in enumerate(commands):
            until = commands[index + 1][0] if index + 1 < len(commands) else now
            step = seconds(min(until, now) - max(since, stamp))
            if step > 0:
                friction = self._friction[side]
                gained = step * (torques[side] - friction * rate) / (self._inertia + friction * step / 2)  # midpoint
                angle += step * (rate + gained / 2)
                rate += gained
        return angle, rate
