# SPDX-License-Identifier: Apache-2.0
"""Each network that is compared: causal, its whole state carried, as large as claimed, behind the same convolutions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tidegate.bundle import Bundle
from tidegate.comparison.cells import CTRNN, GRU, LSTM, TCN, WIDTH, Memoryless, PeerCell
from tidegate.comparison.peers import (
    ARCHITECTURES,
    TCN_WIDTH,
    check_architectures,
    load_peer,
    peer_stack,
    save_peer,
    title,
    weights,
)
from tidegate.errors import SettingsError
from tidegate.liquid.wired import PolicyOutput, WiredPolicy
from tidegate.share import share_path
from tidegate.stack import Policy, Stack

BUNDLE = Bundle.load(share_path("models/car-ltc19"))
INPUTS = BUNDLE.perception.features + 1
FRAMES = 30
EVERY = pytest.mark.parametrize("name", ARCHITECTURES)
HEARS_DT = {"ltc", "cfc", "ctrnn"}


def policy(name: str, seed: int = 1) -> Policy:
    return ARCHITECTURES[name](BUNDLE.policy, INPUTS, seed)


def heard(batch: int = 2, frames: int = FRAMES) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(5)
    features = torch.randn(batch, frames, INPUTS - 1, generator=random)
    speed = 15 * torch.rand(batch, frames, generator=random)
    return features, speed, 0.02 + 0.1 * torch.rand(batch, frames, generator=random)


@torch.no_grad()
def command(name: str, *inputs: torch.Tensor) -> torch.Tensor:
    """Acceleration and curvature of frames (B, T, 2)."""
    out = policy(name)(*inputs)
    return torch.stack([out.acceleration, out.curvature], dim=-1)


@EVERY
@torch.no_grad()
def test_a_sequence_in_one_go_is_the_same_as_step_by_step(name: str) -> None:
    network, (features, speed, dt) = policy(name), heard()
    whole: PolicyOutput = network(features, speed, dt)
    state = None
    for t in range(FRAMES):
        at = slice(t, t + 1)
        out = network(features[:, at], speed[:, at], dt[:, at], state)
        state = out.neurons[:, -1]
        assert state.shape == (2, network.cell.neurons)
        torch.testing.assert_close(out.acceleration, whole.acceleration[:, at], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(out.curvature, whole.curvature[:, at], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(out.gains, whole.gains[:, at])
    torch.testing.assert_close(state, whole.neurons[:, -1], atol=1e-5, rtol=1e-5)


@EVERY
def test_it_is_causal(name: str) -> None:
    features, speed, dt = heard()
    now = command(name, features, speed, dt)
    features[:, 20:], speed[:, 20:], dt[:, 20:] = 3.0, 1.0, 0.3
    other = command(name, features, speed, dt)
    assert torch.equal(other[:, :20], now[:, :20])
    assert (other[:, 20] != now[:, 20]).all()


@EVERY
def test_dt_is_heard_by_those_whose_equation_has_it(name: str) -> None:
    features, speed, dt = heard()
    same = torch.equal(command(name, features, speed, dt), command(name, features, speed, 2 * dt))
    assert same == (name not in HEARS_DT)


@EVERY
def test_all_but_the_cnn_without_memory_remember_the_frame_before(name: str) -> None:
    features, speed, dt = heard()
    now = command(name, features, speed, dt)
    features[:, 10] += 1.0
    assert torch.equal(command(name, features, speed, dt)[:, 11], now[:, 11]) == (name == "cnn")


def test_temporal_convolutions_see_as_far_as_they_reach_and_no_further() -> None:
    features, speed, dt = heard()
    reach = policy("tcn").cell.reach
    now = command("tcn", features, speed, dt)
    features[:, 5] += 1.0
    changed = (command("tcn", features, speed, dt) != now).any(dim=-1).any(dim=0)
    assert changed[5 : 5 + reach + 1].any()
    assert changed[5 + reach]
    assert not changed[5 + reach + 1 :].any()


def test_the_cells_have_as_many_weights_as_their_equations_say() -> None:
    wide, conv = WIDTH, TCN_WIDTH
    claimed = {
        "lstm": 4 * wide * (INPUTS + wide + 1),
        "gru": 3 * wide * (INPUTS + wide + 1) + wide,
        "ctrnn": wide * (INPUTS + wide + 1) + wide,
        "tcn": conv * (INPUTS + 1) + 3 * conv * (3 * conv + 1),
        "cnn": wide * (INPUTS + 1),
    }
    assert {name: weights(policy(name)) for name in claimed} == claimed
    ltc, cfc = policy("ltc"), policy("cfc")
    assert isinstance(ltc, WiredPolicy)
    assert isinstance(cfc, WiredPolicy)
    assert weights(ltc) == 4 * ltc.wiring.synapses + 3 * ltc.wiring.neurons
    assert weights(cfc) == cfc.cell.weight.numel() + 4 * cfc.wiring.neurons


@pytest.mark.parametrize("seed", range(5))
def test_the_small_lstm_has_as_many_weights_as_the_ltc_of_its_seed(seed: int) -> None:
    small, ltc = weights(policy("lstm-small", seed)), weights(policy("ltc", seed))
    width = policy("lstm-small", seed).cell.hidden
    assert small == LSTM.count(INPUTS, width)
    for other in (width - 1, width + 1):
        assert abs(small - ltc) <= abs(LSTM.count(INPUTS, other) - ltc)


@pytest.mark.parametrize(("name", "shared"), [("lstm", 4 * WIDTH), ("gru", 2 * WIDTH)])
@torch.no_grad()
def test_the_biases_that_are_not_counted_have_no_effect_of_their_own(name: str, shared: int) -> None:
    network = policy(name)
    before = network(*heard()).curvature
    biases = dict(network.cell.cell.named_parameters())
    one, other = (next(value for key, value in biases.items() if key.startswith(f"bias_{end}")) for end in ("ih", "hh"))
    one[:shared] += 0.3
    other[:shared] -= 0.3
    torch.testing.assert_close(network(*heard()).curvature, before, atol=1e-6, rtol=1e-4)
    one[:shared] += 0.3
    assert (network(*heard()).curvature - before).abs().max() > 1e-4


@torch.no_grad()
def test_a_ct_rnn_without_recurrence_is_solved_exactly() -> None:
    cell = CTRNN(2, 5)
    cell.drive.weight[:, 2:] = 0
    held = torch.randn(1, 1, 2, generator=torch.Generator().manual_seed(0))
    once, _ = cell(held, torch.tensor([[0.2]]))
    twice, _ = cell(held.expand(1, 2, 2), torch.tensor([[0.05, 0.15]]))
    torch.testing.assert_close(twice[:, -1], once[:, -1])


@pytest.mark.parametrize("kind", [LSTM, GRU, CTRNN, TCN, Memoryless])
def test_every_weight_of_a_cell_learns(kind: type[PeerCell]) -> None:
    torch.manual_seed(0)
    cell = kind(3, 4)
    hidden, _ = cell(torch.randn(8, 20, 3), torch.full((8, 20), 0.05))
    hidden[:, -1].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in cell.parameters())


@EVERY
def test_all_stand_behind_the_convolutions_of_the_bundle_and_begin_anew(name: str) -> None:
    known = Stack.from_bundle(BUNDLE).backbone.state_dict()
    one, again, other = (peer_stack(BUNDLE, name, seed) for seed in (1, 1, 2))
    for key, value in one.backbone.state_dict().items():
        assert torch.equal(value, known[key]) == (not key.startswith("features.")), key
        assert torch.equal(value, again.backbone.state_dict()[key])
    same = [torch.equal(*pair) for pair in zip(one.policy.parameters(), again.policy.parameters(), strict=True)]
    assert all(same)
    mine, others = (torch.cat([p.flatten() for p in s.policy.parameters()])[:100] for s in (one, other))
    assert not torch.equal(mine, others)


@EVERY
def test_what_was_kept_is_read_again_and_what_is_another_network_is_refused(name: str, tmp_path: Path) -> None:
    stack, file = peer_stack(BUNDLE, name, 3), tmp_path / "networks" / "one.safetensors"
    with torch.no_grad():
        for parameter in (*stack.policy.parameters(), *stack.backbone.features.parameters()):
            parameter += 0.1
    save_peer(stack, file)
    again = load_peer(BUNDLE, name, 3, file)
    for key, value in stack.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    with pytest.raises(SettingsError, match=r"one\.safetensors: is no network of"):
        load_peer(BUNDLE, "gru" if name == "lstm" else "lstm", 3, file)


def test_names_tell_the_width() -> None:
    assert [title(name, policy(name)) for name in ARCHITECTURES] == [
        "LTC-19",
        "CfC-19",
        "LSTM-64",
        "LSTM-6",
        "GRU-64",
        "CT-RNN-64",
        "TCN-32",
        "CNN without memory",
    ]


@pytest.mark.parametrize("names", [(), ("ltc", "rnn")])
def test_an_architecture_that_there_is_none_of_is_named(names: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="is no architecture; there are ltc, cfc"):
        check_architectures(names)
