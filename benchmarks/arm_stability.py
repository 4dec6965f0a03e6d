# SPDX-License-Identifier: Apache-2.0
"""Whether the arm's filter makes anything swing: energy of a regulated arm and of a stopped one from many starts, of
one that presses on walls from soft to stiff, and how often torques turn round. The same without the filter beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy: its threads take longer than a matrix of seven joints

import numpy as np
from common import Aim, add_check, judge, save, table

from tidegate.attack.arm.conditions import Start, draw_start
from tidegate.records import Floats
from tidegate.safety.arm import ArmGuard
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.simulation.arm import ArmScene, ArmTruth

SETTINGS = "config/arm.yaml"
REGULATED_S, STOPPED_S, PRESSED_S = 5.0, 1.0, 3.0
STIFFNESS, DAMPING = 64.0, 16.0
"""Of the impedance that regulates the joints [1/s²], [1/s]; by itself its energy only falls."""
THERE = 0.05
"""A joint this near to its goal is there [rad]."""
MOVES = 0.05
"""An arm faster than this at the end has not come to rest [rad/s]."""
PUSH, PUSH_DAMPING = 20.0, 10.0
"""Pressed with on a wall [N], and how the joints are damped meanwhile [1/s]."""
WALLS = (1e3, 1e4, 1e5, 1e6)
FINE_S = 0.00025
"""Physics step on walls [s]: 1 MN/m swings with 90 Hz against the tool."""
ABOVE = np.array([0.0, 0.3, 0.0, 1.5, 0.0, 1.34, 0.0])
"""The tool points down, 15 cm above the surface."""


class Course(NamedTuple):
    """An energy at every physics step (K,), and the torques of every tick (T, N)."""

    energy: Floats
    torque: Floats
    truth: list[ArmTruth]

    @property
    def rise(self) -> float:
        """The most that the energy rose above what it had fallen to before."""
        return float((self.energy - np.minimum.accumulate(self.energy)).max())

    @property
    def turns(self) -> float:
        """How often a joint's torque turned round per tick, in the last half second; 0.67 is noise, 0 a held torque."""
        change = np.diff(self.torque[-250:], axis=0)
        change[np.abs(change) < 1e-3] = 0.0
        return float((change[1:] * change[:-1] < 0).mean())


def drive(guard: ArmGuard, scene: ArmScene, wish: Any, energy: Any, begin: Start, seconds: float, on: bool) -> Course:
    """A closed loop from ``begin``; ``wish`` (position, velocity) gives torques, or None for a stop."""
    truth = scene.place(begin.position, begin.velocity)
    guard.engage(begin.position, begin.torque)
    energies, torques, truths = [], [], []
    for _ in range(round(seconds * guard.arm.settings.safety.rate_hz)):
        asked = wish(truth.position, truth.velocity)
        told = (
            guard(truth.position, truth.velocity, asked).torque
            if on
            else asked.clip(-guard.arm.effort, guard.arm.effort)
        )
        torques.append(told)
        for _ in range(scene.substeps):
            truth = scene.step(told)
            energies.append(energy(truth))
            truths.append(truth)
    return Course(np.array(energies), np.array(torques), truths)


def regulated(guard: ArmGuard, scene: ArmScene, seed: int) -> dict[str, Any]:
    """From one place towards another by a model-based impedance; V = ½|q̇|² + ½ K |q − goal|²."""
    rng = np.random.default_rng(seed)
    begin, goal = draw_start(rng, guard, "speed" if seed % 2 else "rest"), draw_start(rng, guard, "rest").position

    def wish(position: Floats, velocity: Floats) -> Floats:
        motion = guard.dynamics(position, velocity)
        return motion.bias - motion.mass @ (STIFFNESS * (position - goal) + DAMPING * velocity)

    def energy(truth: ArmTruth) -> float:
        off = truth.position - goal
        return 0.5 * float(truth.velocity @ truth.velocity + STIFFNESS * (off @ off))

    told: dict[str, Any] = {}
    for side, on in (("with", True), ("without", False)):
        run = drive(guard, scene, wish, energy, begin, REGULATED_S, on)
        off = np.abs(run.truth[-1].position - goal).max()
        told[side] = {
            "peak": float(run.energy.max() / run.energy[0]),
            "rise": run.rise / run.energy[0],
            "there": bool(off < THERE),
            "moves": bool(max(np.abs(one.velocity).max() for one in run.truth[-100:]) > MOVES),
            "turns": run.turns,
        }
    return told


def stopped(guard: ArmGuard, scene: ArmScene, seed: int) -> dict[str, Any]:
    """Braked from speed; T = ½ q̇ᵀ M q̇."""
    begin = draw_start(np.random.default_rng(seed), guard, "speed")

    def energy(truth: ArmTruth) -> float:
        return 0.5 * float(truth.velocity @ guard.dynamics(truth.position, truth.velocity).mass @ truth.velocity)

    run = drive(guard, scene, lambda *_: None, energy, begin, STOPPED_S, on=True)
    fast = (
        np.array([np.abs(one.velocity).max() for one in run.truth]) > guard.arm.settings.safety.ladder.standstill_speed
    )
    last = int(np.flatnonzero(fast)[-1]) + 1 if fast.any() else 0
    first = max(float(run.energy[0]), 1e-3)
    return {
        "rise": run.rise / first,
        "stands_s": last * guard.arm.settings.simulator.physics_step_s,
        "stands": last < len(fast),
        "turns": run.turns,
    }


def walled(settings: ArmSettings, stiffness: float) -> ArmSettings:
    """The filter is told the wall as it is, which has no damping of its own."""
    surface = dataclasses.replace(settings.safety.surface, stiffness=stiffness)
    simulator = dataclasses.replace(settings.simulator, surface_damping=0.0, physics_step_s=FINE_S)
    return dataclasses.replace(
        settings, safety=dataclasses.replace(settings.safety, surface=surface), simulator=simulator
    )


def pressed(settings: ArmSettings, stiffness: float) -> dict[str, Any]:
    """Down onto a wall by a constant push; W = ½ q̇ᵀ M q̇ + ½ k d² + push · height falls where nothing adds energy."""
    made = walled(settings, stiffness)
    guard = ArmGuard(made)
    scene, offset = ArmScene(guard.arm), made.safety.surface.offset

    def wish(position: Floats, velocity: Floats) -> Floats:
        motion = guard.dynamics(position, velocity)
        return motion.bias + motion.jacobian.T @ [0.0, 0.0, -PUSH] - PUSH_DAMPING * (motion.mass @ velocity)

    def energy(truth: ArmTruth) -> float:
        moved = truth.velocity @ guard.dynamics(truth.position, truth.velocity).mass @ truth.velocity
        height = truth.tool[2] - offset
        return float(0.5 * moved + 0.5 * stiffness * min(height, 0.0) ** 2 + PUSH * height)

    told: dict[str, Any] = {}
    for side, on in (("with", True), ("without", False)):
        run = drive(guard, scene, wish, energy, Start(ABOVE, np.zeros(7), guard.dynamics.gravity(ABOVE)), PRESSED_S, on)
        force = np.array([one.force for one in run.truth])
        tail = force[-round(0.5 / FINE_S) :]
        told[side] = {
            "rise_j": run.rise,
            "touches": int((np.diff((force > 0).astype(int)) > 0).sum()),
            "peak_n": float(force.max()),
            "held_n": float(tail.mean()),
            "ripple_n": float(tail.std()),
            "turns": run.turns,
            "gap_mm": 1e3 * max(run.truth[-1].tool[2] - offset, 0.0),
        }
    return told


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """The filter adds no energy that swings, and every arm that is stopped stands."""
    yield Aim("regulated: share that arrives", figures["regulated"]["with"]["there"]["mean"], least=1.0)
    yield Aim("regulated: largest energy over the first", figures["regulated"]["with"]["peak"]["most"], most=1.2)
    yield Aim("stopped: share that stands", figures["stopped"]["stands"]["mean"], least=1.0)
    yield Aim("stopped: rise of the kinetic energy, share", figures["stopped"]["rise"]["most"], most=0.05)
    for stiffness, told in figures["pressed"].items():
        yield Aim(f"{stiffness} N/m: most force [N]", told["with"]["peak_n"], most=60.0)
        yield Aim(f"{stiffness} N/m: ripple of the force [N]", told["with"]["ripple_n"], most=1.0)


def spread(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean, 99th percentile and most of each figure."""
    columns = {name: np.array([float(one[name]) for one in found]) for name in found[0]}
    return {
        name: {"mean": float(values.mean()), "p99": float(np.quantile(values, 0.99)), "most": float(values.max())}
        for name, values in columns.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Starts, stops and walls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=6000)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    settings = load_arm_settings(SETTINGS)
    guard = ArmGuard(settings)
    scene, seeds = ArmScene(guard.arm), range(chosen.seed, chosen.seed + chosen.starts)
    pairs = [regulated(guard, scene, seed) for seed in seeds]
    figures: dict[str, Any] = {
        "starts": chosen.starts,
        "seed": chosen.seed,
        "regulated": {side: spread([pair[side] for pair in pairs]) for side in ("with", "without")},
        "stopped": spread([stopped(guard, scene, seed) for seed in seeds]),
        "pressed": {f"{stiffness:g}": pressed(settings, stiffness) for stiffness in WALLS},
    }
    print(save("arm_stability", figures))
    for name in ("regulated", "stopped"):
        sides = {"with": figures[name]} if name == "stopped" else figures[name]
        rows = [
            (f"{key}, {side}", *(f"{value[part]:.4g}" for part in ("mean", "p99", "most")))
            for side, told in sides.items()
            for key, value in told.items()
        ]
        print(table((name, "mean", "p99", "most"), rows))
    rows = [
        (f"{stiffness} N/m, {side}", *(f"{value:.4g}" for value in one.values()))
        for stiffness, told in figures["pressed"].items()
        for side, one in told.items()
    ]
    print(table(("pressed", *figures["pressed"]["1000"]["with"]), rows))
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
