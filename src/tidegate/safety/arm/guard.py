# SPDX-License-Identifier: Apache-2.0
"""From wanted torques to safe ones, tick by tick: dynamics, filter, limiter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.safety.arm.backup import ArmBackup, Stand
from tidegate.safety.arm.barrier import ArmState
from tidegate.safety.arm.filter import ArmFilter, ArmFiltered
from tidegate.safety.arm.promises import check_promises
from tidegate.safety.limiter import Limiter
from tidegate.settings.arm import ArmSettings

POSSIBLE = 1e3
"""No joint is farther [rad] or faster [rad/s]; what says so is a fault of the sensor."""


class ArmGuard:
    """Stands between whatever asks for torques and the joints. No tick raises.

    Attributes:
        arm, dynamics, filter: what it is made of.
        limiter: the last line, which knows box and rate alone; its ``last`` is what was sent.
        acceleration: (N,) [rad/s²] that what was sent last gives by the model, the arm taken to be free.
    """

    def __init__(self, settings: ArmSettings, *, disable: frozenset[str] = frozenset()) -> None:
        """``disable``: names of barriers to leave out, for evaluation.

        Raises:
            RobotError: the URDF lacks something, or what ``safety.motion`` promises is more than the arm can do.
        """
        self.arm = Arm.from_settings(settings)
        self.dynamics = Dynamics(self.arm)
        check_promises(self.arm, settings.safety.motion.samples)
        self.filter = ArmFilter(self.arm, disable=disable)
        self._backup, self._stand = ArmBackup(self.arm), Stand(self.arm)
        self._place = self._zeros = self.acceleration = np.zeros(len(self.arm.effort))
        self._period = 1.0 / settings.safety.rate_hz
        self._engaged = False
        self._still = settings.safety.ladder.standstill_speed
        step = self.arm.effort_rate * self._period
        self.limiter = Limiter(-self.arm.effort, self.arm.effort, step, np.zeros(len(step)))

    def engage(self, position: Floats, torque: Floats | None = None) -> None:
        """Begin at joint ``position`` (N,) [rad] with ``torque`` (N,) [N·m] applied, or the one that holds the arm.

        Where nobody did, the first tick does it with where the arm is then.

        Raises:
            ValueError: one of them is not (N,) finite numbers.
        """
        place = self._numbers(position)
        if place is None:
            raise ValueError(f"position is {position}; it must be {len(self._zeros)} finite numbers [rad]")
        applied = self.dynamics.gravity(place) if torque is None else self._numbers(torque)
        if applied is None:
            raise ValueError(f"torque is {torque}; it must be {len(self._zeros)} finite numbers [N·m]")
        self._engaged = True
        self._place, self.limiter.last = place, np.clip(applied, -self.arm.effort, self.arm.effort)
        self.limiter.hold(self.dynamics.gravity(place))
        self.acceleration = self._zeros
        self._stand.leave()

    def state(self, position: Floats, velocity: Floats, age: float = 0.0) -> ArmState:
        """What the barriers know at ``position`` (N,) [rad] and ``velocity`` (N,) [rad/s], so long after the arm was
        measured as ``age`` says [s]."""
        last = self.limiter.last
        window = self.arm.torque_window(last, self._period)
        return ArmState.of(position, velocity, last, window, self.dynamics(position, velocity), age)

    def __call__(self, position: Any, velocity: Any, wanted: Any, age: float = 0.0) -> ArmFiltered:
        """The torques of this tick.

        Args:
            position, velocity: (N,) as measured [rad], [rad/s]. Where they are no numbers, or beyond ``POSSIBLE``, the
                arm is held by the torques that held it last.
            wanted: (N,) [N·m]; what is no torque is answered with the backup.
            age: since position and velocity were measured [s], where they were moved on by the model.
        """
        place, speed, wish = self._numbers(position), self._numbers(velocity), self._numbers(wanted)
        if place is None or speed is None or max(map(abs, (*place.tolist(), *speed.tolist()))) > POSSIBLE:
            self.limiter.hold(self.dynamics.gravity(self._place))  # where it was last
            self.acceleration = self._zeros
            return ArmFiltered(self.limiter(None), (), "", False)
        if not self._engaged:  # from no torques at all an arm drops before the rate lets them hold it
            self.engage(place)
        self._place = place
        state = self.state(place, speed, age)
        if wish is None:
            held = self._backup(state, self._stand(state))
            # an arm that stands is moved by no row: beyond a limit, or by an encoder that says so, it would be thrown
            standing = max(map(abs, speed.tolist())) < self._still
            told = self.filter.unchanged(state, held) if standing else self.filter(state, held)
        else:
            self._stand.leave()
            told = self.filter(state, wish)
        if not math.isfinite(told.torque.dot(told.torque)):
            self.limiter.hold(self.dynamics.gravity(place))
        torque, solved = self.limiter(told.torque), told.solved and wish is not None
        self.acceleration = state.motion.inverse.dot(torque) + state.free
        return ArmFiltered(torque, told.barriers, told.intervened, solved)

    def stand_anew(self) -> None:
        """The arm may be elsewhere than was thought: where it stops it is to stand, not where it was to."""
        self._stand.leave()

    def stop(self, position: Any, velocity: Any) -> ArmFiltered:
        """The torques of this tick where the arm is to stop and stand; the barriers hold until it does."""
        return self(position, velocity, None)

    def brake(self, position: Floats, velocity: Floats) -> Floats:
        """Torques (N,) [N·m] of the backup without the filter, for when that is at fault."""
        state = self.state(position, velocity)
        self.limiter.hold(state.motion.bias)
        torque = self.limiter(self._backup(state, self._stand(state)))
        self.acceleration = state.motion.inverse.dot(torque) + state.free
        return torque

    def _numbers(self, given: Any) -> Floats | None:
        """``given`` as (N,) finite numbers, None where it is not that."""
        try:
            made = np.array(given, np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        # 0 times what is no finite number is NaN
        return made if made.shape == self._zeros.shape and made.dot(self._zeros) == 0 else None
