# SPDX-License-Identifier: Apache-2.0
"""Whether the trusted sensors agree with each other and with what a car can do, and whether somebody watched them."""

from __future__ import annotations

import math
from typing import Any

from tidegate.records import Imu, JointStates, Odometry, Points, nanoseconds, seconds
from tidegate.robot import Car
from tidegate.safety.watchdog import Watchdog
from tidegate.settings import Settings

AVERAGED = 20
"""Records over which the rate of an input is averaged."""


class Plausibility:
    """Faults of inputs that are sound and young, one by one: too seldom, frozen, jumping, contradicting each other.

    A process that was stopped and goes on finds its inputs young again. What they did meanwhile nobody has seen: a gap
    between ticks longer than any trusted input may be silent is a fault too.

    Attributes:
        faults: why the trusted inputs are not to be believed at this tick, in words; empty = they are.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        safety = settings.safety
        self._limits, self._car = safety.plausibility, car
        self._persist = nanoseconds(self._limits.persist_s)
        often, seldom = safety.trusted_timeout_s / 2, safety.range_timeout_s / 2
        self._silence = max(safety.trusted_timeout_s, safety.range_timeout_s)
        self._slowest = {"joints": often, "odometry": often, "imu": often, "points": seldom}
        self._interval: dict[str, float] = {}
        self._last: dict[str, Any] = {}
        self._content: dict[str, tuple[Any, float]] = {}
        self._since: dict[str, int] = {}
        self._way = 0.0
        self._now: int | None = None
        self.faults: tuple[str, ...] = ()

    def check(self, watchdog: Watchdog, now: int) -> None:
        """Judge the newest records at ``now`` [ns]."""
        step = 0.0 if self._now is None else max(seconds(now - self._now), 0.0)
        self._now = now
        faults = [f"no tick for {step:.2f} s"] if step > self._silence else []
        fresh = {name: watchdog.newest(name) for name in self._slowest if watchdog.fresh(name)}
        joints, odometry, imu = fresh.get("joints"), fresh.get("odometry"), fresh.get("imu")
        rolled = self._car.rim_speed(joints) if joints is not None else None
        measured = [abs(speed) for speed in (rolled, odometry and odometry.speed) if speed is not None]
        self._way += step * max(measured, default=0.0)
        for name, record in fresh.items():
            before = self._last.get(name)
            if record is not before:
                self._last[name] = record
                if before is not None:
                    faults += self._arrived(name, before, record)
        if rolled is not None and odometry is not None:
            most = self._limits.speed_difference + self._limits.speed_share * max(measured)
            if self._lasts("speed", abs(rolled - odometry.speed) > most, now):
                faults.append(f"odometry says {odometry.speed:.1f} m/s, the wheels {rolled:.1f} m/s")
        if imu is not None and odometry is not None:
            turn = float(imu.angular_velocity[2])
            if self._lasts("turn", abs(turn - odometry.yaw_rate) > self._limits.turn_difference, now):
                faults.append(f"odometry turns by {odometry.yaw_rate:.2f} rad/s, the IMU by {turn:.2f} rad/s")
        self.faults = tuple(faults)

    def _arrived(self, name: str, before: Any, record: Any) -> list[str]:
        """What is wrong with a new record, seen beside the one before it."""
        found = []
        interval = seconds(record.stamp - before.stamp)
        mean = self._interval.get(name, 0.0)
        # a gap is lateness, and over when it is over: it counts as two slow intervals, no more
        mean += (min(interval, 2 * self._slowest[name]) - mean) / AVERAGED
        self._interval[name] = mean
        if mean > self._slowest[name]:
            found.append(f"{name} comes too seldom ({1 / mean:.0f} Hz, at least {1 / self._slowest[name]:.0f})")
        content = _content(record)
        known, since = self._content.get(name, (None, 0.0))
        if content is None or content != known:
            self._content[name] = content, self._way
        elif self._way - since > (self._limits.frozen_scan_m if name == "points" else self._limits.frozen_m) > 0:
            found.append(f"{name} is frozen: the same to the last digit over {self._way - since:.1f} m")
        if name == "odometry":
            moved = math.hypot(record.x - before.x, record.y - before.y)
            excess = moved - max(abs(before.speed), abs(record.speed)) * interval
            if excess > self._limits.jump_m:
                found.append(f"odometry jumped by {moved:.2f} m in {interval * 1e3:.0f} ms")
            turned = abs(math.remainder(record.yaw - before.yaw, 2 * math.pi))
            if turned - max(abs(before.yaw_rate), abs(record.yaw_rate)) * interval > self._limits.jump_rad:
                found.append(f"odometry turned by {turned:.2f} rad in {interval * 1e3:.0f} ms")
        return found

    def _lasts(self, name: str, wrong: bool, now: int) -> bool:
        """Whether something has been wrong for long enough."""
        if not wrong:
            self._since.pop(name, None)
            return False
        return now - self._since.setdefault(name, now) >= self._persist


def _content(record: JointStates | Odometry | Imu | Points) -> Any:
    """What can never be the same twice while the car moves; None where that says nothing.

    An IMU may rest at steady speed, and an empty scan is what a free road gives.
    """
    if isinstance(record, JointStates):
        return record.position.tobytes(), record.velocity.tobytes()
    if isinstance(record, Odometry):
        return record.x, record.y
    if isinstance(record, Points):
        return record.xyz.tobytes() if len(record.xyz) else None
    return None
