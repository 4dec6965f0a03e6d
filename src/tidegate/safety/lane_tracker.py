# SPDX-License-Identifier: Apache-2.0
"""Remembers the last trusted lane estimate and dead-reckons the car in it with odometry."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tidegate.records import Floats, LaneEstimate, seconds
from tidegate.settings import Settings


@dataclass(slots=True)
class TrackedLane:
    """The car in its lane at a tick.

    ``offset`` [m], ``heading`` [rad] as in ``LaneEstimate``, with error bounds that grow while dead reckoning;
    ``ahead`` [m] knots from the rear axle on and ``curvature`` [1/m] there, the first knot at the axle;
    ``remaining`` [m] how far ahead the lane is trusted; ``curvature_bound`` [1/m] the largest of its error bounds;
    ``heading_growth`` [rad] what of the heading's bound is from dead reckoning.
    """

    offset: float
    heading: float
    offset_bound: float
    heading_bound: float
    ahead: tuple[float, ...]
    curvature: tuple[float, ...]
    remaining: float
    curvature_bound: float = 0.0
    heading_growth: float = 0.0

    def curvature_at(self, distance: float) -> float:
        """Curvature [1/m] of the lane ``distance`` [m] ahead, linear between knots, constant outside."""
        return interpolate(distance, self.ahead, self.curvature)


def interpolate(at: float, knots: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Piecewise linear, constant outside (``numpy.interp`` for a handful of knots, without its call overhead)."""
    if at <= knots[0]:
        return values[0]
    index = bisect_left(knots, at, 1)
    if index == len(knots):
        return values[-1]
    before, value = knots[index - 1], values[index - 1]
    return value + (at - before) / (knots[index] - before) * (values[index] - value)


@dataclass(slots=True)
class _Reckoning:
    """One lane estimate carried on by odometry: where the car is in it now, and the way driven since."""

    stamp: int
    curvature: tuple[float, ...]
    offset: float
    heading: float
    offset_bound: float
    heading_bound: float
    curvature_bound: float
    along: float = 0.0
    driven: float = 0.0


class LaneTracker:
    """Dead reckoning of (offset, heading) in the road frame of the last trusted estimate.

    ḋ = v sin μ,  μ̇ = ω − κ_r v cos μ / (1 − κ_r d),  ṡ = v cos μ / (1 − κ_r d), integrated over the odometry samples
    since the frame was exposed. After a way s the bounds b_d, b_μ that offset and heading had at the frame are
        b_d + (b_μ + drift_offset) s + k s²/2    and    b_μ + k s,    k = drift_heading + the curvature's bound,
    to first order in the errors; in what is added b_μ counts up to ``heading_cap``, the curvature's up to
    ``curvature_cap``. A new estimate is refused where it is farther from the last one than a gate that widens
    likewise: a camera that jumps does not get to move the lane. One that glides away from it slowly does.
    """

    HISTORY = 256

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.safety.lane
        self._preview = settings.perception.preview_m
        self._samples: deque[tuple[int, float, float]] = deque(maxlen=self.HISTORY)
        self.reset()

    def reset(self) -> None:
        """Forget the lane."""
        self._now: _Reckoning | None = None

    @property
    def stamp(self) -> int | None:
        """Stamp of the estimate in use; None = there is none."""
        return None if self._now is None else self._now.stamp

    def odometry(self, stamp: int, speed: float, yaw_rate: float) -> None:
        """Advance by one sample, ``speed`` [m/s] and ``yaw_rate`` [rad/s]; samples that are not newer are ignored."""
        if self._samples:
            last, *held = self._samples[-1]
            if stamp <= last:
                return
            if self._now is not None:
                self._advance(self._now, seconds(stamp - max(last, self._now.stamp)), *held)
        self._samples.append((stamp, speed, yaw_rate))

    def offer(self, lane: LaneEstimate, *, gated: bool) -> bool:
        """Take a new estimate unless it contradicts dead reckoning; ``gated`` False takes it anyway.

        ``lane`` must be finite (its bounds may be inf).
        """
        curvature = tuple(float(value) for value in lane.curvature)
        offset, heading, *bends = lane.bound.tolist()
        offered = _Reckoning(lane.stamp, curvature, lane.offset, lane.heading, offset, heading, max(bends))
        since = []  # the samples after the frame and the one that held at it, newest first
        for sample in reversed(self._samples):
            since.append(sample)
            if sample[0] <= lane.stamp:
                break
        for (start, speed, yaw_rate), (end, _, _) in pairwise(reversed(since)):
            self._advance(offered, seconds(end - max(start, lane.stamp)), speed, yaw_rate)
        if gated and self._now is not None and not self._agrees(offered, self._now):
            return False
        self._now = offered
        return True

    def lane(self, ahead_s: float = 0.0) -> TrackedLane | None:
        """The car in its lane, predicted ``ahead_s`` past the newest odometry; None while there is no lane.

        None also where dead reckoning left the range in which the road frame makes sense.
        """
        kept = self._now
        if kept is None:
            return None
        offset, heading, along, driven = kept.offset, kept.heading, kept.along, kept.driven
        if ahead_s and self._samples:
            _, speed, yaw_rate = self._samples[-1]
            driven += abs(speed) * ahead_s
            offset, heading, along = self._moved(kept, ahead_s, speed, yaw_rate)
        if not (abs(offset) < 10.0 and abs(heading) < 1.2):
            return None
        later = bisect_right(self._preview, along)
        wider, askew = self._growth(kept, driven)
        return TrackedLane(
            offset,
            heading,
            kept.offset_bound + wider,
            kept.heading_bound + askew,
            (0.0, *[knot - along for knot in self._preview[later:]]),
            (interpolate(along, self._preview, kept.curvature), *kept.curvature[later:]),
            self._preview[-1] - along,
            kept.curvature_bound,
            askew,
        )

    def _growth(self, kept: _Reckoning, driven: float) -> tuple[float, float]:
        """By how much the bounds of offset [m] and heading [rad] have grown once the car has ``driven`` [m]."""
        counted = self._settings
        doubt = min(kept.heading_bound, counted.heading_cap) + counted.drift_offset
        bend = min(kept.curvature_bound, counted.curvature_cap) + counted.drift_heading
        return driven * (doubt + driven * bend / 2), driven * bend

    def _agrees(self, offered: _Reckoning, known: _Reckoning) -> bool:
        gate, (wider, askew) = self._settings, self._growth(known, known.driven)
        here, before = (interpolate(part.along, self._preview, part.curvature) for part in (offered, known))
        return (
            abs(offered.offset - known.offset) <= gate.gate_offset + wider
            and abs(offered.heading - known.heading) <= gate.gate_heading + askew
            and abs(here - before) <= gate.gate_curvature
        )

    def _advance(self, kept: _Reckoning, step: float, speed: float, yaw_rate: float) -> None:
        if step > 0:
            kept.offset, kept.heading, kept.along = self._moved(kept, step, speed, yaw_rate)
            kept.driven += abs(speed) * step

    def _moved(self, kept: _Reckoning, step: float, speed: float, yaw_rate: float) -> tuple[float, float, float]:
        curvature = interpolate(kept.along, self._preview, kept.curvature)
        advance = speed * math.cos(kept.heading) / max(1.0 - curvature * kept.offset, 0.2)
        turned = step * (yaw_rate - curvature * advance)
        return (
            kept.offset + step * speed * math.sin(kept.heading + 0.5 * turned),
            kept.heading + turned,
            kept.along + step * advance,
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
