# SPDX-License-Identifier: Apache-2.0
"""What the papers prove and physics demands, over a thousand random networks each (a hundred where it must be quick).

LTC: Hasani et al. 2021 (AAAI), theorems 1 and 2. CfC: Hasani et al. 2022 (Nature Machine Intelligence).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from random_networks import INPUTS, each_solver, ltcs, moved, over_networks, samples, wiring_of
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.nn.functional import softplus

from tidegate.liquid.cfc import CfC
from tidegate.liquid.closed_form import MAPS, equation_2
from tidegate.liquid.compiled import cfc_step, ltc_step
from tidegate.liquid.generators import fully_connected
from tidegate.liquid.live import CfcStep, LtcStep
from tidegate.liquid.ltc import LTC, inverse_softplus
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import SOLVERS


def reversals(net: LTC) -> tuple[Tensor, Tensor]:
    """Least and largest potential (N,) that anything pulls a neuron to: its rest and its synapses' reversals."""
    low, high = net.rest.detach().clone(), net.rest.detach().clone()
    for synapses in (net.sensory, net.recurrent):
        potential = (synapses.polarity * softplus(synapses.raw_reversal)).detach()
        low.scatter_reduce_(0, synapses.target, potential, "amin")
        high.scatter_reduce_(0, synapses.target, potential, "amax")
    return low, high


@over_networks
@each_solver
def test_theorem_2_no_state_leaves_the_span_of_its_potentials_whatever_dt_and_input(solver: str, count: int) -> None:
    """min(0, A_min) ≤ x ≤ max(0, A_max) in the paper, whose leak pulls to zero; here it pulls to the rest potential.

    Either solver's sub-step ends between the state and a mean of these potentials. In training, in double and in
    single precision, and live, in NumPy and in C.
    """
    for seed, net in ltcs(count, solver):
        low, high = reversals(net)
        inputs, dt = samples(2, 8, seed, scale=10.0 ** (seed % 5))
        random = torch.Generator().manual_seed(seed)
        start = low + (high - low) * torch.rand(2, net.neurons, generator=random, dtype=torch.float64)
        with torch.no_grad():
            states = net(inputs, dt, start)
        arrays = {name: value.numpy() for name, value in net.state_dict().items()}
        stepped = []
        for make in (LtcStep, ltc_step):
            live, state = make(net.wiring, arrays, net.substeps, solver), start[0].numpy()
            for held, passed in zip(inputs[0].numpy(), dt[0].tolist(), strict=True):
                stepped.append(state := live(held, state, passed))
        with torch.no_grad():
            single = net.float()(inputs.float(), dt.float(), start.float()).double()
        for found, rounding in ((states, 1e-12), (torch.from_numpy(np.array(stepped)), 1e-12), (single, 1e-6)):
            room = rounding * (1 + high.abs().maximum(low.abs()))
            assert (found >= low - room).all(), seed
            assert (found <= high + room).all(), seed


TIME_CONSTANT: dict[str, Callable[[float, np.ndarray], np.ndarray]] = {
    "fused_euler": lambda step, shrunk: step / (1 / shrunk - 1),
    "exponential_midpoint": lambda step, shrunk: -step / np.log(shrunk),
}
"""From what a step leaves of a deviation, 1/(1 + Δ/τ) or exp(−Δ/τ)."""


@over_networks
@each_solver
def test_theorem_1_the_time_constant_stays_between_all_synapses_open_and_all_closed(solver: str, count: int) -> None:
    """τ/(1 + τW) ≤ τ_sys ≤ τ with τ = C/g and W = Σw/C, measured by what a step leaves of a deviation."""
    measured = 0
    for seed, net in ltcs(count, solver, substeps=1):
        arrays = {name: value.numpy() for name, value in net.state_dict().items()}
        fast, slow = LtcStep(net.wiring, arrays, 1).time_constants()
        inputs, _ = samples(1, 1, seed)
        low, high = reversals(net)
        step, size = float(fast.min()), 1e-6
        start = (low + high) / 2
        deviated = start + size * torch.cat([torch.eye(net.neurons), -torch.eye(net.neurons)])
        dt = torch.full((len(deviated), 1), step)
        with torch.no_grad():
            after = net(inputs.expand(len(deviated), 1, INPUTS), dt, deviated)[:, 0]
        shrunk = (after[: net.neurons] - after[net.neurons :]).diagonal().numpy() / (2 * size)
        wired = (net.wiring.recurrent != 0).astype(int)
        # what comes back within the step adds to what is measured: by a synapse to oneself, from the middle by two
        back = wired if solver == "fused_euler" else wired + wired @ wired
        alone = np.diag(back) == 0
        tau = TIME_CONSTANT[solver](step, shrunk[alone])
        assert np.all(tau >= fast[alone] * (1 - 1e-5)), seed
        assert np.all(tau <= slow[alone] * (1 + 1e-5)), seed
        measured += alone.sum()
    assert measured > count


@each_solver
def test_the_bounds_of_theorem_1_are_reached(solver: str) -> None:
    """Inputs and states so far out that every synapse is shut, or open."""
    net = moved(LTC(fully_connected(INPUTS, 6, 2, 0), 1, torch.Generator().manual_seed(0), solver=solver), 0)
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    fast, slow = LtcStep(net.wiring, arrays, 1).time_constants()
    step = 1e-3
    for far, expected in ((1e4, fast), (-1e4, slow)):
        inputs = torch.full((1, 1, INPUTS), far, dtype=torch.float64)
        start = torch.full((1, 6), far, dtype=torch.float64)
        near = start + 1.0
        with torch.no_grad():
            shrunk = (net(inputs, torch.full((1, 1), step), near) - net(inputs, torch.full((1, 1), step), start))[0, 0]
        np.testing.assert_allclose(TIME_CONSTANT[solver](step, shrunk.numpy()), expected, rtol=1e-6)


@over_networks
@each_solver
def test_time_and_rates_scale_together(solver: str, count: int) -> None:
    """Everything k times slower, watched k times longer, is the same: capacitances · k in an LTC."""
    for seed, net in ltcs(count, solver):
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
@each_solver
def test_the_numbers_of_neurons_mean_nothing(solver: str, count: int) -> None:
    for seed, net in ltcs(count, solver):
        order, wiring = renumbered(net.wiring, np.random.default_rng(seed))
        other = LTC(wiring, net.substeps, torch.Generator(), solver=solver).double()
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


def hearing(wiring: Wiring) -> tuple[np.ndarray, np.ndarray]:
    """(I, N) whether an input is heard by a neuron itself, and whether a path leads from it to there, by powers.

    With ``dense_time`` a neuron hears all of its layer, and of the layer before it or the inputs.
    """
    direct, among = wiring.sensory != 0, np.eye(wiring.neurons, dtype=bool) | (wiring.recurrent != 0)
    if wiring.dense_time:
        first, *later = [layer for layer in wiring.layers if layer.start < layer.stop]
        direct[:, first] = among[first, first] = True
        for before, layer in pairwise([first, *later]):
            among[before, layer] = among[layer, layer] = True
    return direct, direct @ np.linalg.matrix_power(among.astype(float), wiring.neurons) > 0


CAUSAL: dict[str, Callable[[Wiring, int, torch.Generator], LTC | CfC]] = {
    **{
        f"ltc {solver} {steps}": lambda wiring, _, random, steps=steps, solver=solver: LTC(
            wiring, steps, random, solver=solver
        )
        for solver in SOLVERS
        for steps in (1, 3)
    },
    **{f"cfc {form}": lambda wiring, _, random, form=form: CfC(wiring, random, form) for form in MAPS},
    **{
        f"cfc {form}, dense time": lambda wiring, seed, random, form=form: with_dense_time(wiring, seed, random, form)
        for form in ("default", "three_branch")
    },
}


def with_dense_time(wiring: Wiring, seed: int, random: torch.Generator, form: str) -> CfC:
    net = CfC(replace(wiring, dense_time=True), random, form)
    with torch.no_grad():  # time branches start at zero, and are heard by who has two ends to move between
        for parameter in (net.dense_time_weight, net.bias):
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(seed))
    return net


@over_networks
@pytest.mark.parametrize("cell", CAUSAL)
def test_nothing_hears_the_future_or_an_input_that_no_path_leads_from(cell: str, count: int) -> None:
    """Bit for bit; what a synapse leads from is heard."""
    deaf = 0
    for seed in range(count):
        random = np.random.default_rng(seed)
        wiring = wiring_of(random)
        cut = random.random(wiring.sensory.shape) < 0.7
        wiring.sensory[cut] = 0
        wiring.recurrent[random.random(wiring.recurrent.shape) < 0.4] = 0
        net = CAUSAL[cell](wiring, seed, torch.Generator().manual_seed(seed)).double()
        direct, reached = hearing(net.wiring)
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
        assert not heard[~reached].any(), seed
        assert heard[direct].all(), seed
        deaf += np.count_nonzero(~heard)
    assert (deaf > count) != net.wiring.dense_time  # there every neuron hears every input


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
@pytest.mark.parametrize(("solver", "order"), [("fused_euler", 1.0), ("exponential_midpoint", 2.0)])
def test_it_converges_to_the_equation_with_the_order_of_its_solver_in_dt(solver: str, order: float, count: int) -> None:
    """Against an adaptive Runge–Kutta method of order eight, half a second with the input held."""
    orders = []
    for seed in range(count):
        wiring, generator = wiring_of(np.random.default_rng(seed)), torch.Generator().manual_seed(seed)
        net = LTC(wiring, 1, generator, solver=solver).double()
        inputs = np.random.default_rng(seed).normal(size=INPUTS)
        solved = solve_ivp(
            right_hand_side(net, inputs), (0, 0.5), np.zeros(net.neurons), method="DOP853", rtol=1e-9, atol=1e-11
        )
        errors = []
        for steps in (32, 64):
            held = torch.from_numpy(inputs).expand(1, steps, INPUTS)
            with torch.no_grad():
                state = net(held, torch.full((1, steps), 0.5 / steps, dtype=torch.float64))[0, -1].numpy()
            errors.append(np.linalg.norm(state - solved.y[:, -1]))
        assert errors[1] < errors[0], seed
        orders.append(np.log2(errors[0] / errors[1]))
    assert np.median(orders) == pytest.approx(order, abs=0.05)
    assert np.quantile(orders, [0.05, 0.95]) == pytest.approx([order, order], abs=0.3)


@over_networks
@each_solver
def test_substeps_are_steps(solver: str, count: int) -> None:
    """One step of four sub-steps is four steps of one, each a quarter as long, the input held."""
    for seed, net in ltcs(count, solver, substeps=4):
        inputs, dt = samples(2, 3, seed)
        net.substeps = 4
        with torch.no_grad():
            coarse = net(inputs, dt)
            net.substeps = 1
            fine = net(inputs.repeat_interleave(4, 1), dt.repeat_interleave(4, 1) / 4)[:, 3::4]
        torch.testing.assert_close(fine, coarse, atol=1e-10, rtol=1e-10)


def single_synapses(rate: Tensor, asymptote: Tensor, slope: Tensor, shift: Tensor) -> LTC:
    """Neurons that know their own input alone, ẋ = −(w + f(I))(x − A): rest and reversal potential are both A."""
    alone = np.diag(np.sign(asymptote.numpy())).astype(np.int8)
    net = LTC(Wiring(0, 0, len(rate), alone, 0 * alone), 64, torch.Generator()).double()
    one = torch.ones_like(rate)
    with torch.no_grad():
        net.rest.copy_(asymptote)
        net.sensory.midpoint.copy_(shift)
        for raw, value in (
            (net.raw_leak, rate),
            (net.raw_capacitance, one),
            (net.sensory.raw_weight, one),
            (net.sensory.raw_slope, slope),
            (net.sensory.raw_reversal, asymptote.abs()),
        ):
            raw.copy_(inverse_softplus(value))
    return net


@over_networks
def test_the_closed_form_is_as_near_to_its_ltc_as_the_paper_says(count: int) -> None:
    """Eq. 2 against our LTC with small sub-steps, neurons of one synapse, piecewise constant input.

    Both deviations from A lie between 0 and (x₀ − A) e^{−wt}, so their distance does too: the closed form forgets as
    its LTC does and settles where that does. (With the drive A·f of an LTC, without w·A, it would settle elsewhere.)
    """
    random, pieces = np.random.default_rng(0), 40
    rate, slope = random.uniform(0.05, 2, count), random.uniform(0.2, 4, count)
    asymptote, start, shift = random.normal(size=(3, count))
    inputs = 2 * random.normal(size=(pieces, count))
    lengths = random.uniform(0.01, 0.3, pieces)
    net = single_synapses(*(torch.from_numpy(each) for each in (rate, asymptote, slope, shift)))
    given = (torch.from_numpy(each)[None] for each in (inputs, lengths, start))
    with torch.no_grad():
        solved = net(*given)[0].numpy()

    def f(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-slope * (value - shift)))

    time = np.cumsum(lengths)[:, None]
    closed = equation_2(start, asymptote, rate + f(inputs), f(-inputs), time)
    distance = np.abs(closed - solved) / np.abs(start - asymptote)
    assert np.all(distance <= np.exp(-rate * time) + 0.003)  # what the solver is off by, of first order
    assert np.median(distance[-1]) < 0.01
    assert distance.max() > 0.3  # the bound is no empty one


@over_networks
def test_the_bounded_forms_stay_within_one(count: int) -> None:
    for seed in range(count):
        for form in ("default", "three_branch"):
            net = moved(CfC(wiring_of(np.random.default_rng(seed)), torch.Generator().manual_seed(seed), form), seed)
            inputs, dt = samples(2, 5, seed, 10.0 ** (seed % 5))
            with torch.no_grad():
                assert net(inputs, dt).abs().max() <= 1.0, seed


@over_networks
def test_the_live_steps_are_the_training_steps_on_any_wiring(count: int) -> None:
    for seed in range(count):
        random = np.random.default_rng(seed)
        wiring, generator = wiring_of(random), torch.Generator().manual_seed(seed)
        inputs, state = random.normal(size=INPUTS), random.uniform(-0.5, 0.5, wiring.neurons)
        dt = float(random.uniform(0.01, 1))
        for net, lives in (
            *(
                (
                    moved(LTC(wiring, 3, generator, solver=solver), seed),
                    [partial(make, substeps=3, solver=solver) for make in (LtcStep, ltc_step)],
                )
                for solver in SOLVERS
            ),
            (moved(CfC(wiring, generator), seed), [CfcStep, cfc_step]),
        ):
            arrays = {name: value.numpy() for name, value in net.state_dict().items()}
            held, start = torch.from_numpy(inputs)[None, None], torch.from_numpy(state)[None]
            expected = net(held, torch.full((1, 1), dt, dtype=torch.float64), start)[0, 0].detach().numpy()
            for live in lives:
                step = live(wiring, arrays)
                np.testing.assert_allclose(step(inputs, state, dt), expected, atol=1e-9, rtol=1e-9)
