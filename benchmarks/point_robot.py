# SPDX-License-Identifier: Apache-2.0
"""cbfpy's point robot: a unit mass pushed by a force stays in a cube. Ours against cbfpy, compiled by JAX, same states.

``pip install 'tidegate[bench]'`` brings cbfpy with its own solver, qpax. Its faster one, ElastiQP, needs a newer NumPy
than the ROS 2 wheels allow: ``pip install 'cbfpy[elastiqp]'`` in an environment of its own, where this script runs too.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from common import Aim, add_check, judge, race, save, versions

from tidegate.safety.qp import QPResult, solve_qp

# as cbfpy's own demo sets them, before jax is imported
os.environ |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "OPENBLAS_NUM_THREADS": "1"}
os.environ |= {"JAX_ENABLE_X64": "True", "JAX_PLATFORMS": "cpu"}
BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "cbfpy": ("qpax", {}),
    "cbfpy, tolerance 1e-6": ("qpax", {"solver_tol": 1e-6}),
    "cbfpy with ElastiQP": ("elastiqp", {"backend": "elastiqp", "solver_tol": 1e-6}),
}
"""Package and options: cbfpy's defaults, and ElastiQP with the tolerance of cbfpy's demo."""
ONE, SIDES = np.eye(3), np.concatenate((-np.eye(3), np.eye(3)))
DRIFT = np.concatenate((SIDES, 2 * SIDES), axis=1)
"""What the rows take from the state: of h, and of 2ḣ."""
Sample = tuple[np.ndarray, np.ndarray]
"""State (6,): place [m] and velocity [m/s]; wanted force (3,) [N]."""


def ours(sample: Sample) -> QPResult:
    """The force nearest to the wanted one with ḧ + 2ḣ + h ≥ 0 for h = 1 ∓ x: both gains are 1, as cbfpy's are."""
    state, wanted = sample
    return solve_qp(ONE, -wanted, SIDES, -1.0 - DRIFT.dot(state))


def theirs(options: dict[str, Any]) -> Callable[[Sample], Any]:
    """cbfpy's filter of the same robot; it returns when the force is there."""
    import jax.numpy as jnp
    from cbfpy import CBF, CBFConfig

    class PointRobot(CBFConfig):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n=6, m=3, **options)

        def f(self, z: Any) -> Any:
            return jnp.concatenate([z[3:], jnp.zeros(3)])

        def g(self, z: Any) -> Any:
            return jnp.concatenate([jnp.zeros((3, 3)), jnp.eye(3)])

        def h_2(self, z: Any) -> Any:
            return jnp.concatenate([1.0 - z[:3], z[:3] + 1.0])

    safe = CBF.from_config(PointRobot()).safety_filter
    return lambda sample: safe(*sample).block_until_ready()


def samples(count: int) -> list[Sample]:
    """States in the cube, and forces that most often would leave it."""
    rng = np.random.default_rng(0)
    return [
        (np.concatenate((rng.uniform(-0.95, 0.95, 3), rng.uniform(-1, 1, 3))), rng.uniform(-4, 4, 3))
        for _ in range(count)
    ]


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Against each solver of cbfpy's."""
    ours = figures["times"]["ours"]
    for name, theirs in figures["times"].items():
        if name != "ours":
            yield Aim(f"mean, as a share of {name}", ours["mean_us"] / theirs["mean_us"], most=1.0)
            yield Aim(f"99 %, as a share of {name}", ours["p99_us"] / theirs["p99_us"], most=0.5)


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns, and compare the forces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    if find_spec("cbfpy") is None:
        print("point_robot is skipped: cbfpy is missing; pip install 'tidegate[bench]'")
        return
    import jax

    drawn = samples(chosen.samples)
    on_device = [tuple(jax.numpy.asarray(part) for part in sample) for sample in drawn]  # their conversion is not timed
    peers = {name: theirs(options) for name, (package, options) in BACKENDS.items() if find_spec(package)}
    results = [ours(sample) for sample in drawn]
    far = {
        name: max(
            float(np.abs(np.asarray(peer(sample)) - mine.solution).max())
            for sample, mine in zip(on_device, results, strict=True)
        )
        for name, peer in peers.items()
    }
    pairs = list(zip(drawn, on_device, strict=True))
    calls: dict[str, Callable[[Any], object]] = {"ours": lambda pair: ours(pair[0])}
    calls |= {name: partial(lambda peer, pair: peer(pair[1]), peer) for name, peer in peers.items()}
    figures = {
        "samples": chosen.samples,
        "rounds": chosen.rounds,
        "intervened": sum(bool(result.active.any()) for result in results),
        "largest_difference": far,
        "times": race(calls, pairs, chosen.rounds),
        "peers": versions("cbfpy", "qpax", "elastiqp", "jax"),
    }
    print(save("point_robot", figures), *figures["times"].items(), far, sep="\n")
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
