# SPDX-License-Identifier: Apache-2.0
"""Remembers the last trusted lane estimate and dead-reckons the car in it with odometry."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tidegate.records import Floats, LaneEstimate, Odometry, seconds
from tidegate.settings import Settings


@dataclass(slots=True)
class TrackedLane:
    """The car in its lane at a tick.

    ``offset`` [m], ``heading`` [rad] as in ``LaneEstimate``, with error bounds that grow while dead reckoning;
    ``ahead`` [m] knots from the rear axle on and ``curvature`` [1/m] there, the first knot at the axle;
    ``remaining`` [m] how far ahead the lane is trusted.
    """

    offset: float
    heading: float
    offset_bound: float
    heading_bound: float
    ahead: tuple[float, ...]
    curvature: tuple[float, ...]
    remaining: float

    def curvature_at(self, distance: float) -> float:
        """Curvature [1/m] of the lane ``distance`` [m] ahead, linear between knots, constant outside."""
        return interpolate(distance, self.ahead, self.curvature)


def interpolate(at: float, knots: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Piecewise linear, constant outside (``numpy.interp`` for a handful of knots, without its call overhead)."""
    if at <= knots[0]:
        return values[0]
    for index in range(1, len(knots)):
        if at <= knots[index]:
            before = knots[index - 1]
            share = (at - before) / (knots[index] - before)
            return values[index - 1] + share * (values[index] - values[index - 1])
    return values[-1]


class LaneTracker:
    """Dead reckoning of (offset, heading) in the road frame of the last trusted estimate.

    ḋ = v sin μ,  μ̇ = ω − κ_r v cos μ / (1 − κ_r d),  ṡ = v cos μ / (1 − κ_r d), integrated over the odometry samples
    since the frame was exposed. An estimate is refused where it is farther from the dead-reckoned lane than a gate
    that widens with the distance driven since: a camera that is fooled does not get to move the lane.
    """

    HISTORY = 256

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.safety.lane
        self._preview = settings.perception.preview_m
        self._samples: deque[tuple[int, float, float]] = deque(maxlen=self.HISTORY)
        self.reset()

    def reset(self) -> None:
        """Forget the lane."""
        self.stamp: int | None = None
        self._curvature: tuple[float, ...] = ()
        self._offset = self._heading = self._along = self._driven = 0.0
        self._offset_bound = self._heading_bound = math.inf

    def odometry(self, odometry: Odometry) -> None:
        """Advance by one odometry sample; samples that are not newer are ignored."""
        if self._samples:
            last, speed, yaw_rate = self._samples[-1]
            if odometry.stamp <= last:
                return
            if self.stamp is not None:
                self._advance(seconds(odometry.stamp - max(last, self.stamp)), speed, yaw_rate)
        self._samples.append((odometry.stamp, odometry.speed, odometry.yaw_rate))

    def offer(self, lane: LaneEstimate, *, gated: bool) -> bool:
        """Take a new estimate unless it contradicts dead reckoning; ``gated`` False takes it anyway.

        ``lane`` must be finite (its bounds may be inf).
        """
        before = (
            self.stamp, self._curvature, self._offset, self._heading,
            self._along, self._driven, self._offset_bound, self._heading_bound,
        )  # fmt: skip
        here = self._profile(0.0) if self._curvature else 0.0
        self.stamp = lane.stamp
        self._curvature = tuple(float(value) for value in lane.curvature)
        self._offset, self._heading = lane.offset, lane.heading
        self._along = self._driven = 0.0
        self._offset_bound, self._heading_bound = float(lane.bound[0]), float(lane.bound[1])
        self._replay(lane.stamp)
        if not gated or before[0] is None:
            return True
        wider = self._settings.drift_offset * before[5]
        if (
            abs(self._offset - before[2]) <= self._settings.gate_offset + wider
            and abs(self._heading - before[3]) <= self._settings.gate_heading + wider
            and abs(self._profile(0.0) - here) <= self._settings.gate_curvature
        ):
            return True
        (
            self.stamp, self._curvature, self._offset, self._heading,
            self._along, self._driven, self._offset_bound, self._heading_bound,
        ) = before  # fmt: skip
        return False

    def lane(self, ahead_s: float = 0.0) -> TrackedLane | None:
        """The car in its lane, predicted ``ahead_s`` past the newest odometry; None while there is no lane.

        None also where dead reckoning left the range in which the road frame makes sense.
        """
        if self.stamp is None:
            return None
        offset, heading, along = self._offset, self._heading, self._along
        if ahead_s and self._samples:
            _, speed, yaw_rate = self._samples[-1]
            offset, heading, along = self._moved(offset, heading, along, ahead_s, speed, yaw_rate)
        if not (abs(offset) < 10.0 and abs(heading) < 1.2):
            return None
        here = interpolate(along, self._preview, self._curvature)
        later = [(s - along, k) for s, k in zip(self._preview, self._curvature, strict=True) if s > along]
        driven = self._driven
        return TrackedLane(
            offset,
            heading,
            self._offset_bound + self._settings.drift_offset * driven,
            self._heading_bound + self._settings.drift_heading * driven,
            (0.0, *(s for s, _ in later)),
            (here, *(k for _, k in later)),
            self._preview[-1] - along,
        )

    def _profile(self, ahead: float) -> float:
        return interpolate(self._along + ahead, self._preview, self._curvature)

    def _replay(self, stamp: int) -> None:
        """Advance from ``stamp`` over the remembered samples to the newest one."""
        samples = list(self._samples)
        for (start, speed, yaw_rate), (end, _, _) in pairwise(samples):
            if end > stamp:
                self._advance(seconds(end - max(start, stamp)), speed, yaw_rate)

    def _advance(self, step: float, speed: float, yaw_rate: float) -> None:
        if step <= 0:
            return
        self._offset, self._heading, self._along = self._moved(
            self._offset, self._heading, self._along, step, speed, yaw_rate
        )
        self._driven += abs(speed) * step

    def _moved(
        self, offset: float, heading: float, along: float, step: float, speed: float, yaw_rate: float
    ) -> tuple[float, float, float]:
        curvature = interpolate(along, self._preview, self._curvature)
        advance = speed * math.cos(heading) / max(1.0 - curvature * offset, 0.2)
        middle = heading + 0.5 * step * (yaw_rate - curvature * advance)
        return (
            offset + step * speed * math.sin(middle),
            heading + step * (yaw_rate - curvature * advance),
            along + step * advance,
        )


def centre_line(lane: TrackedLane, reach: float, spacing: float = 1.0) -> Floats:
    """Points (N, 3) of the lane's centre in the base frame: x, y [m] and heading [rad], from the axle to ``reach``."""
    at = np.arange(0.0, reach + spacing, spacing)
    curvature = np.interp(at, lane.ahead, lane.curvature)
    heading = -lane.heading + np.concatenate(([0.0], np.cumsum((curvature[1:] + curvature[:-1]) / 2) * spacing))
    middle = (heading[1:] + heading[:-1]) / 2
    start_x, start_y = lane.offset * math.sin(-lane.heading), -lane.offset * math.cos(lane.heading)
    x = start_x + np.concatenate(([0.0], np.cumsum(np.cos(middle)) * spacing))
    y = start_y + np.concatenate(([0.0], np.cumsum(np.sin(middle)) * spacing))
    return np.stack([x, y, heading], axis=1)
