# SPDX-License-Identifier: Apache-2.0
"""Trained networks of the public ``ncps`` package (PyTorch) brought here and back, with equal outputs.

What differs between the two packages:

    neurons       an LTC numbers motor, command, inter there; here everything is inter, command, motor
    time          any unit there, 1.0 by default; here the same number counts as seconds
    epsilon       added to the denominator of an LTC there; here a part of the leak, which pulls to zero
    wired CfC     dense time branches and dense layers there; here the wiring says so
"""

from __future__ import annotations

from typing import Any

from torch import nn

from tidegate.errors import ConversionError, DependencyError
from tidegate.liquid.cfc import CfC
from tidegate.liquid.conversion import cfc, dense_cfc, ltc
from tidegate.liquid.ltc import LTC
from tidegate.liquid.network import LiquidNetwork


def from_ncps(module: nn.Module) -> LiquidNetwork:
    """The network ``module``, an ``ncps.torch.LTC`` or ``CfC``, wired or not, with mixed memory or without.

    Give its ``timespans`` as ``dt``; outputs are whole sequences (B, T, O), batch first; dropout is left out.

    Raises:
        ConversionError: it is neither, or has a parameter that the equations here do not allow.
        DependencyError: ``ncps`` is not installed.
    """
    public = _public()
    if isinstance(module, public.LTC):
        return ltc.received(module)
    if isinstance(module, public.CfC):
        return cfc.received(module) if hasattr(module, "wiring") else dense_cfc.received(module)
    raise ConversionError(f"{type(module).__name__}: must be an LTC or a CfC of ncps.torch")


def to_ncps(network: LiquidNetwork) -> nn.Module:
    """``network`` as an ``ncps.torch.LTC`` or ``CfC``; give ``timespans`` [s], one sample at a time.

    A closed form on a wiring keeps its outputs there but not its sparsity once it is trained on.

    Raises:
        ConversionError: it has a wiring or maps that the public package has no words for.
        DependencyError: ``ncps`` is not installed.
    """
    public = _public()
    cell = network.cell
    if isinstance(cell, LTC):
        return ltc.sent(network, cell, public)
    if isinstance(cell, CfC):
        return cfc.sent(network, cell, public)
    return dense_cfc.sent(network, cell, public)


def _public() -> Any:
    try:
        import ncps.torch
    except ImportError as error:
        raise DependencyError("networks of ncps need the package: pip install 'ncps>=1.0,<2'") from error
    return ncps.torch
