# SPDX-License-Identifier: Apache-2.0
"""A policy tree distilled where the tree itself drives, and judged by what it cannot have seen.

The loop of VIPER (Bastani, Pu and Solar-Lezama 2018, algorithm 1), that is of DAgger (Ross, Gordon and Bagnell 2011):
first the network drives, then each round's tree; the network runs along and says of every state that is met what it
would ask for; the next tree is fitted to all of it. VIPER weights states by how much a wrong answer costs, read off a
Q function: this policy has none, its command is a number and not a choice, so states count alike.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from tidegate.bundle import Bundle
from tidegate.evaluation.drivers import BundleDriver, network_of
from tidegate.evaluation.metrics import Run
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, roll
from tidegate.insight.policy_tree import PolicyTree, state_of
from tidegate.records import Decision, Floats, Odometry, Percept, seconds
from tidegate.settings import load_settings
from tidegate.workers import worker_pool

SHOWN, APART_S = 3, 1.0
"""Frames per drive in which tree and network differ most, at least so far [s] from one another."""


@dataclass(frozen=True, slots=True)
class Job:
    """A drive: by the network where ``tree`` is None; ``judged`` also compares it with the expert's."""

    task: Task
    tree: PolicyTree | None = None
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One frame of a drive by the tree, ``image`` (H, W, 3) RGB: what the network asked for and what the tree did.

    ``size`` is the larger of both differences, in standard deviations of what the network asks for in that drive.
    """

    seed: int
    time_s: float
    size: float
    image: NDArray[np.uint8]
    state: Floats
    network: Floats
    tree: Floats


@dataclass(frozen=True, slots=True)
class Driven:
    """One drive, a row per frame (F,): ``states`` (F, 3 + P), what the network asked for there (F, 2), its neurons.

    ``run`` is None where it was not judged.
    """

    seed: int
    states: Floats
    commands: Floats
    neurons: NDArray[np.float32]
    disagreements: list[Disagreement]
    run: Run | None


@dataclass(frozen=True, slots=True)
class Round:
    """One fit: frames it was fitted to, its leaves, and R² of (force, curvature) on the states that it then met."""

    frames: int
    leaves: int
    r2_met: list[float]


def distil_policy(
    task: Task,
    seeds: list[int],
    rounds: int,
    kind: str,
    most: int,
    processes: int = 2,
    told: Callable[[str], None] = lambda line: None,
) -> tuple[PolicyTree, list[Driven], list[Round]]:
    """Distil the network that ``task`` names into a tree.

    Args:
        task: what is driven; its seed is not read.
        seeds: drives to learn from, dealt out over the network's and each tree's; at least ``rounds`` + 1.
        rounds: how often the tree drives.
        kind: of its leaves, one of ``LEAF_KINDS``.
        most: leaves.
        processes: drives at a time.
        told: hears what is done.

    Returns:
        the tree, all drives that it was fitted to, and what each round's tree was worth where it then drove.

    Raises:
        ValueError: too few seeds.
        TidegateError: the task is refused.
    """
    if len(seeds) <= rounds:
        raise ValueError(
            f"{rounds} rounds and the network's own drives need {rounds + 1} seeds; there are {len(seeds)}"
        )
    bundle = Bundle.load(task.bundle)
    driven: list[Driven] = []
    made: list[Round] = []
    tree: PolicyTree | None = None
    for turn in range(rounds + 1):
        here = seeds[turn :: rounds + 1]
        told(f"round {turn}: {'the network' if tree is None else 'the tree'} drives {len(here)} roads")
        new = drive_all([Job(dataclasses.replace(task, seed=seed), tree) for seed in here], processes)
        driven += new
        if tree is not None:
            made[-1] = dataclasses.replace(made[-1], r2_met=r2(tree, new))
        states, commands = stacked(driven)
        tree = PolicyTree.fit(bundle.name, bundle.perception.preview_m, states, commands, kind, most)
        made.append(Round(len(states), tree.leaves, []))
    assert tree is not None
    return tree, driven, made


def stacked(driven: list[Driven]) -> tuple[Floats, Floats]:
    """States (K, 3 + P) and commands (K, 2) of all drives, without frames in which the network asked for nothing."""
    states = np.concatenate([one.states for one in driven])
    commands = np.concatenate([one.commands for one in driven])
    known = np.isfinite(states).all(axis=1) & np.isfinite(commands).all(axis=1)
    return states[known], commands[known]


def r2(tree: PolicyTree, driven: list[Driven]) -> list[float]:
    """Share of the variance of the network's (force, curvature) that the tree explains on these drives' states."""
    states, commands = stacked(driven)
    return [float(one) for one in r2_score(commands, tree.commands(states), multioutput="raw_values")]


def drive_all(jobs: list[Job], processes: int) -> list[Driven]:
    """All drives, in parallel processes where there are several.

    Raises:
        TidegateError: a task is refused.
    """
    if processes == 1 or len(jobs) == 1:
        return [drive_job(job) for job in jobs]
    with worker_pool(min(processes, len(jobs))) as pool:
        return list(pool.map(drive_job, jobs))


def drive_job(job: Job) -> Driven:
    """One drive, watched."""
    task, tree = job.task, job.tree
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name)
    network = network_of(bundle, settings)
    states: list[Floats] = []
    asked: list[Decision] = []
    images: list[NDArray[np.uint8]] = []

    def decide(percept: Percept, odometry: Odometry) -> Decision:
        """The network labels; the tree, if there is one, drives, with the network's gains."""
        states.append(state_of(percept.lane, odometry))
        asked.append(network(percept, odometry))
        if tree is None:
            return asked[-1]
        force, curvature = tree.command(states[-1])
        nominal = dataclasses.replace(asked[-1].nominal, force=force, curvature=curvature)
        return dataclasses.replace(asked[-1], nominal=nominal)

    def watch(moment: Moment) -> None:
        if moment.step.decision is not None and moment.sensors.frame is not None:
            images.append(moment.sensors.frame.image)

    began = time.perf_counter()
    driver = BundleDriver(bundle, settings, decide)
    log, end, state_hash = roll(settings, task, lambda _: driver, watch, task.longest_s, camera=True)
    wall_s = time.perf_counter() - began
    run = log.judge(task.scene, task.seed, end, state_hash, wall_s) if job.judged else None
    table, commands = np.array(states), np.array([[one.nominal.force, one.nominal.curvature] for one in asked])
    neurons = np.array([one.neurons for one in asked])
    since = np.array([seconds(one.nominal.stamp - asked[0].nominal.stamp) for one in asked])
    worst = [] if tree is None else _worst(tree, task.seed, since, table, commands, images)
    return Driven(task.seed, table, commands, neurons, worst, run)


def _worst(
    tree: PolicyTree, seed: int, time_s: Floats, states: Floats, commands: Floats, images: list[NDArray[np.uint8]]
) -> list[Disagreement]:
    answers = tree.commands(states)
    size = np.nan_to_num(np.abs(answers - commands) / (np.nanstd(commands, axis=0) + 1e-12)).max(axis=1)
    found: list[Disagreement] = []
    for at in np.argsort(-size):
        if all(abs(time_s[at] - one.time_s) >= APART_S for one in found):
            found.append(
                Disagreement(
                    seed, float(time_s[at]), float(size[at]), images[at], states[at], commands[at], answers[at]
                )
            )
        if len(found) == SHOWN:
            break
    return found


def judgement(runs: list[Run]) -> str:
    """How drives went, in words."""
    done = sum(run.completed for run in runs)
    hits, broken = sum(run.collisions for run in runs), sum(run.limit_violations for run in runs)
    widest = max((run.max_abs_lane_error_m for run in runs), default=0.0)
    return (
        f"{done}/{len(runs)} completed, {hits} collisions, {broken} limits violated, at most {widest:.2f} m off centre"
    )
