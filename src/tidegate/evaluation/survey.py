# SPDX-License-Identifier: Apache-2.0
"""What explanations are fitted to: true states with what the network asked for, pictures with what they show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.evaluation.circuit import Circuit, CircuitWatch
from tidegate.evaluation.drivers import BundleDriver, Driver
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, roll
from tidegate.records import Floats
from tidegate.settings import load_settings
from tidegate.simulation import Simulator, Truth
from tidegate.workers import worker_pool

FRAMES_APART = 25
"""Camera frames between two pictures that are kept."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One drive, one row per frame (F,): ``state`` (F, 5) and ``output`` (F, 2) as ``insight.tree`` names them.

    ``images`` (P, H, W, 3) RGB and ``masks``, one mapping of surface → (H, W) per picture, come from fewer frames.
    ``circuit`` is what the network heard and did; None where it is not known.
    """

    state: Floats
    output: Floats
    images: list[NDArray[np.uint8]]
    masks: list[dict[str, NDArray[np.bool_]]]
    circuit: Circuit | None = None


def state_of(truth: Truth) -> tuple[float, ...]:
    """Lane offset [m], heading [rad], curvature ahead [1/m], speed [m/s], gap [m]."""
    ahead = float(truth.curvature[min(1, len(truth.curvature) - 1)])
    return truth.offset, truth.heading, ahead, truth.speed, truth.gap


def survey(tasks: list[Task], processes: int = 2) -> list[Survey]:
    """Drive every task, in parallel processes.

    Raises:
        TidegateError: a task is refused.
    """
    with worker_pool(min(processes, len(tasks))) as pool:
        return list(pool.map(survey_task, tasks))


def survey_task(task: Task, longest_s: float = math.inf) -> Survey:
    """Drive one task, for ``longest_s`` at most, and keep what explanations need."""
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name)
    rows: list[tuple[float, ...]] = []
    images: list[NDArray[np.uint8]] = []
    masks: list[dict[str, NDArray[np.bool_]]] = []
    states: dict[int, Truth] = {}
    surfaces: dict[int, dict[str, NDArray[np.bool_]]] = {}
    every = round(settings.safety.rate_hz / settings.camera.rate_hz)
    circuit = CircuitWatch(bundle.mass_kg, round(settings.safety.rate_hz))
    ticks = 0
    world: list[Simulator] = []

    def driver(simulator: Simulator) -> Driver:
        world.append(simulator)
        return BundleDriver(bundle, settings)

    def watch(moment: Moment) -> None:
        """At a frame's exposure keep the truth, at its arrival what the network made of it."""
        nonlocal ticks
        circuit(moment)
        now = moment.step.inputs.now
        if ticks % every == 0:
            states[now] = moment.truth
            if ticks // every % FRAMES_APART == 0:
                surfaces[now] = world[0].masks()
        ticks += 1
        frame, decision = moment.sensors.frame, moment.step.decision
        if frame is None or decision is None or frame.stamp not in states:
            return
        nominal = decision.nominal
        rows.append((*state_of(states.pop(frame.stamp)), nominal.curvature, nominal.force / bundle.mass_kg))
        if frame.stamp in surfaces:
            images.append(frame.image)
            masks.append(surfaces.pop(frame.stamp))

    roll(settings, task, driver, watch, longest_s, camera=True)
    table = np.array(rows).reshape(-1, 7)
    table = table[np.isfinite(table[:, 5:]).all(axis=1)]
    heard = circuit.circuit() if circuit.heard else None
    return Survey(table[:, :5], table[:, 5:], images, masks, heard)
