# SPDX-License-Identifier: Apache-2.0
"""The closed form against solvers of the equation that it approximates (Hasani et al. 2022), one neuron a time series.

ẋ = −(w + f(I(t)))(x − A) with f = σ(γ(I − μ)) and piecewise constant I, whose exact solution is known; the closed form
is the paper's eq. 2.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import race, save
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from tidegate.liquid.closed_form import equation_2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """``neurons`` M equations with K pieces of input: vectors (M,), ``inputs`` and ``lengths`` [s] (K, M)."""

    rate: Array
    asymptote: Array
    start: Array
    slope: Array
    shift: Array
    inputs: Array
    lengths: Array

    @classmethod
    def draw(cls, seed: int, neurons: int, pieces: int) -> Problem:
        """Rates of 0.5 s to 20 s, steps of 10 ms to 0.3 s; lengths are the same for all neurons."""
        random = np.random.default_rng(seed)
        lengths = np.repeat(random.uniform(0.01, 0.3, (pieces, 1)), neurons, axis=1)
        return cls(
            random.uniform(0.05, 2, neurons),
            *random.normal(size=(2, neurons)),
            random.uniform(0.2, 4, neurons),
            random.normal(size=neurons),
            2 * random.normal(size=(pieces, neurons)),
            lengths,
        )

    def f(self, inputs: Array) -> Array:
        """Opening of the synapse."""
        opening: Array = 1 / (1 + np.exp(-self.slope * (inputs - self.shift)))
        return opening

    def exact(self) -> Array:
        """States (K, M) after each piece."""
        decay = np.cumsum((self.rate + self.f(self.inputs)) * self.lengths, axis=0)
        states: Array = (self.start - self.asymptote) * np.exp(-decay) + self.asymptote
        return states


def closed(problem: Problem) -> Array:
    """Eq. 2 at the end of each piece."""
    time = np.cumsum(problem.lengths, axis=0)
    conductance = problem.rate + problem.f(problem.inputs)
    return equation_2(problem.start, problem.asymptote, conductance, problem.f(-problem.inputs), time)


def fused(problem: Problem, substeps: int) -> Array:
    """The LTC's implicit–explicit Euler step."""
    conductance = problem.rate + problem.f(problem.inputs)
    state, states = problem.start, np.empty_like(problem.inputs)
    for k, (each, length) in enumerate(zip(conductance, problem.lengths / substeps, strict=True)):
        for _ in range(substeps):
            state = (state + length * each * problem.asymptote) / (1 + length * each)
        states[k] = state
    return states


def adaptive(problem: Problem) -> Array:
    """Runge–Kutta of order 4 to 5 with SciPy's default tolerances, all neurons in one call per piece."""
    conductance = problem.rate + problem.f(problem.inputs)
    state, states = problem.start, np.empty_like(problem.inputs)
    for k, each in enumerate(conductance):
        span = (0.0, float(problem.lengths[k, 0]))
        state = solve_ivp(lambda _, x, each=each: each * (problem.asymptote - x), span, state, t_eval=span[1:]).y[:, -1]
        states[k] = state
    return states


CALLS = {
    "closed": closed,
    "fused 1": lambda problem: fused(problem, 1),
    "fused 3": lambda problem: fused(problem, 3),
    "fused 6": lambda problem: fused(problem, 6),
    "rk45": adaptive,
}


def errors(call: Any, problems: list[Problem]) -> dict[str, float]:
    """Of all states, as a share of |x₀ − A|."""
    found = np.concatenate([(np.abs(call(p) - p.exact()) / np.abs(p.start - p.asymptote)).ravel() for p in problems])
    return {"median": float(np.median(found)), "p99": float(np.quantile(found, 0.99))}


def main(arguments: list[str] | None = None) -> None:
    """Errors and times, in turns, over the same problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--pieces", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    problems = [Problem.draw(seed, chosen.neurons, chosen.pieces) for seed in range(chosen.problems)]
    figures = {
        **vars(chosen),
        "times": race(CALLS, problems, chosen.rounds),
        "errors": {name: errors(call, problems) for name, call in CALLS.items()},
    }
    print(save("closed_form", figures), figures["errors"], {n: t["ratio"] for n, t in figures["times"].items()})


if __name__ == "__main__":
    main()
