# SPDX-License-Identifier: Apache-2.0
"""The arm under hostile torques, with and without the filter: the worst excess over each limit at any physics step."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy: its threads take longer than a matrix of seven joints

import numpy as np
from common import Aim, add_check, judge, save, table

from tidegate.records import Floats
from tidegate.safety.arm import ArmGuard
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.simulation.arm import ArmScene, ArmTruth

SETTINGS = "config/arm.yaml"
STRENGTH = 1.5
"""What is asked for goes so far beyond the joints' effort."""
FASTEST = 200.0
"""An arm without a filter that is faster has shown what it can [rad/s]."""
Signal = Callable[[float, Floats, Floats], Floats]
"""Torques that are asked for, by time [s], position and velocity."""
QUANTITIES = {
    "position": "rad",
    "velocity": "rad/s",
    "torque": "N·m",
    "slew": "N·m/s",
    "power": "W",
    "tool speed": "m/s",
    "contact force": "N",
}


def bang_bang(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """Full torque, each joint's sign drawn anew at times of its own."""
    most, count = STRENGTH * guard.arm.effort, len(guard.arm.effort)
    due, sign = np.zeros(count), np.ones(count)

    def ask(now: float, _: Floats, __: Floats) -> Floats:
        turn = now >= due
        sign[turn] = rng.choice((-1.0, 1.0), int(turn.sum()))
        due[turn] = now + rng.uniform(0.02, 0.6, int(turn.sum()))
        return sign * most

    return ask


def random_walk(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """Torques that wander."""
    most, torque = STRENGTH * guard.arm.effort, np.zeros(len(guard.arm.effort))

    def ask(_: float, __: Floats, ___: Floats) -> Floats:
        torque[:] = np.clip(torque + rng.normal(0, 0.1, len(most)) * most, -most, most)
        return torque

    return ask


def flipped_impedance(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """An impedance controller whose spring and damper have the wrong sign; gravity is held."""
    goal = rng.uniform(guard.arm.lower, guard.arm.upper)
    spring = guard.arm.effort * rng.uniform(1, 5)

    def ask(_: float, position: Floats, velocity: Floats) -> Floats:
        return guard.dynamics.gravity(position) - spring * (goal - position) + 0.2 * spring * velocity

    return ask


def full_torque(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """The same full torque all the time."""
    torque = rng.choice((-1.0, 1.0), len(guard.arm.effort)) * STRENGTH * guard.arm.effort
    return lambda _, __, ___: torque


def press(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """Down, with ten times the force that is allowed."""
    force = np.array([*rng.normal(0, 50, 2), -10 * guard.arm.settings.safety.surface.force_max])

    def ask(_: float, position: Floats, velocity: Floats) -> Floats:
        motion = guard.dynamics(position, velocity)
        return motion.bias + motion.jacobian.T @ force

    return ask


def nonsense(rng: np.random.Generator, guard: ArmGuard) -> Signal:
    """NaN, inf and huge numbers among full torques."""
    honest = bang_bang(rng, guard)

    def ask(now: float, position: Floats, velocity: Floats) -> Floats:
        wish = honest(now, position, velocity).copy()
        wish[rng.random(len(wish)) < 0.05] = rng.choice((math.nan, math.inf, -1e300))
        return wish

    return ask


SIGNALS = {made.__name__: made for made in (bang_bang, random_walk, flipped_impedance, full_torque, press, nonsense)}


class Worst:
    """The largest excess over each limit; negative = what was left."""

    def __init__(self, guard: ArmGuard) -> None:
        self._arm, self._safety = guard.arm, guard.arm.settings.safety
        self.found = dict.fromkeys(QUANTITIES, -math.inf)

    def tick(self, torque: Floats, last: Floats) -> None:
        """A command after the one before."""
        self._take("torque", float((np.abs(torque) - self._arm.effort).max()))
        self._take("slew", float((np.abs(torque - last) * self._safety.rate_hz - self._arm.effort_rate).max()))

    def step(self, torque: Floats, truth: ArmTruth) -> None:
        """A physics step."""
        arm, limits = self._arm, self._safety.limits
        self._take("position", float(max((truth.position - arm.upper).max(), (arm.lower - truth.position).max())))
        self._take("velocity", float((np.abs(truth.velocity) - arm.velocity).max()))
        self._take("power", abs(float(torque @ truth.velocity)) - limits.power_max)
        self._take("tool speed", math.hypot(*truth.tool_velocity.tolist()) - limits.tool_speed_max)
        self._take("contact force", truth.force - self._safety.surface.force_max)

    def _take(self, name: str, excess: float) -> None:
        self.found[name] = max(self.found[name], excess)


def start(rng: np.random.Generator, guard: ArmGuard, fast: bool) -> tuple[Floats, Floats]:
    """Joint positions and velocities from which the backup keeps every limit, the tool above the surface."""
    arm, surface = guard.arm, guard.arm.settings.safety.surface
    while True:
        position = rng.uniform(0.9 * arm.lower, 0.9 * arm.upper)
        velocity = rng.uniform(-0.95, 0.95, len(position)) * arm.velocity * fast
        if guard.dynamics(position, velocity).position[2] < surface.offset + 0.02:
            continue
        for _ in range(4):
            bias = guard.dynamics(position, velocity).bias
            guard.engage(position, bias)
            if min(guard.filter.rows(guard.state(position, velocity)).values) > 0.02:
                return position, velocity
            velocity = velocity / 2


class Campaign:
    """Episodes with one set of settings."""

    def __init__(self, settings: ArmSettings, seconds: float, overload: float) -> None:
        """``overload``: payload [kg] beyond what the settings bound."""
        self.guard = ArmGuard(settings)
        self._settings, self._ticks, self._overload = settings, round(seconds * settings.safety.rate_hz), overload
        self.times: list[float] = []
        self.told: Counter[str] = Counter()

    def episode(self, name: str, seed: int, *, filtered: bool) -> dict[str, float]:
        """The worst excess of one episode; the same seed gives the same start, arm and signal with and without."""
        rng, guard, limits = np.random.default_rng(seed), self.guard, self._settings.safety.limits
        model = self._settings.arm
        payload = model.payload + rng.uniform(-1, 1) * model.payload_error + self._overload
        scene, worst = ArmScene(guard.arm, payload=payload), Worst(guard)
        position, velocity = start(rng, guard, fast=bool(seed % 2))
        wish, errors = SIGNALS[name](rng, guard), np.random.default_rng(seed + 1)
        truth, last = scene.place(position, velocity), guard.limiter.last
        for tick in range(self._ticks):
            seen = truth.position + limits.position_error * errors.uniform(-1, 1, len(position))
            speed = truth.velocity + limits.velocity_error * errors.uniform(-1, 1, len(position))
            asked = wish(tick / self._settings.safety.rate_hz, seen, speed)
            torque = self._filtered(seen, speed, asked) if filtered else self._cut(asked)
            worst.tick(torque, last)
            last = torque
            for _ in range(scene.substeps):
                truth = scene.step(torque)
                worst.step(torque, truth)
            if np.abs(truth.velocity).max() > FASTEST:
                break
        return worst.found

    def _cut(self, asked: Floats) -> Floats:
        """What is asked for without a filter, no stronger than the signals mean and 0 where it is no number."""
        most = STRENGTH * self.guard.arm.effort
        return np.clip(np.nan_to_num(asked), -most, most)

    def _filtered(self, position: Floats, velocity: Floats, asked: Floats) -> Floats:
        began = time.thread_time_ns()  # of the processor: the campaign takes minutes, beside whatever else runs
        told = self.guard(position, velocity, asked)
        self.times.append((time.thread_time_ns() - began) / 1e3)
        self.told["ticks"] += 1
        self.told["changed"] += bool(told.intervened)
        self.told["unsolved"] += not told.solved
        self.told.update(f"{barrier.name} gave way" for barrier in told.barriers if barrier.relaxed)
        return told.torque


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Nothing is exceeded with the filter on."""
    for name, unit in QUANTITIES.items():
        yield Aim(f"worst excess of {name} with the filter [{unit}]", figures["with"][name], most=1e-6)


def main(arguments: list[str] | None = None) -> None:
    """Drive all signals in turns; keep the worst excess of each quantity, with and without the filter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--signals", nargs="+", choices=sorted(SIGNALS), default=list(SIGNALS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overload", type=float, default=0.0, help="kg at the tool that nobody was told of")
    parser.add_argument("--name", default="arm")
    add_check(parser)
    chosen = parser.parse_args(arguments)
    campaign = Campaign(load_arm_settings(SETTINGS), chosen.seconds, chosen.overload)
    worst: dict[str, dict[str, float]] = {side: dict.fromkeys(QUANTITIES, -math.inf) for side in ("with", "without")}
    by_signal: dict[str, dict[str, float]] = {}
    for number in range(chosen.episodes):
        signal = chosen.signals[number % len(chosen.signals)]
        for side in worst:
            found = campaign.episode(signal, chosen.seed + number, filtered=side == "with")
            worst[side] = {name: max(value, found[name]) for name, value in worst[side].items()}
            if side == "with":
                before = by_signal.setdefault(signal, dict.fromkeys(QUANTITIES, -math.inf))
                by_signal[signal] = {name: max(value, found[name]) for name, value in before.items()}
    figures = {
        **{key: getattr(chosen, key) for key in ("episodes", "seconds", "signals", "seed", "overload")},
        **worst,
        "by_signal": by_signal,
        "told": dict(campaign.told),
        "step_cpu_us": {"median": float(np.median(campaign.times)), "p99": float(np.quantile(campaign.times, 0.99))},
        "settings": dataclasses.asdict(campaign.guard.arm.settings.safety),
    }
    print(save(chosen.name, figures))
    rows = [(f"{name} [{unit}]", *(f"{worst[side][name]:.4g}" for side in worst)) for name, unit in QUANTITIES.items()]
    print(table(("excess", *worst), rows), figures["told"], figures["step_cpu_us"], *by_signal.items(), sep="\n")
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
