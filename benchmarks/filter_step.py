# SPDX-License-Identifier: Apache-2.0
"""One step of the car's filter (rows, programme, check, report) against the same programme in parametrised CVXPY."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cvxpy
import numpy as np
from common import SETTINGS, save

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
    """The same programme, compiled once by CVXPY."""

    def __init__(self, own: Filter) -> None:
        count = len(own.priority)
        self._filter = own
        self._z, self._wish = cvxpy.Variable(2), cvxpy.Parameter(2)
        self._G, self._lower = cvxpy.Parameter((count, 2)), cvxpy.Parameter(count)
        self._box = cvxpy.Parameter(4)
        rows = [self._G @ self._z >= self._lower, BOX @ self._z >= self._box]
        self._problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(self._z - self._wish)), rows)

    def __call__(self, state: State, wish: tuple[float, float], box: Box) -> np.ndarray | None:
        """Solve for one state; None where the rows contradict: CVXPY has no order in which rows give way."""
        own = self._filter
        G, fixed, scaled, cap, _ = own.rows(state)
        lower = np.minimum(fixed - own.row_gains({}) * scaled, cap)
        G = G * own.scale
        norm = np.maximum(np.linalg.norm(G, axis=1), 1e-12)
        self._G.value = G / norm[:, None]
        self._lower.value = np.where(fixed > OFF, lower / norm, UNBOUNDED)
        unit = np.repeat(own.scale, 2)
        self._box.value = np.array([box.force_low, -box.force_high, box.curvature_low, -box.curvature_high]) / unit
        self._wish.value = np.array(wish) / own.scale
        self._problem.solve(solver=cvxpy.CLARABEL, ignore_dpp=False)
        return None if self._z.value is None else self._z.value * own.scale


def timed(call: Callable[[], object]) -> float:
    """Time of one call [µs]."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e3


def main(arguments: list[str] | None = None) -> None:
    """Time both on the same states in turns; keep medians, 99th percentiles, the ratio and its spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--states", type=int, default=300)
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
    mine, others, ratios = [], [], []
    for _ in range(chosen.rounds):
        ours = [timed(lambda: own(state, wish, {}, box)) for state, wish, box in drawn]  # noqa: B023
        theirs_ = [timed(lambda: peer(state, wish, box)) for state, wish, box in drawn]  # noqa: B023
        mine += ours
        others += theirs_
        ratios.append(float(np.median(theirs_) / np.median(ours)))
    figures = {
        "states": chosen.states,
        "rounds": chosen.rounds,
        "median_us": float(np.median(mine)),
        "p99_us": float(np.quantile(mine, 0.99)),
        "cvxpy_median_us": float(np.median(others)),
        "cvxpy_p99_us": float(np.quantile(others, 0.99)),
        "ratio": float(np.median(ratios)),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "compared": len(differences),
        "largest_difference": max(differences),
    }
    print(save("filter_step", figures))
    print(
        f"{figures['median_us']:.0f} µs median, {figures['p99_us']:.0f} p99; CVXPY {figures['cvxpy_median_us']:.0f}; "
        f"ratio {figures['ratio']:.1f} ({min(ratios):.1f}…{max(ratios):.1f}); differs by {max(differences):.1e} at most"
    )


if __name__ == "__main__":
    main()
