# SPDX-License-Identifier: Apache-2.0
"""The LTC against ncps and against its own eager form; what holds for any network is in test_theory.py."""

import numpy as np
import pytest
import torch
from ncps.torch import LTC as PublicLTC
from ncps.wirings import Wiring as PublicWiring
from random_networks import each_solver
from torch.nn.functional import softplus

from tidegate.liquid.generators import fully_connected, ncp, random_sparse
from tidegate.liquid.live import LtcStep
from tidegate.liquid.ltc import KERNELS, LTC, TAU_FAST, TAU_SLOW, _Sequence
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import SOLVERS, PolicySettings

WIRING = ncp(5, PolicySettings(), 1)


def network(
    substeps: int = 3, compiled: bool = True, seed: int = 0, wiring: Wiring = WIRING, solver: str = SOLVERS[0]
) -> LTC:
    return LTC(wiring, substeps, torch.Generator().manual_seed(seed), compiled, solver=solver)


def samples(batch: int, steps: int, seed: int = 0, inputs: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(batch, steps, inputs, generator=random), 0.02 + 0.2 * torch.rand(batch, steps, generator=random)


def test_it_agrees_with_ncps_where_dt_is_one() -> None:
    public_wiring = PublicWiring(19)
    public_wiring.set_output_dim(19)
    public_wiring.build(5)
    for add, adjacency in (
        (public_wiring.add_sensory_synapse, WIRING.sensory),
        (public_wiring.add_synapse, WIRING.recurrent),
    ):
        for i, j in zip(*np.nonzero(adjacency), strict=True):
            add(int(i), int(j), int(adjacency[i, j]))
    public = PublicLTC(5, public_wiring, ode_unfolds=6, implicit_param_constraints=False)
    net = network(6)
    theirs = public.rnn_cell._params
    with torch.no_grad():
        theirs["gleak"].copy_(softplus(net.raw_leak))
        theirs["vleak"].copy_(net.rest)
        theirs["cm"].copy_(softplus(net.raw_capacitance))
        for prefix, synapses in (("sensory_", net.sensory), ("", net.recurrent)):
            at = (synapses.source, synapses.target)
            theirs[f"{prefix}w"][at] = softplus(synapses.raw_weight)
            theirs[f"{prefix}sigma"][at] = softplus(synapses.raw_slope)
            theirs[f"{prefix}mu"][at] = synapses.midpoint
            theirs[f"{prefix}erev"][at] = synapses.polarity * softplus(synapses.raw_reversal)
    inputs, _ = samples(4, 7)
    expected, _ = public(inputs)
    torch.testing.assert_close(net(inputs, torch.ones(4, 7)), expected, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize(
    "wiring",
    [WIRING, fully_connected(3, 9, 2, 0), random_sparse(5, 7, 3, 0, 0.5), random_sparse(3, 6, 6, 0, 0.8)],
    ids=["ncp", "full", "sparse", "motor neurons only"],
)
@pytest.mark.parametrize("substeps", [1, 3, 6])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@each_solver
def test_the_kernels_agree_with_the_eager_form_in_values_and_gradients(
    wiring: Wiring, substeps: int, ragged: bool, precision: torch.dtype, solver: str
) -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.rand(8, 12, generator=random) < 0.7 if ragged else None
    given = {
        "inputs": torch.randn(8, 12, wiring.inputs, generator=random),
        "dt": 0.02 + 0.2 * torch.rand(8, 12, generator=random),
        "state": torch.rand(8, wiring.neurons, generator=random) - 0.5,
    }
    found: list[tuple[torch.Tensor, dict[str, torch.Tensor]]] = []
    for compiled in (True, False):
        net = network(substeps, compiled, wiring=wiring, solver=solver).to(precision)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        leaves = {name: value.to(precision, copy=True).requires_grad_() for name, value in given.items()}
        states = net(**leaves, mask=mask)
        (states.square().sum() + states[:, -1].sum()).backward()
        gradients = {name: value.grad for name, value in (*net.named_parameters(), *leaves.items())}
        found.append((states.detach(), gradients))
    (states, gradients), (expected, reference) = found
    near = 1e-6 if precision == torch.float32 else 1e-13
    torch.testing.assert_close(states, expected, atol=near, rtol=near)
    for name, gradient in reference.items():
        error = (gradients[name] - gradient).abs().max() / gradient.abs().max()
        # in single precision the sum over all neurons that makes dt's gradient cancels more than the others
        assert error < (20 if name == "dt" else 10) * near, (name, error)
    if mask is not None:
        assert not gradients["dt"][~mask].any()


@each_solver
def test_the_adjoint_passes_gradcheck_in_double_precision(solver: str) -> None:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
        return (low + (high - low) * torch.rand(*shape, generator=random, dtype=torch.float64)).requires_grad_()

    sensory = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 2])
    recurrent = np.array([0, 1, 2, 2, 1]), np.array([1, 2, 0, 2, 0])

    def synapses(count: int) -> list[torch.Tensor]:
        return [draw(count, low=1.0, high=4.0), draw(count), draw(count, low=0.1), draw(count)]

    tensors = [
        draw(2, 3, 2),
        draw(2, 3, 3, low=0.5, high=5.0),
        draw(2, 3),
        draw(3, low=0.1),
        draw(3),
        *synapses(4),
        *synapses(5),
    ]
    assert torch.autograd.gradcheck(lambda *given: _Sequence.apply(solver, sensory, recurrent, 2, *given), tensors)


def test_the_solvers_of_the_cell_are_those_of_the_settings_and_another_is_refused() -> None:
    assert tuple(KERNELS) == SOLVERS
    assert network().solver == PolicySettings().solver == "fused_euler"
    with pytest.raises(ValueError, match="the solver is 'rk4'; must be one of fused_euler, exponential_midpoint"):
        network(solver="rk4")


@each_solver
@pytest.mark.parametrize("compiled", [True, False])
def test_samples_do_not_mix_even_when_the_batch_is_as_large_as_the_network(compiled: bool, solver: str) -> None:
    net = network(compiled=compiled, solver=solver)
    inputs, dt = samples(19, 6)
    together = net(inputs, dt)
    order = torch.randperm(19, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(inputs[order], dt[order]), together[order], atol=1e-6, rtol=1e-5)
    alone = torch.cat([net(inputs[i : i + 1], dt[i : i + 1]) for i in range(19)])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=1e-5)


@each_solver
def test_the_past_does_not_hear_the_future_and_a_carried_state_is_enough(solver: str) -> None:
    net = network(solver=solver)
    inputs, dt = samples(3, 10)
    states = net(inputs, dt)
    changed = inputs.clone()
    changed[:, 6:] += 5.0
    torch.testing.assert_close(net(changed, dt)[:, :6], states[:, :6], atol=0, rtol=0)
    assert not torch.allclose(net(changed, dt)[:, 6], states[:, 6])
    first = net(inputs[:, :4], dt[:, :4])
    second = net(inputs[:, 4:], dt[:, 4:], first[:, -1])
    torch.testing.assert_close(torch.cat([first, second], 1), states, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("solver", "enough"), [("fused_euler", 3), ("exponential_midpoint", 2)])
def test_three_evaluations_of_the_synapses_carry_a_frame_to_its_own_command(solver: str, enough: int) -> None:
    """As many as there are layers; the midpoint rule has two to a sub-step."""
    wiring = ncp(5, PolicySettings(), 4)
    inputs, dt = torch.zeros(2, 1, 5), torch.full((2, 1), 0.05)
    inputs[1] = 3.0
    for substeps in range(1, enough + 1):
        motors = network(substeps, wiring=wiring, solver=solver)(inputs, dt)[:, 0, wiring.layers[2]]
        assert torch.equal(motors[0], motors[1]) == (substeps < enough)


def test_time_constants_start_between_a_frame_and_a_second_and_only_real_synapses_have_parameters() -> None:
    net = network()
    tau = net.time_constants()
    assert tau.min().item() == pytest.approx(TAU_FAST, rel=1e-4)
    assert tau.max().item() == pytest.approx(TAU_SLOW, rel=1e-4)
    assert sum(p.numel() for p in net.parameters()) == 4 * WIRING.synapses + 3 * WIRING.neurons
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    fast, slow = LtcStep(WIRING, arrays, 3).time_constants()
    assert np.all(fast < tau.detach().numpy())
    assert np.all(slow > tau.detach().numpy())


def test_it_learns_what_needs_memory() -> None:
    """The sign of an input that was shown for one step, eight steps ago."""
    torch.manual_seed(0)
    net = network(seed=2)
    read = torch.nn.Linear(19, 1)
    optimiser = torch.optim.Adam([*net.parameters(), *read.parameters()], lr=0.03)
    sign = torch.tensor([-1.0, 1.0]).repeat(8)
    inputs = torch.zeros(16, 9, 5)
    inputs[:, 0] = 2 * sign[:, None] + 0.3 * torch.randn(16, 5)
    for _ in range(120):
        optimiser.zero_grad()
        loss = (read(net(inputs, torch.full((16, 9), 0.05))[:, -1])[:, 0] - sign).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
