# SPDX-License-Identifier: Apache-2.0
"""Whether the trusted sensors agree with each other and with what a car can do, and whether somebody watched them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tidegate.records import Imu, JointStates, Odometry, Points, nanoseconds, seconds
from tidegate.robot import Car
from tidegate.safety.watchdog import Watchdog
from tidegate.settings import Settings

AVERAGED = 20
"""Records over which the rate of an input is averaged."""


@dataclass(slots=True)
class _Stream:
    """The records of one input: the mean interval between them, and since where they have been the same.

    ``slowest`` [s] is the longest mean, ``frozen`` [m] the longest way with one content; 0 = any. ``wrong``: what is
    wrong with the newest record; it stands until the next one, for what is between two ticks is no better.
    """

    name: str
    slowest: float
    frozen: float
    last: Any = None
    interval: float = 0.0
    content: Any = None
    since: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def arrived(self, record: Any, interval: float, way: float) -> list[str]:
        """What is wrong with a record, ``interval`` [s] after the one before it and ``way`` [m] from the start."""
        found = []
        # a gap is lateness, and over when it is over: it counts as two slow intervals, no more
        self.interval += (min(interval, 2 * self.slowest) - self.interval) / AVERAGED
        if self.interval > self.slowest:
            found.append(f"{self.name} comes too seldom ({1 / self.interval:.0f} Hz, at least {1 / self.slowest:.0f})")
        content = _content(record)
        if content is None or content != self.content:
            self.content, self.since = content, way
        elif way - self.since > self.frozen > 0:
            found.append(f"{self.name} is frozen: the same to the last digit over {way - self.since:.1f} m")
        return found


class Plausibility:
    """Faults of inputs that are sound and young, one by one: too seldom, frozen, jumping, contradicting each other.

    A process that was stopped and goes on finds its inputs young again. What they did meanwhile nobody has seen: a gap
    between ticks longer than any trusted input may be silent is a fault too.

    Attributes:
        faults: why the trusted inputs are not to be believed at this tick, in words; empty = they are.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        safety = settings.safety
        self._limits = limits = safety.plausibility
        self._car = car
        self._persist = nanoseconds(limits.persist_s)
        often, seldom = safety.trusted_timeout_s / 2, safety.range_timeout_s / 2
        self._silence = max(safety.trusted_timeout_s, safety.range_timeout_s)
        self._streams = [_Stream(name, often, limits.frozen_m) for name in ("joints", "odometry", "imu")]
        self._streams.append(_Stream("points", seldom, limits.frozen_scan_m))
        self._since: dict[str, int] = {}
        self._way = 0.0
        self._now: int | None = None
        self.faults: tuple[str, ...] = ()

    def check(self, watchdog: Watchdog, now: int) -> None:
        """Judge the newest records at ``now`` [ns]."""
        step = 0.0 if self._now is None else max(seconds(now - self._now), 0.0)
        self._now = now
        faults = [f"no tick for {step:.2f} s"] if step > self._silence else []
        joints, odometry, imu = watchdog.usable("joints"), watchdog.usable("odometry"), watchdog.usable("imu")
        rolled = None if joints is None else self._car.rim_speed(joints)
        measured = [abs(speed) for speed in (rolled, odometry and odometry.speed) if speed is not None]
        self._way += step * max(measured, default=0.0)
        for stream, record in zip(self._streams, (joints, odometry, imu, watchdog.usable("points")), strict=True):
            before = stream.last
            if record is not None and record is not before:
                stream.last = record
                if before is not None:
                    interval = seconds(record.stamp - before.stamp)
                    stream.wrong = stream.arrived(record, interval, self._way)
                    if record is odometry:
                        stream.wrong += self._jumped(before, odometry, interval)
                    elif record is joints:
                        stream.wrong += self._steered(before, joints, interval)
            faults += stream.wrong
        if rolled is not None and odometry is not None:
            most = self._limits.speed_difference + self._limits.speed_share * max(measured)
            if self._lasts("speed", abs(rolled - odometry.speed) > most, now):
                faults.append(f"odometry says {odometry.speed:.1f} m/s, the wheels {rolled:.1f} m/s")
        if imu is not None and odometry is not None:
            turn = float(imu.angular_velocity[2])
            if self._lasts("turn", abs(turn - odometry.yaw_rate) > self._limits.turn_difference, now):
                faults.append(f"odometry turns by {odometry.yaw_rate:.2f} rad/s, the IMU by {turn:.2f} rad/s")
        self.faults = tuple(faults)

    def _jumped(self, before: Odometry, record: Odometry, interval: float) -> list[str]:
        """Where the pose changed by more than speed and yaw rate tell in ``interval`` [s]."""
        found = []
        moved = math.hypot(record.x - before.x, record.y - before.y)
        excess = moved - max(abs(before.speed), abs(record.speed)) * interval
        if excess > self._limits.jump_m:
            found.append(f"odometry jumped by {moved:.2f} m in {interval * 1e3:.0f} ms")
        turned = abs(math.remainder(record.yaw - before.yaw, 2 * math.pi))
        if turned - max(abs(before.yaw_rate), abs(record.yaw_rate)) * interval > self._limits.jump_rad:
            found.append(f"odometry turned by {turned:.2f} rad in {interval * 1e3:.0f} ms")
        return found

    def _steered(self, before: JointStates, record: JointStates, interval: float) -> list[str]:
        """Where a steering angle changed by more than its rates tell in ``interval`` [s]."""
        found = []
        for name in self._car.steer_joints:
            was, at = before.names.index(name), record.names.index(name)
            turned = abs(record.position.item(at) - before.position.item(was))
            fastest = max(abs(before.velocity.item(was)), abs(record.velocity.item(at)))
            if turned - fastest * interval > self._limits.jump_rad:
                found.append(f"{name} turned by {turned:.2f} rad in {interval * 1e3:.0f} ms")
        return found

    def _lasts(self, name: str, wrong: bool, now: int) -> bool:
        """Whether something has been wrong for long enough."""
        if not wrong:
            self._since.pop(name, None)
            return False
        return now - self._since.setdefault(name, now) >= self._persist


class Held:
    """Faults of the trusted inputs stand until none has been seen for a while: one that comes and goes is there."""

    def __init__(self, gone: int) -> None:
        """``gone`` [ns]: how long nothing must be wrong before what was counts as over."""
        self._gone, self._since = gone, 0
        self._faults: tuple[str, ...] = ()

    def __call__(self, found: tuple[str, ...], step: int) -> tuple[str, ...]:
        """What stands at a tick, ``step`` [ns] after the last one, that found so much."""
        self._since = 0 if found else self._since + step
        if found or self._since >= self._gone:
            self._faults = found
        return self._faults


def _content(record: JointStates | Odometry | Imu | Points) -> Any:
    """What can never be the same twice while the car moves; None where that says nothing.

    An empty scan is what a free road gives; an IMU that rests at steady speed still has its noise.
    """
    if isinstance(record, JointStates):
        return record.position.tobytes(), record.velocity.tobytes()
    if isinstance(record, Odometry):
        return record.x, record.y
    if isinstance(record, Imu):
        return record.angular_velocity.tobytes(), record.linear_acceleration.tobytes()
    return record.xyz.tobytes() if len(record.xyz) else None
