# SPDX-License-Identifier: Apache-2.0
"""One training of one architecture, and what it can do without a road."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tidegate.bundle import Bundle
from tidegate.comparison.lessons import lessons
from tidegate.comparison.peers import peer_stack, save_peer, title, weights
from tidegate.errors import TidegateError
from tidegate.learning.loss import baselines
from tidegate.learning.recipe import load_recipe
from tidegate.learning.train import Trainer
from tidegate.settings import load_settings
from tidegate.stack import Stack

STEPS_TIMED = 2000


@dataclass(frozen=True, slots=True)
class Training:
    """What to train: ``rate`` is the peak learning rate behind the features, ``folder`` that of the comparison."""

    settings: str
    bundle: str
    folder: str
    architecture: str
    seed: int
    rate: float
    steps: int

    @property
    def key(self) -> str:
        """Its name among the trainings of one comparison."""
        return _key(self)

    @property
    def network(self) -> Path:
        """Where its weights are."""
        return (
            Path(self.folder) / "networks" / f"{self.architecture}-{self.seed}-{self.rate:g}-{self.steps}.safetensors"
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training; where it failed, ``error`` says why and the rest means nothing.

    ``weights`` of the cell as ``peers.weights``, ``neurons`` numbers of state; ``train_s`` processor time [s];
    ``step_us`` median time of one step [µs]. Losses are those of ``learning.loss``: ``choosing`` curvature +
    acceleration on the bags that choose, the others on the held-out bags, of the network and of two that do not look.
    """

    architecture: str
    seed: int
    rate: float
    steps: int
    error: str = ""
    title: str = ""
    weights: int = 0
    neurons: int = 0
    train_s: float = 0.0
    step_us: float = 0.0
    choosing: float = math.inf
    curvature: float = math.nan
    acceleration: float = math.nan
    curvature_zero: float = math.nan
    acceleration_zero: float = math.nan
    curvature_last: float = math.nan
    acceleration_last: float = math.nan

    @property
    def key(self) -> str:
        """The key of its training."""
        return _key(self)


def _key(one: Training | Trained) -> str:
    return json.dumps([one.architecture, one.seed, one.rate, one.steps])


def run_training(training: Training) -> Trained:
    """Train, measure, keep the weights; a training that fails is told, not raised, so that the others go on."""
    failed = Trained(training.architecture, training.seed, training.rate, training.steps)
    try:
        return _trained(training)
    except Exception as error:  # whatever it is, it is of this training alone
        return dataclasses.replace(failed, error=f"{type(error).__name__}: {error}")


def _trained(training: Training) -> Trained:
    settings, recipe = load_settings(training.settings), load_recipe()
    recipe = dataclasses.replace(
        recipe, seed=training.seed, threads=1, train=dataclasses.replace(recipe.train, liquid_rate=training.rate)
    )
    bundle = Bundle.load(training.bundle, settings.vehicle.name)
    taught, choose, held = (
        lessons(Path(training.folder) / "codes", part, bundle, settings, recipe) for part in ("train", "choose", "held")
    )
    stack = peer_stack(bundle, training.architecture, training.seed)
    trainer = Trainer(stack, recipe, settings)
    Trainer(peer_stack(bundle, training.architecture, training.seed), recipe, settings).fit(taught, "policy", 1)
    began = time.process_time()  # kernels are compiled by now
    trainer.fit(taught, "policy", training.steps)
    train_s = time.process_time() - began
    chosen, found = trainer.measure(choose), trainer.measure(held) | baselines(held.every(), recipe.train)
    choosing = chosen["curvature"] + chosen["acceleration"]
    if not math.isfinite(choosing):
        raise TidegateError(f"it diverged at a learning rate of {training.rate:g}: its loss is {choosing}")
    save_peer(stack, training.network)
    losses: dict[str, Any] = {
        f"{name}{who}": round(found[f"{name}{who}"], 6)
        for name in ("curvature", "acceleration")
        for who in ("", "_zero", "_last")
    }
    return Trained(
        training.architecture,
        training.seed,
        training.rate,
        training.steps,
        title=title(training.architecture, stack.policy),
        weights=weights(stack.policy),
        neurons=stack.policy.cell.neurons,
        train_s=round(train_s, 2),
        step_us=round(step_time(stack), 1),
        choosing=round(choosing, 6),
        **losses,
    )


@torch.no_grad()
def step_time(stack: Stack, count: int = STEPS_TIMED) -> float:
    """Median time [µs] of one step of the policy on features that are there, in torch on one core."""
    features = torch.zeros(1, 1, stack.perception.features)
    speed, dt = torch.full((1, 1), 10.0), torch.full((1, 1), 0.05)
    state, times = None, []
    for _ in range(count):
        began = time.perf_counter()
        state = stack.policy(features, speed, dt, state).neurons[:, -1]
        times.append(time.perf_counter() - began)
    return 1e6 * statistics.median(times)
