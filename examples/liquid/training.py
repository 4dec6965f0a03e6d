# SPDX-License-Identifier: Apache-2.0
"""One training of one model with one seed, and what is left of the target's variance after it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from examples.liquid.models import Gated, Kind, build, parameters
from examples.liquid.task import Data, Series, Task
from torch import Tensor

from tidegate.liquid.network import LiquidNetwork

RATE = 0.03
"""Of learning, for every model."""


@dataclass(frozen=True, slots=True)
class Job:
    """Train ``kind`` on ``task``; ``told``: whether the model learns of dt."""

    task: Task
    kind: Kind
    told: bool
    seed: int

    @property
    def name(self) -> str:
        """How the model is called in tables."""
        return self.kind.value if self.told else f"{self.kind.value}, not told"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one training.

    Attributes:
        errors: by test, see ``error``.
        trace: (T,) the drawn output for the first series of the first test.
        parameters: how many the model has.
        seconds: processor time of the training.
    """

    errors: dict[str, float]
    trace: list[float]
    parameters: int
    seconds: float


def error(answers: Tensor, targets: Tensor) -> float:
    """Mean squared error over the target's variance, both (B, T, O); the mean over outputs."""
    spread = targets.var(dim=(0, 1), correction=0)
    return float(((answers - targets).square().mean(dim=(0, 1)) / spread).mean())


def train(model: LiquidNetwork | Gated, series: Series, job: Job) -> None:
    """Adam with a cosine, the same batches for every model of a seed; gradients clipped at norm 1."""
    task, random = job.task, torch.Generator().manual_seed(job.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, task.steps)
    for _ in range(task.steps):
        batch = torch.randperm(len(series.dt), generator=random)[: task.batch]
        answers, _ = model(series.inputs[batch], series.dt[batch])
        optimiser.zero_grad()
        (answers - series.targets[batch]).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def run(given: tuple[Job, Data]) -> Outcome:
    """Train and test."""
    job, data = given
    torch.set_num_threads(1)
    task = job.task

    def seen(series: Series) -> Series:
        return series if job.told else series.untold(task.period)

    start = time.process_time()
    model = build(job.kind, task.wiring(job.seed), task.outputs, task.period, task.tau, job.seed)
    train(model, seen(data.train), job)
    seconds = time.process_time() - start
    with torch.no_grad():
        answers = {name: model(seen(series).inputs, seen(series).dt)[0] for name, series in data.tests.items()}
    errors = {name: error(answers[name], series.targets) for name, series in data.tests.items()}
    trace = next(iter(answers.values()))[0, :, task.shown[0]].tolist()
    return Outcome(errors, trace, parameters(model), seconds)
