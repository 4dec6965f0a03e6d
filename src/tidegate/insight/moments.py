# SPDX-License-Identifier: Apache-2.0
"""Moments to ask why in: the network set down on a road that it does not know and left at the wheel, without the
filter, until its neurons know where they are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Command, Decision, Floats, Frame, Odometry
from tidegate.robot import Actuation
from tidegate.settings import Settings
from tidegate.simulation import Simulator

WARM = 40
"""Frames that are driven before a moment: 2 s at 20 Hz, more than three times the longest time constant."""
AHEAD_M = 40.0
"""How far a bend may be for the car to be set down slowly enough for it [m]."""
CLOSING_S = 2.5
"""Where others are about, the car is set down so that one of them is ``GAPS`` [m] ahead after so long."""
GAPS = (18.0, 45.0)


@dataclass(frozen=True, slots=True)
class Job:
    """One world: what drives, where, and how many moments of it are looked at. Paths are text, so that it travels to
    another process."""

    settings: str
    bundle: str
    scene: str
    seed: int
    moments: int


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """One frame on the way: ``before`` is the neurons' (N,) state with the stamp [ns] of their last frame, ``decision``
    what came of the ``frame``."""

    frame: Frame
    odometry: Odometry
    before: tuple[int, NDArray[np.float32]] | None
    decision: Decision


def jobs(settings: str, bundle: str, scenes: Sequence[str], seeds: Sequence[int], moments: int) -> list[Job]:
    """A world per seed, the scenes in turn."""
    return [Job(settings, bundle, scene, seed, moments) for scene, seed in zip(cycle(scenes), seeds)]


def prompt(settings: Settings) -> Settings:
    """Settings under which a frame arrives when it is exposed, so that what it shows can be pictured once more."""
    camera = dataclasses.replace(settings.camera, latency_s=0.0)
    return dataclasses.replace(settings, camera=camera, ranging=dataclasses.replace(settings.ranging, rate_hz=1.0))


def set_down(simulator: Simulator, random: np.random.Generator) -> None:
    """Stand the car anywhere on an empty road, or a little before one of those who are about, rolling."""
    road, actors = simulator.road, simulator.scene.actors
    speed = float(random.uniform(6.0, 12.0))
    s = float(random.uniform(0.0, road.length))
    if actors:
        other = actors[random.integers(len(actors))]
        where = road.locate(other.x, other.y)
        closing = speed - other.speed * math.cos(other.yaw - where.yaw)
        s = where.s - max(CLOSING_S * closing, 0.0) - float(random.uniform(*GAPS))
    bend = max(abs(road.curvature_at(s + ahead)) for ahead in np.arange(0.0, AHEAD_M, 4.0))
    speed = min(speed, math.sqrt(2.2 / max(bend, 1e-3)))
    simulator.place(s % road.length, float(random.normal(0, 0.2)), float(random.normal(0, 0.02)), speed)


def ride(simulator: Simulator, perception: Perception, policy: LiquidPolicy) -> Iterator[Glance]:
    """Drive on from where the car is, neurons at rest, for as long as anybody asks; no filter acts.

    Whenever a glance is handed out, the simulator is as it was when its frame was exposed.
    """
    policy.reset()
    actuation = Actuation(simulator.car, 1 / simulator.settings.safety.rate_hz)
    names, decision = simulator.car.joint_names, None
    while True:
        seen = simulator.observe()
        if seen.frame is not None:
            before = None if decision is None else (decision.nominal.stamp, decision.neurons)
            decision = policy.step(perception.process(seen.frame).features, seen.odometry)
            yield Glance(seen.frame, seen.odometry, before, decision)
        wanted = (0.0, 0.0) if decision is None else (decision.nominal.force, decision.nominal.curvature)
        simulator.apply(Command(simulator.now, names, actuation.efforts(*wanted, seen.joints, simulator.now)))
        simulator.step()


def clustered(values: Floats, worlds: Sequence[object], draws: int = 2000) -> tuple[float, float, float]:
    """Mean of ``values`` (M,) with its 95 % interval: bootstrap over ``worlds``, one for each value, since the moments
    of one world are alike. With one world alone the interval is that world's mean.
    """
    means = resampled_means(values[:, None], worlds, draws)[:, 0]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def resampled_means(values: Floats, worlds: Sequence[object], draws: int = 2000) -> Floats:
    """Means (draws, K) of ``values`` (M, K) over worlds drawn with replacement, the same draws for every column."""
    _, number = np.unique(np.array([repr(one) for one in worlds]), return_inverse=True)
    count = int(number.max()) + 1
    sums = np.stack([np.bincount(number, column, count) for column in values.T], axis=1)
    sizes = np.bincount(number, minlength=count)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws)
    means: Floats = (drawn @ sums) / (drawn @ sizes)[:, None]
    return means
