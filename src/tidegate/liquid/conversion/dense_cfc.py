# SPDX-License-Identifier: Apache-2.0
"""A closed form without a wiring: hidden layers and maps, of the public package and ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tidegate.liquid.closed_form import MAPS
from tidegate.liquid.conversion import maps
from tidegate.liquid.dense_cfc import ACTIVATIONS, DenseCfC
from tidegate.liquid.network import LiquidNetwork

ACTIVATION_OF = {"LeCun": "lecun_tanh", "SiLU": "silu", "ReLU": "relu", "Tanh": "tanh", "GELU": "gelu"}
"""Our name, which is also their argument, of their classes."""


def received(module: Any) -> LiquidNetwork:
    """The ``ncps.torch.CfC`` without a wiring as ours."""
    public = module.rnn_cell
    hidden = _hidden(public.backbone)
    cell = DenseCfC(
        public.input_size,
        public.hidden_size,
        torch.Generator(),
        public.mode,
        hidden[0].out_features if hidden else 0,
        len(hidden),
        ACTIVATION_OF[type(public.backbone[1]).__name__] if hidden else "lecun_tanh",
    ).to(public.ff1.weight)
    with torch.no_grad():
        for ours, theirs in zip(_hidden(cell.backbone), hidden, strict=True):
            ours.load_state_dict(theirs.state_dict())
        heads = maps.received(public)
        cell.heads.weight.copy_(torch.cat([weight for weight, _ in heads]))
        cell.heads.bias.copy_(torch.cat([bias for _, bias in heads]))
        maps.receive_decay(public, cell.closed_form, slice(None))
    return maps.network_of(module, cell)


def sent(network: LiquidNetwork, cell: DenseCfC, public: Any) -> nn.Module:
    """Our ``network`` around ``cell`` as an ``ncps.torch.CfC``.

    Raises:
        ConversionError: a map has no counterpart.
    """
    hidden = _hidden(cell.backbone)
    named = {kind: name for name, kind in ACTIVATIONS.items()}
    module = public.CfC(
        (hidden[0] if hidden else cell.heads).in_features - cell.neurons,
        cell.neurons,
        maps.projection(network),
        mixed_memory=network.memory is not None,
        mode=maps.MODES[cell.closed_form.form],
        activation=named[type(cell.backbone[1])] if hidden else "lecun_tanh",
        backbone_units=hidden[0].out_features if hidden else 0,
        backbone_layers=len(hidden),
    ).to(cell.heads.weight)
    for ours, theirs in zip(hidden, _hidden(module.rnn_cell.backbone), strict=True):
        theirs.load_state_dict(ours.state_dict())
    shape = (MAPS[cell.closed_form.form], cell.neurons, -1)
    weights, biases = cell.heads.weight.view(shape), cell.heads.bias.view(shape[:2])
    maps.send(weights, biases, cell.closed_form, slice(None), module.rnn_cell)
    return maps.finish(network, module)


def _hidden(backbone: Any) -> list[nn.Linear]:
    return [layer for layer in backbone or () if isinstance(layer, nn.Linear)]
