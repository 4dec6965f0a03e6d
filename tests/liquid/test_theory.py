# SPDX-License-Identifier: Apache-2.0
"""What the papers prove and physics demands, over a thousand random networks each (a hundred where it must be quick).

LTC: Hasani et al. 2021 (AAAI), theorems 1 and 2. CfC: Hasani et al. 2022 (Nature Machine Intelligence).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.nn.functional import softplus

from tidegate.liquid.cfc import CfC
from tidegate.liquid.closed_form import MAPS
from tidegate.liquid.compiled import cfc_step, ltc_step
from tidegate.liquid.generators import auto_ncp, fully_connected, random_sparse
from tidegate.liquid.live import CfcStep, LtcStep
from tidegate.liquid.ltc import LTC
from tidegate.liquid.wiring import Wiring

INPUTS = 4

over_networks = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])


def wiring_of(random: np.random.Generator) -> Wiring:
    """Any of the generators, 3 to 16 neurons."""
    neurons, seed = int(random.integers(3, 17)), int(random.integers(2**31))
    motor = int(random.integers(1, neurons - 1))
    kind = random.integers(3)
    if kind == 0:
        return auto_ncp(INPUTS, neurons, motor, seed, float(random.uniform(0, 0.9)))
    if kind == 1:
        return fully_connected(INPUTS, neurons, motor, seed)
    return random_sparse(INPUTS, neurons, motor, seed, float(random.uniform(0, 0.95)))


def moved(net: Any, seed: int) -> Any:
    """``net`` in double precision, its parameters far from where they start."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random))
    return net.double()


def ltcs(count: int, substeps: int | None = None) -> Iterator[tuple[int, LTC]]:
    """Random LTCs with their number."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        steps = int(random.integers(1, 7)) if substeps is None else substeps
        yield seed, moved(LTC(wiring_of(random), steps, torch.Generator().manual_seed(seed)), seed)


def reversals(net: LTC) -> tuple[Tensor, Tensor]:
    """Least and largest potential (N,) that anything pulls a neuron to: its rest and its synapses' reversals."""
    low, high = net.rest.detach().clone(), net.rest.detach().clone()
    for synapses in (net.sensory, net.recurrent):
        potential = (synapses.polarity * softplus(synapses.raw_reversal)).detach()
        low.scatter_reduce_(0, synapses.target, potential, "amin")
        high.scatter_reduce_(0, synapses.target, potential, "amax")
    return low, high


def samples(batch: int, steps: int, seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    inputs = scale * torch.randn(batch, steps, INPUTS, generator=random, dtype=torch.float64)
    return inputs, 10 ** (-3 + 4 * torch.rand(batch, steps, generator=random, dtype=torch.float64))


@over_networks
def test_theorem_2_no_state_leaves_the_span_of_its_potentials_whatever_dt_and_input(count: int) -> None:
    """min(0, A_min) ≤ x ≤ max(0, A_max) in the paper, whose leak pulls to zero; here it pulls to the rest potential."""
    for seed, net in ltcs(count):
        low, high = reversals(net)
        inputs, dt = samples(2, 8, seed, scale=10.0 ** (seed % 5))
        start = low + (high - low) * torch.rand(2, net.neurons, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            states = net(inputs, dt, start)
        room = 1e-12 * (1 + high - low)
        assert (states >= low - room).all(), seed
        assert (states <= high + room).all(), seed


@over_networks
def test_theorem_1_the_time_constant_stays_between_all_synapses_open_and_all_closed(count: int) -> None:
    """τ/(1 + τW) ≤ τ_sys ≤ τ with τ = C/g and W = Σw/C, measured: a step Δ shrinks a deviation to 1/(1 + Δ/τ_sys)."""
    measured = 0
    for seed, net in ltcs(count, substeps=1):
        arrays = {name: value.numpy() for name, value in net.state_dict().items()}
        fast, slow = LtcStep(net.wiring, arrays, 1).time_constants()
        inputs, _ = samples(1, 1, seed)
        low, high = reversals(net)
        step, size = 0.1, 1e-6
        start = (low + high) / 2
        deviated = start + size * torch.cat([torch.eye(net.neurons), -torch.eye(net.neurons)])
        dt = torch.full((len(deviated), 1), step)
        with torch.no_grad():
            after = net(inputs.expand(len(deviated), 1, INPUTS), dt, deviated)[:, 0]
        shrunk = (after[: net.neurons] - after[net.neurons :]).diagonal().numpy() / (2 * size)
        alone = np.diag(net.wiring.recurrent) == 0  # a synapse to oneself adds to what is measured
        tau = step / (1 / shrunk[alone] - 1)
        assert np.all(tau >= fast[alone] * (1 - 1e-5)), seed
        assert np.all(tau <= slow[alone] * (1 + 1e-5)), seed
        measured += alone.sum()
    assert measured > count


def test_the_bounds_of_theorem_1_are_reached() -> None:
    """Inputs and states so far out that every synapse is shut, or open."""
    net = moved(LTC(fully_connected(INPUTS, 6, 2, 0), 1, torch.Generator().manual_seed(0)), 0)
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    fast, slow = LtcStep(net.wiring, arrays, 1).time_constants()
    step = 1e-3
    for far, expected in ((1e4, fast), (-1e4, slow)):
        inputs = torch.full((1, 1, INPUTS), far, dtype=torch.float64)
        start = torch.full((1, 6), far, dtype=torch.float64)
        near = start + 1.0
        with torch.no_grad():
            shrunk = (net(inputs, torch.full((1, 1), step), near) - net(inputs, torch.full((1, 1), step), start))[0, 0]
        np.testing.assert_allclose(step / (1 / shrunk.numpy() - 1), expected, rtol=1e-6)


@over_networks
def test_time_and_rates_scale_together(count: int) -> None:
    """Everything k times slower, watched k times longer, is the same: capacitances · k in an LTC."""
    for seed, net in ltcs(count):
        factor = 10 ** np.random.default_rng(seed).uniform(-2, 2)
        inputs, dt = samples(2, 5, seed)
        with torch.no_grad():
            states = net(inputs, dt)
            capacitance = softplus(net.raw_capacitance) * factor
            net.raw_capacitance.copy_(capacitance + torch.log(-torch.expm1(-capacitance)))
            torch.testing.assert_close(net(inputs, dt * factor), states, atol=1e-9, rtol=1e-9)


@over_networks
@pytest.mark.parametrize("form", ["default", "three_branch", "no_gate"])
def test_time_and_rates_scale_together_in_the_closed_form(form: str, count: int) -> None:
    """Only its third map is multiplied by the time."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        net = moved(CfC(wiring_of(random), torch.Generator().manual_seed(seed), form), seed)
        factor = 10 ** random.uniform(-2, 2)
        inputs, dt = samples(2, 5, seed)
        with torch.no_grad():
            states = net(inputs, dt)
            net.weight[2] /= factor
            net.bias[2] /= factor
            torch.testing.assert_close(net(inputs, dt * factor), states, atol=1e-9, rtol=1e-9)


def renumbered(wiring: Wiring, random: np.random.Generator) -> tuple[np.ndarray, Wiring]:
    """Old number (N,) of each new neuron, shuffled inside its layer, and the same graph in the new numbers."""
    order = np.concatenate([random.permutation(np.arange(wiring.neurons)[layer]) for layer in wiring.layers])
    sizes = wiring.inter, wiring.command, wiring.motor
    return order, Wiring(*sizes, wiring.sensory[:, order], wiring.recurrent[np.ix_(order, order)])


def places(old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Where the synapse that is e-th in the ``new`` (source, target) stands among the ``old``."""
    index = {pair: e for e, pair in enumerate(zip(*(part.tolist() for part in old), strict=True))}
    return np.array([index[int(rows[s]), int(order[t])] for s, t in zip(*new, strict=True)], dtype=np.int64)


@over_networks
def test_the_numbers_of_neurons_mean_nothing(count: int) -> None:
    for seed, net in ltcs(count):
        order, wiring = renumbered(net.wiring, np.random.default_rng(seed))
        other = LTC(wiring, net.substeps, torch.Generator()).double()
        with torch.no_grad():
            for name in ("raw_leak", "rest", "raw_capacitance"):
                getattr(other, name).copy_(getattr(net, name)[order])
            for mine, theirs, rows in (
                (other.sensory, net.sensory, np.arange(INPUTS)),
                (other.recurrent, net.recurrent, order),
            ):
                at = places((theirs.source, theirs.target), (mine.source, mine.target), rows, order)
                for name, value in mine.named_parameters():
                    value.copy_(getattr(theirs, name)[at])
            inputs, dt = samples(2, 5, seed)
            torch.testing.assert_close(other(inputs, dt), net(inputs, dt)[..., order], atol=1e-9, rtol=1e-9)


@over_networks
@pytest.mark.parametrize("form", MAPS)
def test_the_numbers_of_neurons_mean_nothing_in_the_closed_form(form: str, count: int) -> None:
    for seed in range(count):
        random = np.random.default_rng(seed)
        net = moved(CfC(wiring_of(random), torch.Generator().manual_seed(seed), form), seed)
        order, wiring = renumbered(net.wiring, random)
        other = CfC(wiring, torch.Generator(), form).double()
        rows = np.concatenate([np.arange(INPUTS), INPUTS + order])
        with torch.no_grad():
            at = places((net.row, net.target), (other.row, other.target), rows, order)
            other.weight.copy_(net.weight[:, at])
            other.bias.copy_(net.bias[:, order])
            for name, value in other.closed_form.named_parameters():
                value.copy_(getattr(net.closed_form, name)[order])
            inputs, dt = samples(2, 5, seed)
            found, expected = other(inputs, dt), net(inputs, dt)[..., order]
            finite = expected.abs().amax(dim=1, keepdim=True) < 1e3  # the pure form is not bounded
            torch.testing.assert_close(
                torch.where(finite, found, 0.0), torch.where(finite, expected, 0.0), atol=1e-8, rtol=1e-8
            )


def reach(wiring: Wiring) -> np.ndarray:
    """(I, N) whether a path leads from an input to a neuron, by powers of the adjacency."""
    step = (np.eye(wiring.neurons, dtype=bool) | (wiring.recurrent != 0)).astype(float)
    return (wiring.sensory != 0) @ np.linalg.matrix_power(step, wiring.neurons) > 0


@over_networks
@pytest.mark.parametrize("cell", ["ltc", "cfc"])
def test_nothing_hears_the_future_or_an_input_that_no_path_leads_from(cell: str, count: int) -> None:
    """Bit for bit; what a synapse leads from is heard."""
    deaf = 0
    for seed in range(count):
        random = np.random.default_rng(seed)
        wiring = wiring_of(random)
        cut = random.random(wiring.sensory.shape) < 0.7
        wiring.sensory[cut] = 0
        wiring.recurrent[random.random(wiring.recurrent.shape) < 0.4] = 0
        generator = torch.Generator().manual_seed(seed)
        net = LTC(wiring, 1, generator).double() if cell == "ltc" else CfC(wiring, generator).double()
        steps, changed = wiring.neurons + 3, 2
        inputs, dt = samples(1, steps, seed, 0.5)
        dt = dt.clamp(0.02, 0.2)
        with torch.no_grad():  # one by one: the rows of a batch may round differently
            states = net(inputs, dt)
            others = []
            for i in range(INPUTS):
                other = inputs.clone()
                other[:, changed:, i] += 1.0
                others.append(net(other, dt))
                assert torch.equal(others[-1][:, :changed], states[:, :changed]), seed
        heard = (torch.cat(others) != states).any(dim=1).numpy()
        assert not heard[~reach(wiring)].any(), seed
        assert heard[wiring.sensory != 0].all(), seed
        deaf += np.count_nonzero(~heard)
    assert deaf > count


def right_hand_side(net: LTC, inputs: np.ndarray) -> Any:
    """dx/dt of the paper's equation, from the parameters and not from the solver."""
    value = {name: part.detach().numpy() for name, part in net.named_parameters()}

    def positive(name: str) -> np.ndarray:
        return np.logaddexp(0, value[name])

    leak, capacitance, kinds = positive("raw_leak"), positive("raw_capacitance"), {}
    for name, synapses in (("sensory", net.sensory), ("recurrent", net.recurrent)):
        reversal = synapses.polarity.numpy() * positive(f"{name}.raw_reversal")
        steep, weight = positive(f"{name}.raw_slope"), positive(f"{name}.raw_weight")
        kinds[name] = synapses.source.numpy(), synapses.target.numpy(), steep, weight, reversal

    def slope_of(_: float, x: np.ndarray) -> np.ndarray:
        total = leak * (value["rest"] - x)
        for name, heard in (("sensory", inputs), ("recurrent", x)):
            source, target, steep, weight, reversal = kinds[name]
            opening = 1 / (1 + np.exp(-steep * (heard[source] - value[f"{name}.midpoint"])))
            np.add.at(total, target, weight * opening * (reversal - x[target]))
        return total / capacitance

    return slope_of


@over_networks
def test_the_fused_step_converges_to_the_equation_with_first_order_in_dt(count: int) -> None:
    """Against an adaptive Runge–Kutta method of order eight, half a second with the input held."""
    orders = []
    for seed in range(count):
        net = LTC(wiring_of(np.random.default_rng(seed)), 1, torch.Generator().manual_seed(seed)).double()
        inputs = np.random.default_rng(seed).normal(size=INPUTS)
        solved = solve_ivp(
            right_hand_side(net, inputs), (0, 0.5), np.zeros(net.neurons), method="DOP853", rtol=1e-7, atol=1e-9
        )
        errors = []
        for steps in (32, 64):
            held = torch.from_numpy(inputs).expand(1, steps, INPUTS)
            with torch.no_grad():
                state = net(held, torch.full((1, steps), 0.5 / steps, dtype=torch.float64))[0, -1].numpy()
            errors.append(np.linalg.norm(state - solved.y[:, -1]))
        assert errors[1] < errors[0], seed
        orders.append(np.log2(errors[0] / errors[1]))
    assert np.median(orders) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(orders, [0.05, 0.95]) == pytest.approx([1.0, 1.0], abs=0.3)


def test_substeps_are_steps() -> None:
    """One step of four sub-steps is four steps of one, each a quarter as long, the input held."""
    for seed, net in ltcs(200, substeps=4):
        inputs, dt = samples(2, 3, seed)
        net.substeps = 4
        with torch.no_grad():
            coarse = net(inputs, dt)
            net.substeps = 1
            fine = net(inputs.repeat_interleave(4, 1), dt.repeat_interleave(4, 1) / 4)[:, 3::4]
        torch.testing.assert_close(fine, coarse, atol=1e-10, rtol=1e-10)


def test_the_closed_form_is_as_near_to_its_ltc_as_the_paper_says() -> None:
    """One neuron, ẋ = −(w + f(I(t)))(x − A), piecewise constant input, and x̃ = (x₀ − A) e^{−(w + f(I))t} f(−I) + A.

    Both deviations from A lie between 0 and (x₀ − A) e^{−wt}, so their distance does too: the closed form forgets as
    its LTC does and settles where that does. (With the drive A·f of an LTC, without w·A, it would settle elsewhere.)
    """
    random = np.random.default_rng(0)
    count, pieces = 1000, 40
    rate, asymptote, start = random.uniform(0.05, 2, count), random.normal(size=count), random.normal(size=count)
    slope, shift = random.uniform(0.2, 4, count), random.normal(size=count)
    inputs, lengths = 2 * random.normal(size=(pieces, count)), random.uniform(0.01, 0.3, (pieces, count))

    def f(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-slope * (value - shift)))

    time = np.cumsum(lengths, axis=0)
    exact = (start - asymptote) * np.exp(-rate * time - np.cumsum(f(inputs) * lengths, axis=0)) + asymptote
    closed = (start - asymptote) * np.exp(-(rate + f(inputs)) * time) * f(-inputs) + asymptote
    opening = f(inputs)
    for n in range(0, count, 100):  # the exact solution is one: SciPy finds it too

        def slope_of(t: float, x: np.ndarray, n: int = n) -> np.ndarray:
            piece = min(int(np.searchsorted(time[:, n], t, side="left")), pieces - 1)
            return -(rate[n] + opening[piece, n]) * (x - asymptote[n])

        found = solve_ivp(slope_of, (0, time[-1, n]), [start[n]], max_step=0.01, rtol=1e-8, atol=1e-10)
        assert found.y[0, -1] == pytest.approx(exact[-1, n], abs=1e-4)
    bound = np.abs(start - asymptote) * np.exp(-rate * time)
    assert np.all(np.abs(closed - exact) <= bound * (1 + 1e-12))
    assert np.median(np.abs(closed - exact)[-1] / np.abs(start - asymptote)) < 0.01


@over_networks
def test_the_bounded_forms_stay_within_one(count: int) -> None:
    for seed in range(count):
        for form in ("default", "three_branch"):
            net = moved(CfC(wiring_of(np.random.default_rng(seed)), torch.Generator().manual_seed(seed), form), seed)
            inputs, dt = samples(2, 5, seed, 10.0 ** (seed % 5))
            with torch.no_grad():
                assert net(inputs, dt).abs().max() <= 1.0, seed


def test_the_live_steps_are_the_training_steps_on_any_wiring() -> None:
    for seed in range(100):
        random = np.random.default_rng(seed)
        wiring, generator = wiring_of(random), torch.Generator().manual_seed(seed)
        inputs, state = random.normal(size=INPUTS), random.uniform(-0.5, 0.5, wiring.neurons)
        dt = float(random.uniform(0.01, 1))
        for net, lives in (
            (moved(LTC(wiring, 3, generator), seed), [partial(make, substeps=3) for make in (LtcStep, ltc_step)]),
            (moved(CfC(wiring, generator), seed), [CfcStep, cfc_step]),
        ):
            arrays = {name: value.numpy() for name, value in net.state_dict().items()}
            held, start = torch.from_numpy(inputs)[None, None], torch.from_numpy(state)[None]
            expected = net(held, torch.full((1, 1), dt, dtype=torch.float64), start)[0, 0].detach().numpy()
            for live in lives:
                step = live(wiring, arrays)
                np.testing.assert_allclose(step(inputs, state, dt), expected, atol=1e-9, rtol=1e-9)
