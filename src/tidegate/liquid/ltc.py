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

from tidegate.liquid import ltc_kernels, ltc_midpoint_kernels
from tidegate.liquid.live import FoldedSynapses
from tidegate.liquid.ragged import first_derivatives_only, present, samples_first, samples_last, traced
from tidegate.liquid.wiring import Wiring

Array = NDArray[Any]
Wires = tuple[Array, Array]
Folded = tuple[Tensor, Tensor, Tensor, Tensor]

KERNELS = {"fused_euler": ltc_kernels, "exponential_midpoint": ltc_midpoint_kernels}
"""By solver."""

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
        substeps: solver sub-steps per step.
        random: source of the initial parameters.
        compiled: run the numba kernels on the CPU; otherwise, and under ``torch.compile`` and ``torch.func``, the
            eager reference, several times slower. Second derivatives need the latter.
        tau: time constants at the start [s], fastest and slowest: about one step and the memory that the data ask for.
        solver: of a sub-step: ``fused_euler``, or ``exponential_midpoint``, twice the work and of second order in dt.

    Raises:
        ValueError: there is no such solver.
    """

    def __init__(
        self,
        wiring: Wiring,
        substeps: int,
        random: torch.Generator,
        compiled: bool = True,
        tau: tuple[float, float] = (TAU_FAST, TAU_SLOW),
        solver: str = "fused_euler",
    ) -> None:
        super().__init__()
        if solver not in KERNELS:
            raise ValueError(f"the solver is {solver!r}; must be one of {', '.join(KERNELS)}")
        self.wiring = wiring
        self.substeps = substeps
        self.solver = solver
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
            wires = self.sensory.wires, self.recurrent.wires
            states: Tensor = _Sequence.apply(self.solver, *wires, self.substeps, *given)  # type: ignore[no-untyped-call]
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

        def opened(state: Tensor) -> Tensor:
            return torch.sigmoid(slope * state[:, self.recurrent.source] + shift)

        def fused_euler(state: Tensor, t: int) -> Tensor:
            opening = opened(state)
            top = inertia[:, t] * state + drive[:, t] + opening @ to_top
            return top / (inertia[:, t] + conductance[:, t] + opening @ to_total)

        def exponential_midpoint(state: Tensor, t: int) -> Tensor:
            reached = state
            for share in (0.5, 1.0):
                opening = opened(reached)
                total = conductance[:, t] + opening @ to_total
                asymptote = (drive[:, t] + opening @ to_top) / total
                reached = state - torch.expm1(-share * total / inertia[:, t]) * (asymptote - state)
            return reached

        substep = {"fused_euler": fused_euler, "exponential_midpoint": exponential_midpoint}[self.solver]
        states = []
        for t in range(drive.shape[1]):
            for _ in range(self.substeps):
                state = substep(state, t)
            states.append(state)
        return torch.stack(states, dim=1)


class _Sequence(torch.autograd.Function):
    """``forward`` and ``backward`` of a solver's kernels as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any, solver: str, sensory_wires: Wires, recurrent_wires: Wires, substeps: int, *tensors: Tensor
    ) -> Tensor:
        kernels = KERNELS[solver]
        inputs, inertia, start = (samples_last(each) for each in tensors[:3])
        leak, rest, *parameters = (each.detach().numpy() for each in tensors[3:])
        sensory = FoldedSynapses(*sensory_wires, *parameters[:4])
        recurrent = FoldedSynapses(*recurrent_wires, *parameters[4:])
        steps, neurons, batch = inertia.shape

        def empty(*shape: int) -> Array:
            return np.empty((*shape, batch), inertia.dtype)

        stages = substeps * kernels.STAGES
        states, kept = empty(steps * stages + 1, neurons), empty(steps * stages, *kernels.KEPT, neurons)
        sensed, opened = empty(steps, len(sensory.source)), empty(steps * stages, len(recurrent.source))
        states[0] = start
        ctx.kernels, ctx.kept = kernels, (inputs, inertia, sensory, recurrent, substeps, states, kept, sensed, opened)
        kernels.forward(inputs, inertia, leak, rest, *ctx.kept[2:])
        return samples_first(states[stages::stages])

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
        ctx.kernels.backward(samples_last(gradients[0]), *ctx.kept, *found)
        shared = to_leak, to_rest, *to_sensory, *to_recurrent
        of_samples = (samples_first(each) for each in (to_inputs, to_inertia, to_start))
        return (None, None, None, None, *of_samples, *(torch.from_numpy(each.sum(axis=-1)) for each in shared))
