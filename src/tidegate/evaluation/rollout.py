# SPDX-License-Identifier: Apache-2.0
"""One closed loop without ROS: drive until the goal, a contact, the ditch, a standstill for good, or the time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidegate.bundle import Bundle
from tidegate.errors import SettingsError
from tidegate.evaluation import metrics
from tidegate.evaluation.drivers import BundleDriver, Driver, ExpertDriver, expert_speed
from tidegate.evaluation.metrics import End, Run, Trace
from tidegate.evaluation.pilot import Pilot, Step
from tidegate.evaluation.recorder import DriveRecorder
from tidegate.records import Floats, Mode
from tidegate.robot import Actuation, Car
from tidegate.safety import Supervisor
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Observation, Simulator, Truth

DRIVERS = ("bundle", "expert")
PARTS = ("filter", "image_health")
"""What ``disable`` may name besides a barrier."""

STANDING_S = 15.0
"""A car that stood this long [s] is taken to stand for good: longer than any vehicle of the scenes waits."""
STOPPED_S = 1.0
"""The same once the ladder is at STOPPED, which only an operator leaves [s]."""
OFF_ROAD_S = 2.0
"""A wheel beyond the paved edge for this long [s] is off the road for good."""
STILL = 0.1
"""Slower than this [m/s] is standing."""
SLOWEST = 3.0
"""Mean speed [m/s] that sets the time limit."""
EXCESS = 1e-3
"""Relative excess over a joint or speed limit, at any physics step, from which it counts as violated."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to drive: paths are text so that a task travels to another process; ``disable`` names parts or barriers."""

    settings: str
    bundle: str
    scene: str
    seed: int
    driver: str = "bundle"
    filtered: bool = True
    disable: tuple[str, ...] = ()
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick as a watcher sees it; ``truth`` is the state before the command acted."""

    simulator: Simulator
    sensors: Observation
    step: Step
    truth: Truth


Watch = Callable[[Moment], None]


def check_task(task: Task) -> None:
    """Refuse a task that cannot be driven, before processes start.

    Raises:
        SettingsError: unknown driver, part or barrier; SceneError: unknown scene; BundleError: no usable bundle.
    """
    if task.driver not in DRIVERS:
        raise SettingsError(f"driver is '{task.driver}'; it must be one of {', '.join(DRIVERS)}")
    settings = load_settings(task.settings)
    allowed = (*PARTS, *settings.safety.barriers)
    for part in task.disable:
        if part not in allowed:
            raise SettingsError(f"cannot disable '{part}'; parts are {', '.join(allowed)}")
    if task.driver == "bundle":
        BundleDriver(Bundle.load(task.bundle, settings.vehicle.name), settings)
    Simulator(settings, task.scene, task.seed, camera=False).close()


def run_task(task: Task) -> Run:
    """Drive a task from its file names; the function that campaigns call in their processes.

    Raises:
        TidegateError: the settings, the bundle or the scene is refused.
    """
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name) if task.driver == "bundle" else None
    if task.record is None:
        return drive(settings, task, bundle)
    with DriveRecorder(Path(task.record), settings) as recorder:
        run = drive(settings, task, bundle, recorder.keep)
        recorder.conclude(run)
    return run


def drive(settings: Settings, task: Task, bundle: Bundle | None, watch: Watch | None = None) -> Run:
    """Drive one closed loop and judge it; ``watch`` sees every tick.

    Raises:
        BundleError, SceneError: the bundle or the scene is refused.
    """
    began = time.perf_counter()
    disable = frozenset(task.disable) | (frozenset() if task.filtered else {"filter"})
    with Simulator(settings, task.scene, task.seed, camera=bundle is not None) as simulator:
        driver: Driver = BundleDriver(bundle, settings) if bundle else ExpertDriver(settings, simulator)
        pilot = Pilot(driver, Supervisor(settings, simulator.car, disable=disable))
        log = _Log(settings, simulator.car)
        end = None
        while end is None:
            sensors, truth = simulator.observe(), log.truth or simulator.truth()
            step = pilot.tick(simulator.now, sensors)
            if watch is not None:
                watch(Moment(simulator, sensors, step, truth))
            simulator.apply(step.tick.command)
            simulator.step()
            log.add(step, simulator.truth())
            end = log.end()
        state_hash = simulator.state_hash()
    wall = time.perf_counter() - began
    return judge(task, log.trace(), log.last, end, log.rows, state_hash, wall, settings)


def judge(
    task: Task,
    trace: Trace,
    last: Truth,
    end: End,
    rows: list[str],
    state_hash: str,
    wall_s: float,
    settings: Settings,
) -> Run:
    """Figures of a drive from its trace, the truth at its end, and the row that changed each command ('' = none)."""
    expert = expert_speed(settings, task.scene, task.seed) if end is End.GOAL else None
    done = metrics.completed(trace, end, expert or 0.0, excused=last.blocked or not last.camera_ok)
    changed = np.array([row != "" for row in rows], bool)
    return Run(
        seed=task.seed,
        scene=task.scene,
        completed=done,
        end=end.value,
        distance_m=float(trace.distance[-1]),
        duration_s=len(trace) * trace.period,
        mean_speed=metrics.mean_speed(trace),
        expert_speed=expert,
        max_abs_lane_error_m=float(np.abs(trace.lane_error).max(initial=0.0)),
        rms_lane_error_m=metrics.rms(trace.lane_error),
        off_lane_s=float(trace.off_lane.sum() * trace.period),
        off_road_s=float(trace.wheels_off.sum() * trace.period),
        collisions=last.contacts,
        min_gap_m=metrics.smallest_gap(trace),
        limit_violations=int(trace.violations.sum()),
        worst_limit=last.limit_worst if last.limit_excess > EXCESS else "",
        interventions=metrics.rises(changed),
        intervened_s=float(changed.sum() * trace.period),
        interventions_by_row={
            row: metrics.rises(np.array([one == row for one in rows], bool)) for row in sorted(set(rows) - {""})
        },
        state_hash=state_hash,
        wall_s=wall_s,
    )


class _Log:
    """Truth and commands of a drive, tick by tick."""

    def __init__(self, settings: Settings, car: Car) -> None:
        self._period = 1 / settings.safety.rate_hz
        self._half = settings.safety.lane.half_width
        self._car = car
        self._actuation = Actuation(car, self._period)
        self._truths: list[Truth] = []
        self._efforts: list[Floats] = []
        self._still = self._off_road = 0.0
        self._mode = Mode.STOPPED
        self.rows: list[str] = []

    @property
    def truth(self) -> Truth | None:
        """The newest truth; None before the first step."""
        return self._truths[-1] if self._truths else None

    @property
    def last(self) -> Truth:
        """The newest truth of a drive that has begun."""
        return self._truths[-1]

    def add(self, step: Step, truth: Truth) -> None:
        """Take in one tick and the truth after it."""
        self._truths.append(truth)
        self._efforts.append(step.tick.command.effort)
        self.rows.append(step.tick.intervened)
        self._mode = step.tick.mode
        self._still = self._still + self._period if abs(truth.speed) < STILL else 0.0
        self._off_road = self._off_road + self._period if truth.wheels_off else 0.0

    def end(self) -> End | None:
        """Why the drive is over; None while it is not."""
        truth = self._truths[-1]
        if truth.contact:
            return End.CONTACT
        if truth.reached:
            return End.GOAL
        if self._off_road >= OFF_ROAD_S:
            return End.OFF_ROAD
        patience = STOPPED_S if self._mode is Mode.STOPPED and truth.distance > 1.0 else STANDING_S
        if self._still >= patience:
            return End.STANDING
        return End.TIME_LIMIT if len(self._truths) * self._period > truth.goal / SLOWEST + 60.0 else None

    def trace(self) -> Trace:
        """The whole drive as arrays."""
        truths = self._truths
        excess = np.array([truth.limit_excess for truth in truths])
        speed = np.array([truth.speed for truth in truths])
        violations = metrics.limit_violations(
            np.array(self._efforts),
            self._actuation.low,
            self._actuation.high,
            self._actuation.step,
            speed,
            self._car.vehicle.speed_max * (1 + EXCESS),
        )
        grown = np.diff(np.maximum(excess, EXCESS), prepend=EXCESS) > 0
        return Trace(
            period=self._period,
            distance=np.array([truth.distance for truth in truths]),
            lane_error=np.array([truth.offset for truth in truths]),
            speed=speed,
            gap=np.array([truth.gap for truth in truths]),
            contact=np.array([truth.contact for truth in truths]),
            wheels_off=np.array([truth.wheels_off for truth in truths]),
            off_lane=np.array([self._off_lane(truth) for truth in truths]),
            violations=violations + grown,
        )

    def _off_lane(self, truth: Truth) -> bool:
        """Whether an axle's tyres are beyond the lane's edge."""
        side = self._car.width / 2 * math.cos(truth.heading)
        front = truth.offset + self._car.wheelbase * math.sin(truth.heading)
        return max(abs(truth.offset), abs(front)) + side > self._half
