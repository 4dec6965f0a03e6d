# SPDX-License-Identifier: Apache-2.0
"""What the car does when the policy is not followed: brake along the lane, stand."""

from __future__ import annotations

from tidegate.records import Mode
from tidegate.robot import Car
from tidegate.safety.dual import sin, sqrt
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.traction import Grip
from tidegate.settings import Settings


class Backup:
    """Commands (force [N], curvature [1/m]) of the rungs below NORMAL, and where the filter has none.

    Attributes:
        guaranteed: force [N] that brakes the loaded car on a flat road with the guaranteed deceleration, negative.
        hardest: force [N] of the hardest braking that the grip leaves in the sharpest bend, ``guaranteed`` at least.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        self._ladder = settings.safety.ladder
        self._guaranteed = settings.vehicle.brake_guaranteed
        self._lateral = settings.vehicle.lateral_acceleration_max
        self._mass = car.effective_mass
        self._loaded = car.loaded_mass
        self._grip = Grip(settings, car)
        self.guaranteed = -self._guaranteed * self._loaded
        along = sqrt(max(self._grip.share**2 - self._lateral**2, 0.0))
        self.hardest = max(min(-along * self._mass, self.guaranteed), car.force_min)

    def command(
        self,
        mode: Mode,
        speed: float,
        lane: TrackedLane | None,
        curvature: float,
        disturbance: float,
        *,
        blind: bool,
        hard: bool,
    ) -> tuple[float, float]:
        """HOLD and STOPPING brake, STOPPED holds.

        They brake comfortably, harder where ``blind`` (dead reckoning drifts with the way) or where the trusted
        lane ends before that stop does, and with the guaranteed deceleration where ``hard``. They steer along the
        dead-reckoned ``lane``; without one they keep ``curvature``.
        """
        steering = self.steer(lane, speed) if lane is not None and mode != Mode.STOPPED else curvature
        if mode == Mode.STOPPED or abs(speed) < self._ladder.standstill_speed:
            return -self._ladder.hold_deceleration * self._mass, steering
        if hard or lane is None:
            braking = self._guaranteed
        else:
            way = max(lane.remaining - self._ladder.lane_reserve_m, 1.0)
            wanted = self._ladder.blind_deceleration if blind else self._ladder.stop_deceleration
            braking = min(max(wanted, speed * speed / (2 * way)), self._guaranteed)
        return -self._loaded * (braking + max(disturbance, 0.0)), steering

    def brake(self, speed: float, curvature: float, disturbance: float) -> float:
        """The force [N] of a hard stop with the steering held at ``curvature`` [1/m], as far as the grip goes there."""
        force, _ = self.command(Mode.STOPPING, speed, None, curvature, disturbance, blind=False, hard=True)
        return max(force, self._grip.hardest(speed, curvature))

    def steer(self, lane: TrackedLane, speed: float) -> float:
        """Curvature that closes offset and heading along the lane: d'' = −2 ω d' − ω² d over the way driven."""
        omega = 1.0 / max(self._ladder.steer_length_m, self._ladder.steer_length_s * abs(speed))
        road = lane.curvature_at(self._ladder.steer_preview_s * abs(speed))
        wanted = road - 2 * omega * sin(lane.heading) - omega * omega * lane.offset
        limit = self._lateral / max(speed * speed, 1.0)
        return min(max(wanted, -limit), limit)
