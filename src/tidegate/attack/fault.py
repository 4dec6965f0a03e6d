# SPDX-License-Identifier: Apache-2.0
"""Faults of what the safety filter hears, one by one, and the rung that each must lead to, within which time or way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from tidegate.evaluation.pilot import Tamper
from tidegate.records import NANOSECONDS, Level, Manual, Mode, Received, SafetyInputs
from tidegate.safety.plausibility import AVERAGED
from tidegate.settings import Settings

Change = Callable[[Any], Any]
NORMAL, HOLD, STOPPING = Mode.NORMAL, Mode.HOLD, Mode.STOPPING
PASSING = ("odometry jumps", "odometry turns", "joints jump", "odometry too slow", "clock runs back")
"""Faults that are over at once, or within the limits once the car is slow: after them a driver may drive."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, as ``docs/safety.md`` states what comes of it.

    ``rung`` must be the first that is not NORMAL (NORMAL: the fault must be borne), within ``within_s`` [s] after
    ``within_m`` [m] have been driven since the onset. ``make`` gives a fresh ``Tamper``, called from the onset on.
    """

    name: str
    rung: Mode
    within_s: float
    make: Callable[[], Tamper]
    within_m: float = 0.0

    @property
    def blind(self) -> bool:
        """Whether it takes the steering's feedback away: lane and steering joints' limits are not promised then."""
        return self.name.startswith("joints")


def faults(settings: Settings) -> dict[str, Fault]:
    """All faults by name."""
    made = [*_missing(settings), *_lying(settings), *_ordered(settings), *_borne(settings)]
    lasting = [fault for fault in made if fault.rung is STOPPING and fault.name not in PASSING]
    return {fault.name: fault for fault in (*made, *map(_driven, lasting))}


def _driven(fault: Fault) -> Fault:
    """The same while a driver holds the dead-man switch and goes on asking for what the network asks for."""

    def make() -> Tamper:
        broken = fault.make()
        return lambda inputs: _take_over(broken(inputs))

    return replace(fault, name=f"{fault.name}, driven", make=make)


def _take_over(inputs: SafetyInputs) -> SafetyInputs:
    if inputs.nominal is None:
        return inputs
    asked = inputs.nominal.record
    return replace(inputs, manual=Received(Manual(inputs.now, True, asked.force, asked.curvature), 0))


def _missing(settings: Settings) -> list[Fault]:
    """Inputs that fall silent, or are no numbers, which is the same."""
    safety, ticks = settings.safety, 2 / settings.safety.rate_hz
    trusted, lost = safety.trusted_timeout_s + ticks, safety.camera_timeout_s + ticks
    times = {"joints": trusted, "odometry": trusted, "imu": trusted, "points": safety.range_timeout_s + ticks}
    camera = ("nominal", "lane", "health")
    spoilt: dict[str, dict[str, Change]] = {
        "joints": {"velocity": _nan},
        "odometry": {"speed": _nan},
        "imu": {"angular_velocity": _nan},
        "points": {"ring": lambda ring: ring[:-1]},
        "nominal": {"force": _nan},
        "lane": {"offset": _nan},
    }
    made = [Fault(f"{name} silent", STOPPING, time, partial(Silent, name)) for name, time in times.items()]
    made += [Fault(f"{name} silent", HOLD, lost, partial(Silent, name)) for name in camera]
    for name, fields in spoilt.items():
        rung = HOLD if name in camera else STOPPING
        made.append(Fault(f"{name} not usable", rung, times.get(name, lost), partial(Changed, name, **fields)))
    made.append(Fault("policy killed", HOLD, lost, partial(Silent, "nominal", "gains")))
    made.append(Fault("perception killed", HOLD, lost, partial(Silent, *camera, "gains")))
    return made


def _lying(settings: Settings) -> list[Fault]:
    """Inputs that are sound and young, and wrong."""
    safety, ticks = settings.safety, 2 / settings.safety.rate_hz
    plausible = safety.plausibility
    lasts, scan = plausible.persist_s + ticks, ticks + 1 / settings.ranging.rate_hz
    way, way_scan, pose = plausible.frozen_m, plausible.frozen_scan_m, ("x", "y", "yaw")
    frames, trusted = ticks + 2 / settings.camera.rate_hz, safety.lane.bound_trusted
    seldom = 0.6 * safety.trusted_timeout_s
    jump, turn, bias = 2 * plausible.jump_m, 2 * plausible.jump_rad, 2 * plausible.turn_difference
    return [
        Fault("joints frozen", STOPPING, ticks, partial(Frozen, "joints", "position", "velocity"), way),
        Fault("odometry frozen", STOPPING, ticks, partial(Frozen, "odometry", *pose), way),
        Fault("imu frozen", STOPPING, ticks, partial(Frozen, "imu", "angular_velocity", "linear_acceleration"), way),
        Fault("range frozen", STOPPING, scan, partial(Frozen, "points", "xyz", "ring"), way_scan),
        Fault("odometry seldom", STOPPING, 2 * AVERAGED * seldom, partial(Seldom, "odometry", seldom)),
        Fault("odometry jumps", STOPPING, ticks, partial(Changed, "odometry", y=lambda y: y + jump)),
        Fault("odometry turns", STOPPING, ticks, partial(Changed, "odometry", yaw=lambda yaw: yaw + turn)),
        Fault("odometry too slow", STOPPING, lasts, partial(Changed, "odometry", speed=lambda v: v / 2)),
        Fault("gyro biased", STOPPING, lasts, partial(Changed, "imu", angular_velocity=lambda rate: rate + bias)),
        Fault("lane unsure by turns", HOLD, frames, lambda: Changed("lane", bound=_by_turns(2 * trusted))),
        Fault("joints jump", STOPPING, ticks, lambda: Changed("joints", position=_once(turn))),
        Fault("image health error", HOLD, ticks, partial(Changed, "health", level=lambda _: Level.ERROR)),
    ]


def _ordered(settings: Settings) -> list[Fault]:
    """Stops that somebody asks for, and a clock that nobody can believe."""
    ticks = 2 / settings.safety.rate_hz
    return [
        Fault("clock runs back", STOPPING, ticks, lambda: lambda inputs: replace(inputs, now=inputs.now - NANOSECONDS)),
        Fault("emergency stop", STOPPING, ticks, lambda: lambda inputs: replace(inputs, emergency_stop=True)),
        Fault("stop asked for", STOPPING, ticks, lambda: lambda inputs: replace(inputs, stop_requested=True)),
    ]


def _borne(settings: Settings) -> list[Fault]:
    """What the filter must drive on with: errors within the stated bounds, and gains that are nonsense."""
    safety = settings.safety
    slow, late, later = safety.speed_margin, safety.trusted_timeout_s / 4, safety.range_timeout_s / 2
    return [
        Fault("odometry a little slow", NORMAL, 0.0, partial(Changed, "odometry", speed=lambda v: v - slow)),
        Fault("odometry a little late", NORMAL, 0.0, partial(Late, "odometry", late)),
        Fault("range a little late", NORMAL, 0.0, partial(Late, "points", later)),
        Fault("gains no numbers", NORMAL, 0.0, partial(Changed, "gains", values=lambda _: {"distance": math.nan})),
    ]


def _nan(value: Any) -> Any:
    return np.full_like(value, np.nan) if isinstance(value, np.ndarray) else math.nan


def _by_turns(value: float) -> Change:
    """Every other array holds ``value`` alone."""
    turns = cycle((True, False))
    return lambda array: np.full_like(array, value) if next(turns) else array


def _once(more: float) -> Change:
    """The first array has ``more`` in each place, the others are as they were."""
    left = iter((more,))
    return lambda array: array + next(left, 0.0)


class Changed:
    """Each new record of an input with ``fields`` changed; the same record stays the same object."""

    def __init__(self, name: str, **fields: Change) -> None:
        self._name, self._fields = name, fields
        self._seen: tuple[Any, Any] = None, None

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        received = getattr(inputs, self._name)
        if received is None:
            return inputs
        record = received.record
        if self._seen[0] is not record:
            values = {key: change(getattr(record, key)) for key, change in self._fields.items()}
            self._seen = record, replace(record, **values)
        made: dict[str, Any] = {self._name: Received(self._seen[1], received.age)}
        return replace(inputs, **made)


class Silent:
    """Nothing new of some inputs: their last records grow old."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._last: dict[str, Received[Any]] = {}
        self._onset = 0

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        if not self._last:
            self._last = {name: getattr(inputs, name) for name in self._names}
            self._onset = inputs.now
        since = inputs.now - self._onset
        held: dict[str, Any] = {
            name: last and Received(last.record, last.age + since) for name, last in self._last.items()
        }
        return replace(inputs, **held)


class Frozen(Changed):
    """New stamps, old ``keys``."""

    def __init__(self, name: str, *keys: str) -> None:
        super().__init__(name, **{key: self._first(key) for key in keys})

    @staticmethod
    def _first(key: str) -> Change:
        kept: dict[str, Any] = {}
        return lambda value: kept.setdefault(key, value)


class Seldom:
    """Only records that are ``interval`` [s] apart at least."""

    def __init__(self, name: str, interval: float) -> None:
        self._name, self._interval = name, round(interval * NANOSECONDS)
        self._last: Any = None

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        record = getattr(inputs, self._name).record
        if self._last is None or record.stamp - self._last.stamp >= self._interval:
            self._last = record
        made: dict[str, Any] = {self._name: Received(self._last, inputs.now - self._last.stamp)}
        return replace(inputs, **made)


class Late:
    """Each record arrives ``delay`` [s] later."""

    def __init__(self, name: str, delay: float) -> None:
        self._name, self._delay = name, round(delay * NANOSECONDS)
        self._under_way: list[Any] = []
        self._arrived: Any = None

    def __call__(self, inputs: SafetyInputs) -> SafetyInputs:
        record = getattr(inputs, self._name).record
        if self._arrived is None:
            self._arrived = record
        elif record is not (self._under_way[-1] if self._under_way else self._arrived):
            self._under_way.append(record)
        while self._under_way and self._under_way[0].stamp + self._delay <= inputs.now:
            self._arrived = self._under_way.pop(0)
        made: dict[str, Any] = {self._name: Received(self._arrived, inputs.now - self._arrived.stamp)}
        return replace(inputs, **made)
