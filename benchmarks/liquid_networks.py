# SPDX-License-Identifier: Apache-2.0
"""Sequence models of 19 neurons that are compared: (B, T, I) → outputs. Each is made with what it alone imports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from common import SETTINGS

from tidegate.liquid.generators import ncp
from tidegate.liquid.wiring import Wiring
from tidegate.settings import load_settings
from tidegate.settings.policy import PolicySettings

if TYPE_CHECKING:
    from torch import Tensor, nn

DT = 0.05


def sizes() -> tuple[Wiring, PolicySettings]:
    """The car's."""
    settings = load_settings(SETTINGS)
    return ncp(settings.perception.features + 1, settings.policy, 0), settings.policy


def _ours(cell: Any) -> nn.Module:
    """With maps before and after it, as a cell of ``ncps`` has them."""
    from tidegate.liquid.network import Affine, LiquidNetwork

    return LiquidNetwork(cell, Affine(cell.wiring.inputs), Affine(cell.motor))


def ltc(compiled: bool = True) -> nn.Module:
    """Ours."""
    import torch

    from tidegate.liquid.ltc import LTC

    wiring, policy = sizes()
    return _ours(LTC(wiring, policy.substeps, torch.Generator().manual_seed(0), compiled))


def cfc(compiled: bool = True) -> nn.Module:
    """Ours."""
    import torch

    from tidegate.liquid.cfc import CfC

    return _ours(CfC(sizes()[0], torch.Generator().manual_seed(0), compiled=compiled))


def ncps_ltc() -> nn.Module:
    """The public package's."""
    import ncps_peer

    return ncps_peer.ltc(*sizes())


def ncps_cfc() -> nn.Module:
    """The public package's, wired."""
    import ncps_peer

    return ncps_peer.cfc(*sizes())


def lstm() -> nn.Module:
    """As many neurons."""
    import torch

    wiring, _ = sizes()
    return torch.nn.LSTM(wiring.inputs, wiring.neurons, batch_first=True)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ltc": ltc,
    "ltc eager": partial(ltc, compiled=False),
    "ncps ltc": ncps_ltc,
    "cfc": cfc,
    "cfc eager": partial(cfc, compiled=False),
    "ncps cfc": ncps_cfc,
    "lstm": lstm,
}


def outputs(name: str) -> Callable[[Tensor], Tensor]:
    """One of ``NETWORKS`` as a function; ours are told that steps are 0.05 s long, ``ncps`` keeps its default."""
    import torch

    network = NETWORKS[name]()
    if name.split()[0] in ("ltc", "cfc"):
        return lambda inputs: network(inputs, torch.full(inputs.shape[:2], DT))[0]
    return lambda inputs: network(inputs)[0]


def train(network: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
    """Forward and backward."""
    network(inputs).square().mean().backward()
