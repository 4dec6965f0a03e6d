# SPDX-License-Identifier: Apache-2.0
"""The closed form: it computes on the drawn graph only, every branch of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import functional_call

from tidegate.liquid.cfc import CfC
from tidegate.liquid.dense_cfc import DenseCfC
from tidegate.liquid.generators import ncp, random_sparse
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import PolicySettings

WIRING = ncp(5, PolicySettings(), 1)


def network() -> CfC:
    net = CfC(WIRING, torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.bias.normal_(generator=torch.Generator().manual_seed(1))
    return net


def test_it_is_the_closed_form_neuron_by_neuron() -> None:
    net = network()
    random = np.random.default_rng(0)
    inputs, state, dt = random.normal(size=5), random.uniform(-1, 1, 19), 0.08
    weight, bias = net.weight.detach().double().numpy(), net.bias.detach().double().numpy()
    values = np.concatenate([inputs, state])
    for j in range(19):  # neurons are numbered by layer, and a layer hears the new state of the one before
        read = [e for e in range(weight.shape[1]) if int(net.target[e]) == j]
        old = values[5 + j]
        layer = next(part for part in WIRING.layers if part.start <= j < part.stop)
        heard = np.concatenate([inputs, np.where(np.arange(19) < layer.start, values[5:], state)])
        first, second, rate, offset = (
            sum(weight[k, e] * heard[int(net.row[e])] for e in read) + bias[k, j] for k in range(4)
        )
        gate = 1 / (1 + np.exp(-(rate * dt / 0.05 + offset)))
        values[5 + j] = (1 - gate) * np.tanh(first) + gate * np.tanh(second)
        assert values[5 + j] != old
    found = net(
        torch.from_numpy(inputs).float()[None, None], torch.tensor([[dt]]), torch.from_numpy(state).float()[None]
    )
    np.testing.assert_allclose(found[0, 0].detach().numpy(), values[5:], atol=1e-5)


def test_no_branch_hears_a_neuron_that_it_is_not_wired_to() -> None:
    net = network()
    inputs, dt = torch.randn(1, 1, 5, generator=torch.Generator().manual_seed(2)), torch.tensor([[0.05]])
    inters, commands, motors = WIRING.layers
    jacobian = torch.autograd.functional.jacobian(lambda x: net(x, dt)[0, 0], inputs)[:, 0, 0].numpy().T  # (I, N)
    wired = WIRING.sensory[:, inters] != 0
    assert not jacobian[:, inters][~wired].any()
    assert jacobian[:, inters][wired].all()
    state = torch.zeros(1, 19)
    own = torch.autograd.functional.jacobian(lambda s: net(inputs, dt, s)[0, 0], state)[:, 0].numpy().T  # (N, N)
    assert not own[motors, : motors.start].any()
    among = (WIRING.recurrent[commands, commands] != 0) | np.eye(6, dtype=bool)
    assert not own[commands, commands][~among].any()


def test_states_stay_within_one_and_samples_and_times_do_not_mix() -> None:
    net = network()
    random = torch.Generator().manual_seed(3)
    inputs, dt = 50 * torch.randn(19, 6, 5, generator=random), 0.02 + torch.rand(19, 6, generator=random)
    states = net(inputs, dt)
    assert states.abs().max() <= 1
    changed = inputs.clone()
    changed[:, 4:] = 0
    torch.testing.assert_close(net(changed, dt)[:, :4], states[:, :4])
    torch.testing.assert_close(net(inputs[3:5], dt[3:5]), states[3:5], atol=1e-5, rtol=1e-5)
    rest = net(inputs[:, 2:], dt[:, 2:], states[:, 1])
    torch.testing.assert_close(rest, states[:, 2:], atol=1e-5, rtol=1e-5)


def test_it_has_weights_for_its_wires_only() -> None:
    net = network()
    without_autapses = WIRING.synapses - np.count_nonzero(np.diag(WIRING.recurrent))
    assert sum(p.numel() for p in net.parameters()) == 4 * (without_autapses + 19) + 4 * 19


def with_feedback(seed: int) -> Wiring:
    """Every layer is heard by every layer, later ones by earlier ones too."""
    drawn = random_sparse(3, 9, 9, seed, 0.5)
    return Wiring(4, 3, 2, drawn.sensory, drawn.recurrent)


@pytest.mark.parametrize(
    "wiring",
    [WIRING, with_feedback(0), random_sparse(5, 7, 3, 0, 0.5), replace(WIRING, dense_time=True)],
    ids=["ncp", "feedback", "two layers", "dense time"],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_the_kernels_agree_with_the_eager_form_in_values_and_gradients(wiring: Wiring, ragged: bool) -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.rand(8, 12, generator=random) < 0.7 if ragged else None
    given = {
        "inputs": torch.randn(8, 12, wiring.inputs, generator=random),
        "dt": 0.02 + 0.2 * torch.rand(8, 12, generator=random),
        "state": 2 * torch.rand(8, wiring.neurons, generator=random) - 1,
    }
    found: list[tuple[torch.Tensor, dict[str, torch.Tensor]]] = []
    for compiled in (True, False):
        net = CfC(wiring, torch.Generator().manual_seed(0), compiled=compiled)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        leaves = {name: value.clone().requires_grad_() for name, value in given.items()}
        states = net(**leaves, mask=mask)
        (states.square().sum() + states[:, -1].sum()).backward()
        gradients = {name: value.grad for name, value in (*net.named_parameters(), *leaves.items())}
        found.append((states.detach(), gradients))
    (states, gradients), (expected, reference) = found
    torch.testing.assert_close(states, expected, atol=1e-6, rtol=1e-6)
    for name, gradient in reference.items():
        error = (gradients[name] - gradient).abs().max() / gradient.abs().max()
        assert error < 1e-5, (name, error)


@pytest.mark.slow
def test_the_adjoint_passes_gradcheck_in_double_precision() -> None:
    net = CfC(with_feedback(1), torch.Generator().manual_seed(0)).double()
    random = torch.Generator().manual_seed(1)
    inputs, dt, state = (
        torch.rand(*shape, generator=random, dtype=torch.float64) for shape in ((2, 3, 3), (2, 3), (2, 9))
    )
    mask = torch.tensor([[True, True, False], [True, False, True]])
    names = [name for name, _ in net.named_parameters()]

    def states(*given: torch.Tensor) -> torch.Tensor:
        return functional_call(net, dict(zip(names, given[3:], strict=True)), (*given[:3], mask))

    leaves = [value.detach().requires_grad_() for value in (inputs, dt, state, *net.parameters())]
    assert torch.autograd.gradcheck(states, leaves)


@pytest.mark.parametrize("form", ["three_branch", "no_gate", "pure"])
def test_the_other_forms_are_what_their_formulas_say(form: str) -> None:
    """One layer of motor neurons, so that every map hears the old state."""
    net = CfC(random_sparse(4, 6, 6, 0, 0.5), torch.Generator().manual_seed(0), form)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    random = np.random.default_rng(0)
    inputs, state, dt = random.normal(size=4), random.uniform(-1, 1, 6), 0.08
    weight = np.zeros((len(net.weight), 10, 6))
    weight[:, net.row.numpy(), net.target.numpy()] = net.weight.detach().numpy()
    maps = np.concatenate([inputs, state]) @ weight + net.bias.detach().numpy()
    if form == "pure":
        rate = np.log1p(np.exp(net.closed_form.raw_rate.detach().numpy()))
        asymptote = net.closed_form.asymptote.detach().numpy()
        expected = asymptote - asymptote * np.exp(-(rate + np.abs(maps[0])) * dt) * maps[0]
    elif form == "three_branch":
        g, h, f = maps  # σ(−f t) g + (1 − σ(−f t)) h, as the paper writes it
        open_to_g = 1 / (1 + np.exp(f * dt / 0.05))
        expected = open_to_g * np.tanh(g) + (1 - open_to_g) * np.tanh(h)
    else:
        g, h, a, b = maps
        expected = np.tanh(g) + np.tanh(h) / (1 + np.exp(-a * dt / 0.05 - b))
    held, start = torch.from_numpy(inputs).float()[None, None], torch.from_numpy(state).float()[None]
    found = net(held, torch.tensor([[dt]]), start)[0, 0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_form_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="closed form 'open': must be one of default, three_branch, no_gate, pure"):
        CfC(WIRING, torch.Generator(), "open")
    with pytest.raises(ValueError, match="activation 'step': must be one of lecun_tanh, tanh"):
        DenseCfC(2, 3, torch.Generator(), activation="step")
