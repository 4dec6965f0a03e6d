# SPDX-License-Identifier: Apache-2.0
"""One step of the 19 liquid neurons, batch 1, against the public ``ncps`` package, in turns within one process."""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from common import SETTINGS, save

from tidegate.liquid.policy import make_step
from tidegate.settings import load_settings
from tidegate.stack import Stack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ncps.torch import LTCCell
    from ncps.wirings import NCP

DT = 0.05
SEED = 0


def timed(call: Callable[[], object], repeats: int) -> float:
    """Mean time of one call [µs]."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats * 1e6


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
    peer = LTCCell(
        NCP(
            wiring.inter,
            wiring.command,
            wiring.motor,
            policy.sensory_fanout,
            policy.inter_fanout,
            policy.command_recurrent,
            policy.motor_fanin,
            seed=SEED,
        ),
        wiring.inputs,
        ode_unfolds=policy.substeps,
    )
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
        timed(step_ours, 50), timed(step_peer, 50)
        pairs = [(timed(step_ours, chosen.repeats), timed(step_peer, chosen.repeats)) for _ in range(chosen.rounds)]
    ratios = sorted(theirs / mine for mine, theirs in pairs)
    figures = {
        "neurons": wiring.neurons,
        "inputs": wiring.inputs,
        "substeps": policy.substeps,
        "rounds": chosen.rounds,
        "repeats": chosen.repeats,
        "ours_us": statistics.median(mine for mine, _ in pairs),
        "ncps_us": statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(ratios),
        "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
    }
    print(save("liquid_step", figures), f"ratio {figures['ratio']:.1f} ({ratios[0]:.1f}…{ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
