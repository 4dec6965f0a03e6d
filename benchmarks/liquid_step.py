# SPDX-License-Identifier: Apache-2.0
"""One step of the 19 liquid neurons, batch 1, against the public ``ncps`` package, in turns within one process."""

from __future__ import annotations

import argparse
import statistics
import warnings
from typing import Any

import numpy as np
import torch
from common import SETTINGS, mean_time, save, spread

from tidegate.liquid.policy import make_step
from tidegate.liquid.wiring import Wiring
from tidegate.settings import load_settings
from tidegate.settings.policy import PolicySettings
from tidegate.stack import Stack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ncps.torch import LTCCell
    from ncps.wirings import NCP

DT = 0.05
SEED = 0


def public_cell(wiring: Wiring, policy: PolicySettings) -> Any:
    """The LTC cell of ``ncps`` of the same size, fan-outs and sub-steps."""
    circuit = NCP(
        wiring.inter,
        wiring.command,
        wiring.motor,
        policy.sensory_fanout,
        policy.inter_fanout,
        policy.command_recurrent,
        policy.motor_fanin,
        seed=SEED,
    )
    return LTCCell(circuit, wiring.inputs, ode_unfolds=policy.substeps)


def main(arguments: list[str] | None = None) -> None:
    """Time both in turns and keep the medians, the ratio and its spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=300)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = load_settings(SETTINGS)
    stack = Stack.from_settings(settings, SEED)
    wiring = stack.wiring
    ours = make_step(stack.to_bundle("bench", settings, 1200.0), wiring)
    policy = settings.policy
    peer = public_cell(wiring, policy)
    values = np.random.default_rng(SEED).normal(size=wiring.inputs)
    state = np.zeros(wiring.neurons)
    tensor, hidden = torch.tensor(values[None], dtype=torch.float32), torch.zeros(1, wiring.neurons)

    def step_ours() -> None:
        nonlocal state
        state = ours(values, state, DT)

    def step_peer() -> None:
        nonlocal hidden
        hidden = peer(tensor, hidden, DT)[1]

    with torch.inference_mode():
        mean_time(step_ours, 50), mean_time(step_peer, 50)
        pairs = [
            (mean_time(step_ours, chosen.repeats), mean_time(step_peer, chosen.repeats)) for _ in range(chosen.rounds)
        ]
    ratios = spread(theirs / mine for mine, theirs in pairs)
    figures = {
        "neurons": wiring.neurons,
        "inputs": wiring.inputs,
        "substeps": policy.substeps,
        "rounds": chosen.rounds,
        "repeats": chosen.repeats,
        "ours_us": statistics.median(mine for mine, _ in pairs),
        "ncps_us": statistics.median(theirs for _, theirs in pairs),
        **ratios,
    }
    print(save("liquid_step", figures), "ratio {ratio:.1f} ({ratio_low:.1f}…{ratio_high:.1f})".format(**ratios))


if __name__ == "__main__":
    main()
