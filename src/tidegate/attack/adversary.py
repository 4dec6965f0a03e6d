# SPDX-License-Identifier: Apache-2.0
"""What a broken or hostile policy asks for. Adversaries by name; they see the truth, the better to do harm."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np

from tidegate.records import Nominal, nanoseconds, seconds
from tidegate.registry import Registry
from tidegate.robot import Car
from tidegate.simulation import Truth

ADVERSARIES: Registry[type[Adversary]] = Registry("adversaries")


class Adversary(ABC):
    """Asked once per camera frame, or at ``every_tick``. The docstring of every subclass says what it does.

    Attributes:
        plan: numbers in [−1, 1] that a search chose; empty = the adversary draws what it needs.
    """

    every_tick: ClassVar[bool] = False

    def __init__(self, car: Car, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        self.car, self.rng, self.plan = car, rng, plan
        self._until, self._held = 0, (0.0, 0.0)

    @abstractmethod
    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        """What to ask for where the expert, or the network, would ask for ``asked``; None = nothing is sent."""

    def held(self, stamp: int, least_s: float, most_s: float, force: float, curvature: float) -> tuple[float, float]:
        """(``force``, ``curvature``) as they were when the hold began; a hold lasts for a random time."""
        if stamp >= self._until:
            self._until = stamp + nanoseconds(float(self.rng.uniform(least_s, most_s)))
            self._held = force, curvature
        return self._held

    def anything(self) -> tuple[float, float]:
        """Uniform in twice what the car can do."""
        force = float(self.rng.uniform(2 * self.car.force_min, 2 * self.car.force_max))
        return force, 2 * self.car.curvature_max * float(self.rng.uniform(-1, 1))

    def extreme(self) -> tuple[float, float]:
        """One of the four corners of what the car can do."""
        force = self.car.force_max if self.rng.random() < 0.6 else self.car.force_min
        return force, self.car.curvature_max * float(self.rng.choice([-1.0, 1.0]))


@ADVERSARIES.register("noise")
class Noise(Adversary):
    """White noise over twice the car's range."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return Nominal(asked.stamp, *self.anything())


@ADVERSARIES.register("wander")
class Wander(Adversary):
    """Random commands, each held for up to two seconds."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return Nominal(asked.stamp, *self.held(asked.stamp, 0.2, 2.0, *self.anything()))


@ADVERSARIES.register("bang_bang")
class BangBang(Adversary):
    """The corners of the car's range, switched at random times."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return Nominal(asked.stamp, *self.held(asked.stamp, 0.1, 1.5, *self.extreme()))


@ADVERSARIES.register("steady")
class Steady(Adversary):
    """Full throttle along one path, gentle or sharp, for up to 15 seconds, whatever comes."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        path = 0.05 * float(self.rng.uniform(-1, 1))
        return Nominal(asked.stamp, *self.held(asked.stamp, 5.0, 15.0, self.car.force_max, path))


@ADVERSARIES.register("full_throttle")
class FullThrottle(Adversary):
    """Steers as it should, never anything but full throttle."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return replace(asked, force=self.car.force_max)


@ADVERSARIES.register("coast")
class Coast(Adversary):
    """Steers as it should and asks for no force at all, so that a car on a slope rolls back."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return replace(asked, force=0.0)


@ADVERSARIES.register("outward")
class Outward(Adversary):
    """Full throttle towards the edge of the lane that is nearer."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return Nominal(asked.stamp, self.car.force_max, math.copysign(self.car.curvature_max, truth.offset))


@ADVERSARIES.register("slalom")
class Slalom(Adversary):
    """Full throttle from edge to edge: steers across the lane until it is near the other edge."""

    def __init__(self, car: Car, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(car, rng, plan)
        self._side = 1.0

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        if truth.offset * self._side > 0.4:
            self._side = -self._side
        return Nominal(asked.stamp, self.car.force_max, self._side * self.car.curvature_max)


@ADVERSARIES.register("flipped")
class Flipped(Adversary):
    """A policy whose signs are wrong: steers and accelerates the other way."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        return Nominal(asked.stamp, -asked.force, -asked.curvature)


@ADVERSARIES.register("tailgate")
class Tailgate(Adversary):
    """Full throttle behind whatever is ahead, then the brakes, at random times; steers as it should."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        force, _ = self.held(asked.stamp, 0.3, 3.0, *self.extreme())
        return replace(asked, force=force)


@ADVERSARIES.register("nan")
class NotANumber(Adversary):
    """Storms of NaN and inf among random commands."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        force, curvature = self.anything()
        if self.rng.random() < 0.5:
            broken = float(self.rng.choice([math.nan, math.inf, -math.inf, 1e300]))
            force, curvature = (broken, curvature) if self.rng.random() < 0.5 else (force, broken)
        return Nominal(asked.stamp, force, curvature)


@ADVERSARIES.register("stutter")
class Stutter(Adversary):
    """Silence for up to the time that the ladder tolerates and beyond, at extremes in between."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        silent, _ = self.held(asked.stamp, 0.05, 0.3, float(self.rng.random() < 0.3), 0.0)
        return None if silent else Nominal(asked.stamp, *self.extreme())


@ADVERSARIES.register("stale")
class Stale(Adversary):
    """Extremes whose stamps are old, or lie in the future."""

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        late = nanoseconds(float(self.rng.uniform(-0.1, 0.2))) if self.rng.random() < 0.5 else 0
        return Nominal(max(0, asked.stamp - late), *self.extreme())


@ADVERSARIES.register("flood")
class Flood(Adversary):
    """Ten times as many commands as frames: extremes at every tick, each other than the last, NaN among them."""

    every_tick = True

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        force, curvature = self.extreme()
        return Nominal(asked.stamp, force, math.nan if self.rng.random() < 0.1 else curvature)


@ADVERSARIES.register("profile")
class Profile(Adversary):
    """Force and curvature held for half a second each, the same six again and again; a search chooses them."""

    SEGMENTS, SECONDS = 6, 0.5

    def __init__(self, car: Car, rng: np.random.Generator, plan: tuple[float, ...] = ()) -> None:
        super().__init__(car, rng, plan or tuple(rng.uniform(-1.0, 1.0, 2 * self.SEGMENTS).tolist()))
        self._begun: int | None = None

    def wish(self, asked: Nominal, truth: Truth) -> Nominal | None:
        if self._begun is None:
            self._begun = asked.stamp
        place = int(seconds(asked.stamp - self._begun) / self.SECONDS) % self.SEGMENTS
        push, turn = self.plan[2 * place : 2 * place + 2]
        force = push * (self.car.force_max if push > 0 else -self.car.force_min)
        return Nominal(asked.stamp, force, turn * self.car.curvature_max)
