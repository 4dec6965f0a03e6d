# SPDX-License-Identifier: Apache-2.0
"""Which inputs of an arm are there, sound, young enough, and follow themselves."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tidegate.records import Command, Floats, JointStates, nanoseconds, seconds
from tidegate.robot.arm import Arm
from tidegate.safety.arm.guard import POSSIBLE
from tidegate.safety.watchdog import Watchdog, _Input
from tidegate.settings.arm import ArmLadderSettings

AVERAGED = 20
"""Records over which the rate of the joint states is averaged."""


class ArmWatchdog(Watchdog):
    """The car's watchdog over the arm's two inputs, ``nominal`` and ``joints``."""

    def __init__(self, arm: Arm) -> None:
        ladder = arm.settings.safety.ladder
        self._names = arm.joint_names
        self._inputs = {
            "nominal": _Input("nominal", self._torques, nanoseconds(ladder.nominal_timeout_s)),
            "joints": _Input("joints", self._joints, nanoseconds(ladder.joints_timeout_s)),
        }
        self._now = None

    def _torques(self, wish: Command) -> bool:
        here = sorted(wish.names) == sorted(self._names) and wish.effort.shape == (len(self._names),)
        return here and all(map(math.isfinite, wish.effort.tolist()))

    def _joints(self, joints: JointStates) -> bool:
        place = Place.of(joints, self._names)
        return bool(np.abs((place.position, place.velocity)).max() < POSSIBLE)


class Place(NamedTuple):
    """Joints in the arm's order, (N,): ``position`` [rad], ``velocity`` [rad/s], measured ``effort`` [N·m] or NaN."""

    position: Floats
    velocity: Floats
    effort: Floats

    @classmethod
    def of(cls, joints: JointStates, names: tuple[str, ...]) -> Place:
        """Those of ``names``; joints that are none of the arm's, fingers, are left out.

        Raises:
            ValueError: one is missing, or the columns are not as long as the names.
        """
        count = (len(joints.names),)
        if not joints.position.shape == joints.velocity.shape == joints.effort.shape == count:
            raise ValueError("the columns of joint states are not as long as their names")
        if joints.names == names:
            return cls(joints.position, joints.velocity, joints.effort)
        order = [joints.names.index(name) for name in names]
        return cls(joints.position[order], joints.velocity[order], joints.effort[order])

    def moved(self, acceleration: Floats, step: float) -> Place:
        """Where it is ``step`` [s] later with a constant ``acceleration`` (N,) [rad/s²]."""
        change = acceleration * step
        return Place(self.position + (self.velocity + 0.5 * change) * step, self.velocity + change, self.effort)


class JointWatch:
    """Whether joint states that are sound one by one are those of an arm: often enough, not frozen, no leaps.

    Attributes:
        faults: why the newest are not to be believed, in words; empty = they are.
        alone: whether the newest follow none that they could be held against: the first ones, and those after a gap.
        repeats: whether the newest repeat the ones before to the last digit where that is watched: no news then.
        lie: (N,) [rad/s], by how much velocities are off where positions leave them little by little; else None.
    """

    def __init__(self, ladder: ArmLadderSettings) -> None:
        self._ladder = ladder
        self._slowest = ladder.joints_timeout_s / 2
        self._last: Place | None = None
        self._stamp = self._since = 0
        self._interval = 0.0
        self._departed: Floats = np.zeros(1)
        self.faults: tuple[str, ...] = ()
        self.alone = self.repeats = False
        self.lie: Floats | None = None

    def see(self, stamp: int, place: Place) -> None:
        """Judge the record of ``stamp`` [ns]."""
        before, self._last = self._last, place
        interval, self._stamp = max(seconds(stamp - self._stamp), 0.0), stamp
        self.alone = before is None or interval > 2 * self._slowest
        if before is None:
            self._since = stamp
            return
        faults = []
        # a gap is lateness, and over when it is over: it counts as two slow intervals, no more
        self._interval += (min(interval, 2 * self._slowest) - self._interval) / AVERAGED
        if self._interval > self._slowest:
            faults.append(f"joints come too seldom ({1 / self._interval:.0f} Hz, at least {1 / self._slowest:.0f})")
        same = bool((place.position == before.position).all() and (place.velocity == before.velocity).all())
        self.repeats = same and self._ladder.frozen_s > 0
        if not same:
            self._since = stamp
        still = seconds(stamp - self._since)
        if self.repeats and still > self._ladder.frozen_s:
            faults.append(f"joints are frozen: the same to the last digit for {still:.2f} s")
        faults += self._contradictions(before, place, interval)
        self.faults = tuple(faults)

    def _contradictions(self, before: Place, place: Place, interval: float) -> list[str]:
        """Positions against velocities, and these against those before; over a gap nothing can be said."""
        self.lie = None
        if self.alone:
            self._departed = np.zeros_like(place.position)
            return []
        faults = []
        moved = place.position - before.position - 0.5 * interval * (place.velocity + before.velocity)
        self._departed = math.exp(-interval / self._ladder.contradiction_s) * self._departed + moved
        most = float(np.abs(self._departed).max())
        if most > self._ladder.jump_rad:
            faults.append(f"joint positions leave their velocities by {most:.3f} rad")
            if float(np.abs(moved).max()) < self._ladder.jump_rad:
                self.lie = self._departed / self._ladder.contradiction_s
        leap = float(np.abs(place.velocity - before.velocity).max())
        if leap > self._ladder.leap_rad_s:
            faults.append(f"joint velocities change by {leap:.2f} rad/s at once")
        return faults
