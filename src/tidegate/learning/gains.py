# SPDX-License-Identifier: Apache-2.0
"""Learning the barrier gains: the filter's answer, differentiated by them, imitates a driver who keeps his distance.

The network drives as if the road were free, the filter holds it back. How early it does so is a matter of the outermost
gains, which are read off the command neurons. With everything else fixed, the read-out is fitted so that what the
filter lets through is what the expert, who sees the others, would have done (Xiao et al. 2023, their loss).
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tidegate.bundle import Bundle
from tidegate.evaluation.drivers import BundleDriver
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Moment, Pilot
from tidegate.evaluation.rollout import Task, drive_tick
from tidegate.learning.recipe import GainsRecipe
from tidegate.liquid.policy import read_gains
from tidegate.liquid.wiring import Wiring
from tidegate.records import Floats, Mode
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.safety.barrier import State
from tidegate.safety.barriernet import BarrierNet
from tidegate.safety.filter import Filter, Filtered
from tidegate.safety.joints import Box, joint_box
from tidegate.settings import Settings, load_settings
from tidegate.simulation import Expert, Simulator
from tidegate.workers import as_they_end

REACH_S = 0.3
"""The filter's answer is looked at with the joints free to move for this long: within one tick no gain shows."""
SCENES = ("traffic", "road", "truck", "road_whiteout")
MATTERS = 1e-4
"""A moment counts where the slowest and the fastest gains differ by more than this, in units of deviation."""


@dataclass(frozen=True, slots=True)
class Case:
    """One frame: the filter's ``state``, the commands ``wanted`` and the expert's, the command ``neurons``."""

    state: State
    wanted: tuple[float, float]
    expert: tuple[float, float]
    neurons: Floats


@dataclass(frozen=True, slots=True)
class Learned:
    """A bundle with gains that were learnt, and ``metrics`` of how."""

    bundle: Bundle
    metrics: dict[str, Any]


class _Listening(Filter):
    """A filter that keeps what it was asked last."""

    asked: tuple[State, tuple[float, float]]

    def __call__(
        self, state: State, wanted: tuple[float, float], gains: Mapping[str, float], box: Box, **options: bool
    ) -> Filtered:
        self.asked = copy.copy(state), wanted  # the state is filled anew at every tick, its parts are made anew
        return super().__call__(state, wanted, gains, box, **options)


def learn_gains(
    config: Path, path: Path, recipe: GainsRecipe, processes: int, heard: Callable[[str], None] = lambda scene: None
) -> Learned:
    """Let the bundle at ``path`` drive behind the filter, then fit its gains; ``heard`` gets each drive's scene.

    Where no gain makes a difference the bundle stays as it is.

    Raises:
        BundleError: the bundle cannot be run.
    """
    settings = load_settings(config)
    bundle = Bundle.load(path, settings.vehicle.name)
    seeds = range(recipe.first_seed, recipe.first_seed + recipe.drives)
    tasks = [Task(str(config), str(path), scene, seed) for scene, seed in zip(itertools.cycle(SCENES), seeds)]
    driven: dict[Task, list[Case]] = {}
    for task, cases in as_they_end(partial(drive_for_gains, longest_s=recipe.duration_s), tasks, processes):
        driven[task] = cases
        heard(task.scene)
    cases = [case for task in tasks for case in driven[task]]
    fitted = fit_gains(settings, Car.from_settings(settings), cases, recipe)
    if fitted is None:
        return Learned(bundle, {"moments": 0})
    weight, bias, losses = fitted
    gains = read_gains(np.array([case.neurons for case in cases]), weight, bias, bundle.policy)
    metrics = {"moments": len(cases), "loss": [float(np.mean(losses[:20])), float(np.mean(losses[-20:]))]}
    ranges = {
        name: np.quantile(gains[:, place], (0.05, 0.95)).round(3).tolist()
        for place, name in enumerate(bundle.policy.gain_names)
    }
    return Learned(with_gains(bundle, weight, bias), metrics | {"range": ranges})


def drive_for_gains(task: Task, longest_s: float) -> list[Case]:
    """A closed loop of the network and the filter, at most ``longest_s``; a case for every frame in which it drives.

    Raises:
        BundleError, SceneError: the bundle or the scene is refused.
    """
    settings = load_settings(task.settings)
    bundle = Bundle.load(task.bundle, settings.vehicle.name)
    cases: list[Case] = []
    with Simulator(settings, task.scene, task.seed) as simulator:
        car = simulator.car
        supervisor, expert = Supervisor(settings, car), Expert(settings, simulator)
        supervisor.filter = listening = _Listening(settings, car)
        pilot, log = Pilot(BundleDriver(bundle, settings), supervisor), DriveLog(settings, car)
        command = Wiring.from_dict(bundle.wiring).layers[1]
        looked: list[Any] = []

        def watch(moment: Moment) -> None:
            if moment.step.decision is not None:
                looked.append(moment.step.decision.neurons)

        for _ in range(round(longest_s * settings.safety.rate_hz)):
            looked.clear()
            tick = drive_tick(simulator, pilot, log, watch)
            if log.end():
                break
            if looked and tick.mode is Mode.NORMAL:
                state, wanted = listening.asked
                right = expert.act(log.last)
                neurons = looked[0].astype(np.float64)[command]
                cases.append(Case(state, wanted, (right.force, right.curvature), neurons))
    return cases


def fit_gains(
    settings: Settings, car: Car, cases: Sequence[Case], recipe: GainsRecipe
) -> tuple[Floats, Floats, list[float]] | None:
    """Weights (command neurons, gains) and biases (gains,) of the read-out, and the loss of every step.

    Adam on batches drawn with seed 0, from the middle of the interval. Only moments in which a gain makes a difference
    count; None where there is none.
    """
    if not cases:
        return None
    net, policy = BarrierNet(settings, car), settings.policy
    boxes = [
        joint_box(car, case.state.force, case.state.curvature, REACH_S, settings.safety.steering_share)
        for case in cases
    ]
    rows = net.rows([case.state for case in cases], boxes)
    wanted, expert, neurons = (
        torch.tensor(np.array([getattr(case, part) for case in cases]), dtype=torch.float64)
        for part in ("wanted", "expert", "neurons")
    )
    scale, count = net.get_buffer("scale"), len(policy.gain_names)
    order = [policy.gain_names.index(name) for name in net.gain_names]
    ends = (wanted.new_full((len(cases), count), gain) for gain in (policy.gain_low, policy.gain_high))
    slow, fast = (net(wanted, gains, rows) / scale for gains in ends)
    matters = (slow - fast).abs().amax(dim=1) > MATTERS
    if not matters.any():
        return None
    rows, wanted, expert, neurons = rows[matters], wanted[matters], expert[matters], neurons[matters]
    weight = torch.zeros(neurons.shape[1], count, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimiser, losses = torch.optim.Adam([weight, bias], recipe.rate), []
    draw = np.random.default_rng(0)
    for _ in range(recipe.steps):
        some = torch.from_numpy(draw.integers(len(wanted), size=recipe.batch))
        share = torch.sigmoid(neurons[some] @ weight + bias)
        gains = policy.gain_low + (policy.gain_high - policy.gain_low) * share
        loss = ((net(wanted[some], gains[:, order], rows[some]) - expert[some]) / scale).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return weight.detach().numpy(), bias.detach().numpy(), losses


def with_gains(bundle: Bundle, weight: Floats, bias: Floats) -> Bundle:
    """``bundle`` with another read-out of its gains."""
    arrays = {"liquid.gain_weight": weight.astype(np.float32), "liquid.gain_bias": bias.astype(np.float32)}
    return dataclasses.replace(bundle, arrays=bundle.arrays | arrays)


def with_fixed_gains(bundle: Bundle, gain: float) -> Bundle:
    """``bundle`` with all gains at ``gain`` [1/s], between the ends of their interval."""
    policy = bundle.policy
    share = min(max((gain - policy.gain_low) / (policy.gain_high - policy.gain_low), 1e-9), 1 - 1e-9)
    weight, bias = bundle.arrays["liquid.gain_weight"], bundle.arrays["liquid.gain_bias"]
    return with_gains(bundle, np.zeros_like(weight), np.full_like(bias, math.log(share / (1 - share))))
