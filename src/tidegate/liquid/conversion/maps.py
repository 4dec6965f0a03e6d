# SPDX-License-Identifier: Apache-2.0
"""What wired and dense closed forms have in common: the names and the unit of their maps, projection and memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tidegate.errors import ConversionError
from tidegate.liquid.cfc import CfC
from tidegate.liquid.closed_form import MAPS, ClosedForm
from tidegate.liquid.conversion import memory
from tidegate.liquid.conversion.ltc import LEAST
from tidegate.liquid.dense_cfc import DenseCfC
from tidegate.liquid.live import TIME_UNIT
from tidegate.liquid.ltc import inverse_softplus
from tidegate.liquid.network import LiquidNetwork

HEADS = ("ff1", "ff2", "time_a", "time_b")
"""Their names of our maps, in our order; the third is multiplied by the time."""

MODES = {"default": "default", "three_branch": "default", "no_gate": "no_gate", "pure": "pure"}
"""Their mode of each of our forms: three branches are four, one of them zero."""


def received(layer: Any) -> list[tuple[Tensor, Tensor]]:
    """Weight (n, …) and bias (n,) of the maps of an ``ncps.torch.CfCCell``: masked where it masks, time in our unit."""
    found = []
    for name in HEADS[: MAPS[layer.mode]]:
        head, unit = getattr(layer, name), TIME_UNIT if name == "time_a" else 1.0
        masked = layer.sparsity_mask is not None and name.startswith("ff")
        found.append((head.weight * unit * (layer.sparsity_mask if masked else 1.0), head.bias * unit))
    return found


def receive_decay(layer: Any, closed_form: ClosedForm, target: slice) -> None:
    """Copy rate and asymptote of a pure ``ncps.torch.CfCCell`` to the neurons ``target``."""
    if layer.mode == "pure":
        rate = layer.w_tau[0].abs().double().clamp(min=LEAST)
        closed_form.raw_rate[target] = inverse_softplus(rate).to(closed_form.raw_rate)
        closed_form.asymptote[target] = layer.A[0]


def send(weights: Tensor, biases: Tensor, closed_form: ClosedForm, target: slice, layer: Any) -> None:
    """Fill an ``ncps.torch.CfCCell`` from our ``weights`` (K, n, …) and ``biases`` (K, n) of the neurons ``target``."""
    with torch.no_grad():
        for k, name in enumerate(HEADS[: MAPS[layer.mode]]):
            head, unit = getattr(layer, name), TIME_UNIT if name == "time_a" else 1.0
            absent = k >= len(weights)
            head.weight.copy_(torch.zeros_like(head.weight) if absent else weights[k] / unit)
            head.bias.copy_(torch.zeros_like(head.bias) if absent else biases[k] / unit)
        if layer.mode == "pure":
            layer.w_tau[0] = softplus(closed_form.raw_rate[target])
            layer.A[0] = closed_form.asymptote[target]


def network_of(module: Any, cell: CfC | DenseCfC) -> LiquidNetwork:
    """Ours around ``cell``, with the projection and the memory of the ``ncps.torch.CfC``."""
    output_map: nn.Module | None = None
    if isinstance(module.fc, nn.Linear):
        output_map = nn.Linear(module.fc.in_features, module.fc.out_features).to(module.fc.weight)
        output_map.load_state_dict(module.fc.state_dict())
    kept = memory.received(module.lstm, torch.arange(cell.neurons)) if module.use_mixed else None
    return LiquidNetwork(cell, None, output_map, kept)


def projection(network: LiquidNetwork) -> int | None:
    """Size of the projection that an ``ncps.torch.CfC`` needs to be ours.

    Raises:
        ConversionError: our maps are something else.
    """
    if not isinstance(network.input_map, nn.Identity):
        raise ConversionError(f"the input map is {type(network.input_map).__name__}; an ncps CfC has none")
    if isinstance(network.output_map, nn.Identity):
        return None
    if not isinstance(network.output_map, nn.Linear) or network.output_map.bias is None:
        raise ConversionError(f"the output map is {network.output_map}; an ncps CfC has a Linear with bias or none")
    return network.output_map.out_features


def finish(network: LiquidNetwork, module: Any) -> nn.Module:
    """Copy our projection and memory into the ``ncps.torch.CfC``."""
    if isinstance(network.output_map, nn.Linear):
        module.fc.load_state_dict(network.output_map.state_dict())
    if network.memory is not None:
        memory.sent(network.memory, module.lstm, torch.arange(network.cell.neurons))
    finished: nn.Module = module.train(network.training)
    return finished
