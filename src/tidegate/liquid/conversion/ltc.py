# SPDX-License-Identifier: Apache-2.0
"""An LTC of the public package and ours: the same equation, other names, other numbers for the neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from tidegate.errors import ConversionError
from tidegate.liquid.conversion import memory
from tidegate.liquid.ltc import LTC, Synapses, inverse_softplus
from tidegate.liquid.network import Affine, LiquidNetwork
from tidegate.liquid.wiring import Wiring

LEAST = 1e-30
"""Stands for a zero where parameters are positive by construction."""


def received(module: Any) -> LiquidNetwork:
    """The ``ncps.torch.LTC`` as ours.

    Raises:
        ConversionError: a conductance, a capacitance or a slope is negative.
    """
    public = module.rnn_cell
    values = {name: value.detach().double() for name, value in public._params.items()}
    if not public._implicit_param_constraints:
        constrained = {name: _positive(name, values[name]) for name in ("gleak", "cm", "w", "sensory_w")}
    else:
        constrained = {name: softplus(values[name]) for name in ("gleak", "cm", "w", "sensory_w")}
    order, wiring = _wiring(module._wiring, values)
    cell = LTC(wiring, public._ode_unfolds, torch.Generator()).to(public._params["gleak"])
    leak = constrained["gleak"] + public._epsilon
    with torch.no_grad():
        cell.raw_leak.copy_(inverse_softplus(leak)[order])
        cell.rest.copy_((constrained["gleak"] * values["vleak"] / leak)[order])
        cell.raw_capacitance.copy_(inverse_softplus(constrained["cm"])[order])
        for prefix, synapses, sources in (
            ("sensory_", cell.sensory, np.arange(wiring.inputs)),
            ("", cell.recurrent, order),
        ):
            at = (torch.from_numpy(sources)[synapses.source], torch.from_numpy(order)[synapses.target])
            slope = _positive(f"{prefix}sigma", values[f"{prefix}sigma"][at])
            synapses.raw_slope.copy_(inverse_softplus(slope))
            synapses.midpoint.copy_(values[f"{prefix}mu"][at])
            synapses.raw_weight.copy_(inverse_softplus(constrained[f"{prefix}w"][at]))
            synapses.raw_reversal.copy_(inverse_softplus(values[f"{prefix}erev"][at].abs().clamp(min=LEAST)))
    return LiquidNetwork(
        cell,
        _mapped(public._params, "input", wiring.inputs),
        _mapped(public._params, "output", wiring.motor),
        memory.received(module.lstm, torch.from_numpy(order)) if module.use_mixed else None,
    )


def sent(network: LiquidNetwork, cell: LTC, public: Any) -> nn.Module:
    """Our ``network`` around ``cell`` as an ``ncps.torch.LTC``.

    Raises:
        ConversionError: its maps are not elementwise, or it has another solver than fused Euler.
    """
    if cell.solver != "fused_euler":
        raise ConversionError(f"the solver is '{cell.solver}'; an ncps LTC has fused_euler alone")
    from ncps.wirings import Wiring as PublicWiring

    wiring = cell.wiring
    back = np.concatenate([np.arange(wiring.neurons)[layer] for layer in reversed(wiring.layers)])  # ours, by theirs
    graph = PublicWiring(wiring.neurons)
    graph.set_output_dim(wiring.motor)
    graph.build(wiring.inputs)
    graph.sensory_adjacency_matrix[:] = wiring.sensory[:, back]
    graph.adjacency_matrix[:] = wiring.recurrent[np.ix_(back, back)]
    module = public.LTC(
        wiring.inputs,
        graph,
        mixed_memory=network.memory is not None,
        input_mapping=_mapping(network.input_map, "input"),
        output_mapping=_mapping(network.output_map, "output"),
        ode_unfolds=cell.substeps,
        epsilon=0.0,
        implicit_param_constraints=True,
    ).to(cell.rest)
    theirs = module.rnn_cell._params
    number = np.argsort(back)  # theirs, by ours
    with torch.no_grad():
        theirs["gleak"].copy_(cell.raw_leak[back])
        theirs["vleak"].copy_(cell.rest[back])
        theirs["cm"].copy_(cell.raw_capacitance[back])
        for prefix, synapses, sources in (
            ("sensory_", cell.sensory, np.arange(wiring.inputs)),
            ("", cell.recurrent, number),
        ):
            at = (torch.from_numpy(sources)[synapses.source], torch.from_numpy(number)[synapses.target])
            _fill(theirs, prefix, synapses, at)
        for side, map_ in (("input", network.input_map), ("output", network.output_map)):
            if isinstance(map_, Affine):
                theirs[f"{side}_w"].copy_(map_.weight)
                theirs[f"{side}_b"].copy_(map_.bias)
        if network.memory is not None:
            memory.sent(network.memory, module.lstm, torch.from_numpy(number))
    finished: nn.Module = module.train(network.training)
    return finished


def _wiring(public: Any, values: dict[str, Tensor]) -> tuple[NDArray[np.int64], Wiring]:
    """Their number (N,) of each of our neurons, and the wiring, its signs as they are after training."""
    motors = list(range(public.output_dim))
    others = range(public.output_dim, public.units)
    commands = [number for number in others if public.get_type_of_neuron(number) == "command"]
    inters = [number for number in others if number not in commands]
    order = np.array([*inters, *commands, *motors])
    polarity = [
        torch.where(values[f"{prefix}erev"] == 0, 1.0, values[f"{prefix}erev"].sign()).numpy()
        * (values[f"{prefix}sparsity_mask"] != 0).numpy()
        for prefix in ("sensory_", "")
    ]
    sensory, recurrent = polarity[0][:, order], polarity[1][np.ix_(order, order)]
    return order, Wiring(len(inters), len(commands), len(motors), sensory.astype(np.int8), recurrent.astype(np.int8))


def _positive(name: str, value: Tensor) -> Tensor:
    """``value``, zero replaced by almost zero.

    Raises:
        ConversionError: one is negative.
    """
    if (value < 0).any():
        raise ConversionError(
            f"ncps LTC: '{name}' is {value.min().item():.4g} somewhere; must not be negative"
            " (apply_weight_constraints() clips conductances and capacitances)"
        )
    return value.clamp(min=LEAST)


def _mapped(values: dict[str, Tensor], side: str, size: int) -> Affine | None:
    """Their elementwise input or output map."""
    if f"{side}_w" not in values:
        return None
    map_ = Affine(size).to(values[f"{side}_w"])
    with torch.no_grad():
        map_.weight.copy_(values[f"{side}_w"])
        if f"{side}_b" in values:
            map_.bias.copy_(values[f"{side}_b"])
    return map_


def _mapping(map_: nn.Module, side: str) -> str | None:
    """Their word for our map.

    Raises:
        ConversionError: there is none.
    """
    if isinstance(map_, nn.Identity):
        return None
    if isinstance(map_, Affine):
        return "affine"
    raise ConversionError(f"the {side} map is {type(map_).__name__}; an ncps LTC has elementwise maps or none")


def _fill(theirs: dict[str, Tensor], prefix: str, synapses: Synapses, at: tuple[Tensor, Tensor]) -> None:
    """Copy our synapses to the places ``at`` (sources (E,), targets (E,)) of their matrices."""
    theirs[f"{prefix}sigma"][at] = softplus(synapses.raw_slope)
    theirs[f"{prefix}mu"][at] = synapses.midpoint
    theirs[f"{prefix}w"][at] = synapses.raw_weight
    theirs[f"{prefix}erev"][at] = synapses.polarity * softplus(synapses.raw_reversal)
