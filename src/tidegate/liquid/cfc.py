# SPDX-License-Identifier: Apache-2.0
"""Closed-form continuous-time network on a wiring, for training (Hasani et al. 2022, Nature Machine Intelligence).

Every affine map of ``closed_form`` has weights for existing synapses and the neuron's own state only, the time
branches too: the graph that is drawn is the graph that computes. The one exception is a wiring marked ``dense_time``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tidegate.liquid import cfc_kernels
from tidegate.liquid.closed_form import MAPS, ClosedForm
from tidegate.liquid.live import TIME_UNIT, closed_form_reads, dense_time_reads
from tidegate.liquid.ragged import first_derivatives_only, present, samples_first, samples_last, traced
from tidegate.liquid.wiring import Wiring

Reads = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Source (E,) and target (E,), ascending, of what neurons read from neurons."""


class CfC(nn.Module):
    """Recurrent network of N neurons, evaluated layer by layer: a frame moves its own command within one step.

    Args:
        wiring: who is wired to whom.
        random: source of the initial weights.
        form: one of ``closed_form.MAPS``.
        compiled: run the numba kernels on the CPU, which the ``default`` form has; otherwise, and under
            ``torch.compile`` and ``torch.func``, the eager reference, several times slower. Second derivatives need
            the latter.

    Raises:
        ValueError: there is no such form.
    """

    row: Tensor
    target: Tensor
    dense_time_row: Tensor
    dense_time_target: Tensor

    def __init__(self, wiring: Wiring, random: torch.Generator, form: str = "default", compiled: bool = True) -> None:
        super().__init__()
        self.wiring = wiring
        self.compiled = compiled and form == "default"
        self.neurons, self.motor = wiring.neurons, wiring.motor
        self.layers = [layer for layer in wiring.layers if layer.start < layer.stop]
        self.closed_form = ClosedForm(form, self.neurons)
        maps = MAPS[form]
        heard = np.zeros((wiring.inputs + self.neurons, self.neurons), bool)
        row, target = closed_form_reads(wiring)
        heard[row, target] = True
        self.register_buffer("row", torch.from_numpy(row), persistent=False)
        self.register_buffer("target", torch.from_numpy(target), persistent=False)
        fan_in = torch.bincount(self.target, minlength=self.neurons)[self.target]
        spread = 2 * torch.rand(maps, len(row), generator=random) - 1
        self.weight = nn.Parameter(spread * (3.0 / fan_in).sqrt())
        self.bias = nn.Parameter(torch.zeros(maps, self.neurons))
        if wiring.dense_time:
            row, target = dense_time_reads(wiring)
            heard[row, target] = True
            self.register_buffer("dense_time_row", torch.from_numpy(row), persistent=False)
            self.register_buffer("dense_time_target", torch.from_numpy(target), persistent=False)
            self.dense_time_weight = nn.Parameter(torch.zeros(max(maps - 2, 0), len(row)))
        target, source = np.nonzero(heard[wiring.inputs :].T)
        self._reads = source, target

    def matrices(self) -> Tensor:
        """Weights (K, I + N, N) of the K maps from inputs and states, zero where there is no synapse."""
        maps = len(self.weight)
        dense = self.weight.new_zeros(maps, self.wiring.inputs + self.neurons, self.neurons)
        each = torch.arange(maps, device=dense.device)[:, None]
        dense = dense.index_put((each, self.row, self.target), self.weight)
        if self.wiring.dense_time:
            at = (each[2:], self.dense_time_row, self.dense_time_target)
            dense = dense.index_put(at, self.dense_time_weight)
        return dense

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """States (B, T, N) after each step; arguments and errors as ``LTC.forward``."""
        inputs, dt = present(inputs, dt, mask)
        dense = self.matrices()
        sensors = self.wiring.inputs
        held = torch.einsum("bti,kin->btkn", inputs, dense[:, :sensors]) + self.bias  # (B, T, K, N)
        recurrent = dense[:, sensors:]
        if state is None:
            state = inputs.new_zeros(len(inputs), self.neurons)
        if self.compiled and inputs.device.type == "cpu" and not traced(inputs):
            there = torch.ones_like(dt) if mask is None else mask.to(dt)
            given = there, held, dt / TIME_UNIT, recurrent[(slice(None), *self._reads)], state
            states: Tensor = _Sequence.apply(self.layers, self._reads, *given)  # type: ignore[no-untyped-call]
            return states
        return self._eager(held, dt, recurrent, state, mask)

    def _eager(self, held: Tensor, dt: Tensor, recurrent: Tensor, state: Tensor, mask: Tensor | None) -> Tensor:
        """The same arithmetic in plain torch, differentiated by autograd: what the kernels are tested against."""
        states = []
        for t in range(held.shape[1]):
            before = state
            for layer in self.layers:
                maps = held[:, t, :, layer] + torch.einsum("bm,kmn->bkn", state, recurrent[:, :, layer])
                updated = self.closed_form(maps, dt[:, t, None], layer)
                state = torch.cat([state[:, : layer.start], updated, state[:, layer.stop :]], dim=1)
            if mask is not None:
                state = torch.where(mask[:, t, None], state, before)
            states.append(state)
        return torch.stack(states, dim=1)


class _Sequence(torch.autograd.Function):
    """``cfc_kernels.forward`` and ``cfc_kernels.backward`` as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any,
        layers: list[slice],
        reads: Reads,
        there: Tensor,
        held: Tensor,
        dt: Tensor,
        weight: Tensor,
        start: Tensor,
    ) -> Tensor:
        neurons = np.array([0, *(layer.stop for layer in layers)])
        wires = *reads, weight.detach().numpy(), neurons, np.searchsorted(reads[1], neurons)
        maps = samples_last(held)
        states = np.empty((len(maps) + 1, *maps.shape[2:]), maps.dtype)
        states[0] = samples_last(start)
        ctx.kept = (maps, samples_last(dt), samples_last(there), *wires, states)
        cfc_kernels.forward(*ctx.kept)
        return samples_first(states[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first_derivatives_only()
        maps, dt, _, source, *_, states = ctx.kept
        to_maps, to_dt, to_start = (np.zeros_like(like) for like in (maps, dt, states[0]))
        to_weight = np.zeros((maps.shape[1], len(source), maps.shape[-1]), maps.dtype)
        cfc_kernels.backward(samples_last(gradients[0]), *ctx.kept, to_maps, to_dt, to_weight, to_start)
        to_weights = torch.from_numpy(to_weight.sum(axis=-1))
        return (None, None, None, samples_first(to_maps), samples_first(to_dt), to_weights, samples_first(to_start))
