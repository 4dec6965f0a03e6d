# SPDX-License-Identifier: Apache-2.0
"""The networks that are compared, each behind the frozen convolutions of one bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tidegate.bundle import Bundle
from tidegate.comparison.cells import CTRNN, GRU, LSTM, TCN, WIDTH, Memoryless, PeerCell
from tidegate.comparison.conditions import check_known
from tidegate.errors import SettingsError
from tidegate.liquid.generators import ncp
from tidegate.liquid.wired import PolicyOutput, WiredPolicy
from tidegate.liquid.wiring import MOTORS
from tidegate.perception.backbone import Backbone
from tidegate.settings.policy import SOLVERS, PolicySettings
from tidegate.stack import Policy, Stack

TCN_WIDTH = 32


class Peer(nn.Module):
    """Features and speed → another cell → command, called like ``WiredPolicy``.

    Its gains are in the middle of their interval, where those of a liquid policy are before they are learnt.
    """

    def __init__(self, cell: PeerCell, settings: PolicySettings) -> None:
        super().__init__()
        self.settings, self.cell = settings, cell
        self.output = nn.Linear(cell.hidden, len(MOTORS))

    def forward(self, features: Tensor, speed: Tensor, dt: Tensor, state: Tensor | None = None) -> PolicyOutput:
        """As ``WiredPolicy.forward``; ``neurons`` are the whole state of the cell."""
        settings = self.settings
        inputs = torch.cat([features, speed[..., None] / settings.speed_scale], dim=-1)
        hidden, states = self.cell(inputs, dt, state)
        output = self.output(hidden)
        middle = (settings.gain_low + settings.gain_high) / 2
        return PolicyOutput(
            acceleration=output[..., 0] * settings.acceleration_scale,
            curvature=output[..., 1] * settings.curvature_scale,
            gains=output.new_full((*output.shape[:2], len(settings.gain_names)), middle),
            neurons=states,
        )


def _liquid(cell: str) -> Callable[[PolicySettings, int, int], Policy]:
    def make(settings: PolicySettings, inputs: int, seed: int) -> Policy:
        solver = settings.solver if cell == "ltc" else SOLVERS[0]
        own = dataclasses.replace(settings, cell=cell, solver=solver)
        return WiredPolicy(ncp(inputs, own, seed), own, torch.Generator().manual_seed(seed))

    return make


def _peer(kind: Callable[[int, int], PeerCell], width: int) -> Callable[[PolicySettings, int, int], Policy]:
    def make(settings: PolicySettings, inputs: int, seed: int) -> Policy:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Peer(kind(inputs, width), settings)

    return make


def _small_lstm(settings: PolicySettings, inputs: int, seed: int) -> Policy:
    """The LSTM whose number of weights is nearest to that of the LTC of the same settings and seed."""
    wanted = weights(_liquid("ltc")(settings, inputs, seed))
    width = min(range(1, WIDTH), key=lambda one: abs(LSTM.count(inputs, one) - wanted))
    return _peer(LSTM, width)(settings, inputs, seed)


ARCHITECTURES: Mapping[str, Callable[[PolicySettings, int, int], Policy]] = {
    "ltc": _liquid("ltc"),
    "cfc": _liquid("cfc"),
    "lstm": _peer(LSTM, WIDTH),
    "lstm-small": _small_lstm,
    "gru": _peer(GRU, WIDTH),
    "ctrnn": _peer(CTRNN, WIDTH),
    "tcn": _peer(TCN, TCN_WIDTH),
    "cnn": _peer(Memoryless, WIDTH),
}
"""Makers of policies from their settings, the number of inputs and a seed, which draws wiring and weights."""

TITLES = {
    "ltc": "LTC",
    "cfc": "CfC",
    "lstm": "LSTM",
    "lstm-small": "LSTM",
    "gru": "GRU",
    "ctrnn": "CT-RNN",
    "tcn": "TCN",
}


def title(architecture: str, policy: Policy) -> str:
    """What it is called in the table, with its width."""
    if architecture == "cnn":
        return "CNN without memory"
    cell = policy.cell
    return f"{TITLES[architecture]}-{cell.hidden if isinstance(cell, PeerCell) else cell.neurons}"


def check_architectures(names: Sequence[str]) -> None:
    """Refuse what there is none of.

    Raises:
        SettingsError: naming it, and those that there are.
    """
    check_known(names, "architecture", ARCHITECTURES)


def peer_stack(bundle: Bundle, architecture: str, seed: int) -> Stack:
    """An untrained network of ``architecture`` behind the convolutions and the lane head of ``bundle``.

    The features' layer begins anew as well: that of the bundle was learnt together with its own liquid network.

    Raises:
        BundleError: the bundle's arrays do not fit its wiring and settings.
    """
    stack = Stack.from_bundle(bundle)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stack.backbone.features.load_state_dict(Backbone(bundle.perception).features.state_dict())
    stack.policy = ARCHITECTURES[architecture](bundle.policy, bundle.perception.features + 1, seed)
    return stack


def weights(policy: Policy) -> int:
    """Parameters of the cell, between features and read-out, that have an effect of their own.

    A liquid cell has them for the synapses of its wiring alone: four for each of an LTC and three for each neuron.
    """
    cell: Any = policy.cell
    if isinstance(cell, PeerCell):
        return cell.weights
    return sum(parameter.numel() for parameter in cell.parameters())


def save_peer(stack: Stack, path: Path) -> None:
    """Write what was trained: the features' layer and the policy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {"features": stack.backbone.features.state_dict(), "policy": stack.policy.state_dict()}
    flat = {f"{part}.{key}": value for part, state in parts.items() for key, value in state.items()}
    save_file(flat, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load_peer(bundle: Bundle, architecture: str, seed: int, path: Path) -> Stack:
    """The network that ``save_peer`` wrote.

    Raises:
        BundleError: as ``peer_stack``; SettingsError: the file is not of this architecture and seed.
    """
    stack = peer_stack(bundle, architecture, seed)
    try:
        flat = load_file(path)
        for part, module in (("features", stack.backbone.features), ("policy", stack.policy)):
            begin = f"{part}."
            module.load_state_dict({key[len(begin) :]: one for key, one in flat.items() if key.startswith(begin)})
    except Exception as error:  # safetensors, torch and the disk have no common base
        raise SettingsError(
            f"{path}: is no network of '{architecture}' ({error}); remove it and start again"
        ) from error
    return stack
