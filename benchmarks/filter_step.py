# SPDX-License-Identifier: Apache-2.0
"""One step of the car's filter (rows, programme, check, report) against the same programme in parametrised CVXPY."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import SETTINGS, Aim, add_check, judge, race, save, versions
from cvxpy_peer import compiled

from tidegate.robot import Car
from tidegate.safety.barrier import OFF, Ahead, State
from tidegate.safety.filter import BOX, Filter
from tidegate.safety.joints import Box, joint_box
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.settings import load_settings

Situation = tuple[State, tuple[float, float], Box]
UNBOUNDED = -1e4
"""A bound that no scaled row reaches; CVXPY's parameters cannot be switched off."""


def situations(car: Car, period: float, count: int) -> list[Situation]:
    """States with a lane, things in the way half of the time, and wishes that often break a row."""
    rng = np.random.default_rng(0)
    made: list[Situation] = []
    for _ in range(count):
        force, curvature = rng.uniform(-4000, 3000), rng.uniform(-0.02, 0.02)
        low, high = car.force_window(force, period)
        bends = tuple(rng.uniform(-0.02, 0.02, 4).tolist())
        lane = TrackedLane(
            rng.uniform(-0.4, 0.4), rng.uniform(-0.05, 0.05), 0.25, 0.02, (0.0, 12.0, 24.0, 36.0), bends, 36.0
        )
        arc, along = (Ahead(rng.uniform(15, 80)) if rng.random() < 0.5 else Ahead() for _ in range(2))
        state = State(rng.uniform(2, 15), force, curvature, low, high, rng.uniform(-0.3, 0.3), lane, arc, along)
        wish = (rng.uniform(-6000, 4000), rng.uniform(-0.1, 0.1))
        made.append((state, wish, joint_box(car, force, curvature, period)))
    return made


class Peer:
    """The same programme in CVXPY."""

    def __init__(self, own: Filter) -> None:
        self._filter, self._solve = own, compiled(2, len(BOX) + len(own.priority))

    def __call__(self, state: State, wish: tuple[float, float], box: Box) -> np.ndarray | None:
        """Solve for one state; None where the rows contradict: CVXPY has no order in which rows give way."""
        own = self._filter
        G, fixed, scaled, cap, _ = own.rows(state)
        lower = np.minimum(fixed - own.row_gains({}) * scaled, cap)
        G = G * own.scale
        norm = np.maximum(np.linalg.norm(G, axis=1), 1e-12)
        limits = np.array([box.force_low, -box.force_high, box.curvature_low, -box.curvature_high])
        rows = np.concatenate((BOX, G / norm[:, None]))
        bounds = np.concatenate((limits / np.repeat(own.scale, 2), np.where(fixed > OFF, lower / norm, UNBOUNDED)))
        found = self._solve(np.array(wish) / own.scale, rows, bounds)
        return None if found is None else found * own.scale


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Rows, solve, check and report."""
    ours = figures["times"]["ours"]
    yield Aim("filter step, median [µs]", ours["median_us"], most=40.0)
    yield Aim("filter step, 99 % [µs]", ours["p99_us"], most=80.0)
    yield Aim("times as fast as CVXPY", figures["times"]["cvxpy"]["ratio"], least=10.0)


def main(arguments: list[str] | None = None) -> None:
    """Time both on the same states in turns; keep medians, 99th percentiles, the ratio and its spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--states", type=int, default=300)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    settings = load_settings(SETTINGS)
    car = Car.from_settings(settings)
    own = Filter(settings, car)
    peer, drawn = Peer(own), situations(car, 1 / settings.safety.rate_hz, chosen.states)
    differences = []
    for state, wish, box in drawn:
        told, theirs = own(state, wish, {}, box), peer(state, wish, box)
        if theirs is not None and not any(barrier.relaxed for barrier in told.barriers):
            differences.append(float(np.abs((theirs - (told.force, told.curvature)) / own.scale).max()))
    calls = {"ours": lambda one: own(one[0], one[1], {}, one[2]), "cvxpy": lambda one: peer(*one)}
    figures = {
        "states": chosen.states,
        "rounds": chosen.rounds,
        "times": race(calls, drawn, chosen.rounds),
        "compared": len(differences),
        "largest_difference": max(differences),
        "peers": versions("cvxpy", "clarabel"),
    }
    print(save("filter_step", figures), *figures["times"].items(), sep="\n")
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
