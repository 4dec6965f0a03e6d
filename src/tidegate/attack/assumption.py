# SPDX-License-Identifier: Apache-2.0
"""Whether a drive kept to what ``docs/safety.md`` assumes; a violation right after a breach is told apart."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from typing import NamedTuple

import numpy as np

from tidegate.evaluation.pilot import Moment
from tidegate.records import ImageHealth, LaneEstimate, Level, Mode, nanoseconds
from tidegate.robot import Car
from tidegate.safety.braking import Braking
from tidegate.settings import Settings
from tidegate.simulation import Truth

NEARER, LANE_BOUND, REMEMBERED, FEEDBACK = "nearer than S", "lane bound", "remembered lane", "steering feedback"
RESTS_ON = {
    "contact": (NEARER,),
    "lane": (LANE_BOUND, REMEMBERED, FEEDBACK),
    "road": (LANE_BOUND, REMEMBERED, FEEDBACK),
    "limit": (FEEDBACK,),
    "fault": (),
}
"""Kind of violation → assumptions on which the promise behind it rests."""
MEMORY = nanoseconds(5.0)
"""A breach longer ago than this [ns] explains nothing."""
ROUNDING = 1e-9
JUMP = 2.0
"""What comes nearer by more than this [m] between two ticks is another thing; outlines are sampled every metre."""


class Assumptions:
    """Watches a drive for breaches.

    *nearer than S*: a thing entered the lane ahead where the distance barrier's h was negative at once.
    *lane bound*: the lane estimate was off by more than its bound, or than ``lane.bound_cap``, at either axle.
    *remembered lane*: the camera is out; the last lane erred in heading and curvature by more than ``sight`` counts.
    *steering feedback*: the joints were silent or frozen; told through ``blind``.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        lane = settings.safety.lane
        self._cap, self._sight, self._drift = lane.bound_cap, lane.sight_cap, lane.drift_heading
        distance = settings.safety.distance
        self._reserve = distance.standstill_gap + distance.noise_m
        self._wheelbase, self._braking = car.wheelbase, Braking(settings, car)
        self._breaches: dict[str, list[int]] = defaultdict(list)
        self._truths: deque[Truth] = deque(maxlen=round(settings.safety.rate_hz))
        self._gap = math.inf
        self._lane: int | None = None
        self._kept: _Kept | None = None

    def watch(self, moment: Moment, *, blind: bool) -> None:
        """Take in one tick; ``blind``: a fault takes the steering's feedback away."""
        truth = moment.truth
        self._truths.append(truth)
        broken = {
            NEARER: self._appeared_too_near(truth, moment.step.tick.allowed[0]),
            LANE_BOUND: self._lane_lied(moment),
            REMEMBERED: self._remembers_wrongly(moment),
            FEEDBACK: blind,
        }
        for name, now in broken.items():
            if now:
                self._breaches[name].append(truth.stamp)

    @property
    def broken(self) -> list[str]:
        """Names of all that were broken."""
        return sorted(self._breaches)

    def behind(self, kind: str, stamp: int) -> list[str]:
        """What a promise rests on and was broken shortly before its violation of a ``kind`` at ``stamp`` [ns]."""
        recent = range(stamp - MEMORY, stamp + 1)
        return [name for name in RESTS_ON[kind] if any(breach in recent for breach in self._breaches.get(name, ()))]

    def _appeared_too_near(self, truth: Truth, force: float) -> bool:
        before, self._gap = self._gap, truth.gap
        if truth.gap > before - JUMP:
            return False
        stop = self._braking.stop(truth.speed, force)
        return truth.gap - max(-truth.gap_speed, 0.0) * stop.time < stop.way + self._reserve

    def _truth_at(self, stamp: int) -> Truth | None:
        return next((truth for truth in self._truths if truth.stamp == stamp), None)

    def _lane_lied(self, moment: Moment) -> bool:
        """Whether a new lane estimate errs beyond what is covered."""
        received = moment.step.inputs.lane
        if received is None or received.record.stamp == self._lane:
            return False
        lane = received.record
        self._lane = lane.stamp
        true = self._truth_at(lane.stamp)
        if true is None:
            return False
        rear = abs(lane.offset - true.offset)
        turned = self._wheelbase * (math.sin(lane.heading) - math.sin(true.heading))
        front, bound = abs(lane.offset - true.offset + turned), lane.bound[0]
        covered = min(bound, self._cap), min(bound + self._wheelbase * lane.bound[1], self._cap)
        return bool(rear > covered[0] + ROUNDING or front > covered[1] + ROUNDING)

    def _remembers_wrongly(self, moment: Moment) -> bool:
        """Whether the car brakes on a lane that is off by more than counted over the way driven since its frame."""
        lane, health = moment.step.inputs.lane, moment.step.inputs.health
        if lane is not None and health is not None and self._fresh(lane.record, health.record):
            seen, true = lane.record, self._truth_at(lane.record.stamp)
            if true is not None:
                askew, bend = abs(seen.heading - true.heading), float(np.abs(seen.curvature - true.curvature).max())
                self._kept = _Kept(seen.stamp, true.distance, askew, bend, float(seen.bound[2:].max()))
        if moment.step.tick.mode is Mode.NORMAL or (kept := self._kept) is None:
            return False
        way = moment.truth.distance - kept.distance
        grown = way * (kept.heading + way * kept.curvature / 2)
        counted = min(kept.bound, self._sight)
        return bool(grown > way * ((self._drift + counted) * self._wheelbase + way * counted / 2) + ROUNDING)

    def _fresh(self, lane: LaneEstimate, health: ImageHealth) -> bool:
        passed = health.stamp >= lane.stamp and health.level < Level.ERROR
        return passed and (self._kept is None or lane.stamp > self._kept.stamp)


class _Kept(NamedTuple):
    """Of the newest lane that image health has passed: when [ns] and where [m] its frame was taken, what it erred by in
    heading [rad] and curvature [1/m], the curvature's bound."""

    stamp: int
    distance: float
    heading: float
    curvature: float
    bound: float
