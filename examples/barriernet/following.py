# SPDX-License-Identifier: Apache-2.0
"""Following a car that leads, with a headway: what merging and adaptive cruise control share.

State (x_L [m], v_L [m/s], x [m], v [m/s], t [s] | constants of the leader); u = acceleration [m/s²]:

    ẋ = v   v̇ = u            b = x_L − x − D₀ − T v  [m]            ḃ = v_L − v − T u

With a limited brake u ≥ −a, b alone cannot be kept: braking fully, b falls until v ≤ v_L + T a. With
w = max(0, v − v_L − T a) and a leader that brakes by at most ℓ < a, what it still loses is w² / 2(a − ℓ), hence

    H = b − w² / 2(a − ℓ) ≥ 0            Ḣ ≥ v_L − v − w ℓ/(a − ℓ) − (T + w/(a − ℓ)) u

Full braking, u = −a, gives Ḣ ≥ −(v − v_L − T a) + w ≥ 0: it satisfies every row of H, so none gives way. Compare
the force-limited barrier of Ames, Grizzle & Tabuada 2014 for cruise control.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from common import Case
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Following(Case):
    """One input, one barrier of relative degree 1."""

    unit, axes = "m", ("t [s]", "speed [m/s]")
    degree = 1
    headway = 1.8
    """T [s]."""
    standstill = 0.0
    """D₀ [m]."""
    brake = math.inf
    """a [m/s²]."""
    leader_brake = 0.0
    """ℓ [m/s²]: the hardest that the leader is assumed to brake."""
    cruise = 30.0
    """Speed that the expert aims for [m/s]."""
    scale = (1.0,)
    high = (math.inf,)
    fixed = (1.0,)

    @property
    def low(self) -> tuple[float, ...]:  # type: ignore[override]
        """The brake's limit."""
        return (-self.brake,)

    @abstractmethod
    def leader(self, state: Tensor) -> Tensor:
        """The leader's acceleration (B,) [m/s²]."""

    def derivative(self, state: Tensor, u: Tensor) -> Tensor:
        return self._move(state, u[:, 0], self.leader(state))

    def predicted(self, state: Tensor, u: Tensor) -> Tensor:
        """The leader brakes as hard as is assumed."""
        return self._move(state, u[:, 0], torch.full_like(state[:, 0], -self.leader_brake))

    def _move(self, state: Tensor, u: Tensor, leader: Tensor) -> Tensor:
        rates = torch.zeros_like(state)
        rates[:, 0], rates[:, 1], rates[:, 2], rates[:, 3], rates[:, 4] = state[:, 1], leader, state[:, 3], u, 1.0
        return rates

    def settle(self, state: Tensor) -> Tensor:
        """Nobody drives backwards."""
        state = state.clone()
        state[:, [1, 3]] = state[:, [1, 3]].clamp_min(0.0)
        return state

    def row(self, state: Tensor, reserve: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        lead, lead_speed, x, v = state[:, :4].unbind(1)
        b = lead - x - self.standstill - self.headway * v
        drift, slope = lead_speed - v, torch.full_like(v, -self.headway)
        if reserve and math.isfinite(self.brake):
            spare = self.brake - self.leader_brake
            w = (v - lead_speed - self.headway * self.brake).clamp_min(0.0)
            b = b - w**2 / (2 * spare)
            drift = drift - w * self.leader_brake / spare
            slope = slope - w / spare
        return b[:, None], torch.zeros_like(b)[:, None], drift[:, None], slope[:, None, None]

    def wish(self, state: Tensor) -> Tensor:
        """Reach the cruising speed gently, whoever is ahead."""
        return (0.3 * (self.cruise - state[:, 3])).clamp(-1.0, 1.0)[:, None]

    def fallback(self, state: Tensor) -> Tensor:
        """Brake fully; 10 m/s² where there is no limit."""
        return torch.full((len(state), 1), -min(self.brake, 10.0), dtype=state.dtype)

    def crashed(self, state: Tensor) -> Tensor:
        """The gap is closed; a headway that is too short is b < 0 alone."""
        return state[:, 0] < state[:, 2]

    def features(self, state: Tensor) -> Tensor:
        """Gap, both speeds."""
        return torch.stack((state[:, 0] - state[:, 2], state[:, 1], state[:, 3]), dim=1)

    def progress(self, state: Tensor) -> Tensor:
        return state[:, 2]

    def path(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, 4], states[:, 3]

    def scenery(self, axes: Axes, states: Tensor) -> None:
        axes.plot(states[:, 4], states[:, 1], "k:", label="leader")
