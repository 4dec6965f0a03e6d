# SPDX-License-Identifier: Apache-2.0
"""The public ``ncps`` package as a peer: the same numbers of neurons, inputs, synapses by layer and sub-steps."""

from __future__ import annotations

import warnings

from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import PolicySettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ncps.torch import LTC, CfC, LTCCell, WiredCfCCell
    from ncps.wirings import NCP


def circuit(wiring: Wiring, policy: PolicySettings) -> NCP:
    """A wiring of the same layers and fan-outs."""
    layers = wiring.inter, wiring.command, wiring.motor
    fans = policy.sensory_fanout, policy.inter_fanout, policy.command_recurrent, policy.motor_fanin
    return NCP(*layers, *fans, seed=0)


def ltc_cell(wiring: Wiring, policy: PolicySettings) -> LTCCell:
    """One step: (inputs (B, I), state (B, N), dt [s]) → outputs, state."""
    return LTCCell(circuit(wiring, policy), wiring.inputs, ode_unfolds=policy.substeps)


def cfc_cell(wiring: Wiring, policy: PolicySettings) -> WiredCfCCell:
    """As ``ltc_cell``."""
    return WiredCfCCell(wiring.inputs, circuit(wiring, policy))


def ltc(wiring: Wiring, policy: PolicySettings) -> LTC:
    """Sequences: inputs (B, T, I) → outputs (B, T, O), state."""
    return LTC(wiring.inputs, circuit(wiring, policy), ode_unfolds=policy.substeps)


def cfc(wiring: Wiring, policy: PolicySettings) -> CfC:
    """As ``ltc``."""
    return CfC(wiring.inputs, circuit(wiring, policy))
