# SPDX-License-Identifier: Apache-2.0
"""How near sub-steps come to the LTC's equation, and how long they take: the shipped network over a lap's inputs, by
the solvers of the cell and by others.

With the synapses' openings held over a sub-step of length h the equation is linear, x → x∞ with the time constant τ =
C/G of its conductance G, and has the exact solution x∞ + (x − x∞) exp(−h/τ): exponential Euler, of first order as the
fused step is. Of second order: openings at the middle of the sub-step, from half a step (midpoint) or extrapolated
from the sub-step before (two-step).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import MODEL, SETTINGS, Aim, add_check, in_turns, judge, ratio, save, spread, table
from liquid_step import program
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, driver_of, roll
from tidegate.liquid.compiled import RUNS_IN, ltc_step
from tidegate.liquid.live import Step, fold_synapses, sigmoid, softplus
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

    def exact(self, state: Floats, pulled: Floats, share: float = 1.0) -> Floats:
        """After a ``share`` of a sub-step with ``pulled`` held."""
        settled = pulled[0] / pulled[1]
        return settled + (state - settled) * np.exp(-share * self.h * pulled[1] / self.circuit.capacitance)


Solver = Callable[[Frame, Floats, int], Floats]
"""(frame, state (N,), sub-steps) → state."""


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


FUSED, MIDPOINT = "fused_euler", "exponential_midpoint"
ROWS: list[tuple[str, str | Solver, int, int]] = [
    *(("fused Euler" + (" (shipped)" if n == 3 else ""), FUSED, n, 1) for n in (1, 2, 3, 6, 12, 24)),
    *(("exponential Euler", exponential, n, 1) for n in (1, 2, 3, 6)),
    *(("exponential, two-step", two_step, n, 1) for n in (2, 3, 4)),
    *(("exponential midpoint", MIDPOINT, n, 2) for n in (1, 2, 3)),
]
"""Name, solver (text: of the cell), sub-steps, evaluations of the synapses in each."""

RACES = {24: 3, 12: 2, 6: 1}
"""Sub-steps of fused Euler, and those of the midpoint rule that they are timed against."""

PIECE = 10


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


def live(step: Step, inputs: list[Floats], dt: list[float], neurons: int) -> Callable[[], list[float]]:
    """Time [µs] of a live step over the lap, the median of its pieces: the clock is read once in ``PIECE`` steps."""

    def run() -> list[float]:
        state, times = np.zeros(neurons), []
        for first in range(0, len(inputs) - PIECE, PIECE):
            piece = list(zip(inputs[first : first + PIECE], dt[first : first + PIECE], strict=True))
            start = time.perf_counter_ns()
            for values, passed in piece:
                state = step(values, state, passed)
            times.append((time.perf_counter_ns() - start) / 1e3 / PIECE)
        return [statistics.median(times)]

    return run


def race(bundle: Bundle, inputs: Floats, dt: Floats, rounds: int) -> list[dict[str, Any]]:
    """Of the live step and of the exported C: median times [µs] of each of ``RACES``, the ratios of its rounds."""
    settings, wiring, arrays = load_settings(SETTINGS), Wiring.from_dict(bundle.wiring), bundle.part("liquid.cell")
    lap_inputs, lap_dt = list(inputs), dt.tolist()
    runs: dict[str, Callable[[], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for fused, middle in RACES.items():
            for solver, substeps in ((FUSED, fused), (MIDPOINT, middle)):
                name = f"{solver} {substeps}"
                step = ltc_step(wiring, arrays, substeps, solver)
                runs[f"live {name}"] = live(step, lap_inputs, lap_dt, wiring.neurons)
                other = replace(bundle, policy=replace(bundle.policy, solver=solver, substeps=substeps))
                runs[f"exported {name}"] = exported(program(other, settings, Path(folder) / name))
        medians = {name: [part[0] for part in parts] for name, parts in in_turns(runs, rounds).items()}
    found = []
    for path in ("live", "exported"):
        for fused, middle in RACES.items():
            slow, fast = medians[f"{path} {FUSED} {fused}"], medians[f"{path} {MIDPOINT} {middle}"]
            row = {"path": path, "fused": fused, "fused_us": statistics.median(slow)}
            row |= {"midpoint": middle, "midpoint_us": statistics.median(fast)}
            found.append(row | spread(a / b for a, b in zip(slow, fast, strict=True)))
    return found


def exported(run: Callable[[int], list[float]]) -> Callable[[], list[float]]:
    """Median time [µs] of a step of the exported C."""
    return lambda: [statistics.median(run(30_000))]


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """At about equal accuracy: the errors are beside."""
    for row in figures["race"]:
        if row["fused"] == 12:
            name = f"{row['path']} step, {row['fused']} fused sub-steps by {row['midpoint']} of the midpoint rule"
            yield Aim(name, row["ratio"], least=2.0)


def main(arguments: list[str] | None = None) -> None:
    """Drive, then solve what the neurons heard by each solver, compare the states, and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    bundle = Bundle.load(MODEL)
    circuit, (inputs, dt) = Circuit(bundle), lap(bundle)
    wiring, arrays = circuit.wiring, bundle.part("liquid.cell")

    def stepping(solver: str | Solver, substeps: int) -> Step:
        if isinstance(solver, str):
            return ltc_step(wiring, arrays, substeps, solver)

        def step(values: Floats, state: Floats, passed: float) -> Floats:
            held = circuit.pulled("sensory", values) + circuit.at_rest
            return solver(Frame(circuit, held, passed / substeps), state, substeps)

        return step

    def solved(solver: str | Solver, substeps: int) -> Floats:
        step, state, states = stepping(solver, substeps), np.zeros(wiring.neurons), []
        for values, passed in zip(inputs, dt.tolist(), strict=True):
            state = step(values, state, passed)
            states.append(state)
        return np.array(states)

    fine, finer = solved(MIDPOINT, FINE), solved(MIDPOINT, 2 * FINE)
    rows = []
    for name, solver, substeps, evaluations in ROWS:
        error = np.abs(solved(solver, substeps) - finer)
        row = {"solver": name, "substeps": substeps, "evaluations": substeps * evaluations}
        rows.append(row | {"rms": float(np.sqrt(np.mean(error**2))), "max": float(error.max())})
        rows[-1]["motor_rms"] = float(np.sqrt(np.mean(error[:, wiring.layers[2]] ** 2)))
    figures: dict[str, Any] = {
        "frames": len(inputs),
        "reference_off": float(np.abs(fine - finer).max()),
        "rows": rows,
        "runs_in": RUNS_IN,
        "rounds": chosen.rounds,
        "race": race(bundle, inputs, dt, chosen.rounds),
    }
    print(save("substeps", figures), figures)
    judge(aims(figures), chosen.check)


def tell(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md."""
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
    words = {"live": f"live, in {figures['runs_in']}", "exported": "exported C, with input map and read-out"}
    races = [
        (
            words[row["path"]],
            f"{row['fused']}: {row['fused_us']:.2f} µs",
            f"{row['midpoint']}: {row['midpoint_us']:.2f} µs",
            ratio(row, ".2f"),
        )
        for row in figures["race"]
    ]
    return (
        f"## Sub-steps\n\nThe shipped network's equation over the inputs of a lap ({figures['frames']} frames, every "
        f"tenth lost), each solver with the state that it carries itself; errors of the neurons against {2 * FINE} "
        f"midpoint sub-steps, from which half as many differ by {figures['reference_off']:.0e} at most. Evaluations: "
        f"of all recurrent synapses, in a frame.\n\n{table(head, rows)}\n\n"
        f"A step by the two solvers that the cell has, by numbers of sub-steps: {figures['rounds']} rounds in turns, "
        f"medians of their times, the ratio of each round.\n\n"
        f"{table(('step', 'fused Euler', 'exponential midpoint', 'times as fast'), races)}"
    )


if __name__ == "__main__":
    main()
