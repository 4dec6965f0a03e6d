# SPDX-License-Identifier: Apache-2.0
"""What the cases share: dynamics held over a tick, barrier rows, the programme, and the hold that is checked.

A case has r barriers b(x) ≥ 0 and inputs u = scale · x̂. With gains p the row of relative degree 2 is

    b̈(u) + (p₁ + p₂) ḃ + p₁ p₂ b ≥ margin          (Xiao et al. 2023; relative degree 1: ḃ(u) + p b ≥ margin)

and it says ψ̇ + p₂ ψ ≥ margin of ψ = ḃ + p₁ b, for constant p₁. All tensors are float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from tidegate.safety.qp_layer import qp_layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUBSTEPS = 5
"""Parts of a tick at which barriers are looked at."""
ROUNDS = 6
"""How often a margin is widened before a hold counts as not verified."""
SPARE = 1e-6
"""What a margin is widened by beyond what was lost, so that widening ends."""


class Case(ABC):
    """One published problem. States are (B, n); every constant of a run (goal, obstacle) is a column of its state."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    """Of b."""
    axes: ClassVar[tuple[str, str]]
    """What the picture of a run shows, across and up."""
    reference: ClassVar[str] = ""
    """Published figures, or how to read ours: for the page."""
    dt: float = 0.1
    """Tick [s]: how long a command is held."""
    steps: int
    degree: int
    """Relative degree of the barriers, 1 or 2."""
    barriers: int = 1
    """How many, r."""
    scale: tuple[float, ...]
    """Unit of each input."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Limits of each input, in its own unit; inf where there is none."""
    fixed: tuple[float, ...]
    """Gains (degree,) of the methods that do not learn them [1/s]."""
    inner: float = 1.0
    """The constant p₁ of ours, where the relative degree is 2 [1/s]."""

    @abstractmethod
    def derivative(self, state: Tensor, u: Tensor) -> Tensor:
        """ẋ (B, n)."""

    def predicted(self, state: Tensor, u: Tensor) -> Tensor:
        """The worst ẋ (B, n) that the stated assumptions allow; the same where nothing is unknown."""
        return self.derivative(state, u)

    @abstractmethod
    def row(self, state: Tensor, reserve: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """b, ḃ, drift (B, r) and G (B, r, m) with b̈ = drift + G u; for degree 1 ḃ = drift + G u, and ḃ is not used.

        ``reserve``: the barrier that leaves room for a limited actuator, where the case has one.
        """

    @abstractmethod
    def wish(self, state: Tensor) -> Tensor:
        """What the expert wants (B, m), before its own filter."""

    @abstractmethod
    def fallback(self, state: Tensor) -> Tensor:
        """The command (B, m) where the programme has no solution."""

    @abstractmethod
    def starts(self, generator: torch.Generator, count: int) -> Tensor:
        """Random starts (count, n)."""

    @abstractmethod
    def shown(self) -> dict[str, Tensor]:
        """Name → start (1, n) of the runs that are drawn and listed one by one, the drawn one first."""

    @abstractmethod
    def features(self, state: Tensor) -> Tensor:
        """What the network sees (B, f)."""

    @abstractmethod
    def progress(self, state: Tensor) -> Tensor:
        """How far (B,) the run has come [m]."""

    @abstractmethod
    def path(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The picture of a run (T, n): across (T,) and up (T,)."""

    @abstractmethod
    def scenery(self, axes: Axes, states: Tensor) -> None:
        """What stands or drives there, around a run (T, n)."""

    def settle(self, state: Tensor) -> Tensor:
        """Put a state right that an integration step carried over an edge of its model."""
        return state

    def barrier(self, state: Tensor) -> Tensor:
        """b (B, r): what safety is judged by."""
        return self.row(state, reserve=False)[0]

    def crashed(self, state: Tensor) -> Tensor:
        """(B,) bool: in contact, where that is less than b < 0."""
        return (self.barrier(state) < 0).any(dim=1)

    def kept(self, state: Tensor) -> Tensor:
        """(B, r): what ours keeps ≥ 0: the barrier with its reserve, and ψ where the degree is 2."""
        b, slope, _, _ = self.row(state, reserve=True)
        return b if self.degree == 1 else torch.minimum(b, slope + self.inner * b)

    def hold(self, state: Tensor, u: Tensor, worst: bool = False) -> list[Tensor]:
        """The states (B, n) after each of ``SUBSTEPS`` parts of a tick with u held (Runge–Kutta of order 4)."""
        f = self.predicted if worst else self.derivative
        h, passed = self.dt / SUBSTEPS, []
        for _ in range(SUBSTEPS):
            k1 = f(state, u)
            k2 = f(state + h / 2 * k1, u)
            k3 = f(state + h / 2 * k2, u)
            k4 = f(state + h * k3, u)
            state = self.settle(state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
            passed.append(state)
        return passed


def clip(case: Case, u: Tensor) -> Tensor:
    """What the actuators make of u (B, m)."""
    return torch.minimum(torch.maximum(u, u.new_tensor(case.low)), u.new_tensor(case.high))


def programme(
    case: Case, state: Tensor, wish: Tensor, gains: Tensor, reserve: bool, margin: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """The command nearest to ``wish`` that keeps the rows and the limits; differentiable by wish and gains.

    Args:
        case: whose rows.
        state: (B, n).
        wish: (B, m).
        gains: (B, degree, r) [1/s], the outermost last.
        reserve: see ``Case.row``.
        margin: (B, r) or a number.

    Returns:
        command (B, m), and (B,) bool: which samples had a solution; the others get ``case.fallback``.
    """
    b, slope, drift, G = case.row(state, reserve)
    if case.degree == 1:
        bound = margin - drift - gains[:, 0] * b
    else:
        bound = margin - drift - (gains[:, 0] + gains[:, 1]) * slope - gains[:, 0] * gains[:, 1] * b
    scale = wish.new_tensor(case.scale)
    G = G * scale
    norm = G.norm(dim=2).clamp_min(1e-9)
    identity = torch.eye(len(scale), dtype=wish.dtype)
    box = torch.cat((identity, -identity)).expand(len(state), -1, -1)
    edges = torch.cat((wish.new_tensor(case.low) / scale, -wish.new_tensor(case.high) / scale))
    rows = torch.cat((G / norm[..., None], box), dim=1)
    lower = torch.cat((bound / norm, edges.expand(len(state), -1)), dim=1)
    x, solved = qp_layer(identity, -wish / scale, rows, lower, case.fallback(state) / scale)
    return x * scale, solved


def verified(case: Case, state: Tensor, wish: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
    """The programme with reserve, and with the margin that the hold between two ticks costs. No gradient.

    The margin is not bounded but found: solve, hold the command on the model under its worst assumptions, put into the
    margin what ψ(τ) ≥ (1 − p τ) ψ(0) lacked (discrete-time barrier, Agrawal & Sreenath 2017), and solve again. With
    p · dt < 1 a verified command keeps ψ ≥ 0, hence b ≥ 0, at every part of the tick.

    Returns:
        command (B, m), and (B,) bool: which were verified.
    """
    margin = torch.zeros_like(gains[:, 0])
    u, fine = programme(case, state, wish, gains, reserve=True)
    fine = fine.clone()
    todo = torch.arange(len(state))
    for _ in range(ROUNDS):
        lost = shortfall(case, state[todo], u[todo], gains[todo])
        fine[todo] &= lost.amax(dim=1) <= 0
        todo, lost = todo[(lost > 0).any(dim=1)], lost[(lost > 0).any(dim=1)]
        if not len(todo):
            break
        margin[todo] += torch.where(lost > 0, lost + SPARE, 0.0)
        u[todo], fine[todo] = programme(case, state[todo], wish[todo], gains[todo], True, margin[todo])
    return u, fine


def shortfall(case: Case, state: Tensor, u: Tensor, gains: Tensor) -> Tensor:
    """(B, r): by how much the row would have to be tighter for ψ(τ) ≥ (1 − p τ) ψ(0) all along the tick."""
    inner, outer = case.inner, gains[:, -1]

    def psi(at: Tensor) -> Tensor:
        b, slope, _, _ = case.row(at, reserve=True)
        return b if case.degree == 1 else slope + inner * b

    before, worst = psi(state), torch.full_like(outer, -torch.inf)
    for part, after in enumerate(case.hold(state, u, worst=True), start=1):
        tau = part * case.dt / SUBSTEPS
        worst = torch.maximum(worst, ((1 - outer * tau) * before - psi(after)) / tau)
    return torch.where(worst > 1e-9, worst, 0.0)
