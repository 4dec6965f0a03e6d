# SPDX-License-Identifier: Apache-2.0
"""What was measured against the settings that count on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tidegate.calibration.estimate import Estimate, Measured
from tidegate.calibration.force import Force, measure_force
from tidegate.calibration.recording import Recording
from tidegate.calibration.steering import measure_steering
from tidegate.robot import GRAVITY, Car
from tidegate.settings import Settings

KEEPING_UP = 0.9
"""A rate is kept up with where this share of it is reached: no more than was asked for can be seen, and the rounding of
a ramp's ends belongs to the lag."""
ENOUGH = 0.5
"""Share of the backup's braking that must have been tried before its gain is believed at full braking."""
HEAVIER = (
    "the car brakes less than its URDF's mass, vehicle.mass_margin and the commanded torque say; raise that margin, or "
    "state the loaded car's mass in the URDF (a smaller guarantee is asked for with a smaller force and missed again)"
)


class Verdict(Enum):
    """On which side of what was measured a setting is; OPEN: inside the interval; UNKNOWN: nothing was measured."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    OPEN = "open"
    UNKNOWN = "not measured"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity.

    ``key`` names the setting that counts on it ('' = none) and ``counted_on`` how much it counts on, at least or
    (``at_most``) at most; ``remedy`` says what to do where another value of the setting would not mend it.
    """

    quantity: str
    unit: str
    measured: Measured
    key: str = ""
    counted_on: float = 0.0
    at_most: bool = True
    remedy: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the setting is on the safe side of the whole interval."""
        if not self.key:
            return Verdict.NONE
        if isinstance(self.measured, str):
            return Verdict.UNKNOWN
        low, high = self.measured.low, self.measured.high
        best, worst = (low, high) if self.at_most else (-high, -low)
        limit = self.counted_on if self.at_most else -self.counted_on
        if worst <= limit:
            return Verdict.SAFE
        return Verdict.UNSAFE if best > limit else Verdict.OPEN


def find(recording: Recording, settings: Settings, car: Car) -> list[Finding]:
    """Everything that the recording shows, in the order of the table."""
    vehicle, safety = settings.vehicle, settings.safety
    drive, brake = (measure_force(recording, car, side) for side in (1, -1))
    steering = measure_steering(recording, car)
    most = car.force_max / car.effective_mass
    force_lag, steering_lag = safety.distance.lag_s, safety.lane.lag_s
    excess, allowed = _scaled(drive.gain, most, -most), safety.disturbance_margin
    stop, stops = _stop(brake, settings), vehicle.brake_guaranteed
    wheel, wheels = vehicle.wheel_effort_rate, _scaled(brake.ramp, vehicle.wheel_effort_rate)
    turn, turns = vehicle.steer_velocity_max, _scaled(steering.rate, vehicle.steer_velocity_max)
    return [
        Finding("drive gain", "1", drive.gain),
        Finding("drive lag", "s", drive.lag, "safety.distance.lag_s", force_lag),
        Finding("drive beyond what was asked", "m/s²", excess, "safety.disturbance_margin", allowed),
        Finding("brake gain", "1", brake.gain),
        Finding("brake lag", "s", brake.lag, "safety.distance.lag_s", force_lag),
        Finding("brake ramp per wheel", "N·m/s", wheels, "vehicle.wheel_effort_rate", KEEPING_UP * wheel, False),
        Finding("backup on the steepest slope", "m/s²", stop, "vehicle.brake_guaranteed", stops, False, HEAVIER),
        Finding("steering delay", "s", steering.delay),
        Finding("steering time constant", "s", steering.constant),
        Finding("steering gain of the path", "1", steering.gain),
        Finding("steering lag of the path", "s", steering.lag, "safety.lane.lag_s", steering_lag),
        Finding("steering rate", "rad/s", turns, "vehicle.steer_velocity_max", KEEPING_UP * turn, False),
    ]


def _scaled(measured: Measured, factor: float, offset: float = 0.0) -> Measured:
    return measured if isinstance(measured, str) else measured.scaled(factor, offset)


def _stop(brake: Force, settings: Settings) -> Measured:
    """Deceleration [m/s²] that the backup's command reaches on the steepest slope; drag is not counted on."""
    slope = GRAVITY * settings.vehicle.slope_max
    asked = (settings.vehicle.brake_guaranteed + slope) * (1 + settings.vehicle.mass_margin)
    if brake.hardest < ENOUGH * asked and not isinstance(brake.gain, str):
        return f"never braked harder than {brake.hardest:.1f} m/s²; at least {ENOUGH * asked:.1f} are needed"
    return _scaled(brake.gain, asked, -slope)


def unsafe(findings: Iterable[Finding]) -> list[Finding]:
    """Those whose setting is on the unsafe side."""
    return [finding for finding in findings if finding.verdict is Verdict.UNSAFE]


def told(estimate: Estimate) -> str:
    """An estimate in words."""
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
