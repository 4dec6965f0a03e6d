# SPDX-License-Identifier: Apache-2.0
"""Networks of the public package here and back: equal outputs in true time, and what that package gets wrong."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from ncps import torch as public
from ncps import wirings
from torch import nn

from tidegate.errors import ConversionError
from tidegate.liquid.cfc import CfC
from tidegate.liquid.closed_form import MAPS
from tidegate.liquid.conversion import from_ncps, to_ncps
from tidegate.liquid.dense_cfc import ACTIVATIONS, DenseCfC
from tidegate.liquid.drawing import draw_wiring
from tidegate.liquid.generators import auto_ncp, fully_connected, random_sparse
from tidegate.liquid.live import CfcStep
from tidegate.liquid.ltc import LTC
from tidegate.liquid.network import Affine, LiquidNetwork, State, lstm_memory
from tidegate.liquid.wiring import Wiring

STEPS = 200
MODES = ("default", "no_gate", "pure")


def draw_graph(random: np.random.Generator) -> wirings.Wiring:
    """A wiring of the public package."""
    neurons, seed = int(random.integers(8, 24)), int(random.integers(1000))
    motor = int(random.integers(1, neurons - 3))
    kind = random.integers(4)
    if kind == 0:
        return wirings.AutoNCP(neurons, motor, float(random.uniform(0.1, 0.9)), seed)
    if kind == 1:
        return wirings.FullyConnected(neurons, motor, seed, bool(random.integers(2)))
    if kind == 2:
        return wirings.Random(neurons, motor, float(random.uniform(0, 0.9)), seed)
    inter, command = int(random.integers(2, 12)), int(random.integers(2, 8))
    fans = [int(random.integers(1, most + 1)) for most in (inter, command, 3 * command, command)]
    return wirings.NCP(inter, command, int(random.integers(1, 5)), *fans, seed=seed)


def draw_module(seed: int) -> nn.Module:
    """A network of the public package, its parameters moved from where they start."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    inputs, mixed = int(random.integers(1, 9)), bool(random.integers(2))
    cell = seed % 3
    module: Any
    if cell == 0:
        module = public.LTC(
            inputs,
            draw_graph(random) if random.integers(3) else int(random.integers(2, 16)),
            mixed_memory=mixed,
            input_mapping=random.choice(["affine", "linear", None]),
            output_mapping=random.choice(["affine", "linear", None]),
            ode_unfolds=int(random.integers(1, 9)),
            epsilon=float(random.choice([1e-8, 1e-3])),
            implicit_param_constraints=bool(random.integers(2)),
        )
    elif cell == 1:
        graph = draw_graph(random)
        whole = graph.num_layers == 1  # such a CfC puts out every neuron, whatever its output size says
        projection = None if whole or random.integers(2) else int(random.integers(1, 6))
        module = public.CfC(inputs, graph, projection, mixed_memory=mixed, mode=random.choice(list(MODES)))
    else:
        module = public.CfC(
            inputs,
            int(random.integers(2, 16)),
            None if random.integers(2) else int(random.integers(1, 6)),
            mixed_memory=mixed,
            mode=random.choice(list(MODES)),
            activation=random.choice(list(ACTIVATIONS)),
            backbone_units=int(random.integers(4, 40)),
            backbone_layers=int(random.integers(0, 4)),
        )
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    if cell == 0:
        module.rnn_cell.apply_weight_constraints()
    return module


def series(inputs: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth inputs (B, T, I) at an unsteady 20 Hz, dt (B, T) [s]."""
    random = torch.Generator().manual_seed(7)
    dt = 0.02 + 0.08 * torch.rand(batch, STEPS, generator=random)
    phase = 6 * torch.rand(batch, 1, inputs, generator=random)
    return torch.sin(3 * dt.cumsum(1)[..., None] + phase), dt


def theirs_alone(module: nn.Module, inputs: torch.Tensor, dt: torch.Tensor) -> torch.Tensor:
    """Outputs (B, T, O), one sample at a time: the public package allows no batch of dt."""
    zero = inputs.new_zeros(1, module.state_size)
    start = (zero, zero) if module.use_mixed else zero
    return torch.cat([module(inputs[i : i + 1], start, dt[i : i + 1])[0] for i in range(len(inputs))])


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 51))])
def test_a_network_of_the_public_package_gives_the_same_outputs_here_and_after_the_way_back(seed: int) -> None:
    module = draw_module(seed).double()  # single precision rounds apart where a network is chaotic
    network = from_ncps(module)
    inputs, dt = series(module.input_size)
    inputs, dt = inputs.double(), dt.double()
    with torch.no_grad():
        expected = theirs_alone(module, inputs, dt)
        found, _ = network(inputs, dt)
        assert expected.std() > 1e-4
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(theirs_alone(to_ncps(network), inputs, dt), expected, atol=1e-9, rtol=1e-9)


def networks() -> dict[str, LiquidNetwork]:
    """Ours, as many kinds as the public package can hold."""
    random = torch.Generator().manual_seed(0)
    graphs = (auto_ncp(3, 12, 2, 0), fully_connected(3, 7, 2, 0), random_sparse(3, 9, 9, 0, 0.7))
    made = {
        f"ltc {kind}": LiquidNetwork(LTC(wiring, 3, random), Affine(3), Affine(wiring.motor))
        for kind, wiring in zip(("ncp", "full", "sparse"), graphs, strict=True)
    }
    made["ltc bare, memory"] = LiquidNetwork(LTC(graphs[0], 3, random), memory=lstm_memory(3, 12, random))
    for form in MAPS:
        made[f"cfc {form}"] = LiquidNetwork(CfC(auto_ncp(3, 12, 2, 1), random, form), None, nn.Linear(2, 5))
        made[f"dense {form}"] = LiquidNetwork(DenseCfC(3, 8, random, form, 16), None, None, lstm_memory(3, 8, random))
    made["cfc one layer"] = LiquidNetwork(CfC(random_sparse(3, 9, 9, 0, 0.7), random))
    made["dense without hidden layers"] = LiquidNetwork(DenseCfC(3, 8, random, layers=0))
    with torch.no_grad():
        for network in made.values():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=random))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("kind", networks())
def test_our_networks_give_the_same_outputs_in_the_public_package(kind: str) -> None:
    network = networks()[kind].double()
    inputs, dt = (value[:, :40].double() for value in series(3, 2))
    with torch.no_grad():
        found = theirs_alone(to_ncps(network), inputs, dt)
        torch.testing.assert_close(found, network(inputs, dt)[0], atol=1e-9, rtol=1e-9)


def refused(network: LiquidNetwork) -> str:
    with pytest.raises(ConversionError) as caught:
        to_ncps(network)
    return str(caught.value)


def test_what_the_public_package_cannot_hold_is_refused() -> None:
    random = torch.Generator().manual_seed(0)
    skipping = auto_ncp(3, 12, 2, 0)
    skipping.sensory[0, -1] = 1
    assert "skips a layer" in refused(LiquidNetwork(CfC(skipping, random)))
    wiring = auto_ncp(3, 12, 2, 0)
    assert "input map is Affine" in refused(LiquidNetwork(CfC(wiring, random), Affine(3)))
    assert "output map is Linear" in refused(LiquidNetwork(LTC(wiring, 3, random), None, nn.Linear(2, 1)))
    midpoint = LTC(wiring, 3, random, solver="exponential_midpoint")
    assert "solver is 'exponential_midpoint'; an ncps LTC has fused_euler alone" in refused(LiquidNetwork(midpoint))
    assert "output map is Affine" in refused(LiquidNetwork(DenseCfC(3, 4, random), None, Affine(4)))
    with pytest.raises(ConversionError, match="Linear: must be an LTC or a CfC"):
        from_ncps(nn.Linear(1, 1))


@pytest.mark.parametrize("name", ["w", "sensory_w", "cm", "gleak", "sigma", "sensory_sigma"])
def test_what_no_equation_here_allows_is_refused_by_name(name: str) -> None:
    module = public.LTC(3, wirings.FullyConnected(5), implicit_param_constraints=False)
    module.rnn_cell._params[name].data.view(-1)[2] = -0.25
    with pytest.raises(ConversionError, match=f"'{name}' is -0.25 somewhere"):
        from_ncps(module)


def test_signs_that_training_turned_over_are_the_ones_that_are_drawn() -> None:
    module = public.LTC(3, wirings.FullyConnected(5, 2))
    module.rnn_cell._params["erev"].data.mul_(-1)
    cell = from_ncps(module).cell
    assert isinstance(cell, LTC)
    order = [2, 3, 4, 0, 1]
    np.testing.assert_array_equal(cell.wiring.recurrent, -module._wiring.adjacency_matrix[np.ix_(order, order)])
    np.testing.assert_array_equal(cell.wiring.sensory, module._wiring.sensory_adjacency_matrix[:, order])


# What the public package gets wrong, and ours right.


def test_fault_a_batch_of_dt_raises_there_or_mixes_samples_and_counts_per_sample_here() -> None:
    module = public.LTC(3, wirings.AutoNCP(12, 2, seed=1))
    network = from_ncps(module)
    for batch in (4, 12):
        inputs, dt = (value[:, :20] for value in series(3, batch))
        with torch.no_grad():
            expected = theirs_alone(module, inputs, dt)
            torch.testing.assert_close(network(inputs, dt)[0], expected, atol=1e-5, rtol=1e-5)
            if batch == 12:  # as many samples as neurons: silently wrong
                assert (module(inputs, timespans=dt)[0] - expected).abs().max() > 0.01
            else:
                with pytest.raises(RuntimeError, match="must match the size"):
                    module(inputs, timespans=dt)


def test_fault_a_wired_cfc_hears_what_it_is_not_wired_to_there_and_not_here() -> None:
    module = public.CfC(6, wirings.AutoNCP(12, 2, 0.7, seed=1))
    imported = from_ncps(module)
    ours = LiquidNetwork(CfC(auto_ncp(6, 12, 2, 1, 0.7), torch.Generator().manual_seed(0)))
    dt = torch.full((1, 1), 0.05)
    for network, dense in ((imported, True), (ours, False)):
        cell = network.cell
        assert isinstance(cell, CfC)
        jacobian = torch.autograd.functional.jacobian(lambda x, cell=cell: cell(x, dt)[0, 0], torch.ones(1, 1, 6))
        inter = cell.wiring.layers[0]
        heard = (jacobian[:, 0, 0].T != 0)[:, inter].numpy()
        wired = cell.wiring.sensory[:, inter] != 0
        assert not wired.all()
        np.testing.assert_array_equal(heard, np.ones_like(wired) if dense else wired)
        assert cell.wiring.dense_time == dense
    theirs = torch.autograd.functional.jacobian(
        lambda x: module(x, timespans=dt[..., None])[1][0, :6], torch.ones(1, 1, 6)
    )
    assert theirs.all()


def test_fault_time_is_one_second_a_step_there_unless_one_says_otherwise_and_has_no_default_here() -> None:
    module = public.LTC(3, wirings.AutoNCP(12, 2, seed=1))
    network = from_ncps(module)
    inputs, _ = series(3)
    with torch.no_grad():
        untold = module(inputs)[0]
        torch.testing.assert_close(network(inputs, torch.ones(1, STEPS))[0], untold, atol=1e-5, rtol=1e-5)
        assert (network(inputs, torch.full((1, STEPS), 0.05))[0] - untold).abs().max() > 0.05
    with pytest.raises(TypeError, match="dt"):
        network(inputs)  # type: ignore[call-arg]


def test_dense_time_branches_are_marked_in_the_dictionary_and_the_picture_and_run_live() -> None:
    torch.manual_seed(0)
    cell = from_ncps(public.CfC(6, wirings.AutoNCP(12, 2, 0.7, seed=1))).cell
    assert isinstance(cell, CfC)
    values = json.loads(json.dumps(cell.wiring.to_dict()))
    assert values["dense_time"] is True
    assert Wiring.from_dict(values).dense_time
    assert "time branches are dense" in draw_wiring(cell.wiring, "")
    sparse = auto_ncp(6, 12, 2, 1)
    assert "dense_time" not in sparse.to_dict()
    assert "dense" not in draw_wiring(sparse, "")
    step = CfcStep(cell.wiring, {name: value.numpy() for name, value in cell.state_dict().items()})
    random = np.random.default_rng(0)
    inputs, state = random.normal(size=6), random.uniform(-1, 1, 12)
    expected = cell(
        torch.from_numpy(inputs).float()[None, None], torch.full((1, 1), 0.08), torch.from_numpy(state).float()[None]
    )
    np.testing.assert_allclose(step(inputs, state, 0.08), expected[0, 0].detach().numpy(), atol=1e-5)


def test_the_state_goes_on_where_it_was_left() -> None:
    network = from_ncps(draw_module(0))
    assert network.memory is not None
    inputs, dt = series(network.cell.wiring.inputs)  # type: ignore[union-attr]
    with torch.no_grad():
        whole, last = network(inputs, dt)
        first, between = network(inputs[:, :80], dt[:, :80])
        second, again = network(inputs[:, 80:], dt[:, 80:], between)
    assert isinstance(between, State)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again, last, atol=1e-5, rtol=1e-5)
