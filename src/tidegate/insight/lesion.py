# SPDX-License-Identifier: Apache-2.0
"""Silence a neuron, or cut a synapse, and drive again: who matters, and whether the robot stays safe without it.

Without the filter the drive shows what the network misses: its ``damage``. Behind the filter it shows whether that can
do harm. ``liquid.lesion`` says what exactly is taken out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.bundle import Bundle
from tidegate.evaluation.circuit import CircuitWatch
from tidegate.evaluation.metrics import Trace, smallest_gap
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.liquid import LiquidPolicy, Wiring
from tidegate.liquid.lesion import Lesion, lesioned, neuron_lesions, synapse_lesions
from tidegate.records import Decision, Features, Floats, Odometry
from tidegate.settings import load_settings

INTACT = ""
"""The lesion of a drive in which nothing is missing."""

STEP_M = 2.0
"""Way [m] between two places at which drives are compared."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One drive: what to drive, with what taken out, with or without the filter, for ``longest_s`` [s] at most."""

    settings: str
    bundle: str
    scene: str
    seed: int
    lesion: str
    filtered: bool
    longest_s: float

    @property
    def key(self) -> str:
        """Its name among the trials of one bundle."""
        return key_of(self.scene, self.seed, self.lesion, self.filtered, self.longest_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial. Lengths [m], times [s]; ``offset`` [m] and ``speed`` [m/s] at every ``STEP_M`` of the way.

    ``replayed``: of an intact drive without the filter, by lesion, the RMS change of the command on the same pictures:
    of the curvature and of the acceleration, each in standard deviations of the intact command.
    """

    scene: str
    seed: int
    lesion: str
    filtered: bool
    longest_s: float
    end: str
    duration_s: float
    distance_m: float
    contacts: int
    limit_violations: int
    off_lane_s: float
    off_road_s: float
    min_gap_m: float | None
    offset: list[float]
    speed: list[float]
    replayed: dict[str, list[float]]

    @property
    def key(self) -> str:
        """The key of its trial."""
        return key_of(self.scene, self.seed, self.lesion, self.filtered, self.longest_s)

    @property
    def harm(self) -> list[str]:
        """What went wrong: 'contact', 'limit', 'lane' (a side of the car beyond its edge), 'road' (a wheel beyond)."""
        counts = {
            "contact": self.contacts,
            "limit": self.limit_violations,
            "lane": self.off_lane_s,
            "road": self.off_road_s,
        }
        return [kind for kind, count in counts.items() if count]


def key_of(scene: str, seed: int, lesion: str, filtered: bool, longest_s: float) -> str:
    """One text per trial."""
    return json.dumps([scene, seed, lesion, filtered, longest_s])


def all_lesions(wiring: Wiring) -> dict[str, Lesion]:
    """Every neuron and every synapse of a policy, by name."""
    return neuron_lesions(wiring) | synapse_lesions(wiring)


def run_trial(trial: Trial) -> Outcome:
    """Drive it.

    Raises:
        TidegateError: the settings, the bundle or the scene is refused.
        KeyError: the wiring has no such neuron or synapse.
    """
    settings = load_settings(trial.settings)
    intact = Bundle.load(trial.bundle, settings.vehicle.name)
    lesions = all_lesions(Wiring.from_dict(intact.wiring))
    bundle = intact if trial.lesion == INTACT else lesioned(intact, lesions[trial.lesion])
    task = Task(trial.settings, trial.bundle, trial.scene, trial.seed, filtered=trial.filtered)
    watch = CircuitWatch(bundle.mass_kg, round(settings.safety.rate_hz))
    log, end, _ = roll(settings, task, driver_of(settings, bundle), watch, trial.longest_s, camera=True)
    trace, last = log.trace(), log.last
    assert last is not None
    replayed = {}
    if trial.lesion == INTACT and not trial.filtered:
        before = commands(LiquidPolicy(intact, settings), watch.heard)
        for name, lesion in lesions.items():
            after = commands(LiquidPolicy(lesioned(intact, lesion), settings), watch.heard)
            replayed[name] = [round(float(one), 5) for one in command_change(before, after)]
    offset, speed = by_way(trace)
    return Outcome(
        scene=trial.scene,
        seed=trial.seed,
        lesion=trial.lesion,
        filtered=trial.filtered,
        longest_s=trial.longest_s,
        end=end.value,
        duration_s=len(trace) * trace.period,
        distance_m=float(trace.distance[-1]),
        contacts=last.contacts,
        limit_violations=int(trace.violations.sum()),
        off_lane_s=float(trace.off_lane.sum() * trace.period),
        off_road_s=float(trace.wheels_off.sum() * trace.period),
        min_gap_m=smallest_gap(trace),
        offset=[round(float(one), 3) for one in offset],
        speed=[round(float(one), 3) for one in speed],
        replayed=replayed,
    )


def commands(policy: LiquidPolicy, heard: Sequence[tuple[Features, Odometry]]) -> Floats:
    """What ``policy`` asks for on recorded inputs, (F, 2): force [N] and curvature [1/m]; nothing is driven."""
    decisions: list[Decision] = [policy.step(features, odometry) for features, odometry in heard]
    return np.array([(one.nominal.force, one.nominal.curvature) for one in decisions])


def command_change(before: Floats, after: Floats) -> tuple[float, float]:
    """RMS change of curvature and acceleration between commands (F, 2), in standard deviations of those ``before``."""
    spread = np.maximum(before.std(axis=0), 1e-12)
    force, curvature = np.sqrt(np.square(after - before).mean(axis=0)) / spread
    return float(curvature), float(force)


def by_way(trace: Trace) -> tuple[Floats, Floats]:
    """Lane offset [m] and speed [m/s] where the drive first was 0, ``STEP_M``, 2 · ``STEP_M``… along the lane."""
    way = np.maximum.accumulate(trace.distance)
    first = np.flatnonzero(np.diff(way, prepend=-math.inf) > 0)
    places = np.arange(0.0, max(float(way[-1]), 0.0) + 1e-9, STEP_M)
    places = np.maximum(places, float(way[0]))
    return np.interp(places, way[first], trace.lane_error[first]), np.interp(places, way[first], trace.speed[first])


def damage(hurt: Outcome, intact: Outcome, half_width: float) -> float:
    """How far a drive is from the intact one on the same road, place by place along the intact one's way, in 0…1.

    At each place the mean of |offset − intact offset| / ``half_width`` [m] and |speed − intact speed| / intact speed,
    both at most one; one where the drive did not get to. 0: the same drive; 1: it does not drive.
    """
    whole = len(intact.offset)
    both = min(whole, len(hurt.offset))
    aside = np.abs(np.subtract(hurt.offset[:both], intact.offset[:both])) / half_width
    usual = np.maximum(intact.speed[:both], 1.0)
    slower = np.abs(np.subtract(hurt.speed[:both], intact.speed[:both])) / usual
    each = (np.minimum(aside, 1.0) + np.minimum(slower, 1.0)) / 2
    return float((each.sum() + whole - both) / whole)
