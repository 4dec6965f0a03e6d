# SPDX-License-Identifier: Apache-2.0
"""Liquid time-constant network on a wiring, for training (Hasani et al. 2021, AAAI).

    C_i dx_i/dt = g_i (V_i − x_i) + Σ_e w_e σ(γ_e (x_source − μ_e)) (A_e − x_i)

Every synapse opens towards its reversal potential A_e, whose sign is the polarity drawn in the wiring. C, g, w, γ
and |A| are positive by construction (softplus of a free parameter), so no state ever leaves the interval spanned by
its V and A (theorem 2 of the paper; it holds for the discrete step too), whatever the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from tidegate.liquid import ltc_kernels
from tidegate.liquid.live import FoldedSynapses
from tidegate.liquid.ragged import first_derivatives_only, present, samples_first, samples_last, traced
from tidegate.liquid.wiring import Wiring

Array = NDArray[Any]
Wires = tuple[Array, Array]
Folded = tuple[Tensor, Tensor, Tensor, Tensor]

TAU_FAST, TAU_SLOW = 0.05, 1.0
"""Time constants at the start of training [s]: one camera frame to one second."""

HOLDING = 2.0**100
"""Inertia of a step that a mask leaves out: beside it every current vanishes, and a power of two rounds nothing."""


def inverse_softplus(value: Tensor) -> Tensor:
    """The free parameter whose softplus is ``value`` > 0."""
    return value + torch.log(-torch.expm1(-value))


class Synapses(nn.Module):
    """Parameters of the E synapses that exist in one adjacency (sources, N): nothing is stored for the others."""

    source: Tensor
    target: Tensor
    polarity: Tensor
    scatter: Tensor

    def __init__(self, wiring: Wiring, adjacency: np.ndarray[Any, Any], random: torch.Generator) -> None:
        super().__init__()
        source, target, polarity = wiring.edges(adjacency)
        count = len(source)
        self.register_buffer("source", torch.from_numpy(source), persistent=False)
        self.register_buffer("target", torch.from_numpy(target), persistent=False)
        self.register_buffer("polarity", torch.from_numpy(polarity).float(), persistent=False)
        scatter = torch.zeros(count, wiring.neurons)
        scatter[torch.arange(count), self.target] = 1.0
        self.register_buffer("scatter", scatter, persistent=False)

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=random)

        self.raw_weight = nn.Parameter(inverse_softplus(between(0.1, 1.0)))
        self.raw_slope = nn.Parameter(inverse_softplus(between(3.0, 8.0)))
        self.midpoint = nn.Parameter(between(0.3, 0.8) * (1 - 2 * torch.randint(2, (count,), generator=random)))
        self.raw_reversal = nn.Parameter(inverse_softplus(torch.ones(count)))

    @property
    def wires(self) -> Wires:
        """Source and target of each synapse, (E,)."""
        return self.source.numpy(), self.target.numpy()

    def folded(self) -> Folded:
        """Slope γ, shift −γμ, weight w and current w·A of each synapse, (E,)."""
        slope, weight = softplus(self.raw_slope), softplus(self.raw_weight)
        return slope, -slope * self.midpoint, weight, weight * self.polarity * softplus(self.raw_reversal)


class LTC(nn.Module):
    """Recurrent network of N neurons; time in seconds, given per sample and step.

    Args:
        wiring: who is wired to whom.
        substeps: fused Euler sub-steps per step.
        random: source of the initial parameters.
        compiled: run the numba kernels on the CPU; otherwise, and under ``torch.compile`` and ``torch.func``, the
            eager reference, several times slower. Second derivatives need the latter.
        tau: time constants at the start [s], fastest and slowest: about one step and the memory that the data ask for.
    """

    def __init__(
        self,
        wiring: Wiring,
        substeps: int,
        random: torch.Generator,
        compiled: bool = True,
        tau: tuple[float, float] = (TAU_FAST, TAU_SLOW),
    ) -> None:
        super().__init__()
        self.wiring = wiring
        self.substeps = substeps
        self.compiled = compiled
        self.neurons, self.motor = wiring.neurons, wiring.motor
        self.sensory = Synapses(wiring, wiring.sensory, random)
        self.recurrent = Synapses(wiring, wiring.recurrent, random)
        leak = 0.05 + 0.45 * torch.rand(wiring.neurons, generator=random)
        self.raw_leak = nn.Parameter(inverse_softplus(leak))
        self.rest = nn.Parameter(0.4 * torch.rand(wiring.neurons, generator=random) - 0.2)
        # τ = C / (conductance with every synapse half open). Inter and command neurons span the whole range; the
        # motor neurons start fast, as a command that lags a second cannot steer.
        half_open = leak + 0.5 * sum(
            softplus(s.raw_weight.detach()) @ s.scatter for s in (self.sensory, self.recurrent)
        )
        fast, slow = tau
        spread = [torch.logspace(np.log10(fast), np.log10(slow), n) for n in (wiring.inter, wiring.command)]
        motors = torch.full((wiring.motor,), fast)
        if wiring.motor == wiring.neurons:  # there is no other layer to remember
            motors = torch.logspace(np.log10(fast), np.log10(slow), wiring.motor)
        self.raw_capacitance = nn.Parameter(inverse_softplus(torch.cat([*spread, motors]) * half_open))

    def time_constants(self) -> Tensor:
        """τ (N,) [s] of every neuron with all its synapses half open."""
        conductance = softplus(self.raw_leak)
        for synapses in (self.sensory, self.recurrent):
            conductance = conductance + 0.5 * softplus(synapses.raw_weight) @ synapses.scatter
        return softplus(self.raw_capacitance) / conductance

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """States (B, T, N) after each step.

        Args:
            inputs: (B, T, I), held over their step.
            dt: (B, T) [s], length of each step, positive.
            state: (B, N) before the first step; None = zero.
            mask: (B, T), False where there is no sample: the state is held.

        Raises:
            ValueError: ``dt`` or ``mask`` is not (B, T), or ``dt`` is not positive where ``mask`` is True.
            RuntimeError: in the backward pass of the kernels, for a gradient that is to be differentiated again.
        """
        inputs, dt = present(inputs, dt, mask)
        leak = softplus(self.raw_leak)
        inertia = softplus(self.raw_capacitance) * (self.substeps / dt)[..., None]
        if mask is not None:
            inertia = torch.where(mask[..., None], inertia, HOLDING)
        if state is None:
            state = inputs.new_zeros(len(inputs), self.neurons)
        sensory, recurrent = self.sensory.folded(), self.recurrent.folded()
        if self.compiled and inputs.device.type == "cpu" and not traced(inputs):
            given = inputs, inertia, state, leak, leak * self.rest, *sensory, *recurrent
            states: Tensor = _Sequence.apply(self.sensory.wires, self.recurrent.wires, self.substeps, *given)  # type: ignore[no-untyped-call]
            return states
        return self._eager(inputs, inertia, leak, sensory, recurrent, state)

    def _eager(
        self, inputs: Tensor, inertia: Tensor, leak: Tensor, sensory: Folded, recurrent: Folded, state: Tensor
    ) -> Tensor:
        """The same arithmetic in plain torch, differentiated by autograd: what the kernels are tested against."""
        slope, shift, weight, current = sensory
        opening = torch.sigmoid(torch.addcmul(shift, slope, inputs[..., self.sensory.source]))  # (B, T, E)
        drive = opening @ (self.sensory.scatter * current[:, None]) + leak * self.rest
        conductance = opening @ (self.sensory.scatter * weight[:, None]) + leak
        slope, shift, weight, current = recurrent
        to_top, to_total = self.recurrent.scatter * current[:, None], self.recurrent.scatter * weight[:, None]
        states = []
        for t in range(drive.shape[1]):
            for _ in range(self.substeps):
                opening = torch.sigmoid(slope * state[:, self.recurrent.source] + shift)
                top = inertia[:, t] * state + drive[:, t] + opening @ to_top
                state = top / (inertia[:, t] + conductance[:, t] + opening @ to_total)
            states.append(state)
        return torch.stack(states, dim=1)


class _Sequence(torch.autograd.Function):
    """``ltc_kernels.forward`` and ``ltc_kernels.backward`` as one differentiable operation."""

    @staticmethod
    def forward(ctx: Any, sensory_wires: Wires, recurrent_wires: Wires, substeps: int, *tensors: Tensor) -> Tensor:
        inputs, inertia, start = (samples_last(each) for each in tensors[:3])
        leak, rest, *parameters = (each.detach().numpy() for each in tensors[3:])
        sensory = FoldedSynapses(*sensory_wires, *parameters[:4])
        recurrent = FoldedSynapses(*recurrent_wires, *parameters[4:])
        steps, neurons, batch = inertia.shape

        def empty(count: int, size: int) -> Array:
            return np.empty((count, size, batch), inertia.dtype)

        states, totals = empty(steps * substeps + 1, neurons), empty(steps * substeps, neurons)
        sensed, opened = empty(steps, len(sensory.source)), empty(steps * substeps, len(recurrent.source))
        states[0] = start
        ctx.kept = (inputs, inertia, sensory, recurrent, substeps, states, totals, sensed, opened)
        ltc_kernels.forward(inputs, inertia, leak, rest, *ctx.kept[2:])
        return samples_first(states[substeps::substeps])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first_derivatives_only()
        inputs, inertia, sensory, recurrent, _, states, *_ = ctx.kept
        to_inputs, to_inertia, to_start, to_leak, to_rest = (
            np.zeros_like(like) for like in (inputs, inertia, states[0], states[0], states[0])
        )
        to_sensory, to_recurrent = (
            np.zeros((4, len(synapses.source), inertia.shape[-1]), inertia.dtype) for synapses in (sensory, recurrent)
        )
        found = to_inputs, to_inertia, to_leak, to_rest, to_sensory, to_recurrent, to_start
        ltc_kernels.backward(samples_last(gradients[0]), *ctx.kept, *found)
        shared = to_leak, to_rest, *to_sensory, *to_recurrent
        of_samples = (samples_first(each) for each in (to_inputs, to_inertia, to_start))
        return (None, None, None, *of_samples, *(torch.from_numpy(each.sum(axis=-1)) for each in shared))
