# SPDX-License-Identifier: Apache-2.0
"""BarrierNet: the safety filter as a layer of a network (Xiao et al. 2021, 2023).

Forward, each sample goes through the live filter's own rows and programme, relaxation included. Backward, the
programmes are differentiated as ``qp_layer`` and ``relaxed_layer`` say, the rows by duals that go through the code that
makes them (``dual``). All of it is exact where the answer has a derivative. At a kink it is one side's: where a row
holds with equality and does not push, where another level would give way, where the rows' code branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tidegate.robot import Car
from tidegate.safety.barrier import OFF, State
from tidegate.safety.dual import Dual, split, value
from tidegate.safety.filter import BOX, Filter
from tidegate.safety.joints import Box
from tidegate.safety.lifted import KNOTS, LIMITS, QUANTITIES, with_numbers
from tidegate.safety.qp_layer import qp_layer
from tidegate.safety.relaxation import HARD
from tidegate.safety.relaxed_layer import filter_solver
from tidegate.settings import Settings

NOTHING: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of B states: ``G`` (B, m, 2), ``fixed``, ``scaled``, ``cap`` (B, m), joint ``box`` (B, 4), and the
    ``backup`` command (B, 2) where a programme has no solution; float64."""

    G: Tensor
    fixed: Tensor
    scaled: Tensor
    cap: Tensor
    box: Tensor
    backup: Tensor

    def __getitem__(self, index: Any) -> RowBatch:
        """Pick samples."""
        parts = (self.G, self.fixed, self.scaled, self.cap, self.box, self.backup)
        return RowBatch(*(part[index] for part in parts))


class BarrierNet(nn.Module):
    """Differentiable by the nominal command, the gains, the state and the limits.

    What a state or a robot's file says is a float; where a tensor is given in its place, by name, derivatives go there:

    - *State*, as in ``State``: ``speed`` [m/s]; ``force`` [N] and ``curvature`` [1/m], commanded last; ``force_low``,
      ``force_high`` [N]; ``disturbance`` [m/s²]; ``x``, ``y`` [m], ``yaw`` [rad]; ``speed_left`` [m/s],
      ``speed_falling`` [m/s²], ``lateral_left`` [m/s²]. Of the lane ``lane.offset`` [m], ``lane.heading`` [rad], their
      bounds ``lane.offset_bound``, ``lane.heading_bound`` with its part ``lane.heading_growth``,
      ``lane.curvature_bound`` [1/m], and ``lane.remaining`` [m]; knot by knot, 0 at the rear axle, ``lane.ahead.0``
      [m], ``lane.curvature.0`` [1/m] and so on. Of the nearest things, of ``along_lane`` as of ``arc``,
      ``arc.distance`` [m], ``arc.receding`` and ``arc.approaching`` [m/s].
    - *Limits*, as in the settings: ``vehicle.speed_max`` [m/s], ``vehicle.lateral_acceleration_max`` [m/s²],
      ``vehicle.brake_guaranteed`` [m/s²], ``vehicle.tyre_friction`` [1], ``safety.distance.standstill_gap`` [m],
      ``safety.lane.half_width`` [m].
    - *Joint box*: force low and high [N], curvature low and high [1/m].

    A derivative by one of these is that of the rows with all others as they are: where the slew window or the box
    follows from the force commanded last, say so by giving them too, computed from it. Second derivatives are refused.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        super().__init__()
        self._filter = Filter(settings, car)
        self._settings, self._car = settings, car
        self.gain_names = self._filter.gain_names
        self.register_buffer("scale", torch.from_numpy(self._filter.scale), persistent=False)
        self.register_buffer("_box_rows", torch.from_numpy(BOX), persistent=False)
        self._solver = filter_solver([HARD] * len(BOX) + self._filter.priority, settings)

    def rows(
        self,
        states: Sequence[State],
        boxes: Sequence[Box] | Tensor,
        given: Mapping[str, Tensor] = NOTHING,
        limits: Mapping[str, Tensor] = NOTHING,
    ) -> RowBatch:
        """Rows of B states; they depend on no parameter but what is given, so make those of recorded states once.

        Args:
            states: what is known at each tick.
            boxes: joint boxes, as such or (B, 4).
            given: quantities of the states by name, each (B,) or () for all, that count in place of the states' own.
                One of a lane that a state does not have, or of a knot, is passed over.
            limits: the same of the settings. The settings' ranges are not checked.

        Raises:
            ValueError: a name that is none.
            TypeError: a barrier computes by functions that know no derivative.
        """
        _check(given, "state", QUANTITIES, KNOTS)
        _check(limits, "settings", LIMITS)
        numbers = [number.expand(len(states)).double() for number in (*given.values(), *limits.values())]
        leaves = torch.stack(numbers, dim=1) if numbers else torch.empty(len(states), 0, dtype=torch.float64)
        box = boxes if isinstance(boxes, Tensor) else torch.tensor(np.array(boxes))
        box, filters = box.double(), _Filters(self._settings, self._car, tuple(limits), self._filter)
        parts, backup, units = [], [], np.eye(len(numbers))
        for state, joints, sample in zip(states, box.tolist(), leaves.tolist(), strict=True):
            if leaves.requires_grad:
                sample = [Dual(number, unit) for number, unit in zip(sample, units, strict=True)]
            now = with_numbers(state, dict(zip(given, sample, strict=False)))
            barriers = filters.at(sample[len(given) :])
            try:
                parts.append(np.column_stack(barriers.rows(now)[:4]))
            except TypeError as error:
                if not leaves.requires_grad:
                    raise
                raise TypeError(f"{error}; derivatives go through the functions of tidegate.safety.dual") from error
            backup.append([value(part) for part in barriers.fallback(now, Box(*joints))])
        table = np.stack(parts)
        if leaves.requires_grad:
            made = _Carry.apply(leaves, *map(torch.from_numpy, split(table, len(numbers))))  # type: ignore[no-untyped-call]
        else:
            made = torch.from_numpy(table)
        G, (fixed, scaled, cap) = made[..., :2], made[..., 2:].unbind(dim=2)
        return RowBatch(G, fixed, scaled, cap, box, torch.tensor(backup, dtype=torch.float64))

    def forward(self, nominal: Tensor, gains: Tensor, rows: RowBatch) -> Tensor:
        """Safe commands (B, 2) for ``nominal`` (B, 2) [N, 1/m] and ``gains`` (B, len(gain_names)) [1/s]."""
        policy, index = self._settings.policy, self._filter.gain_index
        default = gains.new_full((len(gains), 1), self._settings.safety.filter.gain_default)
        clamped = torch.cat((gains.clamp(policy.gain_low, policy.gain_high), default), dim=1)
        by_row = clamped[:, index].double()  # index -1 is the default
        scale = self.get_buffer("scale")
        G = rows.G * scale
        norm = G.norm(dim=2).clamp_min(1e-12)
        lower = torch.minimum(rows.fixed - by_row * rows.scaled, rows.cap) / norm
        lower = torch.where(rows.fixed > OFF, lower, lower.new_tensor(-torch.inf))
        signs, unit = rows.box.new_tensor([1.0, -1.0, 1.0, -1.0]), scale.repeat_interleave(2)
        all_rows = torch.cat((self.get_buffer("_box_rows").expand(len(G), -1, -1), G / norm[..., None]), dim=1)
        all_lower = torch.cat((rows.box * signs / unit, lower), dim=1)
        wanted, cost = nominal.double() / scale, torch.eye(2, dtype=torch.float64)
        command, _ = qp_layer(cost, -wanted, all_rows, all_lower, rows.backup / scale, self._solver)
        return (command * scale).to(nominal.dtype)


class _Filters:
    """The live filter as it is at other limits, each made once."""

    def __init__(self, settings: Settings, car: Car, names: tuple[str, ...], unlimited: Filter) -> None:
        self._settings, self._car, self._names = settings, car, names
        self._made: dict[tuple[float, ...], Filter] = {} if names else {(): unlimited}

    def at(self, limits: Sequence[Any]) -> Filter:
        """That of ``limits``, in the order of the names."""
        key = tuple(map(value, limits))
        if key not in self._made:
            settings = with_numbers(self._settings, dict(zip(self._names, limits, strict=True)))
            self._made[key] = Filter(settings, self._car)
        return self._made[key]


class _Carry(torch.autograd.Function):
    """A table (B, m, c) that was computed from leaves (B, K), with its slopes (B, m, c, K)."""

    @staticmethod
    def forward(ctx: Any, leaves: Tensor, table: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return table.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_table: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return torch.einsum("bmc,bmck->bk", by_table, slope), None, None


def _check(given: Mapping[str, Tensor], what: str, names: Sequence[str], numbered: Sequence[str] = ()) -> None:
    for name in given:
        stem, _, at = name.rpartition(".")
        if name not in names and not (stem in numbered and at.isdecimal()):
            allowed = ", ".join((*names, *(f"{one}.0 …" for one in numbered)))
            raise ValueError(f"BarrierNet: '{name}' is no quantity of the {what}; there are {allowed}")
