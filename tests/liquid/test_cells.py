# SPDX-License-Identifier: Apache-2.0
"""What every cell keeps: ragged batches, carried states, precision, torch's transforms, the memory beside it."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

from tidegate.liquid.cfc import CfC
from tidegate.liquid.closed_form import MAPS
from tidegate.liquid.dense_cfc import DenseCfC
from tidegate.liquid.generators import auto_ncp, fully_connected, random_sparse
from tidegate.liquid.ltc import LTC
from tidegate.liquid.network import Affine, Cell, LiquidNetwork, State, lstm_memory

INPUTS, NEURONS = 3, 11
WIRING = auto_ncp(INPUTS, NEURONS, 2, 0)

CELLS: dict[str, Callable[[torch.Generator], Cell]] = {
    "ltc": lambda random: LTC(WIRING, 3, random),
    "ltc eager": lambda random: LTC(WIRING, 3, random, compiled=False),
    "ltc midpoint": lambda random: LTC(WIRING, 2, random, solver="exponential_midpoint"),
    "ltc midpoint eager": lambda random: LTC(WIRING, 2, random, compiled=False, solver="exponential_midpoint"),
    "ltc full": lambda random: LTC(fully_connected(INPUTS, NEURONS, 2, 0), 2, random),
    **{f"cfc {form}": lambda random, form=form: CfC(WIRING, random, form) for form in MAPS},
    "cfc eager": lambda random: CfC(WIRING, random, compiled=False),
    "cfc sparse": lambda random: CfC(random_sparse(INPUTS, NEURONS, 2, 0, 0.6), random),
    "dense": lambda random: DenseCfC(INPUTS, NEURONS, random, hidden=8),
}
KERNELS = ["ltc", "ltc midpoint", "ltc full", "cfc default", "cfc sparse"]


def cell_of(kind: str, seed: int = 0) -> Cell:
    return CELLS[kind](torch.Generator().manual_seed(seed))


def network_of(kind: str) -> LiquidNetwork:
    """The cell with maps and a memory."""
    random = torch.Generator().manual_seed(1)
    cell = cell_of(kind)
    network = LiquidNetwork(cell, Affine(INPUTS), nn.Linear(cell.motor, 2), lstm_memory(INPUTS, NEURONS, random))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return network


def samples(batch: int, steps: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(batch, steps, INPUTS, generator=random), 0.02 + 0.2 * torch.rand(batch, steps, generator=random)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("whole", [False, True], ids=["cell", "network"])
def test_a_ragged_batch_is_each_sequence_by_itself_whatever_fills_the_gaps(kind: str, whole: bool) -> None:
    """Values, last states and gradients; gaps at the end, at the beginning and in between."""
    net = network_of(kind) if whole else cell_of(kind)
    inputs, dt = samples(4, 9)
    mask = torch.ones(4, 9, dtype=torch.bool)
    mask[1, 5:] = mask[2, :3] = mask[3, 2] = mask[3, 6:8] = False
    filled, late = inputs.clone(), dt.clone()
    filled[~mask], late[~mask] = torch.nan, 0.0

    def run(*given: Tensor | None) -> Tensor:
        found = net(*given)
        return found[0] if whole else found

    states = run(filled, late, None, mask)
    states[mask].square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
    net.zero_grad()
    for i in range(4):
        alone = run(inputs[i, mask[i]][None], dt[i, mask[i]][None])
        torch.testing.assert_close(states[i, mask[i]], alone[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(states[i, -1], alone[0, -1], atol=1e-6, rtol=1e-5)
        alone.square().sum().backward()
    expected = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    assert len(gradients) == len(expected)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["ltc", "ltc eager", "ltc midpoint", "ltc midpoint eager", "cfc default", "dense"])
def test_a_gap_holds_the_state_bit_for_bit(kind: str) -> None:
    cell = cell_of(kind)
    inputs, dt = samples(5, 50)
    mask = torch.zeros(5, 50, dtype=torch.bool)
    mask[:, 0] = True
    states = cell(inputs, dt, None, mask)
    assert states[:, 0].abs().max() > 0.01
    assert torch.equal(states, states[:, :1].expand_as(states))


@pytest.mark.parametrize("kind", CELLS)
def test_shapes_of_time_are_told(kind: str) -> None:
    cell = cell_of(kind)
    inputs, dt = samples(4, 9)
    with pytest.raises(ValueError, match=r"dt has shape \(9,\); must be \(B, T\) = \(4, 9\)"):
        cell(inputs, dt[0])
    with pytest.raises(ValueError, match=r"mask has shape \(4, 1\)"):
        cell(inputs, dt, None, torch.ones(4, 1, dtype=torch.bool))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("whole", [False, True], ids=["cell", "network"])
@pytest.mark.parametrize("bad", [0.0, -0.05, torch.nan])
def test_time_that_does_not_pass_is_refused_by_sample_and_step(kind: str, whole: bool, bad: float) -> None:
    net = network_of(kind) if whole else cell_of(kind)
    inputs, dt = samples(4, 9)
    dt[2, 5] = bad
    with pytest.raises(ValueError, match=rf"dt of sample 2, step 5 is {bad:g} s; must be > 0"):
        net(inputs, dt)
    mask = torch.ones(4, 9, dtype=torch.bool)
    mask[2, 5] = False
    net(inputs, dt, None, mask)
    mask[2, 5], mask[0, 0] = True, False
    with pytest.raises(ValueError, match="dt of sample 2, step 5"):
        net(inputs, dt, None, mask)


@pytest.mark.parametrize("kind", CELLS)
def test_double_precision_is_kept_and_single_is_near(kind: str) -> None:
    inputs, dt = samples(3, 12)
    single = network_of(kind)
    double = deepcopy(single).double()
    found, last = double(inputs.double(), dt.double())
    assert found.dtype == last.neurons.dtype == torch.float64
    assert last.memory is not None
    assert last.memory.dtype == torch.float64
    torch.testing.assert_close(single(inputs, dt)[0].double(), found, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", CELLS)
def test_a_state_dictionary_makes_another_network_the_same(kind: str) -> None:
    network, other = (
        network_of(kind),
        LiquidNetwork(
            cell_of(kind, 5), Affine(INPUTS), nn.Linear(cell_of(kind).motor, 2), nn.LSTMCell(INPUTS, NEURONS)
        ),
    )
    inputs, dt = samples(2, 5)
    assert not torch.equal(other(inputs, dt)[0], network(inputs, dt)[0])
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(inputs, dt)[0], network(inputs, dt)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_a_seed_draws_the_same_cell_again_and_leaves_torchs_own_generator_alone(kind: str) -> None:
    before = torch.get_rng_state()
    one, same, other = cell_of(kind, 3), cell_of(kind, 3), cell_of(kind, 4)
    lstm_memory(2, 3, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_for_each_sample_by_torch_func(kind: str) -> None:
    network = network_of(kind)
    inputs, dt = samples(4, 5)
    parameters = {name: value.detach() for name, value in network.named_parameters()}

    def loss(parameters: dict[str, Tensor], inputs: Tensor, dt: Tensor) -> Tensor:
        return functional_call(network, parameters, (inputs[None], dt[None]))[0].square().sum()

    each = vmap(grad(loss), (None, 0, 0))(parameters, inputs, dt)
    for i in range(4):
        network.zero_grad()
        network(inputs[i : i + 1], dt[i : i + 1])[0].square().sum().backward()
        for name, value in network.named_parameters():
            torch.testing.assert_close(each[name][i], value.grad, atol=1e-5, rtol=1e-4)
    jacobian = jacrev(lambda x: network(x[None], dt[:1])[0][0])(inputs[0])
    expected = torch.autograd.functional.jacobian(lambda x: network(x[None], dt[:1])[0][0], inputs[0])
    torch.testing.assert_close(jacobian, expected, atol=1e-5, rtol=1e-4)
    forward = jacfwd(lambda x: network(x[None], dt[:1])[0][0])(inputs[0])
    torch.testing.assert_close(forward, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KERNELS)
def test_the_kernels_refuse_second_derivatives(kind: str) -> None:
    """Also where the gradient by the states is a constant, which torch's ``once_differentiable`` lets through."""
    inputs, dt = samples(2, 3)
    inputs.requires_grad_()
    states = cell_of(kind)(inputs, dt)
    assert torch.autograd.grad(states.sum(), inputs, retain_graph=True)[0].abs().max() > 0
    for loss in (states.sum(), states.square().sum()):
        with pytest.raises(RuntimeError, match="build the cell with compiled=False"):
            torch.autograd.grad(loss, inputs, create_graph=True)


@pytest.mark.parametrize("kind", [name for name in CELLS if name not in KERNELS])
def test_the_eager_forms_have_second_derivatives(kind: str) -> None:
    cell = cell_of(kind).double()
    random = torch.Generator().manual_seed(0)
    shapes = (1, 2, INPUTS), (1, 2), (1, NEURONS)
    given = [0.1 + torch.rand(*shape, generator=random, dtype=torch.float64) for shape in shapes]
    assert torch.autograd.gradgradcheck(cell, [value.requires_grad_() for value in given])


@pytest.fixture
def compile_anew() -> None:
    """Forget what other tests compiled."""
    torch.compiler.reset()


@pytest.mark.usefixtures("compile_anew")
@pytest.mark.parametrize(
    ("kind", "backend"),
    [
        ("ltc", "aot_eager"),
        ("cfc default", "aot_eager"),
        pytest.param("cfc pure", "aot_eager", marks=pytest.mark.slow),
        pytest.param("dense", "aot_eager", marks=pytest.mark.slow),
        pytest.param("ltc", "inductor", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_torch_compile_takes_a_cell_as_one_graph(kind: str, backend: str) -> None:
    cell = cell_of(kind)
    compiled = torch.compile(cell, fullgraph=True, backend=backend)
    inputs, dt = samples(3, 2)
    mask = torch.tensor([[True, True], [True, False], [False, True]])
    found = compiled(inputs, dt, None, mask)
    found.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in cell.parameters() if parameter.grad is not None]
    cell.zero_grad()
    expected = cell(inputs, dt, None, mask)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    expected.square().sum().backward()
    wanted = [parameter.grad for parameter in cell.parameters() if parameter.grad is not None]
    for gradient, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("compile_anew")
def test_torch_compile_takes_a_network_with_its_memory_as_one_graph() -> None:
    network = network_of("ltc")
    inputs, dt = samples(3, 3)
    found = torch.compile(network, fullgraph=True, backend="aot_eager")(inputs, dt)[0]
    torch.testing.assert_close(found, network(inputs, dt)[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", CELLS)
def test_the_memory_is_an_lstm_step_before_each_liquid_step(kind: str) -> None:
    network = network_of(kind)
    assert network.memory is not None
    inputs, dt = samples(3, 6)
    found, last = network(inputs, dt, State(torch.full((3, NEURONS), 0.1), torch.full((3, NEURONS), -0.2)))
    neurons, kept = torch.full((3, NEURONS), 0.1), torch.full((3, NEURONS), -0.2)
    for t in range(6):
        neurons, kept = network.memory(inputs[:, t], (neurons, kept))
        neurons = network.cell(network.input_map(inputs[:, t : t + 1]), dt[:, t : t + 1], neurons)[:, 0]
        torch.testing.assert_close(found[:, t], network.output_map(neurons[:, -network.cell.motor :]))
    torch.testing.assert_close(last, State(neurons, kept))
    start = torch.full((3, NEURONS), 0.1)
    torch.testing.assert_close(
        network(inputs, dt, State(start)), network(inputs, dt, State(start, torch.zeros(3, NEURONS)))
    )


def test_a_memory_starts_by_keeping_most_of_what_it_holds() -> None:
    cell = lstm_memory(2, 5, torch.Generator().manual_seed(0))
    silence, zero = torch.zeros(1, 2), torch.zeros(1, 5)
    kept, empty = (cell(silence, (zero, held))[1] for held in (torch.ones(1, 5), zero))
    torch.testing.assert_close(kept - empty, torch.sigmoid(torch.ones(1, 5)))


def test_time_constants_start_over_the_span_that_is_asked_for() -> None:
    random = torch.Generator().manual_seed(0)
    for wiring in (WIRING, fully_connected(INPUTS, NEURONS, NEURONS, 0), random_sparse(INPUTS, NEURONS, 2, 0, 0.5)):
        tau = LTC(wiring, 3, random, tau=(2.0, 50.0)).time_constants()
        assert tau.min().item() == pytest.approx(2.0, rel=1e-3)
        assert tau.max().item() == pytest.approx(50.0, rel=1e-3)
