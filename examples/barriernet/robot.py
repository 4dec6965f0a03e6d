# SPDX-License-Identifier: Apache-2.0
"""A robot in the plane passes a round obstacle (Xiao et al. 2023; the numbers are those of its code).

State (x, y [m], θ [rad], v [m/s] | goal's y, obstacle's x, y, radius [m]); u = (u₁ [rad/s], u₂ [m/s²]), no limits:

    ẋ = v cos θ   ẏ = v sin θ   θ̇ = u₁   v̇ = u₂            b = ‖(x, y) − obstacle‖² − radius²  [m²]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from common import Case
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OBSTACLE = (40.0, 15.0, 6.0)
GOAL_X = 80.0
CRUISE = 4.5
"""Speed that the expert aims for [m/s]."""
CLEAR = 0.3
"""What the expert leaves beside the obstacle [m]."""


class Robot(Case):
    """Expert: the shortest way round, tangents to the circle, on the side of the goal."""

    name, title = "robot", "2-D robot round an obstacle"
    unit, axes = "m²", ("x [m]", "y [m]")
    reference = (
        "Xiao et al., their released weights replayed: min b +5.95 with the layer and −4.33 without; with the unseen "
        "radius of 8 m +3.38 and −32.3. Their demonstrations are not ours."
    )
    steps, degree = 137, 2
    scale = (1.0, 1.0)
    low, high = (-math.inf, -math.inf), (math.inf, math.inf)
    fixed = (1.0, 1.0)
    inner = 2.0

    def derivative(self, state: Tensor, u: Tensor) -> Tensor:
        _, _, heading, speed, *constant = state.unbind(1)
        moved = (speed * heading.cos(), speed * heading.sin(), u[:, 0], u[:, 1])
        return torch.stack((*moved, *(torch.zeros_like(part) for part in constant)), dim=1)

    def row(self, state: Tensor, reserve: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Relative degree 2 by both inputs; nothing is reserved, because nothing is limited."""
        x, y, heading, v, _, ox, oy, radius = state.unbind(1)
        ahead = (x - ox) * heading.cos() + (y - oy) * heading.sin()  # of the obstacle, along the heading
        aside = (y - oy) * heading.cos() - (x - ox) * heading.sin()
        b = (x - ox) ** 2 + (y - oy) ** 2 - radius**2
        G = torch.stack((2 * v * aside, 2 * ahead), dim=1)
        return b[:, None], (2 * v * ahead)[:, None], (2 * v**2)[:, None], G[:, None]

    def wish(self, state: Tensor) -> Tensor:
        x, y, heading, v, goal, ox, oy, radius = state.unbind(1)
        bearing = torch.atan2(oy - y, ox - x)
        side = torch.where(goal >= oy, 1.0, -1.0)
        away = side * _wrap(torch.atan2(goal - y, GOAL_X - x) - bearing)
        tangent = torch.asin(((radius + CLEAR) / torch.hypot(ox - x, oy - y)).clamp(max=1.0))
        target = bearing + side * torch.maximum(away, tangent)
        return torch.stack(((3 * _wrap(target - heading)).clamp(-1.5, 1.5), (CRUISE - v).clamp(-1.0, 1.0)), dim=1)

    def fallback(self, state: Tensor) -> Tensor:
        """Brake within half a second."""
        return torch.stack((torch.zeros(len(state), dtype=state.dtype), -2 * state[:, 3]), dim=1)

    def starts(self, generator: torch.Generator, count: int) -> Tensor:
        low = torch.tensor([3.0, 12.0, -0.3, 1.0, 2.0], dtype=torch.float64)
        high = torch.tensor([8.0, 18.0, 0.3, 3.0, 6.0], dtype=torch.float64)
        drawn = low + (high - low) * torch.rand(count, 5, generator=generator, dtype=torch.float64)
        side = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        drawn[:, 4] = OBSTACLE[1] + side * drawn[:, 4]
        return torch.cat((drawn, drawn.new_tensor(OBSTACLE).expand(count, -1)), dim=1)

    def shown(self) -> dict[str, Tensor]:
        start = torch.tensor([[5.0, 15.0, 0.0, 2.0, 18.0, *OBSTACLE]], dtype=torch.float64)
        return {"radius 6 m": start, "radius 8 m, unseen": torch.cat((start[:, :7], start.new_tensor([[8.0]])), dim=1)}

    def features(self, state: Tensor) -> Tensor:
        """As published: the state and where to; the obstacle is known to the rows alone."""
        return state[:, :5]

    def progress(self, state: Tensor) -> Tensor:
        return state[:, 0]

    def path(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, 0], states[:, 1]

    def scenery(self, axes: Axes, states: Tensor) -> None:
        from matplotlib.patches import Circle

        x, y, radius = states[0, 5:].tolist()
        axes.add_patch(Circle((x, y), radius, color="0.8"))
        axes.set_aspect("equal")
        axes.set(xlim=(x - 18, x + 18), ylim=(y - 13, y + 13))


def _wrap(angle: Tensor) -> Tensor:
    return torch.atan2(angle.sin(), angle.cos())
