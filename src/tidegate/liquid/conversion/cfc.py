# SPDX-License-Identifier: Apache-2.0
"""A closed form on a wiring: one cell per layer in the public package, one sparse matrix per map here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.errors import ConversionError
from tidegate.liquid.cfc import CfC
from tidegate.liquid.conversion import maps
from tidegate.liquid.network import LiquidNetwork
from tidegate.liquid.wiring import Wiring


def received(module: Any) -> LiquidNetwork:
    """The wired ``ncps.torch.CfC`` as ours.

    Raises:
        ConversionError: it has other than one or three layers.
    """
    layers = module.rnn_cell._layers
    sizes = [layer.hidden_size for layer in layers]
    if len(sizes) not in (1, 3):
        raise ConversionError(f"ncps CfC of {len(sizes)} layers; must be one (motor) or three (inter, command, motor)")
    wiring = _wiring(module.wiring, layers, [0] * (3 - len(sizes)) + sizes, dense_time=layers[0].mode != "pure")
    cell = CfC(wiring, torch.Generator(), layers[0].mode).to(layers[0].ff1.weight)
    with torch.no_grad():
        matrices = torch.zeros_like(cell.matrices())
        for (heard, target), layer in zip(_blocks(cell), layers, strict=True):
            for k, (weight, bias) in enumerate(maps.received(layer)):
                matrices[k, heard, target] = weight.T
                cell.bias[k, target] = bias
            maps.receive_decay(layer, cell.closed_form, target)
        cell.weight.copy_(matrices[:, cell.row, cell.target])
        if wiring.dense_time:
            cell.dense_time_weight.copy_(matrices[2:, cell.dense_time_row, cell.dense_time_target])
    return maps.network_of(module, cell)


def sent(network: LiquidNetwork, cell: CfC, public: Any) -> nn.Module:
    """Our ``network`` around the wired ``cell`` as an ``ncps.torch.CfC``.

    Raises:
        ConversionError: a synapse skips a layer or leads back, or a map has no counterpart.
    """
    matrices = cell.matrices().detach()
    allowed = torch.zeros_like(matrices[0], dtype=torch.bool)
    for heard, target in _blocks(cell):
        allowed[heard, target] = True
    if (matrices[:, ~allowed] != 0).any():
        raise ConversionError("a synapse skips a layer or leads back; in an ncps CfC a layer hears itself and the last")
    module = public.CfC(
        cell.wiring.inputs,
        _layered(cell),
        maps.projection(network),
        mixed_memory=network.memory is not None,
        mode=maps.MODES[cell.closed_form.form],
    ).to(matrices)
    for (heard, target), layer in zip(_blocks(cell), module.rnn_cell._layers, strict=True):
        maps.send(matrices[:, heard, target].mT, cell.bias[:, target], cell.closed_form, target, layer)
    return maps.finish(network, module)


def _wiring(public: Any, layers: Any, sizes: list[int], dense_time: bool) -> Wiring:
    """What their first two maps hear: the layer before as wired, the own layer all of it."""
    inputs, neurons = layers[0].input_size, sum(sizes)
    sensory, recurrent = np.zeros((inputs, neurons), np.int8), np.zeros((neurons, neurons), np.int8)
    start, before, numbers_before = 0, slice(0, 0), np.zeros(0, np.int64)
    for index, layer in enumerate(layers):
        own = slice(start, start + layer.hidden_size)
        numbers = np.array(public.get_neurons_of_layer(index))
        if index == 0:
            sensory[:, own] = public.sensory_adjacency_matrix[:, numbers]
        else:
            recurrent[before, own] = public.adjacency_matrix[np.ix_(numbers_before, numbers)]
        among = public.adjacency_matrix[np.ix_(numbers, numbers)]
        recurrent[own, own] = np.where((among == 0) & ~np.eye(len(numbers), dtype=bool), 1, among)
        start, before, numbers_before = own.stop, own, numbers
    return Wiring(sizes[0], sizes[1], sizes[2], sensory, recurrent, dense_time)


def _blocks(cell: CfC) -> list[tuple[Tensor, slice]]:
    """Of each layer: the rows of ``cell.matrices`` that it hears in the public package, and its neurons."""
    inputs = cell.wiring.inputs
    blocks, before = [], range(inputs)
    for layer in cell.layers:
        own = range(inputs + layer.start, inputs + layer.stop)
        blocks.append((torch.tensor([*before, *own]), layer))
        before = own
    return blocks


def _layered(cell: CfC) -> Any:
    """Our wiring in the public package's words, its neurons numbered as ours."""
    from ncps.wirings import Wiring as PublicWiring

    class Layered(PublicWiring):  # type: ignore[misc]
        num_layers = len(cell.layers)

        def get_neurons_of_layer(self, layer_id: int) -> list[int]:
            layer = cell.layers[layer_id]
            return list(range(layer.start, layer.stop))

        def get_type_of_neuron(self, neuron_id: int) -> str:
            return ("inter", "command", "motor")[sum(neuron_id >= layer.stop for layer in cell.wiring.layers)]

    wiring = Layered(cell.neurons)
    wiring.set_output_dim(cell.motor)
    wiring.build(cell.wiring.inputs)
    wiring.sensory_adjacency_matrix[:] = cell.wiring.sensory
    wiring.adjacency_matrix[:] = cell.wiring.recurrent
    return wiring
