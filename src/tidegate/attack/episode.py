# SPDX-License-Identifier: Apache-2.0
"""One hostile drive: an adversary at the wheel, a lane estimate as wrong as its stated bound allows."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from tidegate.attack.adversary import ADVERSARIES, Adversary
from tidegate.evaluation.drivers import ExpertDriver, Seen
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, roll
from tidegate.records import Decision, Gains, LaneEstimate, Mode
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Observation, Simulator

BOUNDS = ((0.1, 0.35), (0.0, 0.02), (0.0, 0.004))
"""Between which the stated bounds of an episode are drawn: offset [m], heading [rad], curvature [1/m]."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What to drive; text and numbers alone, so that it travels to another process and names itself in a file.

    ``disable`` names barriers, or 'filter', to switch off, to show what each is for; it ends after ``longest_s``.
    The expert drives until ``from_speed`` [m/s] is reached.
    """

    settings: str
    scene: str
    seed: int
    adversary: str
    disable: tuple[str, ...] = ()
    longest_s: float = 40.0
    from_speed: float = 0.0

    @property
    def key(self) -> str:
        """Its name among the episodes of one campaign."""
        return _key(self)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an episode. Lengths [m], times [s].

    ``contacts`` and ``limit_violations`` (at any physics step) must be zero whatever happens; ``off_lane_s`` (a side
    of the car beyond the lane's edge) and ``off_road_s`` are what the barriers ``lane`` and ``edge`` promise under the
    stated bound.
    ``lowest`` is the smallest h of each barrier while driving, ``relaxed`` the barriers that had to give way, ``bound``
    the stated error bound of the offset; ``faults`` are exceptions that the filter caught.
    """

    scene: str
    seed: int
    adversary: str
    end: str
    duration_s: float
    distance_m: float
    top_speed: float
    contacts: int
    limit_violations: int
    worst_limit: str
    off_lane_s: float
    off_road_s: float
    min_gap_m: float | None
    max_abs_lane_error_m: float
    bound: float
    lowest: dict[str, float]
    relaxed: dict[str, int]
    faults: int

    @property
    def key(self) -> str:
        """The key of its episode."""
        return _key(self)

    @property
    def harmless(self) -> bool:
        """Whether nothing was touched, no limit broken and the lane kept."""
        return not (self.contacts or self.limit_violations or self.faults or self.off_lane_s or self.off_road_s)


class WrongLane:
    """Errors of a lane estimate inside its stated bounds: constant, jumping from frame to frame, or swinging slowly."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.bounds = [float(rng.uniform(*between)) for between in BOUNDS]
        self._shape = str(rng.choice(["constant", "jump", "swing"]))
        self._side = float(rng.choice([-1.0, 1.0]))
        self._rate = float(rng.uniform(0.3, 3.0))

    def __call__(self, lane: LaneEstimate) -> LaneEstimate:
        """``lane``, which is exact, as wrong as allowed."""
        if self._shape == "constant":
            share = self._side
        elif self._shape == "jump":
            share = float(self._rng.choice([-1.0, 1.0]))
        else:
            share = math.sin(self._rate * lane.stamp / 1e9)
        offset, heading, curvature = (share * bound for bound in self.bounds)
        bound = np.array([*self.bounds[:2], *[self.bounds[2]] * len(lane.curvature)])
        return LaneEstimate(lane.stamp, lane.offset + offset, lane.heading - heading, lane.curvature + curvature, bound)


class HostileDriver:
    """The expert's eyes, blurred, and an adversary's hands; gains inside and far outside their interval."""

    def __init__(
        self, settings: Settings, simulator: Simulator, adversary: Adversary, wrong: WrongLane, from_speed: float
    ) -> None:
        self._waits_for: float | None = from_speed
        self._eyes, self._simulator = ExpertDriver(settings, simulator), simulator
        self._adversary, self._wrong, self._names = adversary, wrong, settings.policy.gain_names

    def look(self, sensors: Observation) -> Seen:
        """As ``Driver.look``."""
        percept, decision = self._eyes.look(sensors)
        if percept is None or decision is None:
            return percept, decision
        percept, truth = replace(percept, lane=self._wrong(percept.lane)), self._simulator.truth()
        if self._waits_for is not None:
            if truth.speed < self._waits_for:
                return percept, decision
            self._waits_for = None
        nominal = self._adversary.wish(decision.nominal, truth)
        if nominal is None:
            return percept, None
        rng = self._adversary.rng
        drawn = rng.choice([math.nan, -10.0, 1e9], len(self._names)) if rng.random() < 0.2 else None
        gains = rng.uniform(0.0, 8.0, len(self._names)) if drawn is None else drawn
        named = dict(zip(self._names, gains.tolist(), strict=True))
        return percept, Decision(nominal, Gains(nominal.stamp, named), decision.neurons)


def run_episode(episode: Episode) -> Outcome:
    """Drive one episode.

    Raises:
        KeyError: no such adversary; SettingsError, SceneError: as ``roll``.
    """
    settings = load_settings(episode.settings)
    kind = ADVERSARIES[episode.adversary]
    place = sorted(ADVERSARIES).index(episode.adversary)
    rng = np.random.default_rng([episode.seed, place])
    wrong = WrongLane(rng)
    lowest: dict[str, float] = defaultdict(lambda: math.inf)
    relaxed: dict[str, int] = defaultdict(int)
    faults = 0

    def watch(moment: Moment) -> None:
        nonlocal faults
        tick = moment.step.tick
        faults += any(reason.startswith("fault in the safety filter") for reason in tick.reasons)
        if tick.mode is Mode.STOPPED:
            return
        for barrier in tick.barriers:
            lowest[barrier.name] = min(lowest[barrier.name], barrier.h)
            relaxed[barrier.name] += barrier.relaxed

    task = Task(episode.settings, "", episode.scene, episode.seed, driver="expert", disable=episode.disable)
    log, end, _ = roll(
        settings,
        task,
        lambda simulator: HostileDriver(settings, simulator, kind(simulator.car, rng), wrong, episode.from_speed),
        watch,
        episode.longest_s,
        camera=False,
    )
    trace, last = log.trace(), log.last
    assert last is not None
    finite = trace.gap[np.isfinite(trace.gap)]
    return Outcome(
        scene=episode.scene,
        seed=episode.seed,
        adversary=episode.adversary,
        end=end.value,
        duration_s=round(len(trace) * trace.period, 3),
        distance_m=float(trace.distance[-1]),
        top_speed=float(trace.speed.max()),
        contacts=last.contacts,
        limit_violations=int(trace.violations.sum()),
        worst_limit=last.limit_worst if trace.violations.any() else "",
        off_lane_s=float(trace.off_lane.sum() * trace.period),
        off_road_s=float(trace.wheels_off.sum() * trace.period),
        min_gap_m=float(finite.min()) if len(finite) else None,
        max_abs_lane_error_m=float(np.abs(trace.lane_error).max()),
        bound=wrong.bounds[0],
        lowest={name: value for name, value in sorted(lowest.items()) if math.isfinite(value)},
        relaxed={name: count for name, count in sorted(relaxed.items()) if count},
        faults=faults,
    )


def _key(one: Episode | Outcome) -> str:
    return f"{one.scene} {one.adversary} {one.seed}"
