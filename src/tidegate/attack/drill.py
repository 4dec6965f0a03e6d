# SPDX-License-Identifier: Apache-2.0
"""One drill: a fault while the expert drives, the rung that it leads to, the stop, and the way out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tidegate.attack.fault import Fault, faults
from tidegate.evaluation.drivers import ExpertDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.rollout import drive_tick
from tidegate.records import Mode, SafetyInputs, Tick, seconds
from tidegate.safety import Supervisor
from tidegate.settings import load_settings
from tidegate.simulation import Simulator

FAST = 4.0
"""Speed [m/s] from which a fault may come."""
ONSET_S = (6.0, 20.0)
BORNE_S = 4.0
"""How long a fault that must be borne lasts."""
STANDING_S = 0.5
OUT_S = 2.0
"""Within this time after the fault is gone and a reset is asked for the car must drive again."""
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Drill:
    """What to break; text and numbers alone, so that it travels to another process and names itself in a file."""

    settings: str
    scene: str
    seed: int
    fault: str

    @property
    def key(self) -> str:
        """Its name among the drills of one campaign."""
        return _key(self)


@dataclass(frozen=True, slots=True)
class DrillOutcome:
    """What came of a drill. Lengths [m], times [s].

    ``rung``: the first that was not NORMAL after the onset, ``took_s`` after the fault could be known; ``stopped``:
    the car came to stand in STOPPED where it had to; ``released``: a reset led out once the fault was gone; ``blind``:
    as ``Fault.blind``.
    """

    scene: str
    seed: int
    fault: str
    onset_s: float
    speed: float
    rung: str
    expected: str
    took_s: float
    within_s: float
    reason: str
    stopped: bool
    released: bool
    contacts: int
    limit_violations: int
    worst_limit: str
    off_lane_s: float
    blind: bool

    @property
    def key(self) -> str:
        """The key of its drill."""
        return _key(self)

    @property
    def passed(self) -> bool:
        """Whether the fault led to its rung in time, harmed nothing and left nothing latched."""
        in_time = self.rung == self.expected and self.took_s <= self.within_s + 1e-9
        return in_time and self.stopped and self.released and not self.contacts and not (self.harmed and not self.blind)

    @property
    def harmed(self) -> bool:
        """Whether a limit was broken or the lane left."""
        return bool(self.limit_violations or self.off_lane_s)


class _Loop:
    """The closed loop, driven on piece by piece."""

    def __init__(self, simulator: Simulator, log: DriveLog) -> None:
        settings = simulator.settings
        self.pilot = Pilot(ExpertDriver(settings, simulator), Supervisor(settings, simulator.car))
        self._simulator, self._log = simulator, log
        self.begun = simulator.now
        self.tick: Tick | None = None

    @property
    def time(self) -> float:
        """Since the start [s]."""
        return seconds(self._simulator.now - self.begun)

    @property
    def mode(self) -> Mode:
        """Of the last tick."""
        assert self.tick is not None
        return self.tick.mode

    def until(self, done: Callable[[Tick], bool], longest_s: float) -> bool:
        """Drive on until ``done`` says so of a tick, for ``longest_s`` [s] at most: whether it did."""
        end = self.time + longest_s
        while self.time < end:
            self.tick = drive_tick(self._simulator, self.pilot, self._log)
            if done(self.tick):
                return True
        return False


def run_drill(drill: Drill) -> DrillOutcome:
    """Drive one drill.

    Raises:
        KeyError: no such fault; SettingsError, SceneError: as ``Simulator``.
    """
    settings = load_settings(drill.settings)
    fault = faults(settings)[drill.fault]
    rng = np.random.default_rng([drill.seed, sum(drill.fault.encode())])
    with Simulator(settings, drill.scene, drill.seed, camera=False) as simulator:
        log = DriveLog(settings, simulator.car)
        loop = _Loop(simulator, log)
        due = float(rng.uniform(*ONSET_S))

        def speed() -> float:
            return log.last.speed if log.last is not None else 0.0

        loop.until(lambda tick: loop.time >= due and speed() > FAST and tick.mode is Mode.NORMAL, LONGEST_S)
        onset, onset_speed = loop.time, speed()
        rung, reason, took = _break(loop, fault, log)
        if fault.rung is Mode.NORMAL:
            stopped = rung is Mode.NORMAL
        else:
            stopped = loop.until(lambda tick: _over(fault, tick), LONGEST_S) and loop.mode is Mode.STOPPED
            loop.until(lambda tick: False, STANDING_S)
        loop.pilot.tamper = lambda inputs: inputs
        loop.until(lambda tick: False, STANDING_S)  # whoever held the dead-man switch has let go
        loop.pilot.tamper = _resetting
        released = loop.until(lambda tick: tick.mode is Mode.NORMAL, OUT_S)
        loop.pilot.tamper = lambda inputs: inputs
        released = released and not loop.until(lambda tick: tick.mode is not Mode.NORMAL, OUT_S)
    trace, last = log.trace(), log.last
    assert last is not None
    return DrillOutcome(
        drill.scene, drill.seed, drill.fault, onset, onset_speed, rung.name, fault.rung.name, took, fault.within_s,
        reason, stopped, released, last.contacts, int(trace.violations.sum()), last.limit_worst,
        float(trace.off_lane.sum() * trace.period), fault.blind,
    )  # fmt: skip


def _break(loop: _Loop, fault: Fault, log: DriveLog) -> tuple[Mode, str, float]:
    """From the onset to the first rung that is not NORMAL: that rung, its reason, and how long it took once the way
    was driven over which the fault can be known."""
    assert log.last is not None
    known, begun = math.inf if fault.within_m else loop.time, log.last.distance
    loop.pilot.tamper = fault.make()

    def left(tick: Tick) -> bool:
        nonlocal known
        assert log.last is not None
        if log.last.distance - begun >= fault.within_m:
            known = min(known, loop.time)
        return tick.mode is not Mode.NORMAL

    found = loop.until(left, BORNE_S if fault.rung is Mode.NORMAL else LONGEST_S)
    tick = loop.tick
    assert tick is not None
    return tick.mode, "; ".join(tick.reasons), max(loop.time - known, 0.0) if found else 0.0


def _over(fault: Fault, tick: Tick) -> bool:
    """Whether the car has stopped, or drives on where nothing but a stop may follow."""
    return tick.mode is Mode.STOPPED or (fault.rung is Mode.STOPPING and tick.mode is Mode.NORMAL)


def _key(one: Drill | DrillOutcome) -> str:
    return f"{one.scene} {one.seed} {one.fault}"


def _resetting(inputs: SafetyInputs) -> SafetyInputs:
    return replace(inputs, reset_requested=True)
