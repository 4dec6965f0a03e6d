# SPDX-License-Identifier: Apache-2.0
"""How near sub-steps come to the LTC's equation: the shipped network over a lap's inputs, by several solvers.

With the synapses' openings held over a sub-step of length h the equation is linear, x → x∞ with the time constant τ =
C/G of its conductance G, and has the exact solution x∞ + (x − x∞) exp(−h/τ): exponential Euler, of first order as the
fused step is. Of second order: openings at the middle of the sub-step, from half a step (midpoint) or extrapolated
from the sub-step before (two-step).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from common import MODEL, SETTINGS, save, table
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.liquid.live import fold_synapses, sigmoid, softplus
from tidegate.liquid.wiring import Wiring
from tidegate.records import Floats
from tidegate.settings import load_settings

FINE = 64


class Circuit:
    """The equation of the bundle's LTC: currents and conductances as functions of inputs and state."""

    def __init__(self, bundle: Bundle) -> None:
        self.wiring, arrays = Wiring.from_dict(bundle.wiring), bundle.part("liquid.cell")
        self._synapses = {
            "sensory": fold_synapses(self.wiring, self.wiring.sensory, arrays, "sensory"),
            "recurrent": fold_synapses(self.wiring, self.wiring.recurrent, arrays, "recurrent"),
        }
        leak = softplus(arrays["raw_leak"])
        self.capacitance = softplus(arrays["raw_capacitance"])
        self.at_rest = np.array([leak * arrays["rest"], leak])

    def pulled(self, kind: str, values: Floats) -> Floats:
        """Current and conductance (2, N) of the synapses from ``values``."""
        s = self._synapses[kind]
        opening = sigmoid(s.slope * values[s.source] + s.shift)
        size = self.wiring.neurons
        return np.array([np.bincount(s.target, of * opening, size) for of in (s.current, s.weight)])


class Frame(NamedTuple):
    """One frame's step: the circuit, what the inputs and the leak pull (2, N), the length of a sub-step [s]."""

    circuit: Circuit
    held: Floats
    h: float

    def open(self, state: Floats) -> Floats:
        """All that pulls in ``state`` (2, N)."""
        return self.held + self.circuit.pulled("recurrent", state)

    def fused(self, state: Floats, pulled: Floats) -> Floats:
        """After a sub-step of fused Euler."""
        inertia = self.circuit.capacitance / self.h
        return (inertia * state + pulled[0]) / (inertia + pulled[1])

    def exact(self, state: Floats, pulled: Floats, share: float = 1.0) -> Floats:
        """After a ``share`` of a sub-step with ``pulled`` held."""
        settled = pulled[0] / pulled[1]
        return settled + (state - settled) * np.exp(-share * self.h * pulled[1] / self.circuit.capacitance)


Solver = Callable[[Frame, Floats, int], Floats]
"""(frame, state (N,), sub-steps) → state."""


def fused(frame: Frame, state: Floats, substeps: int) -> Floats:
    """As the network was trained and is driven."""
    for _ in range(substeps):
        state = frame.fused(state, frame.open(state))
    return state


def exponential(frame: Frame, state: Floats, substeps: int) -> Floats:
    """Exact for held openings."""
    for _ in range(substeps):
        state = frame.exact(state, frame.open(state))
    return state


def two_step(frame: Frame, state: Floats, substeps: int) -> Floats:
    """The same, openings extrapolated to the middle of the sub-step; the first of a frame is plain."""
    before = frame.open(state)
    for k in range(substeps):
        now = frame.open(state) if k else before
        state, before = frame.exact(state, 1.5 * now - 0.5 * before), now
    return state


def midpoint(frame: Frame, state: Floats, substeps: int) -> Floats:
    """The same, openings at the middle of the sub-step: two evaluations each."""
    for _ in range(substeps):
        middle = frame.exact(state, frame.open(state), 0.5)
        state = frame.exact(state, frame.open(middle))
    return state


ROWS: list[tuple[str, Solver, int, int]] = [
    *(("fused Euler" + (" (shipped)" if n == 3 else ""), fused, n, 1) for n in (1, 2, 3, 6, 12)),
    *(("exponential Euler", exponential, n, 1) for n in (1, 2, 3, 6)),
    *(("exponential, two-step", two_step, n, 1) for n in (2, 3, 4)),
    *(("exponential midpoint", midpoint, n, 2) for n in (1, 2, 3)),
]
"""Name, solver, sub-steps, evaluations of the synapses in each."""


def lap(bundle: Bundle) -> tuple[Floats, NDArray[np.float64]]:
    """Inputs (T, I) of the cell in a lap of the road and the time [s] since the frame before, every tenth lost."""
    settings, liquid = load_settings(SETTINGS), bundle.part("liquid")
    rows, stamps, speeds = [], [], {}

    def watch(moment: Moment) -> None:
        speeds[moment.sensors.odometry.stamp] = moment.sensors.odometry.speed / bundle.policy.speed_scale
        if moment.step.percept is not None:
            features = moment.step.percept.features
            rows.append(np.append(features.values, speeds[features.stamp]))
            stamps.append(features.stamp)

    task = Task(SETTINGS, str(MODEL), "road", 1000)
    roll(settings, task, driver_of(settings, bundle), watch, camera=True)
    kept = np.arange(len(rows)) % 10 != 7
    inputs = np.array(rows)[kept] * liquid["input_weight"] + liquid["input_bias"]
    gaps = np.diff(np.array(stamps)[kept]) / 1e9
    return inputs, np.append(1 / settings.camera.rate_hz, gaps)


def main(arguments: list[str] | None = None) -> None:
    """Drive, then solve what the neurons heard by each solver and compare the states."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    bundle = Bundle.load(MODEL)
    circuit, (inputs, dt) = Circuit(bundle), lap(bundle)
    motor = circuit.wiring.layers[2]

    def solved(solver: Solver, substeps: int) -> Floats:
        state, states = np.zeros(circuit.wiring.neurons), []
        for values, passed in zip(inputs, dt, strict=True):
            held = circuit.pulled("sensory", values) + circuit.at_rest
            state = solver(Frame(circuit, held, passed / substeps), state, substeps)
            states.append(state)
        return np.array(states)

    fine, finer = solved(midpoint, FINE), solved(midpoint, 2 * FINE)
    rows = []
    for name, solver, substeps, evaluations in ROWS:
        error = np.abs(solved(solver, substeps) - finer)
        row = {"solver": name, "substeps": substeps, "evaluations": substeps * evaluations}
        rows.append(row | {"rms": float(np.sqrt(np.mean(error**2))), "max": float(error.max())})
        rows[-1]["motor_rms"] = float(np.sqrt(np.mean(error[:, motor] ** 2)))
    figures: dict[str, Any] = {
        "frames": len(inputs),
        "reference_off": float(np.abs(fine - finer).max()),
        "rows": rows,
    }
    print(save("substeps", figures), figures)


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    rows = [
        (
            row["solver"],
            row["substeps"],
            row["evaluations"],
            f"{row['rms']:.2g}",
            f"{row['motor_rms']:.2g}",
            f"{row['max']:.2g}",
        )
        for row in figures["rows"]
    ]
    head = ("solver", "sub-steps", "evaluations", "error, RMS", "of the motor neurons, RMS", "largest")
    return (
        f"## Sub-steps\n\nThe shipped network's equation over the inputs of a lap ({figures['frames']} frames, every "
        f"tenth lost), each solver with the state that it carries itself; errors of the neurons against {2 * FINE} "
        f"midpoint sub-steps, from which half as many differ by {figures['reference_off']:.0e} at most. Evaluations: "
        f"of all recurrent synapses, in a frame.\n\n{table(head, rows)}"
    )


if __name__ == "__main__":
    main()
