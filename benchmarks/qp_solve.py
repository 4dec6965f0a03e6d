# SPDX-License-Identifier: Apache-2.0
"""``solve_qp`` beyond the car's two variables, against the same programmes in parametrised CVXPY.

*Eight joints*: q̈ = M⁻¹τ with a full M, limits of position and torque, 32 rows; a call makes them from the state, solves
and checks. *400 rows* of 7 variables, as of an arm among many obstacles: solve and check.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from common import Aim, add_check, judge, race, save, versions
from cvxpy_peer import Floats, compiled

from tidegate.safety.qp import QPResult, solve_qp

JOINTS = 8
TORQUE = 20.0
"""Largest torque [N·m]: enough for every state that is drawn."""
MANY = 400, 7


class Joints:
    """Joints with inertia M [kg·m²] that keep |q| ≤ 1 rad by ḧ + 2ḣ + h ≥ 0, and |τ| ≤ ``TORQUE``."""

    def __init__(self) -> None:
        root = np.random.default_rng(0).normal(size=(JOINTS, JOINTS))
        inverse, one = np.linalg.inv(np.eye(JOINTS) + root @ root.T / JOINTS), np.eye(JOINTS)
        self.G = np.concatenate((-inverse, inverse, one, -one))
        self._torque = np.full(2 * JOINTS, -TORQUE)

    def lower(self, q: Floats, velocity: Floats) -> Floats:
        """Bounds (32,) of the rows at a state."""
        upper, least = 2 * velocity - (1 - q), -2 * velocity - (q + 1)
        return np.concatenate((upper, least, self._torque))

    def samples(self, count: int) -> list[tuple[Floats, Floats, Floats]]:
        """Wanted torques, positions, velocities."""
        rng = np.random.default_rng(1)
        return [
            (rng.uniform(-4, 4, JOINTS), rng.uniform(-0.9, 0.9, JOINTS), rng.uniform(-0.5, 0.5, JOINTS))
            for _ in range(count)
        ]


def crowded(count: int) -> list[tuple[Floats, Floats, Floats]]:
    """Wishes outside of 400 half-spaces around the origin, in 7 variables: wish, G of unit rows, lower."""
    rng = np.random.default_rng(2)
    made = []
    for _ in range(count):
        G = rng.normal(size=MANY)
        G /= np.linalg.norm(G, axis=1, keepdims=True)
        made.append((3 * rng.normal(size=MANY[1]), G, -rng.uniform(0.05, 1.0, MANY[0])))
    return made


def compare(
    ours: Callable[[Any], QPResult], theirs: Callable[[Any], Floats | None], samples: list[Any], rounds: int
) -> dict[str, Any]:
    """Times of both, the largest difference of their solutions, and how many rows push on average.

    Raises:
        RuntimeError: a programme was not solved; none of them is infeasible.
    """
    results, others = [ours(sample) for sample in samples], [theirs(sample) for sample in samples]
    if any(result.status != "solved" for result in results) or any(other is None for other in others):
        raise RuntimeError("a programme of this benchmark was not solved")
    far = max(float(np.abs(mine.solution - other).max()) for mine, other in zip(results, others, strict=True))
    pushing = float(np.mean([result.active.sum() for result in results]))
    return {
        "samples": len(samples),
        "pushing": pushing,
        "largest_difference": far,
        "times": race({"ours": ours, "cvxpy": theirs}, samples, rounds),
    }


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Solve and check."""
    yield Aim("7 variables, 400 rows, 99 % [µs]", figures["many_rows"]["times"]["ours"]["p99_us"], most=80.0)


def main(arguments: list[str] | None = None) -> None:
    """Time both kinds of programme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=300)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    joints, one, small = Joints(), np.eye(JOINTS), compiled(JOINTS, 4 * JOINTS)
    large, seven = compiled(MANY[1], MANY[0]), np.eye(MANY[1])
    figures = {
        "rounds": chosen.rounds,
        "joints": compare(
            lambda at: solve_qp(one, -at[0], joints.G, joints.lower(*at[1:])),
            lambda at: small(at[0], joints.G, joints.lower(*at[1:])),
            joints.samples(chosen.samples),
            chosen.rounds,
        ),
        "many_rows": compare(
            lambda at: solve_qp(seven, -at[0], at[1], at[2]),
            lambda at: large(*at),
            crowded(chosen.samples),
            chosen.rounds,
        ),
        "peers": versions("cvxpy", "clarabel"),
    }
    print(save("qp_solve", figures), figures["joints"], figures["many_rows"], sep="\n")
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
