# SPDX-License-Identifier: Apache-2.0
"""Who asks for commands: the network of a bundle, or the expert who sees the truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import (
    Command,
    Decision,
    Features,
    Gains,
    ImageHealth,
    LaneEstimate,
    Level,
    Odometry,
    Percept,
    nanoseconds,
    seconds,
)
from tidegate.robot import Actuation
from tidegate.settings import Settings
from tidegate.simulation import Expert, Observation, Simulator

EXPERT_BOUND = (0.05, 0.01, 0.002)
"""Error bounds that the expert's lane claims: offset [m], heading [rad], curvature [1/m]; its values are exact."""

Seen = tuple[Percept | None, Decision | None]
"""What a tick added: both None where no frame came."""


Decide = Callable[[Percept, Odometry], Decision]
"""Who decides on one frame: what perception made of it, and the newest odometry that is not later than it."""


class Driver(Protocol):
    """Turns what the sensors deliver into a percept and a decision whenever a frame arrives."""

    def look(self, sensors: Observation) -> Seen:
        """Take in what one tick brought."""


class BundleDriver:
    """Perception and policy as their nodes call them.

    The policy runs on the features of a frame with the newest odometry that is not later than the frame; in lock-step
    one not earlier has always arrived by then, because the camera is the slowest sensor.
    """

    def __init__(self, bundle: Bundle, settings: Settings, decide: Decide | None = None) -> None:
        """Load both; ``decide`` takes the place of the bundle's network, None = that network.

        Raises:
            BundleError: the bundle cannot be run.
        """
        self._perception = Perception(bundle, settings)
        self._decide = decide or network_of(bundle, settings)
        self._odometry: deque[Odometry] = deque(maxlen=round(2 * settings.safety.rate_hz))

    def look(self, sensors: Observation) -> Seen:
        """Process the frame, if one came."""
        self._odometry.append(sensors.odometry)
        if sensors.frame is None:
            return None, None
        percept = self._perception.process(sensors.frame)
        stamp = percept.features.stamp
        known = next((one for one in reversed(self._odometry) if one.stamp <= stamp), None)
        return percept, None if known is None else self._decide(percept, known)


def network_of(bundle: Bundle, settings: Settings) -> Decide:
    """The bundle's network at rest.

    Raises:
        BundleError: the bundle cannot be run.
    """
    policy = LiquidPolicy(bundle, settings)
    return lambda percept, odometry: policy.step(percept.features, odometry)


class ExpertDriver:
    """The privileged expert at the camera's rate and latency, its lane estimate exact; no picture is drawn for it.

    What befalls the scene's camera befalls it too: a lost camera delivers nothing, a blinded one is reported sick.
    """

    def __init__(self, settings: Settings, simulator: Simulator) -> None:
        self._simulator = simulator
        self._expert = Expert(settings, simulator)
        self._period = nanoseconds(1 / settings.camera.rate_hz)
        self._latency = nanoseconds(settings.camera.latency_s)
        self._due = simulator.now
        self._waiting: deque[tuple[int, Percept, Decision]] = deque()

    def look(self, sensors: Observation) -> Seen:
        """Deliver what was seen one camera latency ago."""
        now = sensors.odometry.stamp
        if now >= self._due:
            self._due += self._period
            self._glance(now)
        if self._waiting and self._waiting[0][0] <= now:
            return self._waiting.popleft()[1:]
        return None, None

    def _glance(self, now: int) -> None:
        truth = self._simulator.truth()
        offset, heading, curvature = EXPERT_BOUND
        bound = np.array([offset, heading, *[curvature] * len(truth.curvature)])
        lane = LaneEstimate(now, truth.offset, truth.heading, truth.curvature, bound)
        health = (
            ImageHealth(now, Level.OK) if truth.camera_ok else ImageHealth(now, Level.ERROR, ("the camera is gone",))
        )
        percept = Percept(Features(now, np.zeros(0, np.float32)), lane, health)
        decision = Decision(self._expert.act(truth), Gains(now, {}), np.zeros(0, np.float32))
        self._waiting.append((now + self._latency, percept, decision))


def expert_speed(
    settings: Settings, scene: str, seed: int, limit_s: float = 300.0, kind: type[Simulator] = Simulator
) -> float:
    """Mean speed [m/s] at which the expert alone reaches the goal of a scene in ``kind``; without camera and filter.

    Returns:
        zero if it does not get there within ``limit_s`` (the road is blocked for good).

    Raises:
        SceneError: the scene cannot be built.
    """
    period = 1 / settings.safety.rate_hz
    with kind(settings, scene, seed, camera=False) as simulator:
        actuation, expert = Actuation(simulator.car, period), Expert(settings, simulator)
        start, names = simulator.now, simulator.car.joint_names
        every = max(1, round(settings.safety.rate_hz / settings.camera.rate_hz))
        for tick in range(round(limit_s / period)):
            if tick % every == 0:
                truth = simulator.truth()
                if truth.reached:
                    return truth.distance / seconds(truth.stamp - start)
                wanted = expert.act(truth)
            efforts = actuation.efforts(wanted.force, wanted.curvature, simulator.observe().joints, simulator.now)
            simulator.apply(Command(simulator.now, names, efforts))
            simulator.step()
    return 0.0
