# SPDX-License-Identifier: Apache-2.0
"""The network, the methods that are compared, and their training from an expert's demonstrations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum

import torch
from common import Case, clip, programme, verified
from torch import Tensor, nn

RUNS = 200
"""Demonstrations: runs of the expert."""
SAMPLES, EPOCHS, BATCH = 4000, 40, 128
EXPERT_GAIN = 4.0
"""Gains of the expert's own filter [1/s]; it may go near the limit because its hold is verified."""


class Method(Enum):
    """Value: how it is called in tables."""

    PLAIN = "plain network"
    FILTERED = "fixed-gain CBF-QP after the plain network"
    LAYER = "fixed-gain HOCBF layer"
    PUBLISHED = "BarrierNet as published, all gains learned"
    OURS = "BarrierNet, ours: outermost gain learned, reserve, verified hold"


TRAINED = (Method.PLAIN, Method.LAYER, Method.PUBLISHED, Method.OURS)


class Network(nn.Module):
    """Features → wish and gains: one shared layer, then a head for each (the published code: 128, 32 and 32 units).

    Gains are 4 · sigmoid, in (0, 4) 1/s (Xiao et al. 2023, published code).
    """

    def __init__(self, case: Case, features: Tensor) -> None:
        super().__init__()
        rows = case.barriers
        self._scale, self._gains = torch.tensor(case.scale, dtype=torch.float64), (case.degree, rows)
        self._mean, self._spread = features.mean(dim=0), features.std(dim=0).clamp_min(1e-3)
        self.shared = nn.Sequential(nn.Linear(features.shape[1], 128), nn.ReLU())
        self.to_wish = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, len(case.scale)))
        self.to_gains = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, case.degree * rows))
        self.double()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Wish (B, m) and gains (B, degree, r) for features (B, f)."""
        hidden = self.shared((features - self._mean) / self._spread)
        gains = 4 * torch.sigmoid(self.to_gains(hidden))
        return self.to_wish(hidden) * self._scale, gains.reshape(-1, *self._gains)


def gains_of(case: Case, method: Method, learned: Tensor) -> Tensor:
    """What each method makes of the learned gains (B, degree, r)."""
    if method is Method.PUBLISHED:
        return learned
    if method is Method.OURS:
        inner = torch.full_like(learned[:, :-1], case.inner)
        return torch.cat((inner, learned[:, -1:]), dim=1)
    return learned.new_tensor(case.fixed)[:, None].expand_as(learned)


def command(case: Case, method: Method, network: Network, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a method commands when it drives: command (B, m), (B,) bool whether its rows hold, gains used."""
    wish, learned = network(case.features(state))
    gains = gains_of(case, method, learned)
    if method is Method.PLAIN:
        return clip(case, wish), torch.ones(len(state), dtype=torch.bool), gains
    if method is Method.OURS:
        return *verified(case, state, wish, gains), gains
    return *programme(case, state, wish, gains, reserve=False), gains


def expert(case: Case, state: Tensor) -> Tensor:
    """The expert's command (B, m): its wish, through the verified programme with constant gains."""
    constant = state.new_tensor([case.inner, EXPERT_GAIN][-case.degree :])
    gains = constant[:, None].expand(len(state), -1, case.barriers)
    return verified(case, state, case.wish(state), gains)[0]


def demonstrations(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """States (N, n) and the expert's commands (N, m), shuffled."""
    generator = torch.Generator().manual_seed(seed)
    state, states, commands = case.starts(generator, RUNS), [], []
    for _ in range(case.steps):
        u = expert(case, state)
        states.append(state)
        commands.append(u)
        state = case.hold(state, u)[-1]
    order = torch.randperm(RUNS * case.steps, generator=generator)[:SAMPLES]
    return torch.cat(states)[order], torch.cat(commands)[order]


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, its last loss (mean squared error in units of ``Case.scale``), and what training took [s]."""

    network: Network
    loss: float
    seconds: float


def train(case: Case, method: Method, data: tuple[Tensor, Tensor], seed: int) -> Trained:
    """Imitate the expert, through the method's own programme where it has one (its margin is left out here)."""
    states, commands = data
    start = time.perf_counter()
    torch.manual_seed(seed)
    network = Network(case, case.features(states))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    scale = commands.new_tensor(case.scale)
    losses: list[float] = []
    for _ in range(EPOCHS):
        losses = []
        for batch in torch.split(torch.randperm(len(states)), BATCH):
            state = states[batch]
            u, learned = network(case.features(state))
            if method is not Method.PLAIN:
                reserve = method is Method.OURS
                u, _ = programme(case, state, u, gains_of(case, method, learned), reserve)
            loss = ((u - commands[batch]) / scale).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        schedule.step()
    return Trained(network, sum(losses) / len(losses), time.perf_counter() - start)
