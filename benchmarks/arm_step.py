# SPDX-License-Identifier: Apache-2.0
"""One tick of the arm's filter: rows, programme, check and report against the same programme in parametrised CVXPY, on
states and wishes of hostile closed loops; and the whole tick, with dynamics and limiter."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy: its threads take longer than a matrix of seven joints

import numpy as np
from common import Aim, add_check, in_turns, judge, race, save, timed, versions
from cvxpy_peer import compiled

from tidegate.attack.arm.adversary import ARM_ADVERSARIES
from tidegate.attack.arm.conditions import draw_start
from tidegate.records import Floats
from tidegate.safety.arm import ArmFilter, ArmGuard, ArmState
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm import ArmScene

SETTINGS = "config/arm.yaml"
WHO = ("bang_bang", "flipped", "full_torque", "press", "wander")
"""Adversaries whose wishes are numbers, every tick."""
UNBOUNDED = -1e4
"""A bound that no scaled row reaches; CVXPY's parameters cannot be switched off."""
SEED = 5000


class Tick(NamedTuple):
    """What a tick began with: ``last`` is the torque before it, ``state`` what follows from it and the joints."""

    position: Floats
    velocity: Floats
    last: Floats
    wish: Floats
    state: ArmState


def ticks(guard: ArmGuard, seconds: float) -> list[Tick]:
    """Every tick of one episode of each of ``WHO``, from rest and at speed in turns."""
    made: list[Tick] = []
    rate = guard.arm.settings.safety.rate_hz
    for number, name in enumerate(WHO):
        rng, scene = np.random.default_rng(SEED + number), ArmScene(guard.arm)
        start = draw_start(rng, guard, "speed" if number % 2 else "rest")
        adversary = ARM_ADVERSARIES[name](guard.arm, guard.dynamics, rng)
        truth = scene.place(start.position, start.velocity)
        guard.engage(start.position, start.torque)
        for step in range(round(seconds * rate)):
            asked = np.array(adversary.wish(step / rate, truth.position, truth.velocity))
            last, state = guard.limiter.last, guard.state(truth.position, truth.velocity)
            made.append(Tick(truth.position, truth.velocity, last, asked, state))
            told = guard(truth.position, truth.velocity, asked)
            for _ in range(scene.substeps):
                truth = scene.step(told.torque)
    return made


class Peer:
    """The same programme in CVXPY, with as many rows as the filter ever has."""

    def __init__(self, own: ArmFilter, most: int) -> None:
        self._filter, count = own, len(own.scale)
        self._box = np.concatenate((np.eye(count), -np.eye(count)))
        self._solve = compiled(count, 2 * count + most)
        self._rows, self._lower = np.zeros((2 * count + most, count)), np.full(2 * count + most, UNBOUNDED)

    def __call__(self, tick: Tick) -> Floats | None:
        """Torques (N,) [N·m]; None where the rows contradict: CVXPY has no order in which rows give way."""
        own, state = self._filter, tick.state
        rows, count = own.rows(state), len(self._box)
        end = count + len(rows.lower)
        self._rows[:count], self._rows[count:end], self._rows[end:] = self._box, rows.matrix, 0.0
        self._lower[: count // 2], self._lower[count // 2 : count] = state.low / own.scale, -state.high / own.scale
        self._lower[count:end], self._lower[end:] = rows.lower, UNBOUNDED
        found = self._solve(tick.wish / own.scale, self._rows, self._lower)
        return None if found is None else found * own.scale


def processor(call: Callable[[Tick], object], samples: list[Tick], rounds: int) -> dict[str, float]:
    """Processor time of ``call`` [µs], which leaves out what else the machine did: median and 99th percentile of all
    calls, and over the samples of the least of each one's rounds."""
    parts = in_turns({"call": lambda: [timed(call, sample, time.thread_time_ns) for sample in samples]}, rounds)["call"]
    found = {}
    for name, times in (("", np.concatenate(parts)), ("least_", np.min(parts, axis=0))):
        found |= {f"{name}median_us": float(np.median(times)), f"{name}p99_us": float(np.quantile(times, 0.99))}
    return found


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Of the whole tick, in processor time."""
    tick = figures["processor"]
    yield Aim("tick of the arm, median [µs]", tick["median_us"], most=150.0)
    yield Aim("tick of the arm, 99 % [µs]", tick["p99_us"], most=300.0)
    yield Aim("times as fast as CVXPY", figures["times"]["cvxpy"]["ratio"], least=10.0)


def main(arguments: list[str] | None = None) -> None:
    """Time all on the same ticks in turns; keep medians, 99th percentiles, the ratios and their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--ticks", type=int, default=300)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    guard = ArmGuard(load_arm_settings(SETTINGS))
    every = ticks(guard, 1.0)
    drawn = [every[index] for index in np.random.default_rng(0).permutation(len(every))[: chosen.ticks]]
    own = guard.filter
    peer = Peer(own, max(len(own.rows(tick.state).lower) for tick in drawn))

    def whole(tick: Tick) -> Floats:
        guard.limiter.last = tick.last
        return guard(tick.position, tick.velocity, tick.wish).torque

    differences, changed = [], 0
    for tick in drawn:
        told, theirs = own(tick.state, tick.wish), peer(tick)
        changed += bool(told.intervened)
        if theirs is not None and not any(barrier.relaxed for barrier in told.barriers):
            differences.append(float(np.abs((theirs - told.torque) / own.scale).max()))
    calls = {"filter": lambda one: own(one.state, one.wish), "tick": whole, "cvxpy": peer}
    figures = {
        "ticks": len(drawn),
        "rounds": chosen.rounds,
        "changed": changed,
        "times": race(calls, drawn, chosen.rounds),
        "processor": processor(whole, drawn, chosen.rounds),
        "compared": len(differences),
        "largest_difference": max(differences),
        "peers": versions("cvxpy", "clarabel", "pin"),
    }
    print(save("arm_step", figures), *figures["times"].items(), sep="\n")
    print({key: figures[key] for key in ("processor", "changed", "compared", "largest_difference")})
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
