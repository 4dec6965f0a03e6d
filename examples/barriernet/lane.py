# SPDX-License-Identifier: Apache-2.0
"""Keeping the lane past two cars parked at its edges (after the driving case of Xiao et al. 2023).

State (s, d [m], μ [rad], v [m/s] | road curvature κ_r [1/m], s and d of both obstacles [m]); u = (a [m/s²], κ [1/m]).
Offset d, heading error μ and the path's own curvature κ, with q = 1 − κ_r d:

    ṡ = v cos μ / q     ḋ = v sin μ     μ̇ = v κ − κ_r v cos μ / q     v̇ = a

    lane       b = w ∓ d                                 d̈ = a sin μ + v cos μ μ̇
    obstacle   b = (s − s_o)² + (d − d_o)² − R²          s̈ = (a cos μ − v sin μ μ̇) / q + κ_r v cos μ ḋ / q²
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from common import Case
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF_WIDTH = 1.5
"""w, how far the car's centre may leave the middle of its lane [m]."""
RADIUS = 2.9
"""R, of the obstacle and the car together [m]."""
CRUISE = 8.0
CLEAR = 0.15
"""What the expert leaves beside an obstacle [m]."""


class Lane(Case):
    """Expert: swerves by as much as is needed, on the side with room."""

    name, title = "lane", "lane keeping past parked cars"
    unit, axes = "m of lane or m² of obstacle", ("s [m]", "d [m]")
    reference = "A run that ends 30 m and more behind the expert has stopped in front of an obstacle."
    steps, degree, barriers = 120, 2, 4
    scale = (1.0, 0.02)
    low, high = (-5.0, -0.15), (2.0, 0.15)
    fixed = (2.0, 2.0)
    inner = 2.0

    def derivative(self, state: Tensor, u: Tensor) -> Tensor:
        _, d, mu, v, curvature, *constant = state.unbind(1)
        ds = v * mu.cos() / (1 - curvature * d)
        dv = torch.where((v <= 0) & (u[:, 0] < 0), 0.0, u[:, 0])
        still = torch.zeros_like(v)
        return torch.stack(
            (ds, v * mu.sin(), v * u[:, 1] - curvature * ds, dv, still, *(still for _ in constant)), dim=1
        )

    def settle(self, state: Tensor) -> Tensor:
        """It does not drive backwards."""
        state = state.clone()
        state[:, 3] = state[:, 3].clamp_min(0.0)
        return state

    def row(self, state: Tensor, reserve: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Left edge, right edge, first and second obstacle."""
        s, d, mu, v, curvature, *_ = state.unbind(1)
        q, sin, cos = 1 - curvature * d, mu.sin(), mu.cos()
        ds, dd = v * cos / q, v * sin
        turn = -curvature * ds  # μ̇ = turn + v κ
        along = torch.stack((cos / q, -(v**2) * sin / q), dim=1)  # s̈ and d̈ by u
        across = torch.stack((sin, v**2 * cos), dim=1)
        along_drift = -v * sin * turn / q + curvature * v * cos * dd / q**2
        across_drift = v * cos * turn
        parts = [
            (HALF_WIDTH - d, -dd, -across_drift, -across),
            (HALF_WIDTH + d, dd, across_drift, across),
        ]
        for at, offset in (state[:, 5:7].unbind(1), state[:, 7:9].unbind(1)):
            x, y = s - at, d - offset
            drift = 2 * (ds**2 + dd**2 + x * along_drift + y * across_drift)
            G = 2 * (x[:, None] * along + y[:, None] * across)
            parts.append((x**2 + y**2 - RADIUS**2, 2 * (x * ds + y * dd), drift, G))
        b, slope, drift, G = (torch.stack(part, dim=1) for part in zip(*parts, strict=True))
        return b, slope, drift, G

    def wish(self, state: Tensor) -> Tensor:
        s, d, mu, v, curvature, *_ = state.unbind(1)
        target = torch.zeros_like(d)
        for at, offset in (state[:, 5:7].unbind(1), state[:, 7:9].unbind(1)):
            swerve = offset.sign() * (RADIUS + CLEAR - offset.abs())
            target = target - swerve * (-(((s + 0.5 * v - at) / 9) ** 2)).exp()
        wanted = 4.0 * (target - d) - 3.5 * v * mu.sin()  # d̈
        steer = curvature * mu.cos() / (1 - curvature * d) + wanted / v.clamp_min(2.0) ** 2
        return torch.stack(((CRUISE - v).clamp(-2.0, 1.5), steer.clamp(-0.15, 0.15)), dim=1)

    def fallback(self, state: Tensor) -> Tensor:
        """Brake fully along the road."""
        return torch.stack((torch.full_like(state[:, 0], self.low[0]), state[:, 4]), dim=1)

    def starts(self, generator: torch.Generator, count: int) -> Tensor:
        low = torch.tensor([-0.5, -0.06, 6.0, -0.02, 25.0, 2.2, 58.0, 2.2], dtype=torch.float64)
        high = torch.tensor([0.5, 0.06, 9.0, 0.02, 35.0, 2.6, 70.0, 2.6], dtype=torch.float64)
        drawn = low + (high - low) * torch.rand(count, 8, generator=generator, dtype=torch.float64)
        sides = torch.where(torch.rand(count, 2, generator=generator) < 0.5, -1.0, 1.0)
        drawn[:, [5, 7]] *= sides
        return torch.cat((drawn.new_zeros(count, 1), drawn), dim=1)

    def shown(self) -> dict[str, Tensor]:
        start = torch.tensor([[0.0, 0.0, 0.0, 8.0, 0.01, 30.0, 2.3, 62.0, -2.3]], dtype=torch.float64)
        return {"a gentle bend, one car at each edge": start}

    def crashed(self, state: Tensor) -> Tensor:
        """An obstacle is hit; leaving the lane is b < 0 alone."""
        return (self.barrier(state)[:, 2:] < 0).any(dim=1)

    def features(self, state: Tensor) -> Tensor:
        """Offset, heading, speed, road; distance and offset of the obstacles within 25 m."""
        seen = [state[:, 1:5]]
        for at, offset in ((5, 6), (7, 8)):
            ahead = state[:, at] - state[:, 0]
            near = (-((ahead / 12) ** 2)).exp()
            side = state[:, offset]
            seen.append(torch.stack((near * side.sign(), near * ahead / 12, near * side), dim=1))
        return torch.cat(seen, dim=1)

    def progress(self, state: Tensor) -> Tensor:
        return state[:, 0]

    def path(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, 0], states[:, 1]

    def scenery(self, axes: Axes, states: Tensor) -> None:
        from matplotlib.patches import Circle

        for at, offset in (states[0, 5:7].tolist(), states[0, 7:9].tolist()):
            axes.add_patch(Circle((at, offset), RADIUS, color="0.8"))
        for edge in (-HALF_WIDTH, HALF_WIDTH):
            axes.axhline(edge, color="k", linestyle=":")
        axes.set_ylim(-2, 2)
