# SPDX-License-Identifier: Apache-2.0
"""Errors within the bounds that are stated: of the lane estimate, of the trusted sensors, of their messages' times."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.attack.fault import Changed
from tidegate.evaluation.pilot import Tamper
from tidegate.records import LaneEstimate, Received, SafetyInputs, nanoseconds
from tidegate.settings import Settings

BOUNDS = ((0.1, 0.29), (0.0, 0.02), (0.0, 0.004))
"""Between which the stated bounds of an episode's lane are drawn: offset [m], heading [rad], curvature [1/m]. At the
front axle offset and heading together reach what ``lane.bound_cap`` covers, and no more."""


class WrongLane:
    """Errors of a lane estimate inside its stated bounds: constant, jumping from frame to frame, or swinging slowly."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.bounds = [float(rng.uniform(*between)) for between in BOUNDS]
        self._shape = str(rng.choice(["constant", "jump", "swing"]))
        self._signs = rng.choice([-1.0, 1.0], 3).tolist()
        self._rate = float(rng.uniform(0.3, 3.0))

    def __call__(self, lane: LaneEstimate) -> LaneEstimate:
        """``lane``, which is exact, as wrong as allowed."""
        if self._shape == "constant":
            share = 1.0
        elif self._shape == "jump":
            share = float(self._rng.choice([-1.0, 1.0]))
        else:
            share = math.sin(self._rate * lane.stamp / 1e9)
        offset, heading, curvature = (
            share * sign * bound for sign, bound in zip(self._signs, self.bounds, strict=True)
        )
        bound = np.array([*self.bounds[:2], *[self.bounds[2]] * len(lane.curvature)])
        return LaneEstimate(lane.stamp, lane.offset + offset, lane.heading + heading, lane.curvature + curvature, bound)


class WrongSensors:
    """What the trusted sensors say, as wrong and as late as allowed; about half of this at once.

    Speed: off by ``speed_margin`` from the truth, by less below 1 m/s. Yaw rate of the odometry: by
    ``lane.drift_heading`` per metre. IMU: by half of ``plausibility.turn_difference``. Range: by ``distance.noise_m``
    less two deviations of the sensor's own noise. Messages come late, in any order: joint states,
    odometry and IMU by up to a quarter of ``trusted_timeout_s``, scans by half of ``range_timeout_s``.
    """

    def __init__(self, rng: np.random.Generator, settings: Settings, true_speed: Callable[[], float]) -> None:
        """``true_speed`` [m/s]: of the car at this tick."""
        safety = settings.safety
        margin, drift = safety.speed_margin, safety.lane.drift_heading
        sides: list[float] = rng.choice([-1.0, 1.0], 4).tolist()
        bias, turn = sides[0] * margin, sides[2] * safety.plausibility.turn_difference / 2
        away = sides[3] * max(safety.distance.noise_m - 2 * settings.ranging.noise_std, 0.0)

        def speed(measured: float) -> float:  # a standing wheel counts nothing; one that slips is wrong enough
            true = true_speed()
            share = min(abs(true), 1.0)
            least, most = true - share * margin, true + share * margin
            return min(max(measured + share * bias, min(measured, least)), max(measured, most))

        def farther(xyz: NDArray[np.float32]) -> NDArray[np.float32]:
            distance = np.linalg.norm(xyz, axis=1, keepdims=True)
            moved: NDArray[np.float32] = (xyz * (1 + away / np.maximum(distance, 1.0))).astype(np.float32)
            return moved

        late, later = safety.trusted_timeout_s / 4, safety.range_timeout_s / 2
        known: list[Tamper] = [
            Changed("odometry", speed=speed),
            Changed("odometry", yaw_rate=lambda rate: rate + sides[1] * drift * true_speed()),
            Changed("imu", angular_velocity=lambda rate: rate + turn),
            Changed("points", xyz=farther),
            *(Disordered(name, late, rng) for name in ("joints", "odometry", "imu")),
            Disordered("points", later, rng),
        ]
        self._used = [tamper for tamper in known if rng.random() < 0.5]

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        """A ``Tamper``."""
        for tamper in self._used:
            inputs = tamper(inputs)
        return inputs


class Disordered:
    """Each record of an input arrives up to ``most`` [s] late. What a newer one overtook is dropped, and a second copy
    would be, as the safety node's inbox does: the filter hears less often, and older things."""

    def __init__(self, name: str, most: float, rng: np.random.Generator) -> None:
        self._name, self._most, self._rng = name, most, rng
        self._least = most * rng.random()
        self._seen: Any = None
        self._arrived: Any = None
        self._under_way: list[tuple[int, Any]] = []

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        """A ``Tamper``."""
        received = getattr(inputs, self._name)
        if received is None:
            return inputs
        if received.record is not self._seen:
            self._seen = received.record
            delay = float(self._rng.uniform(self._least, self._most))
            self._under_way.append((self._seen.stamp + nanoseconds(delay), self._seen))
            self._arrived = self._arrived or self._seen  # the first is at once there
        for at, record in self._under_way:
            if at <= inputs.now and record.stamp > self._arrived.stamp:
                self._arrived = record
        self._under_way = [one for one in self._under_way if one[0] > inputs.now]
        made: dict[str, Any] = {self._name: Received(self._arrived, inputs.now - self._arrived.stamp)}
        return replace(inputs, **made)
